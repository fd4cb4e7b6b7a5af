/** Which variables a block's successors may still read. */

import { opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn, Opcode } from '@libbpf-ts/isa';

import type { Block, Graph } from './graph.ts';
import type { Order } from './order.ts';

/** Registers as a bit mask, r0 in bit 0. */
export interface RegisterEffects {
  readonly uses: number;
  readonly defs: number;
}

/** Registers that a call instruction reads, as a mask. */
export type CallUses = (index: number, insn: BpfInsn) => number;

const CLOBBERED = 0b11_1111;

/** What an instruction reads and writes. */
export function registerEffects(insn: BpfInsn, opcode: Opcode, index: number, callUses: CallUses): RegisterEffects {
  const dst = 1 << insn.dst_reg;
  const src = 1 << insn.src_reg;
  switch (opcode.kind) {
    case 'alu': {
      const own = opcode.op === 'mov' || opcode.op.startsWith('movsx') || opcode.op === 'addr_space_cast' ? 0 : dst;
      return { uses: own | (opcode.source === 'x' ? src : 0), defs: dst };
    }
    case 'end':
      return { uses: dst, defs: dst };
    case 'jump':
      return { uses: dst | (opcode.source === 'x' ? src : 0), defs: 0 };
    case 'call':
      return { uses: callUses(index, insn), defs: CLOBBERED };
    case 'exit':
      return { uses: 1, defs: 0 };
    case 'load':
      return { uses: src, defs: dst };
    case 'store':
      return { uses: dst | (opcode.source === 'x' ? src : 0), defs: 0 };
    case 'atomic':
      if (opcode.op === 'load_acquire') return { uses: src, defs: dst };
      if (opcode.op === 'cmpxchg') return { uses: dst | src | 1, defs: 1 };
      return { uses: dst | src, defs: opcode.op === 'xchg' || opcode.op.startsWith('fetch') ? src : 0 };
    case 'ld_imm64':
      return { uses: 0, defs: dst };
    case 'ld_packet':
      return { uses: (1 << 6) | (opcode.mode === 'ind' ? src : 0), defs: CLOBBERED };
    case 'goto':
    case 'may_goto':
      return { uses: 0, defs: 0 };
  }
}

/** A set of small numbers for each block, all in one array. */
export interface BlockSets {
  /** Words of a set; block `b` has those from `b * words` on. */
  readonly words: number;
  readonly bits: Int32Array;
}

export function blockSets(blocks: number, members: number): BlockSets {
  const words = (members + 31) >> 5;
  return { words, bits: new Int32Array(blocks * words) };
}

export interface Liveness {
  /** By block: the variables that are live at its start. */
  readonly in: BlockSets;
}

export function livenessOf(graph: Graph, order: Order, insns: readonly BpfInsn[], callUses: CallUses): Liveness {
  const uses = blockSets(graph.blocks.length, graph.vars);
  const defs = blockSets(graph.blocks.length, graph.vars);
  for (const id of order.rpo) blockEffects(graph.blocks[id]!, id, insns, callUses, uses, defs);
  return { in: solve(order, uses, defs) };
}

/** What is live at the start of each block, from what each block reads before it writes it, and what it writes. */
export function solve(order: Order, uses: BlockSets, defs: BlockSets): BlockSets {
  const { words } = uses;
  const bits = new Int32Array(uses.bits.length);
  const queued = new Uint8Array(order.place.length).fill(1);
  const queue = [...order.rpo];
  while (queue.length > 0) {
    const id = queue.pop()!;
    queued[id] = 0;
    const next = order.succs[id]!;
    let changed = false;
    for (let word = 0; word < words; word++) {
      let out = 0;
      for (const to of next) out |= bits[to * words + word]!;
      const at = id * words + word;
      const value = uses.bits[at]! | (out & ~defs.bits[at]!);
      if (value !== bits[at]) changed = true;
      bits[at] = value;
    }
    if (!changed) continue;
    for (const pred of order.preds[id]!) {
      if (!queued[pred]) queue.push(pred);
      queued[pred] = 1;
    }
  }
  return { words, bits };
}

export function has(sets: BlockSets, block: number, member: number): boolean {
  return (sets.bits[block * sets.words + (member >> 5)]! & (1 << (member & 31))) !== 0;
}

/** Calls `each` with the members of a block's set, in order. */
export function forEach(sets: BlockSets, block: number, each: (member: number) => void): void {
  for (let word = 0; word < sets.words; word++) {
    for (let rest = sets.bits[block * sets.words + word]!; rest !== 0; rest &= rest - 1)
      each(word * 32 + 31 - Math.clz32(rest & -rest));
  }
}

export function add(sets: BlockSets, block: number, member: number): void {
  sets.bits[block * sets.words + (member >> 5)]! |= 1 << (member & 31);
}

/** Adds a block's upward-exposed uses and its definitions. */
function blockEffects(
  block: Block,
  id: number,
  insns: readonly BpfInsn[],
  callUses: CallUses,
  uses: BlockSets,
  defs: BlockSets,
): void {
  let [used, defined] = [0, 0];
  const last = block.term.kind === 'branch' ? block.term.insn : -1;
  for (let index = block.start; index < block.end || index === last; index++) {
    const insn = insns[index]!;
    const opcode = opcodeOf(insn);
    if (!opcode) continue;
    const effects = registerEffects(insn, opcode, index, callUses);
    used |= effects.uses & ~defined;
    defined |= effects.defs;
  }
  if (block.term.kind === 'return') used |= 1 & ~defined;
  for (let reg = 0; reg < 10; reg++) {
    if (used & (1 << reg)) add(uses, id, block.frame.vars[reg]!);
    if (defined & (1 << reg)) add(defs, id, block.frame.vars[reg]!);
  }
  if (block.term.kind === 'dispatch') add(uses, id, block.term.selector);
  if (block.select) add(defs, id, block.select.selector);
}
