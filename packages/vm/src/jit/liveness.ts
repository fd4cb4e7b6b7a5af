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
  /** By block: bit sets of the variables that are live at its start and at its end. */
  readonly in: readonly Uint32Array[];
  readonly out: readonly Uint32Array[];
}

export function livenessOf(graph: Graph, order: Order, insns: readonly BpfInsn[], callUses: CallUses): Liveness {
  const words = (graph.vars + 31) >> 5;
  const sets = (): Uint32Array[] => graph.blocks.map(() => new Uint32Array(words));
  const [liveIn, liveOut, uses, defs] = [sets(), sets(), sets(), sets()];
  for (const id of order.rpo) blockEffects(graph.blocks[id]!, insns, callUses, uses[id]!, defs[id]!);
  const queued = new Uint8Array(graph.blocks.length).fill(1);
  const queue = [...order.rpo];
  while (queue.length > 0) {
    const id = queue.pop()!;
    queued[id] = 0;
    const out = liveOut[id]!;
    for (const next of successors(graph.blocks[id]!.term)) for (let word = 0; word < words; word++) out[word]! |= liveIn[next]![word]!;
    let changed = false;
    for (let word = 0; word < words; word++) {
      const value = (uses[id]![word]! | (out[word]! & ~defs[id]![word]!)) >>> 0;
      if (value !== liveIn[id]![word]) changed = true;
      liveIn[id]![word] = value;
    }
    if (!changed) continue;
    for (const pred of order.preds[id]!) {
      if (!queued[pred]) queue.push(pred);
      queued[pred] = 1;
    }
  }
  return { in: liveIn, out: liveOut };
}

export function isLive(set: Uint32Array, variable: number): boolean {
  return variable >= set.length * 32 || (set[variable >> 5]! & (1 << (variable & 31))) !== 0;
}

/** Adds a block's upward-exposed uses and its definitions. */
function blockEffects(block: Block, insns: readonly BpfInsn[], callUses: CallUses, uses: Uint32Array, defs: Uint32Array): void {
  const { vars } = block.frame;
  const apply = (index: number): void => {
    const insn = insns[index]!;
    const opcode = opcodeOf(insn);
    if (!opcode) return;
    const effects = registerEffects(insn, opcode, index, callUses);
    for (let reg = 0; reg < 10; reg++) {
      const variable = vars[reg]!;
      const [word, bit] = [variable >> 5, 1 << (variable & 31)];
      if (effects.uses & (1 << reg) && !(defs[word]! & bit)) uses[word]! |= bit;
    }
    for (let reg = 0; reg < 10; reg++) {
      const variable = vars[reg]!;
      if (effects.defs & (1 << reg)) defs[variable >> 5]! |= 1 << (variable & 31);
    }
  };
  for (let index = block.start; index < block.end; index++) apply(index);
  if (block.term.kind === 'branch') apply(block.term.insn);
  if (block.term.kind === 'return') uses[0]! |= defs[0]! & 1 ? 0 : 1;
  // An inlined subprogram's exit leaves r0 in place; whether it is read, its continuation knows.
  const special = block.term.kind === 'dispatch' ? block.term.selector : -1;
  if (special >= 0) uses[special >> 5]! |= 1 << (special & 31);
  if (block.select) defs[block.select.selector >> 5]! |= 1 << (block.select.selector & 31);
}
