/** What is known where each block begins, and which stack slots can be variables. */

import type { Effect } from './effect.ts';
import { ANY } from './context.ts';
import type { BlockCode, Fact, FrameUse, FunctionContext, Slot } from './context.ts';
import { BlockBuilder } from './block.ts';
import type { Graph } from './graph.ts';
import { add, blockSets, forEach, has, solve } from './liveness.ts';
import type { BlockSets, Liveness } from './liveness.ts';
import { bitLength, isConst, NODE } from './node.ts';
import type { Node } from './node.ts';
import type { Order } from './order.ts';

export type Facts = (Fact | undefined)[];

export interface Analysis {
  /** By block: facts about its variables at its start. */
  readonly facts: readonly Facts[];
  readonly uses: readonly FrameUse[];
  /** An address of the stack got lost where paths meet. */
  readonly lostFrame: boolean;
}

/** Visits after which a growing bound jumps to 32 or 64 bits. */
const PATIENCE = 2;

/** Follows values from the entry until nothing changes. `entry` are the facts about the function's arguments. */
export function analyse(context: FunctionContext, order: Order, live: Liveness, entry: Facts): Analysis {
  const { graph } = context;
  const facts: Facts[] = graph.blocks.map(() => []);
  const reached = new Uint8Array(graph.blocks.length);
  const visits = new Uint8Array(graph.blocks.length);
  const uses: FrameUse[] = new Array(graph.blocks.length);
  const state = { lostFrame: false };
  facts[0] = entry;
  reached[0] = 1;
  const dirty = new Uint8Array(graph.blocks.length);
  dirty[0] = 1;
  for (let changed = true; changed;) {
    changed = false;
    for (const id of order.rpo) {
      if (!dirty[id]) continue;
      dirty[id] = 0;
      const code = new BlockBuilder(context, graph.blocks[id]!, facts[id]!).build();
      uses[id] = code.frameUse;
      if (hidesFrame(code)) code.frameUse.escapesAll = true;
      for (const next of order.succs[id]!) {
        const before = order.place[next]! <= order.place[id]!;
        if (!flow(next, facts, reached, code, facts[id]!, live.in, visits, state)) continue;
        dirty[next] = 1;
        if (before) changed = true;
      }
    }
  }
  return { facts, uses, lostFrame: state.lostFrame };
}

/** Joins what a block ends with into a successor's facts; says whether they changed. */
function flow(
  next: number,
  facts: Facts[],
  reached: Uint8Array,
  code: BlockCode,
  from: Facts,
  live: BlockSets,
  visits: Uint8Array,
  state: { lostFrame: boolean },
): boolean {
  const first = !reached[next];
  reached[next] = 1;
  const widen = visits[next]! >= PATIENCE;
  if (visits[next]! < 255) visits[next]!++;
  let changed = first;
  forEach(live, next, (variable) => {
    const out = code.values[variable];
    const fact = out ? factOf(out) : (from[variable] ?? ANY);
    if (first) {
      facts[next]![variable] = fact;
      return;
    }
    const old = facts[next]![variable] ?? ANY;
    const joined = join(old, fact, widen, state);
    if (joined !== old) changed = true;
    facts[next]![variable] = joined;
  });
  return changed;
}

export function factOf(node: Node): Fact {
  if (isConst(node)) return { kind: 'const', value: node.big };
  if (node.op === NODE.frameAddress) return { kind: 'frame', offset: node.k };
  return node.bits === 64 && !node.nonzero ? ANY : { kind: 'value', bits: node.bits, nonzero: node.nonzero };
}

/** What holds on both paths; `a` itself where nothing is lost. */
function join(a: Fact, b: Fact, widen: boolean, state: { lostFrame: boolean }): Fact {
  if (a.kind === 'frame' || b.kind === 'frame') {
    if (a.kind === 'frame' && b.kind === 'frame' && a.offset === b.offset) return a;
    state.lostFrame = true;
  }
  if (a.kind === 'const' && b.kind === 'const' && a.value === b.value) return a;
  const [left, right] = [asValue(a), asValue(b)];
  let bits = Math.max(left.bits, right.bits);
  const nonzero = left.nonzero && right.nonzero;
  if (a.kind === 'value' && bits === a.bits && nonzero === a.nonzero) return a;
  if (widen && a.kind === 'value' && bits > a.bits) bits = bits <= 32 ? 32 : 64;
  return bits === 64 && !nonzero ? ANY : { kind: 'value', bits, nonzero };
}

