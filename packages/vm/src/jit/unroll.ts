/** Loop unrolling. V8 looks at its stack limit once an iteration; several rounds in one iteration share that look. */

import { opcodeOf } from '@libbpf-ts/isa';

import type { VmProgram } from '../program.ts';
import type { Block, Graph, Terminator } from './graph.ts';
import { redirect } from './irreducible.ts';
import { loopsOf } from './order.ts';
import type { Order } from './order.ts';
import { tripsOf } from './trips.ts';
import type { CountedLoop } from './trips.ts';

/** Instructions that an unrolled loop may have, and the most rounds in it. */
const BUDGET = 160;
const MOST_ROUNDS = 8;
/** The same where the number of rounds is known, so that only the last round of each iteration asks whether there is another. */
const COUNTED_BUDGET = 256;
const MOST_COUNTED_ROUNDS = 16;
/** Instructions that unrolling may add to a function, as a share of what it has, and at least. */
const GROWTH = 1;
const LEAST_GROWTH = 2000;

/**
 * Unrolls small innermost loops; blocks keep their numbers. Says whether anything changed. `exact`: loops with a known number of rounds
 * may drop their tests (not where every instruction is counted).
 */
export function unrollLoops(graph: Graph, order: Order, program: VmProgram, exact: boolean): boolean {
  if (!order.cyclic) return false;
  const loops = loopsOf(order);
  const outer = new Set(loops.headers.map((header) => loops.parent[header]!));
  const bodies = new Map<number, number[]>();
  let total = 0;
  for (const block of order.rpo) {
    const header = loops.of[block]!;
    total += sizeOf(graph.blocks[block]!);
    if (header < 0 || outer.has(header)) continue;
    const body = bodies.get(header);
    if (body) body.push(block);
    else bodies.set(header, [block]);
  }
  let left = Math.max(total * GROWTH, LEAST_GROWTH);
  let changed = false;
  for (const [header, body] of bodies) {
    const size = body.reduce((sum, block) => sum + sizeOf(graph.blocks[block]!), 0);
    if (body.some((block) => calls(program, graph.blocks[block]!))) continue;
    const counted = exact ? tripsOf(graph, order, program.insns, header, body) : undefined;
    const plan = counted
      ? countedPlan(counted.trips, size)
      : { rounds: Math.min(MOST_ROUNDS, Math.floor(BUDGET / size)), peeled: 0 };
    const more = size * (plan.rounds + plan.peeled - 1);
    if (plan.rounds < 2 || more > left) continue;
    left -= more;
    unroll(graph, header, body, plan, counted);
    changed = true;
  }
  return changed;
}

interface Plan {
  /** Rounds in one iteration of the new loop. */
  readonly rounds: number;
  /** Rounds before it, so that the rest is a whole number of iterations. */
  readonly peeled: number;
}

function countedPlan(trips: number, size: number): Plan {
  const most = Math.min(MOST_COUNTED_ROUNDS, Math.floor(COUNTED_BUDGET / size));
  if (trips <= most) return { rounds: trips, peeled: 0 };
  let best: Plan = { rounds: 1, peeled: 0 };
  for (let rounds = most; rounds >= 2; rounds--) {
    const peeled = trips % rounds;
    // A round more in the loop is worth as much as two fewer before it.
    if (best.rounds === 1 || 2 * rounds - peeled > 2 * best.rounds - best.peeled) best = { rounds, peeled };
  }
  return best;
}

/**
 * Copies the body; each round's way back goes to the next copy, the last one's to the header itself. In a counted loop the copies do
 * not ask whether there is a next round, and peeled copies come before the header.
 */
function unroll(
  graph: Graph,
  header: number,
  body: readonly number[],
  { rounds, peeled }: Plan,
  counted: CountedLoop | undefined,
): void {
  const originals = body.map((block) => graph.blocks[block]!.term);
  const place = new Map(body.map((block, index) => [block, index]));
  /** A copy whose way back goes to `next`; returns its first block. */
  const copy = (next: number, asks: boolean): number => {
    const base = graph.blocks.length;
    const map = (to: number): number => (to === header ? next : place.has(to) ? base + place.get(to)! : to);
    body.forEach((block, index) =>
      graph.blocks.push({ ...graph.blocks[block]!, term: ending(block, originals[index]!, map, next, asks) }),
    );
    return base + place.get(header)!;
  };
  const ending = (block: number, term: Terminator, map: (to: number) => number, next: number, asks: boolean): Terminator =>
    block === counted?.latch && !asks ? { kind: 'goto', to: next } : redirect(term, map);
  let entry = header;
  if (peeled > 0) {
    const outside = [...graph.blocks.keys()].filter((block) => !place.has(block));
    for (let round = 0; round < peeled; round++) entry = copy(entry, false);
    for (const block of outside)
      graph.blocks[block]!.term = redirect(graph.blocks[block]!.term, (to) => (to === header ? entry : to));
  }
  // In a loop that is over after one iteration, the last round just leaves.
  const once = counted?.trips === rounds;
  let next = once ? counted.exit : header;
  for (let round = rounds - 1; round >= 1; round--) next = copy(next, !once && round === rounds - 1);
  body.forEach((block, index) => {
    graph.blocks[block]!.term = ending(
      block,
      originals[index]!,
      (to) => (to === header ? next : to),
      next,
      counted === undefined,
    );
  });
}

function sizeOf({ start, end }: Block): number {
  return end - start + 1;
}

/** Whether a block calls something: then the call costs more than the look at the stack limit. */
function calls(program: VmProgram, { start, end }: Block): boolean {
  for (let index = start; index < end; index++) {
    const kind = opcodeOf(program.insns[index]!)?.kind;
    if (kind === 'ld_packet') return true;
    if (
      kind === 'call' &&
      !(program.fixups.calls.get(index)?.map && program.fixups.calls.get(index)!.helper.intrinsic === 'map_lookup')
    )
      return true;
  }
  return false;
}
