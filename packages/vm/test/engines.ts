/** Runs small programs on an engine; every test of semantics goes through here, once for each engine. */

import { assemble } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';

import type { LoadOptions } from '../src/engine.ts';
import { defaultEngines } from '../src/engines.ts';
import type { CallTarget, Fixups, VmHelper, VmProgram } from '../src/program.ts';
import { VmRuntime } from '../src/runtime.ts';
import type { LoadedProgram } from '../src/runtime.ts';
import { subprogramsOf } from '../src/subprograms.ts';

export const engines: readonly string[] = defaultEngines.map(({ name }) => name);

/** A program of text or instructions. `helpers` by number; calls find them there. */
export function program(
  source: string | readonly BpfInsn[],
  helpers: Readonly<Record<number, VmHelper>> = {},
  fixups: Partial<Fixups> = {},
): VmProgram {
  const insns = typeof source === 'string' ? assemble(source) : source;
  const calls = new Map<number, CallTarget>();
  insns.forEach((insn, index) => {
    const helper = helpers[insn.imm];
    if (insn.code === 0x85 && insn.src_reg !== 1 && helper) calls.set(index, { helper });
  });
  const byId = new Map(Object.entries(helpers).map(([id, helper]) => [Number(id), helper]));
  const subprograms = subprogramsOf(insns);
  const functions = new Map<number, number>();
  insns.forEach((insn, index) => {
    if (insn.code === 0x18 && insn.src_reg === 4)
      functions.set(
        index,
        subprograms.findIndex(({ start }) => start === index + 1 + insn.imm),
      );
  });
  return { name: 'test', insns, subprograms, fixups: { constants: new Map(), functions, calls, helpersById: byId, ...fixups } };
}

/** Loads into a runtime of its own, unless one is given. */
export function load(
  engine: string,
  vmProgram: VmProgram,
  options: LoadOptions = {},
  runtime: VmRuntime = new VmRuntime(),
): { runtime: VmRuntime; loaded: LoadedProgram } {
  return { runtime, loaded: runtime.load(vmProgram, { engine, ...options }) };
}
