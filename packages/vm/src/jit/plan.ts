/** Who calls whom, and which calls are inlined. */

import { opcodeOf } from '@libbpf-ts/isa';

import { VmError } from '../errors.ts';
import type { VmProgram } from '../program.ts';
import { subprogramAt } from './graph.ts';

export interface CallGraph {
  /** Callees of each subprogram, one entry a call. */
  readonly callees: readonly (readonly number[])[];
  /** Subprograms that may call themselves, through others or not. */
  readonly recursive: ReadonlySet<number>;
  /** Most frames that can be there at a time; Infinity with recursion. */
  readonly depth: number;
}

export function callGraph(program: VmProgram): CallGraph {
  const callees = program.subprograms.map(({ start, end }) => {
    const called: number[] = [];
    for (let index = start; index < end; index++) {
      const insn = program.insns[index]!;
      const opcode = opcodeOf(insn);
      if (opcode?.kind === 'ld_imm64') index++;
      if (opcode?.kind !== 'call' || opcode.target !== 'subprogram' || program.fixups.dead?.[index]) continue;
      const callee = subprogramAt(program, index + 1 + insn.imm);
      if (callee < 0) throw new VmError('invalid', program.name, 'call of what is no subprogram', index);
      called.push(callee);
    }
    return called;
  });
  const recursive = new Set<number>();
  const depths = new Map<number, number>();
  const open: number[] = [];
  const depthOf = (subprogram: number): number => {
    const known = depths.get(subprogram);
    if (known !== undefined) return known;
    if (open.includes(subprogram)) {
      for (const member of open.slice(open.indexOf(subprogram))) recursive.add(member);
      return Number.POSITIVE_INFINITY;
    }
    open.push(subprogram);
    const depth = 1 + Math.max(0, ...callees[subprogram]!.map(depthOf));
    open.pop();
    depths.set(subprogram, depth);
    return depth;
  };
  const depth = Math.max(...program.subprograms.map((_, index) => depthOf(index)));
  return { callees, recursive, depth };
}

/** Instructions that one call may bring in, unless it is the only one; and that all calls of a subprogram together may. */
const SMALL_CALLEE = 400;
const GROWTH = 3000;

/** Answers whether a call is inlined: not into itself, not with tail calls or a counter of its own, and not too much. */
export function inlineDecider(program: VmProgram, calls: CallGraph): (caller: number, callee: number) => boolean {
  const sites = new Map<number, number>();
  for (const called of calls.callees) for (const callee of called) sites.set(callee, (sites.get(callee) ?? 0) + 1);
  const sizes = new Map<number, number>();
  const decide = (callee: number): boolean => {
    if (callee === 0 || calls.recursive.has(callee) || mustBeFunction(program, callee)) return false;
    const count = sites.get(callee) ?? 0;
    const size = sizeOf(callee);
    return count === 1 || (size <= SMALL_CALLEE && size * count <= GROWTH);
  };
  /** Instructions of a subprogram with all that is inlined into it. */
  const sizeOf = (subprogram: number): number => {
    const known = sizes.get(subprogram);
    if (known !== undefined) return known;
    const { start, end } = program.subprograms[subprogram]!;
    let size = end - start;
    for (const callee of calls.callees[subprogram]!) if (decide(callee)) size += sizeOf(callee);
    sizes.set(subprogram, size);
    return size;
  };
  const decided = program.subprograms.map((_, index) => decide(index));
  return (_caller, callee) => decided[callee]!;
}

/** A tail call ends the function that makes it, and may_goto counts for each call. */
function mustBeFunction(program: VmProgram, subprogram: number): boolean {
  const { start, end } = program.subprograms[subprogram]!;
  for (let index = start; index < end; index++) {
    if (opcodeOf(program.insns[index]!)?.kind === 'may_goto' || isTailCall(program, index)) return true;
  }
  return false;
}

function isTailCall(program: VmProgram, index: number): boolean {
  return program.fixups.calls.get(index)?.helper.intrinsic === 'tail_call';
}

export function hasTailCall(program: VmProgram): boolean {
  for (const { helper } of program.fixups.calls.values()) if (helper.intrinsic === 'tail_call') return true;
  return false;
}
