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

/** Each goes round more often than a call of the JIT's stays in one function: MOST_ROUNDS. r0 = what the loop makes of its rounds. */
const longLoops: readonly (readonly [what: string, source: string, r0: bigint])[] = [
  ['one loop', 'r0 = 0\nr2 = 300000\nloop: r0 += r2\nr2 += -1\nif r2 != 0 goto loop\nexit', 45_000_150_000n],
  [
    'a loop in a loop, and one after them',
    `r0 = 0
    r2 = 700
    outer: r3 = 500
    inner: r0 += r3
    r3 += -1
    if r3 != 0 goto inner
    r2 += -1
    if r2 != 0 goto outer
    r2 = 200000
    last: r0 += 1
    r2 += -1
    if r2 != 0 goto last
    exit`,
    700n * 125_250n + 200_000n,
  ],
  [
    'values on the stack, by constant and by computed offset',
    `r6 = r10
    r6 += -64
    *(u64 *)(r10 -72) = 0
    *(u64 *)(r10 -64) = 0
    *(u64 *)(r10 -56) = 0
    r2 = 300000
    loop: r3 = r2
    r3 &= 8
    r3 += r6
    r4 = *(u64 *)(r3 +0)
    r4 += 1
    *(u64 *)(r3 +0) = r4
    r5 = *(u64 *)(r10 -72)
    r5 += r2
    *(u64 *)(r10 -72) = r5
    r2 += -1
    if r2 != 0 goto loop
    r0 = *(u64 *)(r10 -64)
    r1 = *(u64 *)(r10 -56)
    r0 += r1
    r1 = *(u64 *)(r10 -72)
    r0 += r1
    exit`,
    300_000n + 45_000_150_000n,
  ],
  [
    'a function that loops, called in a loop',
    `r6 = 4
    r7 = 0
    again: r1 = 100000
    r2 = r6
    call pc+5
    r7 += r0
    r6 += -1
    if r6 != 0 goto again
    r0 = r7
    exit
    r0 = 0
    loop: may_goto over
    over: r0 += r2
    r1 += -1
    if r1 != 0 goto loop
    exit`,
    1_000_000n,
  ],
  [
    'a loop that only may_goto ends',
    `r0 = 0
    loop: r0 += 1
    may_goto out
    goto loop
    out: exit`,
    8_388_609n,
  ],
  [
    'a loop with two entries',
    `r0 = 0
    r2 = 300000
    if r1 == 0 goto second
    first: r0 += 1
    second: r0 += 2
    r2 += -1
    if r2 != 0 goto first
    exit`,
    899_999n,
  ],
];

describe.each(engines)('%s', (engine) => {
  test.each(longLoops)('goes on with %s', (_, source, r0) => {
    for (const fuel of [false, true]) {
      const { runtime, loaded } = load(engine, program(source), { fuel });
      runtime.fuel = 1e9;
      expect(loaded.run64(0)).toBe(r0);
      expect(loaded.run64(0)).toBe(r0);
    }
  });

  test('stops a loop without an end where the budget ends', () => {
    const { runtime, loaded } = load(engine, program('r0 = 0\nloop: r0 += 1\ngoto loop'), { fuel: true });
    runtime.fuel = 1_000_000;
    expect(() => loaded.run(0)).toThrow(expect.objectContaining({ code: 'VM_TRAP', reason: 'fuel' }));
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
