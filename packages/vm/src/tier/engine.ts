/** The first tier as an engine: runs a program at once, by an interpreter that is WebAssembly. */

import { MAX_BPF_STACK, MAX_CALL_FRAMES } from '../cells.ts';
import type { BoundProgram, Engine, LoadOptions, PreparedProgram, ProgramSlots } from '../engine.ts';
import { VmTrap } from '../errors.ts';
import { CallSite } from '../interpreter/call-site.ts';
import type { VmProgram } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';
import type { TierImports } from './module.ts';
import { predecode } from './predecode.ts';
import { HEADER, MOVED, RECORD } from './record.ts';
import { takeTrapRecord } from './host.ts';

/** What a run counts for by itself, as a part of the program's instructions: jumps forward leave out the rest. */
const STRAIGHT = 1 / 4;

/** A heat that no program reaches. */
const NEVER = 0xffff_ffff;

export const firstTierEngine: Engine = {
  name: 'first-tier',
  prepare: (program, options, runtime, slots) => prepareTier(program, options, runtime, slots),
};

export function prepareTier(
  program: VmProgram,
  options: LoadOptions,
  runtime: VmRuntime,
  slots: ProgramSlots,
): PreparedTierProgram {
  return new PreparedTierProgram(predecode(program, options, runtime, slots), options);
}

/** Records in the arena, at the same address in a fork. */
export class PreparedTierProgram implements PreparedProgram {
  readonly #block: number;
  readonly #options: LoadOptions;

  constructor(block: number, options: LoadOptions) {
    this.#block = block;
    this.#options = options;
  }

  bind(runtime: VmRuntime, program: VmProgram, slots: ProgramSlots): BoundProgram {
    return this.bindUntil(runtime, program, slots, NEVER, () => false);
  }

  /**
   * `limit` is the heat (instructions that have run, about) from which on `hot` is called before a run; where that puts other functions into the slots it
   * answers true; where not, it is not asked again.
   */
  bindUntil(runtime: VmRuntime, program: VmProgram, slots: ProgramSlots, limit: number, hot: () => boolean): BoundProgram {
    const block = this.#block;
    runtime.arena.u32[(block + HEADER.limit) >> 2] = limit;
    runtime.arena.u32[(block + HEADER.run) >> 2] = 1 + Math.floor(program.insns.length * STRAIGHT);
    const module = runtime.tier.module({ fuel: this.#options.fuel ?? false, region: this.#options.region !== undefined });
    const h = helpers(runtime, program, block, () => {
      const moved = hot();
      runtime.arena.u32[(block + HEADER.limit) >> 2] = moved ? MOVED : NEVER;
      return moved;
    });
    const instance = (subprogram: number): WebAssembly.Exports => {
      const imports = {
        vm: { memory: runtime.arena.memory },
        s: runtime.tier.slots,
        p: this.#globals(runtime, slots, block, program.subprograms[subprogram]!.start),
        h,
      };
      return new WebAssembly.Instance(module, imports as unknown as WebAssembly.Imports).exports;
    };
    const { entry, tail } = instance(0);
    return {
      engine: firstTierEngine.name,
      entry: entry as Function,
      tailEntry: tail as Function,
      callbacks: slots.callbacks.map((slot, index) => (slot === 0 ? null : (instance(index)['callback'] as Function))),
      insnAt: (record) => {
        const insn = (record - block - HEADER.size) / RECORD.size;
        return insn >= 0 && insn <= program.insns.length && Number.isInteger(insn) ? insn : undefined;
      },
    };
  }

  release(runtime: VmRuntime): void {
    runtime.arena.free(this.#block);
  }

  #globals(runtime: VmRuntime, slots: ProgramSlots, header: number, start: number): TierImports['p'] {
    const region = this.#options.region ?? { start: 0, end: 0 };
    const places = (size: number): bigint => BigInt(Math.max(0, region.end - region.start - size + 1));
    return {
      header,
      start: start * RECORD.size + header + HEADER.size,
      slot: slots.slot,
      frames: runtime.tier.frames,
      // All frames of a run fit below where it starts.
      floor: runtime.stackStart + MAX_CALL_FRAMES * MAX_BPF_STACK,
      region: BigInt(region.start),
      places1: places(1),
      places2: places(2),
      places4: places(4),
      places8: places(8),
    };
  }
}

function helpers(runtime: VmRuntime, program: VmProgram, block: number, hot: () => boolean): TierImports['h'] {
  const sites: (CallSite | undefined)[] = [];
  const siteAt = (insn: number): CallSite => (sites[insn] ??= new CallSite(program.fixups.calls.get(insn)!));
  const dynamic = (id: number): CallSite => {
    const record = takeTrapRecord(runtime);
    const helper = program.fixups.helpersById?.get(id);
    if (helper) return new CallSite({ helper });
    const insn = (record - block - HEADER.size) / RECORD.size;
    throw new VmTrap('call', program.name, { insn, line: program.lineOf?.(insn) });
  };
  return {
    call: (site) => siteAt(site).callAt(runtime),
    dynamic: (id) => dynamic(id).callAt(runtime),
    packet: (ctx, offset, size) => program.fixups.packetLoad!.run(ctx, offset, size),
    hot: () => (hot() ? 1 : 0),
  };
}
