/**
 * Loops that may run long. V8 does not change the code of a call that is running: a loop that its first compiler has begun stays there.
 * So such a loop leaves after many rounds, by a tail call, for a function that goes on from its header; that one calls itself
 * again and again, and one of these calls finds the optimised code.
 */

import type { Block, Graph } from './graph.ts';
import { redirect } from './irreducible.ts';
import { loopHolds } from './order.ts';
import type { Loops, Order } from './order.ts';

/** Rounds of a call, over the loops that it leaves, before it does: a tenth of a millisecond, or more. */
export const MOST_ROUNDS: number = 1 << 16;
/** Instructions that the functions to go on with may have together; one of them there is always. */
const BUDGET = 1500;

/** A loop header that is left, and the function that goes on from there: (frame: i32, variables: i64…) -> i64. */
export interface Resume {
  readonly index: number;
  readonly variables: readonly number[];
}

/** The graph of a function that begins at `header`. Blocks keep their numbers plus 1; `copies` are blocks that stand there twice. */
export interface ResumeGraph {
  readonly graph: Graph;
  /** Number of an original block -> that of its copy in the first run of the loop. */
  readonly copies: ReadonlyMap<number, number>;
}

/** Headers of loops to leave, inner ones first, as far as the budget goes: who runs an outer loop comes by the inner one. */
export function longLoops(graph: Graph, order: Order, loops: Loops): number[] {
  if (!order.cyclic) return [];
  const size = order.rpo.reduce((sum, block) => sum + graph.blocks[block]!.end - graph.blocks[block]!.start + 1, 0);
  return loops.headers.slice(0, Math.max(1, Math.floor(BUDGET / size)));
}

/** A loop inside of another is there twice, or the outer one had two entries. */
export function resumeGraph(graph: Graph, order: Order, loops: Loops, header: number): ResumeGraph {
  const blocks: Block[] = graph.blocks.map((block) => ({ ...block, term: redirect(block.term, (to) => to + 1) }));
  const copies = new Map<number, number>();
  if (loops.parent[header]! >= 0) {
    const body = order.rpo.filter((block) => loopHolds(loops, header, block));
    for (const block of body) copies.set(block, 1 + graph.blocks.length + copies.size);
    for (const block of body) {
      const { term } = graph.blocks[block]!;
      blocks.push({ ...graph.blocks[block]!, term: redirect(term, (to) => copies.get(to) ?? to + 1) });
    }
  }
  const { frame } = graph.blocks[header]!;
  const entry: Block = { frame, start: 0, end: 0, term: { kind: 'goto', to: copies.get(header) ?? header + 1 } };
  return { graph: { blocks: [entry, ...blocks], vars: graph.vars, frameSize: graph.frameSize }, copies };
}
