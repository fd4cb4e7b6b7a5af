/** Bytes inside the arena: copies, fills, rounding. */

import type { Arena } from '@libbpf-ts/vm';

/** Copies `size` bytes; the ranges may overlap only if they are the same. */
export function copyBytes(arena: Arena, to: number, from: number, size: number): void {
  if (size > 64 || ((to | from | size) & 3) !== 0) {
    arena.u8.copyWithin(to, from, from + size);
    return;
  }
  const words = arena.i32;
  for (let at = 0, target = to >> 2, source = from >> 2, count = size >> 2; at < count; at++)
    words[target + at] = words[source + at]!;
}

export function zeroBytes(arena: Arena, at: number, size: number): void {
  arena.u8.fill(0, at, at + size);
}

export const round8 = (size: number): number => (size + 7) & ~7;

/** The least power of two that is not below `count` (1 for 0), up to 2^32. */
export function roundUpPowerOfTwo(count: number): number {
  return count <= 1 ? 1 : 2 ** (32 - Math.clz32(count - 1));
}
