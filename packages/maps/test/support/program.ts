/** Runs small programs on an engine without a verifier: text with `map(name)` where a program has a map pointer. */

import type { BpfMap, Kernel, Task } from '@libbpf-ts/kernel';
import { assemble } from '@libbpf-ts/isa';
import type { CallTarget, LoadedProgram } from '@libbpf-ts/vm';
import { defaultEngines, subprogramsOf } from '@libbpf-ts/vm';

export const engines: readonly string[] = defaultEngines.map(({ name }) => name);

export type Maps = Readonly<Record<string, BpfMap>>;

/**
 * Loads a program. Each helper call gets the map that the last `r1 = map(…)` (or `r2`) before it names as its known map, unless
 * `known` is false: then engines must go by the header.
 */
export function loadProgram(kernel: Kernel, text: string, maps: Maps, engine: string, known = true): LoadedProgram {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const named: (BpfMap | undefined)[] = [];
  const constants = new Map<number, bigint>();
  const source = lines.map((line, index) =>
    line.replace(/map\((\w+)\)/, (_, name: string) => {
      named[index] = maps[name]!;
      return `${maps[name]!.address}`;
    }),
  );
  const insns = assemble(source.join('\n'));
  const calls = new Map<number, CallTarget>();
  let map: BpfMap | undefined;
  insns.forEach((insn, index) => {
    if (index < lines.length && named[index]) map = named[index];
    if (insn.code !== 0x85 || insn.src_reg === 1) return;
    const helper = kernel.helperOf(kernel.helpers.get(insn.imm)!);
    const view = map?.verifierView();
    calls.set(index, known && view ? { helper, map: view } : { helper });
  });
  const subprograms = subprogramsOf(insns);
  const functions = new Map<number, number>();
  insns.forEach((insn, index) => {
    if (insn.code === 0x18 && insn.src_reg === 4)
      functions.set(
        index,
        subprograms.findIndex(({ start }) => start === index + 1 + insn.imm),
      );
  });
  return kernel.runtime.load({ name: 'test', insns, subprograms, fixups: { constants, functions, calls } }, { engine });
}

/** A map made by bpf(2). */
export function makeMap(
  task: Task,
  map_type: number,
  key_size: number,
  value_size: number,
  max_entries: number,
  more: Record<string, number> = {},
): BpfMap {
  const fd = task.bpf(0, { map_type, key_size, value_size, max_entries, ...more });
  if (fd < 0) throw new Error(`map_create: ${task.lastError?.message ?? fd}`);
  return task.map(fd, 'fd');
}
