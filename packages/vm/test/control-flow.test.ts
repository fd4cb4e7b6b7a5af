/** Any control flow: random graphs of jumps, most of them irreducible, run alike on every engine. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { buildGraph } from '../src/jit/graph.ts';
import { makeReducible } from '../src/jit/irreducible.ts';
import { isReducible, orderOf } from '../src/jit/order.ts';
import type { Order } from '../src/jit/order.ts';
import { engines, load, program } from './engines.ts';

/** Blocks as pairs of targets: where a block goes if r0 is odd, and if not. Each block changes r0; r9 ends what would not end. */
const graphs = fc
  .integer({ min: 1, max: 14 })
  .chain((count) =>
    fc.array(fc.tuple(fc.nat(count), fc.nat(count), fc.integer({ min: 1, max: 99 })), { minLength: count, maxLength: count }),
  );

function sourceOf(blocks: readonly (readonly [number, number, number])[]): string {
  const lines = ['r9 = 300', 'r0 = 1', 'r8 = 0'];
  blocks.forEach(([odd, even, factor], index) => {
    lines.push(
      `b${index}: r9 += -1`,
      'if r9 == 0 goto out',
      `r0 *= ${factor}`,
      `r0 += ${index}`,
      'r8 ^= r0',
      'r2 = r0',
      'r2 >>= 7',
      'r2 ^= r0',
      'r2 &= 1',
    );
    lines.push(
      `if r2 != 0 goto ${odd === blocks.length ? 'out' : `b${odd}`}`,
      `goto ${even === blocks.length ? 'out' : `b${even}`}`,
    );
  });
  return [...lines, 'out: r0 ^= r8', 'r0 ^= r9', 'exit'].join('\n');
}

/** The same in TypeScript. */
function expected(blocks: readonly (readonly [number, number, number])[]): bigint {
  let [left, value, mixed, at] = [300n, 1n, 0n, 0];
  while (at < blocks.length) {
    left -= 1n;
    if (left === 0n) break;
    const [odd, even, factor] = blocks[at]!;
    value = BigInt.asUintN(64, value * BigInt(factor) + BigInt(at));
    mixed ^= value;
    at = ((value >> 7n) ^ value) & 1n ? odd : even;
  }
  return value ^ mixed ^ left;
}

describe.each(engines)('%s', (engine) => {
  test('runs any graph of jumps', () => {
    fc.assert(
      fc.property(
        graphs,
        (blocks) => void expect(load(engine, program(sourceOf(blocks))).loaded.run64(0)).toBe(expected(blocks)),
      ),
      { numRuns: 150 },
    );
  });
});

/** Dominators by their definition: a dominates b where b can't be reached without a. */
function dominatorsByDefinition(order: Order, next: readonly (readonly number[])[]): Map<number, Set<number>> {
  const result = new Map<number, Set<number>>();
  for (const block of order.rpo) {
    const dominators = new Set<number>();
    for (const without of order.rpo) {
      const seen = new Set<number>();
      const work = without === 0 ? [] : [0];
      for (let at = work.pop(); at !== undefined; at = work.pop()) {
        if (seen.has(at)) continue;
        seen.add(at);
        work.push(...next[at]!.filter((to) => to !== without));
      }
      if (!seen.has(block)) dominators.add(without);
    }
    result.set(block, dominators);
  }
  return result;
}

test('immediate dominators, and every graph becomes reducible', () => {
  fc.assert(
    fc.property(graphs, (blocks) => {
      const vmProgram = program(sourceOf(blocks));
      const graph = buildGraph(vmProgram, 0, { inlines: () => false, depthOf: () => 512 });
      const order = orderOf(graph);
      const next = graph.blocks.map((_, from) => order.rpo.filter((to) => order.preds[to]!.includes(from)));
      const dominators = dominatorsByDefinition(order, next);
      for (const block of order.rpo.slice(1)) {
        const strict = [...dominators.get(block)!].filter((other) => other !== block);
        const immediate = strict.find((candidate) => strict.every((other) => dominators.get(candidate)!.has(other)));
        expect(order.idom[block]).toBe(immediate);
      }
      makeReducible(graph);
      expect(isReducible(orderOf(graph))).toBe(true);
    }),
    { numRuns: 100 },
  );
});
