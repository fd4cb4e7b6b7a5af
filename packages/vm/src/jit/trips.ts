/** How many times a counted loop runs, where that can be read off its code. */

import { opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn, JumpOp, Opcode } from '@libbpf-ts/isa';

import type { Block, Graph } from './graph.ts';
import { successors } from './graph.ts';
import { registerEffects } from './liveness.ts';
import type { Order } from './order.ts';

/** Rounds that are counted through before giving up. */
const MOST_TRIPS = 20_000;
/** Blocks before the loop that are searched for the counter's first value. */
const MOST_BLOCKS_BACK = 8;

/** A register as a counter's value plus a constant, modulo 2 ** bits; or a constant alone. */
interface Linear {
  readonly variable: number | undefined;
  readonly add: bigint;
  readonly bits: 32 | 64;
}

export interface CountedLoop {
  readonly trips: number;
  /** The only block that leaves the loop, and that goes back. */
  readonly latch: number;
  readonly exit: number;
}

/** The loop's rounds, where one block alone decides about the next round, by a counter that it alone changes. */
export function tripsOf(
  graph: Graph,
  order: Order,
  insns: readonly BpfInsn[],
  header: number,
  body: readonly number[],
): CountedLoop | undefined {
  const inside = new Set(body);
  const leaving = body.filter((block) => successors(graph.blocks[block]!.term).some((to) => !inside.has(to)));
  const back = order.preds[header]!.filter((pred) => inside.has(pred));
  const latch = back[0];
  if (latch === undefined || back.length !== 1 || leaving.length !== 1 || leaving[0] !== latch) return undefined;
  const block = graph.blocks[latch]!;
  const { term } = block;
  if (term.kind !== 'branch' || (term.taken !== header && term.next !== header) || term.taken === term.next) return undefined;
  const exit = term.taken === header ? term.next : term.taken;
  const ends = follow(block, insns);
  const test = testOf(block, insns[term.insn]!, ends);
  if (!test) return undefined;
  const step = ends.get(test.variable);
  if (!step || step.variable !== test.variable || step.add === 0n) return undefined;
  if (body.some((other) => other !== latch && writes(graph.blocks[other]!, insns, test.variable))) return undefined;
  const first = firstValue(graph, order, insns, header, inside, test.variable);
  if (first === undefined) return undefined;
  const trips = countTrips(first, step, (value) => test.holds(value) === (term.taken === header));
  return trips === undefined ? undefined : { trips, latch, exit };
}

function countTrips(first: bigint, step: Linear, goesOn: (value: bigint) => boolean): number | undefined {
  let value = first;
  for (let trips = 1; trips <= MOST_TRIPS; trips++) {
    if (!goesOn(value)) return trips;
    value = BigInt.asUintN(step.bits, value + step.add);
  }
  return undefined;
}

/** What each variable that the block writes is at its end; unknown values are left out after being set to undefined. */
function follow(block: Block, insns: readonly BpfInsn[]): Map<number, Linear | undefined> {
  const values = new Map<number, Linear | undefined>();
  for (let index = block.start; index < block.end; index++) {
    const insn = insns[index]!;
    const opcode = opcodeOf(insn);
    if (!opcode) continue;
    const value = opcode.kind === 'alu' ? linearOf(insn, opcode, block, values) : undefined;
    const { defs } = registerEffects(insn, opcode, index, () => 0);
    for (let reg = 0; reg < 10; reg++) if (defs & (1 << reg)) values.set(block.frame.vars[reg]!, value);
  }
  return values;
}

function read(block: Block, register: number, values: ReadonlyMap<number, Linear | undefined>): Linear | undefined {
  const variable = block.frame.vars[register];
  if (variable === undefined) return undefined;
  return values.has(variable) ? values.get(variable) : { variable, add: 0n, bits: 64 };
}

/** A move or an addition of a constant as a linear value. */
function linearOf(
  insn: BpfInsn,
  { op, bits, source }: Extract<Opcode, { kind: 'alu' }>,
  block: Block,
  values: ReadonlyMap<number, Linear | undefined>,
): Linear | undefined {
  const imm = BigInt(insn.imm);
  if (op === 'mov') {
    if (source === 'k') return { variable: undefined, add: BigInt.asUintN(bits, imm), bits };
    return narrow(read(block, insn.src_reg, values), bits);
  }
  if (op !== 'add' || source !== 'k') return undefined;
  const old = narrow(read(block, insn.dst_reg, values), bits);
  return old && { ...old, add: BigInt.asUintN(old.bits, old.add + imm) };
}

function narrow(value: Linear | undefined, bits: 32 | 64): Linear | undefined {
  if (!value || bits === 64) return value?.bits === 32 && bits === 64 ? undefined : value;
  return { ...value, add: BigInt.asUintN(32, value.add), bits: 32 };
}

interface Test {
  readonly variable: number;
  /** Whether the jump is taken where the counter has this value at the block's start. */
  readonly holds: (value: bigint) => boolean;
}

function testOf(block: Block, insn: BpfInsn, ends: ReadonlyMap<number, Linear | undefined>): Test | undefined {
  const opcode = opcodeOf(insn);
  if (opcode?.kind !== 'jump' || opcode.source !== 'k') return undefined;
  const left = read(block, insn.dst_reg, ends);
  if (left?.variable === undefined) return undefined;
  const right = BigInt.asUintN(opcode.bits, BigInt(insn.imm));
  const { variable, add } = left;
  return {
    variable,
    holds: (value) =>
      compares(opcode.op, opcode.bits, BigInt.asUintN(opcode.bits, BigInt.asUintN(left.bits, value + add)), right),
  };
}

function compares(op: JumpOp, bits: 32 | 64, a: bigint, b: bigint): boolean {
  const [s, t] = [BigInt.asIntN(bits, a), BigInt.asIntN(bits, b)];
  const results: Readonly<Record<JumpOp, boolean>> = {
    jeq: a === b,
    jne: a !== b,
    jgt: a > b,
    jge: a >= b,
    jlt: a < b,
    jle: a <= b,
    jset: (a & b) !== 0n,
    jsgt: s > t,
    jsge: s >= t,
    jslt: s < t,
    jsle: s <= t,
  };
  return results[op];
}

function writes(block: Block, insns: readonly BpfInsn[], variable: number): boolean {
  for (let index = block.start; index < block.end; index++) {
    const opcode = opcodeOf(insns[index]!);
    if (!opcode) continue;
    const { defs } = registerEffects(insns[index]!, opcode, index, () => 0);
    for (let reg = 0; reg < 10; reg++) if (defs & (1 << reg) && block.frame.vars[reg] === variable) return true;
  }
  return block.select?.selector === variable;
}

/** The counter's constant value where the loop is entered, found by walking back over single predecessors. */
function firstValue(
  graph: Graph,
  order: Order,
  insns: readonly BpfInsn[],
  header: number,
  inside: ReadonlySet<number>,
  variable: number,
): bigint | undefined {
  let before = order.preds[header]!.filter((pred) => !inside.has(pred));
  for (let back = 0; back < MOST_BLOCKS_BACK && before.length === 1; back++) {
    const id = before[0]!;
    const block = graph.blocks[id]!;
    const ends = follow(block, insns);
    if (ends.has(variable)) {
      const value = ends.get(variable);
      return value && value.variable === undefined ? value.add : undefined;
    }
    before = [...order.preds[id]!];
  }
  return undefined;
}
