/** The control-flow graph of one WebAssembly function: a subprogram with the subprograms that are inlined into it. */

import { opcodeOf } from '@libbpf-ts/isa';

import { VmError } from '../errors.ts';
import type { Subprogram, VmProgram } from '../program.ts';

/** One copy of a subprogram's code: which variables its registers are, and where its stack frame lies. */
export interface Frame {
  readonly subprogram: number;
  /** Variable of each register r0 to r9. */
  readonly vars: readonly number[];
  /** Frame pointer less the function's own, in bytes (≤ 0). */
  readonly fpOffset: number;
}

export type Terminator =
  | { readonly kind: 'goto'; readonly to: number }
  /** A conditional jump or may_goto at instruction `insn`. */
  | { readonly kind: 'branch' | 'may_goto'; readonly insn: number; readonly taken: number; readonly next: number }
  | { readonly kind: 'return' }
  | { readonly kind: 'unreachable' }
  /** Goes to the target that the selector variable numbers; only for irreducible regions. */
  | { readonly kind: 'dispatch'; readonly selector: number; readonly targets: readonly number[] };

export interface Block {
  readonly frame: Frame;
  /** Instruction slots [start, end), without the jump that ends the block. */
  readonly start: number;
  end: number;
  term: Terminator;
  /** A block that only chooses a dispatch target. */
  readonly select?: { readonly selector: number; readonly value: number };
}

export interface Graph {
  /** Entry 0 is the function's entry and has no predecessor. */
  readonly blocks: Block[];
  /** Variables used so far; the first ten are r0 to r9 of the function itself. */
  vars: number;
  /** Bytes of stack of the function and what is inlined. */
  frameSize: number;
}

const UNREACHABLE: Terminator = { kind: 'unreachable' };

export interface GraphOptions {
  /** Whether a call of this subprogram from that one is inlined. */
  readonly inlines: (caller: number, callee: number) => boolean;
  /** Bytes of a subprogram's own frame. */
  readonly depthOf: (subprogram: number) => number;
}

export function successors(term: Terminator): readonly number[] {
  switch (term.kind) {
    case 'goto':
      return [term.to];
    case 'branch':
    case 'may_goto':
      return [term.next, term.taken];
    case 'dispatch':
      return term.targets;
    default:
      return [];
  }
}

/** Where an instruction may go besides the next one, or undefined where it does not jump. */
export function jumpTarget(program: VmProgram, index: number): number | undefined {
  const insn = program.insns[index]!;
  const opcode = opcodeOf(insn);
  if (opcode?.kind === 'goto') return index + 1 + (opcode.far ? insn.imm : insn.off);
  return opcode?.kind === 'jump' || opcode?.kind === 'may_goto' ? index + 1 + insn.off : undefined;
}

/** Index of the subprogram that begins at an instruction. */
export function subprogramAt(program: VmProgram, insn: number): number {
  return program.subprograms.findIndex(({ start }) => start === insn);
}

/** The graph of `subprogram` as a function of its own. */
export function buildGraph(program: VmProgram, subprogram: number, options: GraphOptions): Graph {
  const graph: Graph = { blocks: [], vars: 10, frameSize: 0 };
  const vars = Array.from({ length: 10 }, (_, reg) => reg);
  // The entry is a block of its own, so that it is never a loop header.
  const frame: Frame = { subprogram, vars, fpOffset: 0 };
  const entry: Block = { frame, start: 0, end: 0, term: UNREACHABLE };
  graph.blocks.push(entry);
  entry.term = { kind: 'goto', to: addFrame(graph, program, frame, undefined, options) };
  return graph;
}

