/**
 * The memory of a ring buffer: a page of the kernel's, the consumer's page, the producer's page, and room for the data twice.
 *
 * The kernel maps the data pages twice in a row, so that a record which begins near the end is still one piece. Linear memory can't do
 * that; but a record is only ever reached from where it begins, so twice the room serves the same: what runs over the end lies behind it.
 */

import type { MappedRange } from '@libbpf-ts/kernel';
import { RECORD_HEADER, RING, type Arena } from '@libbpf-ts/vm';

import { EINVAL } from './errno.ts';

export const PAGE_SIZE: number = 4096;

export function ringAllocate(arena: Arena, map: number, bytes: number): number {
  const ring = arena.allocate(RING.data + 2 * bytes, PAGE_SIZE);
  arena.u32[(ring + RING.map) >> 2] = map;
  arena.u32[(ring + RING.mask) >> 2] = bytes - 1;
  return ring;
}

/** What user space sees of a ring (`remap_vmalloc_range`): from the consumer's page on, the data twice. */
export function ringRange(ring: number, bytes: number, offset: number, length: number): MappedRange | number {
  if (offset + length > 2 * PAGE_SIZE + 2 * bytes) return -EINVAL;
  return { address: ring + RING.consumer + offset, length };
}

/** A u64 position as a double (exact up to 2^53). */
export function position(arena: Arena, at: number): number {
  const words = arena.u32;
  return words[at >> 2]! + words[(at >> 2) + 1]! * 0x1_0000_0000;
}

export function setPosition(arena: Arena, at: number, value: number): void {
  const words = arena.u32;
  words[at >> 2] = value >>> 0;
  words[(at >> 2) + 1] = Math.floor(value / 0x1_0000_0000);
}

/** `end` less the u64 at `at`, modulo 2^64 as the kernel computes it: user space may write any position. Exact where it is below 2^53. */
export function distance(arena: Arena, end: number, at: number): number {
  const low = (end % 0x1_0000_0000) - arena.u32[at >> 2]!;
  const high = Math.floor(end / 0x1_0000_0000) - arena.u32[(at >> 2) + 1]! - (low < 0 ? 1 : 0);
  return (low >>> 0) + (high >>> 0) * 0x1_0000_0000;
}

/** Address of the byte at a position. */
export function dataAt(arena: Arena, ring: number, at: number): number {
  return ring + RING.data + (at & arena.i32[(ring + RING.mask) >> 2]!);
}

/** Bytes of a whole record with `size` bytes of data. */
export const recordBytes = (size: number): number => (size + RECORD_HEADER + 7) & ~7;

/** The ring whose record's data begins at `sample`. */
export function ringOfSample(arena: Arena, sample: number): number {
  const header = sample - RECORD_HEADER;
  return (header & -PAGE_SIZE) - arena.u32[(header + 4) >> 2]! * PAGE_SIZE;
}
