/** Which variables a block's successors may still read. */

import { opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn, Opcode } from '@libbpf-ts/isa';

import { successors } from './graph.ts';
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

export interface Liveness {
  /** By block: bit set of the variables that are live at its start. */
  readonly in: readonly Uint32Array[];
}

export function livenessOf(graph: Graph, order: Order, insns: readonly BpfInsn[], callUses: CallUses): Liveness {
  const words = (graph.vars + 31) >> 5;
  const sets = (): Uint32Array[] => graph.blocks.map(() => new Uint32Array(words));
  const [uses, defs] = [sets(), sets()];
  for (const id of order.rpo) blockEffects(graph.blocks[id]!, insns, callUses, uses[id]!, defs[id]!);
  return { in: solve(graph, order, uses, defs) };
}

/** What is live at the start of each block, from what each block reads before it writes it, and what it writes. */
export function solve(graph: Graph, order: Order, uses: readonly Uint32Array[], defs: readonly Uint32Array[]): Uint32Array[] {
  const words = uses[0]?.length ?? 0;
  const live = graph.blocks.map(() => new Uint32Array(words));
  const queued = new Uint8Array(graph.blocks.length).fill(1);
  const queue = [...order.rpo];
  while (queue.length > 0) {
    const id = queue.pop()!;
    queued[id] = 0;
    const next = successors(graph.blocks[id]!.term);
    let changed = false;
    for (let word = 0; word < words; word++) {
      let out = 0;
      for (const to of next) out |= live[to]![word]!;
      const value = (uses[id]![word]! | (out & ~defs[id]![word]!)) >>> 0;
      if (value !== live[id]![word]) changed = true;
      live[id]![word] = value;
    }
    if (!changed) continue;
    for (const pred of order.preds[id]!) {
      if (!queued[pred]) queue.push(pred);
      queued[pred] = 1;
    }
  }
  return live;
}

export function isLive(set: Uint32Array, variable: number): boolean {
  return (set[variable >> 5]! & (1 << (variable & 31))) !== 0;
}

/** Adds a block's upward-exposed uses and its definitions. */
function blockEffects(block: Block, insns: readonly BpfInsn[], callUses: CallUses, uses: Uint32Array, defs: Uint32Array): void {
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
  const add = (set: Uint32Array, variable: number): void => void (set[variable >> 5]! |= 1 << (variable & 31));
  for (let reg = 0; reg < 10; reg++) {
    if (used & (1 << reg)) add(uses, block.frame.vars[reg]!);
    if (defined & (1 << reg)) add(defs, block.frame.vars[reg]!);
  }
  if (block.term.kind === 'dispatch') add(uses, block.term.selector);
  if (block.select) add(defs, block.select.selector);
}
