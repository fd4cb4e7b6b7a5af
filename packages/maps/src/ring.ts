/**
 * The memory of a ring buffer: a page of the kernel's, the consumer's page, the producer's page, and room for the data twice.
 *
 * The kernel maps the data pages twice in a row, so that a record which begins near the end is still one piece. Linear memory can't do
 * that; but a record is only ever reached from where it begins, so twice the room serves the same: what runs over the end lies behind it.
 */

import type { MappedRange } from '@libbpf-ts/kernel';
import type { Arena } from '@libbpf-ts/vm';

import { EINVAL } from './errno.ts';

export const PAGE_SIZE: number = 4096;

/** Offsets from the first page. */
export const RING = {
  /** Address of the map's header. */
  map: 0,
  /** Bytes of data, less one. */
  mask: 4,
  /** Position up to which every record is complete (u64). */
  pending: 8,
  /** u64 at the start of the consumer's page: how far user space has read. */
  consumer: 4096,
  /** u64 at the start of the producer's page: how far records are reserved. */
  producer: 8192,
  data: 12_288,
} as const;

/** Bytes of a record's header: u32 length with flags, u32 distance in pages from the ring's first page. */
export const RECORD_HEADER = 8;
/** The record is reserved and not yet submitted; the record was discarded. */
export const BUSY: number = 0x8000_0000;
export const DISCARD: number = 0x4000_0000;
/** The largest record. */
export const MAX_RECORD = 0x3fff_ffff;

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
