/** The engines of `@libbpf-ts/vm`, alone: no verifier, no kernel, the maps laid out by hand. */

import { performance } from 'node:perf_hooks';

import {
  MAP_HEADER,
  MAP_HEADER_SIZE,
  VmRuntime,
  HASH_ELEMENT,
  hashElementLayout,
  hashOfMapKey,
  installMapLookups,
  subprogramsOf,
} from '@libbpf-ts/vm';
import type { Arena, CallTarget, KnownMap, MapHeaderField, MapLookupKind, VmHelper, VmProgram } from '@libbpf-ts/vm';

import { benchPacket } from './programs.ts';
import type { BenchMap, BenchProgram } from './programs.ts';
import type { Runner, Side } from './side.ts';

const BPF_MAP_TYPE = { hash: 1, array: 2 } as const;

export function ours(engine: string): Side {
  return {
    name: engine,
    load(program) {
      const bench = new OurBench();
      const loaded = bench.runtime.load(bench.program(program), { engine });
      const ctx = bench.context();
      return {
        measure(count) {
          const start = performance.now();
          loaded.repeat(ctx, count);
          return ((performance.now() - start) * 1e6) / count;
        },
        result: () => loaded.run(ctx) >>> 0,
        close: () => loaded.unload(),
      } satisfies Runner;
    },
  };
}

/** A runtime with the packet in it, and programs with their maps. */
export class OurBench {
  readonly runtime: VmRuntime = new VmRuntime();
  readonly #slots: Readonly<Record<MapLookupKind, number>> = installMapLookups(this.runtime);

  /** Address of a `__sk_buff` over the bench packet. */
  context(packet: Uint8Array = benchPacket()): number {
    const { arena } = this.runtime;
    const data = arena.allocate(packet.length + 256) + 256;
    arena.u8.set(packet, data);
    const ctx = arena.allocate(192);
    const word = (offset: number, value: number): void => void (arena.u32[(ctx + offset) >> 2] = value);
    word(0, packet.length);
    word(16, 0x0081); // protocol, as the kernel's test run gives it after eth_type_trans
    word(76, data);
    word(80, data + packet.length);
    return ctx;
  }

  program(program: BenchProgram): VmProgram {
    const maps = new Map(program.maps.map((map) => [map.name, this.#map(map)]));
    const constants = new Map<number, bigint>();
    for (const [insn, name] of program.mapLoads) constants.set(insn, BigInt(maps.get(name)!.address));
    const calls = new Map<number, CallTarget>();
    program.insns.forEach((insn, index) => {
      if (insn.code === 0x85 && insn.src_reg === 0)
        calls.set(index, { helper: this.#lookup, map: this.#mapOfCall(program, maps, index) });
    });
    return {
      name: program.name,
      insns: program.insns,
      subprograms: subprogramsOf(program.insns),
      fixups: { constants, functions: new Map(), calls },
    };
  }

  readonly #lookup: VmHelper = {
    name: 'bpf_map_lookup_elem',
    args: ['u32', 'u32'],
    returns: 'u32',
    intrinsic: 'map_lookup',
    run: (map, key) =>
      this.runtime.functions.get(this.runtime.arena.u32[(map! + MAP_HEADER.lookup_slot) >> 2]!)!(map, key) as number,
  };

  /** The map that the last ld_imm64 before the call loads: all that these programs need. */
  #mapOfCall(program: BenchProgram, maps: ReadonlyMap<string, KnownMap>, call: number): KnownMap {
    const load = [...program.mapLoads].filter(([insn]) => insn < call).sort((a, b) => b[0] - a[0])[0]!;
    return maps.get(load[1])!;
  }

  #map(map: BenchMap): KnownMap {
    const { arena } = this.runtime;
    const { key_size, value_size, max_entries } = map;
    const map_type = BPF_MAP_TYPE[map.type];
    const stride = (value_size + 7) & ~7;
    const address = arena.allocate(MAP_HEADER_SIZE);
    const set = (fields: Partial<Record<MapHeaderField, number>>): void => {
      for (const [name, value] of Object.entries(fields))
        arena.u32[(address + MAP_HEADER[name as MapHeaderField]) >> 2] = value;
    };
    set({ map_type, key_size, value_size, max_entries, lookup_slot: this.#slots[map.type], stride });
    if (map.type === 'array') set({ data: arena.allocate(stride * max_entries) });
    else {
      set({ mask: max_entries - 1, buckets: arena.allocate(max_entries * 4), seed: 0x2545_f491 });
      fillHash(arena, address, map);
    }
    return { address, map_type, key_size, value_size, max_entries };
  }
}

function fillHash(arena: Arena, map: number, { filled = 0, key_size, value_size }: BenchMap): void {
  const { keyOffset, valueOffset } = hashElementLayout('hash', key_size);
  for (let key = 0; key < filled; key++) {
    const element = arena.allocate(valueOffset + value_size);
    arena.u32[(element + keyOffset) >> 2] = key;
    arena.u32[(element + valueOffset) >> 2] = key;
    const hash = hashOfMapKey(arena, map, element + keyOffset);
    const mask = arena.u32[(map + MAP_HEADER.mask) >> 2]!;
    const bucket = arena.u32[(map + MAP_HEADER.buckets) >> 2]! + (hash & mask) * 4;
    arena.u32[(element + HASH_ELEMENT.next) >> 2] = arena.u32[bucket >> 2]!;
    arena.i32[(element + HASH_ELEMENT.hash) >> 2] = hash;
    arena.u32[bucket >> 2] = element;
  }
}
