/**
 * Elements of one map: memory comes in chunks as elements come, and what is freed is used again by the same map only. So a program
 * that still holds an element sees at worst another element of that map, as in the kernel. All words are in the map's header.
 */

import type { BpfMap } from '@libbpf-ts/kernel';
import type { Arena } from '@libbpf-ts/vm';

/** Byte offsets in the map header. */
export const SLAB = {
  /** First free element; the next one's address is in its first word. */
  free: 64,
  /** Rest of the newest chunk: [cursor, end). */
  cursor: 68,
  end: 72,
  /** Newest chunk; its first word is the address of the one before. */
  chunks: 76,
} as const;

const CHUNK_HEADER = 16;
const LARGEST_CHUNK = 65_536;
/** Elements of the first chunk. */
const FIRST_CHUNK = 8;

/** Address of `size` bytes (a multiple of 8; what a freed element left is in them), or 0. */
export function slabTake(map: BpfMap, size: number): number {
  const { arena } = map.kernel;
  const words = arena.u32;
  const header = map.address;
  const free = words[(header + SLAB.free) >> 2]!;
  if (free !== 0) {
    words[(header + SLAB.free) >> 2] = words[free >> 2]!;
    return free;
  }
  const cursor = words[(header + SLAB.cursor) >> 2]!;
  if (cursor + size <= words[(header + SLAB.end) >> 2]!) {
    words[(header + SLAB.cursor) >> 2] = cursor + size;
    return cursor;
  }
  return takeFromNewChunk(map, size);
}

export function slabGive(map: BpfMap, element: number): void {
  const words = map.kernel.arena.u32;
  const head = (map.address + SLAB.free) >> 2;
  words[element >> 2] = words[head]!;
  words[head] = element;
}

/** Gives all chunks back to the arena. */
export function slabFree(map: BpfMap): void {
  const { arena } = map.kernel;
  let chunk = arena.u32[(map.address + SLAB.chunks) >> 2]!;
  while (chunk !== 0) {
    const next = arena.u32[chunk >> 2]!;
    arena.free(chunk);
    chunk = next;
  }
  for (const field of Object.values(SLAB)) arena.u32[(map.address + field) >> 2] = 0;
}

/** Bytes of all chunks. */
export function slabBytes(map: BpfMap): number {
  const { arena } = map.kernel;
  let bytes = 0;
  for (let chunk = arena.u32[(map.address + SLAB.chunks) >> 2]!; chunk !== 0; chunk = arena.u32[chunk >> 2]!)
    bytes += arena.u32[(chunk + 4) >> 2]!;
  return bytes;
}

function takeFromNewChunk(map: BpfMap, size: number): number {
  const { arena } = map.kernel;
  const before = arena.u32[(map.address + SLAB.chunks) >> 2]!;
  const bytes = chunkBytes(arena, before, size, map.maxEntries);
  const chunk = arena.tryAllocate(bytes);
  if (chunk === 0) return 0;
  const words = arena.u32;
  words[chunk >> 2] = before;
  words[(chunk + 4) >> 2] = bytes;
  words[(map.address + SLAB.chunks) >> 2] = chunk;
  words[(map.address + SLAB.cursor) >> 2] = chunk + CHUNK_HEADER + size;
  words[(map.address + SLAB.end) >> 2] = chunk + bytes;
  return chunk + CHUNK_HEADER;
}

/** The first chunk holds a few elements; each next one is twice as large, up to 64 KiB. */
function chunkBytes(arena: Arena, before: number, size: number, maxEntries: number): number {
  const first = CHUNK_HEADER + size * Math.min(FIRST_CHUNK, maxEntries);
  const wanted = before === 0 ? first : arena.u32[(before + 4) >> 2]! * 2;
  return Math.max(CHUNK_HEADER + size, Math.min(wanted, LARGEST_CHUNK));
}
