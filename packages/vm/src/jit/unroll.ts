/** Loop unrolling. V8 looks at its stack limit once an iteration; several rounds in one iteration share that look. */

import { opcodeOf } from '@libbpf-ts/isa';

import type { VmProgram } from '../program.ts';
import type { Block, Graph } from './graph.ts';
import { redirect } from './irreducible.ts';
import { loopsOf } from './order.ts';
import type { Order } from './order.ts';

/** Instructions that an unrolled loop may have, and the most rounds in it. */
const BUDGET = 160;
const MOST_ROUNDS = 8;
/** Instructions that unrolling may add to a function, as a share of what it has, and at least. */
const GROWTH = 1;
const LEAST_GROWTH = 2000;

/** The graph with small innermost loops unrolled; its blocks so far keep their numbers. Says whether anything changed. */
export function unrollLoops(graph: Graph, order: Order, program: VmProgram): boolean {
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
    const rounds = Math.min(MOST_ROUNDS, Math.floor(BUDGET / size));
    if (rounds < 2 || size * (rounds - 1) > left || body.some((block) => calls(program, graph.blocks[block]!))) continue;
    left -= size * (rounds - 1);
    unroll(graph, header, body, rounds);
    changed = true;
  }
  return changed;
}

/** Copies the body; each round's way back goes to the next copy, the last one's to the header itself. */
function unroll(graph: Graph, header: number, body: readonly number[], rounds: number): void {
  const originals = body.map((block) => graph.blocks[block]!.term);
  let firstBlock = -1;
  for (let round = rounds - 1; round >= 1; round--) {
    const base = graph.blocks.length;
    const next = firstBlock < 0 ? header : firstBlock;
    body.forEach((block, index) => {
      const map = (to: number): number => (to === header ? next : body.includes(to) ? base + body.indexOf(to) : to);
      graph.blocks.push({ ...graph.blocks[block]!, term: redirect(originals[index]!, map) });
    });
    firstBlock = base + body.indexOf(header);
  }
  const toNext = firstBlock;
  body.forEach((block, index) => {
    graph.blocks[block]!.term = redirect(originals[index]!, (to) => (to === header ? toNext : to));
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
    if (kind === 'call' && !(program.fixups.calls.get(index)?.map && program.fixups.calls.get(index)!.helper.intrinsic === 'map_lookup')) return true;
  }
  return false;
}
