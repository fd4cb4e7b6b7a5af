import { createKernel } from '@libbpf-ts/vmlinux';
import { expect, test } from 'vitest';

import { Storm } from './support/storm.ts';

const STEPS = 40;

test('1,000 crash storms leave nothing behind', { timeout: 120_000 }, () => {
  const kernel = createKernel();
  new Storm(kernel, 0).end();
  const left: string[] = [];
  let memory: number | undefined;
  for (let seed = 1; seed <= 1000 && left.length === 0; seed++) {
    const storm = new Storm(kernel, seed);
    for (let step = 0; step < STEPS; step++) storm.step();
    storm.end();
    left.push(...kernel.leaks().map(({ text }) => `seed ${seed}: ${text}`));
    expect(kernel.mapsByAddress.size).toBe(0);
    expect(kernel.progsBySlot.size).toBe(0);
    // Buffers that grow with use are there after the first storms.
    if (seed === 100) memory = kernel.arena.used;
  }
  expect(left).toEqual([]);
  expect(kernel.arena.used).toBe(memory);
});

test('a storm in a fork does not touch its origin, nor the other way round', { timeout: 60_000 }, () => {
  for (let seed = 1; seed <= 40; seed++) {
    const origin = createKernel();
    const before = new Storm(origin, seed);
    for (let step = 0; step < STEPS; step++) before.step();
    const picture = JSON.stringify(describe(origin));
    const fork = origin.fork();
    expect(JSON.stringify(describe(fork))).toBe(picture);
    const inFork = new Storm(fork, seed + 1000);
    inFork.tasks.push(...before.tasks.map((task) => fork.twin(task)));
    for (let step = 0; step < STEPS; step++) inFork.step();
    expect(JSON.stringify(describe(origin))).toBe(picture);
    const changed = JSON.stringify(describe(fork));
    before.end();
    expect(origin.leaks()).toEqual([]);
    expect(JSON.stringify(describe(fork))).toBe(changed);
    inFork.end();
    expect(fork.leaks()).toEqual([]);
  }
});

/** Who holds what, and the bytes of all memory that is in use. */
function describe(kernel: ReturnType<typeof createKernel>): unknown {
  let sum = 0;
  kernel.arena.u32.forEach((word, index) => (sum = (sum + Math.imul(word, index * 2 + 1)) | 0));
  return { leaks: kernel.leaks(), used: kernel.arena.used, sum, pins: [...kernel.files.pins()].map(({ path }) => path) };
}
