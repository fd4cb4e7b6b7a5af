/** Whether engines agree on random programs; a program on which they do not is made smaller first. */

import { disassemble } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';
import { installMapLookups, isVmTrap, MAP_HEADER, MAP_HEADER_SIZE, subprogramsOf, VmRuntime } from '@libbpf-ts/vm';
import type { CallTarget, KnownMap, VmHelper } from '@libbpf-ts/vm';

import { randomProgram, VALUE_SIZE } from './random-program.ts';
import type { RandomOptions, RandomProgram } from './random-program.ts';

export interface Disagreement {
  readonly seed: number;
  readonly results: Readonly<Record<string, string>>;
  /** The smallest program found on which they still differ. */
  readonly text: string;
}

/** Instructions that a run may take before it counts as endless, which none of the generator's is. */
const BUDGET = 1_000_000;

/** One engine in a runtime of its own, used for program after program. */
class Subject {
  readonly name: string;
  readonly #runtime: VmRuntime = new VmRuntime();
  readonly #map: KnownMap;
  readonly #value: number;
  readonly #lookup: VmHelper;
  readonly #checksum: VmHelper;

  constructor(name: string) {
    this.name = name;
    const { arena, functions } = this.#runtime;
    const slots = installMapLookups(this.#runtime);
    const address = arena.allocate(MAP_HEADER_SIZE);
    this.#value = arena.allocate(VALUE_SIZE);
    const fields = {
      map_type: 2,
      key_size: 4,
      value_size: VALUE_SIZE,
      max_entries: 1,
      lookup_slot: slots.array,
      data: this.#value,
      stride: VALUE_SIZE,
    };
    for (const [field, value] of Object.entries(fields))
      arena.u32[(address + MAP_HEADER[field as keyof typeof MAP_HEADER]) >> 2] = value;
    this.#map = { address, map_type: 2, key_size: 4, value_size: VALUE_SIZE, max_entries: 1 };
    const lookup = functions.get(slots.array)!;
    this.#lookup = {
      name: 'bpf_map_lookup_elem',
      args: ['u32', 'u32'],
      returns: 'u32',
      intrinsic: 'map_lookup',
      run: (map, key) => lookup(map, key) as number,
    };
    this.#checksum = {
      name: 'checksum',
      args: ['u32', 'u32', 'u32', 'u32', 'u32'],
      returns: 's32',
      run: (from, fromSize, to, toSize, seed) => this.#sum(from!, fromSize!, this.#sum(to!, toSize!, seed!)),
    };
  }

  #sum(address: number, size: number, seed: number): number {
    let sum = seed;
    for (let at = 0; at < size; at++) sum = (Math.imul(sum, 31) + this.#runtime.arena.u8[address + at]!) | 0;
    return sum;
  }

  /** r0 and the map value, or why the run stopped. */
  run(insns: readonly BpfInsn[]): string {
    const calls = new Map<number, CallTarget>();
    const constants = new Map<number, bigint>();
    insns.forEach((insn, index) => {
      if (insn.code === 0x85 && insn.src_reg === 0)
        calls.set(index, insn.imm === 1 ? { helper: this.#lookup, map: this.#map } : { helper: this.#checksum });
      if (insn.code === 0x18 && insn.src_reg !== 0)
        constants.set(index, BigInt(insn.src_reg === 6 ? this.#value : this.#map.address));
    });
    const { arena } = this.#runtime;
    for (let at = 0; at < VALUE_SIZE; at++) arena.u8[this.#value + at] = at * 29 + 3;
    this.#runtime.fuel = BUDGET;
    const program = {
      name: 'random',
      insns,
      subprograms: subprogramsOf(insns),
      fixups: { constants, functions: new Map(), calls },
    };
    const loaded = this.#runtime.load(program, { engine: this.name, fuel: true });
    try {
      const r0 = loaded.run64(0);
      return `r0 ${r0.toString(16)} value ${hex(arena.u8.subarray(this.#value, this.#value + VALUE_SIZE))}`;
    } catch (error) {
      if (!isVmTrap(error)) throw error;
      return `trap ${error.reason}`;
    } finally {
      loaded.unload();
    }
  }
}

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Runs the programs of seeds [first, first + count) on all engines. */
export function compareEngines(
  engines: readonly string[],
  first: number,
  count: number,
  options: RandomOptions = {},
): Disagreement[] {
  const found: Disagreement[] = [];
  // Modules are garbage by the thousand: a fresh runtime now and then keeps tables and memory small.
  for (let start = first; start < first + count; start += 1000) {
    const subjects = engines.map((name) => new Subject(name));
    for (let seed = start; seed < Math.min(start + 1000, first + count); seed++) {
      const { insns, units } = randomProgram(seed, options);
      if (!differ(subjects, insns)) continue;
      const small = shrink(insns, units, (candidate) => differ(subjects, candidate));
      const results = Object.fromEntries(subjects.map((subject) => [subject.name, outcome(subject, small)]));
      found.push({ seed, results, text: listing(small) });
    }
  }
  return found;
}

function outcome(subject: Subject, insns: readonly BpfInsn[]): string {
  try {
    return subject.run(insns);
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

function differ(subjects: readonly Subject[], insns: readonly BpfInsn[]): boolean {
  const results = subjects.map((subject) => outcome(subject, insns));
  return results.some((result) => result !== results[0]);
}

const nothing: BpfInsn = { code: 0x05, dst_reg: 0, src_reg: 0, off: 0, imm: 0 };

/** The instructions that are left, by number. */
function listing(insns: readonly BpfInsn[]): string {
  const lines = insns.map((insn, index) => `${index}: ${disassemble(insn, insns[index + 1])}`);
  return lines.filter((_, index) => insns[index] !== nothing && insns[index]!.code !== 0).join('\n');
}

/** Replaces units by `goto +0` as long as the difference stays; jumps keep their places. */
function shrink(
  insns: readonly BpfInsn[],
  units: RandomProgram['units'],
  stillDiffers: (insns: readonly BpfInsn[]) => boolean,
): readonly BpfInsn[] {
  let current = insns;
  for (let changed = true; changed;) {
    changed = false;
    for (const [start, length] of units) {
      if (current[start] === nothing) continue;
      const candidate = current.map((insn, at) => (at >= start && at < start + length ? nothing : insn));
      if (!stillDiffers(candidate)) continue;
      current = candidate;
      changed = true;
    }
  }
  return current;
}