function asValue(fact: Fact): { bits: number; nonzero: boolean } {
  if (fact.kind === 'value') return fact;
  if (fact.kind === 'frame') return { bits: 32, nonzero: true };
  return { bits: bitLength(fact.value), nonzero: fact.value !== 0n };
}

/** Whether an address of the stack goes into something that is not followed: arithmetic with a variable, memory, a merged value. */
function hidesFrame(code: BlockCode): boolean {
  const hides = (node: Node | undefined, direct: boolean): boolean => {
    if (!node || node.uses < 0 || isConst(node)) return false;
    if (node.op === NODE.frameAddress) return !direct;
    if (node.op === NODE.variable || node.op === NODE.frame) return false;
    // The analysis throws its nodes away, so their counts can say who has been here.
    node.uses = -1;
    return hides(node.a, false) || hides(node.b, false) || hides(node.c, node.op === NODE.result);
  };
  // A call's own arguments are noted where the call is translated; a 32-bit one is the low half of the address.
  const argument = (node: Node): boolean =>
    hides(node.op !== NODE.result && node.a?.op === NODE.frameAddress ? undefined : node, true);
  const operand = (node: Node): boolean => hides(node, false);
  for (const effect of code.effects) if (someOperand(effect, operand, argument)) return true;
  for (const node of code.values) if (node && hides(node, true)) return true;
  return false;
}

/** Whether one answers yes for some node that an effect needs; `argument` is asked for the arguments of calls. */
function someOperand(effect: Effect, operand: (node: Node) => boolean, argument: (node: Node) => boolean): boolean {
  switch (effect.kind) {
    case 'load':
    case 'pin':
      return operand(effect.node);
    case 'store':
      return operand(effect.base) || operand(effect.value);
    case 'call':
      return effect.args.some(argument);
    case 'tail':
      return operand(effect.ctx) || operand(effect.index) || operand(effect.data) || operand(effect.maxEntries);
    case 'check':
      return operand(effect.address);
    default:
      return false;
  }
}

/**
 * Stack slots that can be variables: always accessed directly, at the same offset and size, and never where an address has been given
 * away. Variables are numbered from `firstVariable`.
 */
export function promotedSlots(
  graph: Graph,
  order: Order,
  analysis: Analysis,
  firstVariable: number,
): { slots: Map<number, Slot>; escapes: boolean } {
  const slots = new Map<number, Slot>();
  const uses = order.rpo.map((id) => analysis.uses[id]!).filter(Boolean);
  if (analysis.lostFrame || uses.some(({ escapesAll }) => escapesAll)) return { slots, escapes: true };
  const escapes = uses.flatMap((use) => use.escapes);
  const owner = new Int32Array(graph.frameSize + 8).fill(0);
  const bad = new Set<number>();
  const claim = (offset: number, size: number, mark: number): void => {
    for (let at = Math.max(offset + graph.frameSize, 0); at < Math.min(offset + size + graph.frameSize, owner.length); at++) {
      if (owner[at] !== 0 && owner[at] !== mark) bad.add(owner[at]!).add(mark);
      owner[at] = mark;
    }
  };
  const sizes = new Map<number, { offset: number; size: number }>();
  for (const { accesses } of uses) {
    for (const { offset, size } of accesses) {
      const mark = (offset + graph.frameSize + 1) * 16 + size;
      sizes.set(mark, { offset, size });
      claim(offset, size, mark);
    }
  }
  for (const { start, end } of escapes) claim(start, end - start, -1);
  for (const [mark, { offset, size }] of [...sizes].sort((x, y) => x[0] - y[0])) {
    if (!bad.has(mark) && offset >= -graph.frameSize && offset + size <= 0)
      slots.set(offset, { variable: firstVariable + slots.size, size });
  }
  return { slots, escapes: escapes.length > 0 };
}

/** By block: which slots it or something after it still reads, as a bit set over `slots` in the order of their variables. */
export function slotLiveness(graph: Graph, order: Order, analysis: Analysis, slots: ReadonlyMap<number, Slot>): BlockSets {
  const uses = blockSets(graph.blocks.length, slots.size);
  if (slots.size === 0) return uses;
  const defs = blockSets(graph.blocks.length, slots.size);
  const first = Math.min(...[...slots.values()].map(({ variable }) => variable));
  for (const id of order.rpo) {
    for (const { offset, write } of analysis.uses[id]!.accesses) {
      const slot = slots.get(offset);
      if (!slot) continue;
      if (write) add(defs, id, slot.variable - first);
      else if (!has(defs, id, slot.variable - first)) add(uses, id, slot.variable - first);
    }
  }
  return solve(order, uses, defs);
}