/** Adds the blocks of one frame; `exit` is where its exits go, undefined where they return. Returns its first block. */
function addFrame(graph: Graph, program: VmProgram, frame: Frame, exit: number | undefined, options: GraphOptions): number {
  const range = program.subprograms[frame.subprogram]!;
  const depth = options.depthOf(frame.subprogram);
  graph.frameSize = Math.max(graph.frameSize, depth - frame.fpOffset);
  const leaders = findLeaders(program, range, (callee) => options.inlines(frame.subprogram, callee));
  const first = graph.blocks.length;
  /** Block of each leader, by its distance from the first instruction, plus 1. */
  const blockAt = new Int32Array(range.end - range.start);
  leaders.forEach((leader, index) => {
    const end = leaders[index + 1] ?? range.end;
    blockAt[leader - range.start] = graph.blocks.push({ frame, start: leader, end, term: UNREACHABLE });
  });
  const at = (insn: number): number => {
    const block = blockAt[insn - range.start];
    if (!block) throw new VmError('invalid', program.name, `control leaves the subprogram, to insn ${insn}`, range.start);
    return block - 1;
  };
  for (let index = 0; index < leaders.length; index++)
    finishBlock(graph, program, graph.blocks[first + index]!, exit, at, options);
  return first;
}

function findLeaders(program: VmProgram, range: Subprogram, inlines: (callee: number) => boolean): number[] {
  const { insns, fixups } = program;
  const leads = new Uint8Array(range.end - range.start + 1);
  const lead = (insn: number): void => void (leads[insn - range.start] = 1);
  lead(range.start);
  for (let index = range.start; index < range.end; index++) {
    const insn = insns[index]!;
    const opcode = opcodeOf(insn);
    const target = jumpTarget(program, index);
    if (target !== undefined) {
      lead(target);
      lead(index + 1);
    } else if (opcode?.kind === 'exit') lead(index + 1);
    else if (
      opcode?.kind === 'call' &&
      opcode.target === 'subprogram' &&
      inlines(subprogramAt(program, index + 1 + insn.imm))
    ) {
      lead(index);
      lead(index + 1);
    } else if (opcode?.kind === 'ld_imm64') index++;
    if (fixups.dead && index > range.start && fixups.dead[index] !== fixups.dead[index - 1]) lead(index);
  }
  const leaders: number[] = [];
  for (let insn = range.start; insn < range.end; insn++) if (leads[insn - range.start]) leaders.push(insn);
  return leaders;
}

/** Gives the block its terminator: what its last instruction does. */
function finishBlock(
  graph: Graph,
  program: VmProgram,
  block: Block,
  exit: number | undefined,
  at: (insn: number) => number,
  options: GraphOptions,
): void {
  const { frame, start } = block;
  if (program.fixups.dead?.[start]) {
    block.end = start;
    return;
  }
  const last = block.end - 1;
  const insn = program.insns[last]!;
  // The second half of a ld_imm64 has code 0 and is no opcode.
  const opcode = opcodeOf(insn);
  const finish = (term: Terminator): void => {
    block.end = last;
    block.term = term;
  };
  const target = jumpTarget(program, last);
  if (opcode?.kind === 'goto') return finish({ kind: 'goto', to: at(target!) });
  if (opcode?.kind === 'jump' || opcode?.kind === 'may_goto') {
    const kind = opcode.kind === 'jump' ? 'branch' : 'may_goto';
    return finish({ kind, insn: last, taken: at(target!), next: at(last + 1) });
  }
  if (opcode?.kind === 'exit') return finish(exit === undefined ? { kind: 'return' } : { kind: 'goto', to: exit });
  if (opcode?.kind === 'call' && opcode.target === 'subprogram') {
    const callee = subprogramAt(program, last + 1 + insn.imm);
    if (options.inlines(frame.subprogram, callee))
      return finish({ kind: 'goto', to: inline(graph, program, frame, callee, at(last + 1), options) });
  }
  if (block.end === program.subprograms[frame.subprogram]!.end) {
    throw new VmError('invalid', program.name, 'control falls out of the subprogram', last);
  }
  block.term = { kind: 'goto', to: at(block.end) };
}

/** A copy of `callee` whose exits go to `next`: r0 to r5 are the caller's, r6 to r9 its own. */
function inline(graph: Graph, program: VmProgram, caller: Frame, callee: number, next: number, options: GraphOptions): number {
  const vars = caller.vars.slice(0, 6);
  for (let reg = 6; reg < 10; reg++) vars.push(graph.vars++);
  const fpOffset = caller.fpOffset - options.depthOf(caller.subprogram);
  return addFrame(graph, program, { subprogram: callee, vars, fpOffset }, next, options);
}
