/** struct bpf_dynptr_kern: { u64 data, u32 size and type, u32 offset }, in the two stack slots of a dynptr. */

import type { Arena } from '@libbpf-ts/vm';

export const DYNPTR_TYPE_LOCAL = 1;
export const DYNPTR_TYPE_RINGBUF = 2;
export const MAX_DYNPTR_SIZE = 0x00ff_ffff;

const TYPE_SHIFT = 28;
const RDONLY_BIT: number = 0x8000_0000;

export function initDynptr(arena: Arena, at: number, data: number, size: number, type: number, offset: number): void {
  const words = arena.u32;
  words[at >> 2] = data;
  words[(at >> 2) + 1] = 0;
  words[(at >> 2) + 2] = size | (type << TYPE_SHIFT);
  words[(at >> 2) + 3] = offset;
}

/** `bpf_dynptr_set_null`. */
export function clearDynptr(arena: Arena, at: number): void {
  const words = arena.u32;
  for (let index = 0; index < 4; index++) words[(at >> 2) + index] = 0;
}

/** Address of the memory behind it, without its offset; 0 where it is null. */
export const dynptrData = (arena: Arena, at: number): number => arena.u32[at >> 2]!;
export const dynptrOffset = (arena: Arena, at: number): number => arena.u32[(at >> 2) + 3]!;
/** Bytes from its offset on. */
export const dynptrSize = (arena: Arena, at: number): number => arena.u32[(at >> 2) + 2]! & MAX_DYNPTR_SIZE;
export const dynptrType = (arena: Arena, at: number): number => (arena.u32[(at >> 2) + 2]! >>> TYPE_SHIFT) & 7;
export const dynptrIsReadOnly = (arena: Arena, at: number): boolean => arena.u32[(at >> 2) + 2]! >= RDONLY_BIT;

/** Changes the start and the size, for bpf_dynptr_adjust. */
export function moveDynptr(arena: Arena, at: number, offset: number, size: number): void {
  const words = arena.u32;
  words[(at >> 2) + 3] = offset;
  words[(at >> 2) + 2] = ((words[(at >> 2) + 2]! & ~MAX_DYNPTR_SIZE) | size) >>> 0;
}
