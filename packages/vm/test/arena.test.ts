import { expect, test } from 'vitest';

import { Arena } from '../src/arena.ts';

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('blocks are zeroed, aligned, apart, and above the null page', () => {
  const arena = new Arena({ initialBytes: 1 << 17 });
  const next = random(1);
  const live = new Map<number, { size: number; mark: number }>();
  for (let step = 0; step < 20_000; step++) {
    if (live.size > 200 || (live.size > 0 && next() < 0.4)) {
      const [address, { size, mark }] = [...live][Math.floor(next() * live.size)]!;
      expect(arena.u8.subarray(address, address + size).every((byte) => byte === mark)).toBe(true);
      arena.free(address);
      live.delete(address);
      continue;
    }
    const size = next() < 0.95 ? Math.floor(next() * 600) : Math.floor(next() * 100_000);
    const align = next() < 0.9 ? 8 : 4096;
    const address = arena.allocate(size, align);
    expect(address % align).toBe(0);
    expect(address).toBeGreaterThanOrEqual(65_536);
    expect(arena.u8.subarray(address, address + size).every((byte) => byte === 0)).toBe(true);
    const mark = 1 + (step & 127);
    arena.u8.fill(mark, address, address + size);
    live.set(address, { size, mark });
  }
  for (const address of live.keys()) arena.free(address);
  expect(arena.used).toBe(0);
  expect(arena.u8.subarray(0, 65_536).every((byte) => byte === 0)).toBe(true);
});

test('a full arena answers 0 or ENOMEM and stays usable', () => {
  const arena = new Arena({ initialBytes: 1 << 17, maximumBytes: 1 << 20 });
  expect(arena.tryAllocate(2 << 20)).toBe(0);
  expect(() => arena.allocate(2 << 20)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
  expect(arena.tryAllocate(Number.NaN)).toBe(0);
  expect(arena.allocate(1000)).toBeGreaterThan(0);
});

test('a bad free throws', () => {
  const arena = new Arena();
  const address = arena.allocate(64);
  for (const bad of [0, 8, address + 8, address + 1, address + 1_000_000]) expect(() => arena.free(bad)).toThrow(/bad free/);
  arena.free(address);
  expect(() => arena.free(address)).toThrow(/bad free/);
});

test('a fork and its origin do not see each other', () => {
  const arena = new Arena();
  const address = arena.allocate(64);
  const freed = arena.allocate(64);
  arena.free(freed);
  arena.u32[address >> 2] = 7;
  const fork = arena.fork();
  fork.u32[address >> 2] = 8;
  expect(arena.u32[address >> 2]).toBe(7);
  expect(fork.allocate(64)).toBe(freed);
  expect(arena.allocate(64)).toBe(freed);
  fork.free(address);
  expect(arena.used).toBe(fork.used + 80);
});
