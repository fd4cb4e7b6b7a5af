/**
 * Who goes first when an LRU map is full: an active and an inactive list of elements, as kernel/bpf/bpf_lru_list.c has them.
 * New elements enter the inactive list; one that was looked up since (its referenced word is set by the lookup) gets a second chance.
 *
 * Links are in the arena: the word 8 bytes before an element is the one before it, `own` the one after it, and the word 4 bytes
 * before an element names its list.
 */

import type { BpfMap } from '@libbpf-ts/kernel';
import { HASH_ELEMENT } from '@libbpf-ts/vm';

/** Bytes before an element. */
export const LRU_PREFIX = 8;

/** Words of a list pair: heads and tails of the inactive and the active list, and how many elements the two have. */
const PAIR_BYTES = 24;
const COUNT = 16;
const INACTIVE = 0;
const ACTIVE = 8;
const HEAD = 0;
const TAIL = 4;

const PREVIOUS = -8;
const LIST = -4;
const NEXT = HASH_ELEMENT.own;

/** `pairs` list pairs, empty: one for the map, or one a CPU (BPF_F_NO_COMMON_LRU). Returns their address. */
export function lruAlloc(map: BpfMap, pairs: number): number {
  return map.kernel.arena.allocate(PAIR_BYTES * pairs);
}

/** How many elements pair `index` has. */
export function lruCount(map: BpfMap, lists: number, index: number): number {
  return map.kernel.arena.u32[(lists + index * PAIR_BYTES + COUNT) >> 2]!;
}

/** A new element, as the youngest inactive one. */
export function lruAdd(map: BpfMap, lists: number, index: number, element: number): void {
  const words = map.kernel.arena.u32;
  const pair = lists + index * PAIR_BYTES;
  words[(element + HASH_ELEMENT.referenced) >> 2] = 0;
  words[(pair + COUNT) >> 2]!++;
  pushHead(words, pair + INACTIVE, element);
}

/** Takes an element out of its list. */
export function lruRemove(map: BpfMap, lists: number, element: number): void {
  const words = map.kernel.arena.u32;
  const list = words[(element + LIST) >> 2]!;
  detach(words, list, element);
  words[(lists + Math.floor((list - lists) / PAIR_BYTES) * PAIR_BYTES + COUNT) >> 2]!--;
}

/** `element` takes the place of `old`, which leaves its list. */
export function lruReplace(map: BpfMap, lists: number, old: number, element: number, index: number): void {
  lruRemove(map, lists, old);
  lruAdd(map, lists, index, element);
}

/** The element of pair `index` that has to go; 0 where the pair is empty. */
export function lruVictim(map: BpfMap, lists: number, index: number): number {
  const words = map.kernel.arena.u32;
  const pair = lists + index * PAIR_BYTES;
  // Each element is passed over once at most, so twice the count is enough for every second chance to be used up.
  for (let left = 2 * words[(pair + COUNT) >> 2]! + 1; left > 0; left--) {
    const inactive = words[(pair + INACTIVE + TAIL) >> 2]!;
    if (inactive !== 0 && words[(inactive + HASH_ELEMENT.referenced) >> 2] === 0) return inactive;
    const candidate = inactive !== 0 ? inactive : words[(pair + ACTIVE + TAIL) >> 2]!;
    if (candidate === 0) return 0;
    const wasReferenced = words[(candidate + HASH_ELEMENT.referenced) >> 2] !== 0;
    words[(candidate + HASH_ELEMENT.referenced) >> 2] = 0;
    detach(words, words[(candidate + LIST) >> 2]!, candidate);
    pushHead(words, pair + (wasReferenced ? ACTIVE : INACTIVE), candidate);
  }
  return words[(pair + INACTIVE + TAIL) >> 2]! || words[(pair + ACTIVE + TAIL) >> 2]!;
}

function pushHead(words: Uint32Array, list: number, element: number): void {
  const head = words[(list + HEAD) >> 2]!;
  words[(element + LIST) >> 2] = list;
  words[(element + PREVIOUS) >> 2] = 0;
  words[(element + NEXT) >> 2] = head;
  if (head === 0) words[(list + TAIL) >> 2] = element;
  else words[(head + PREVIOUS) >> 2] = element;
  words[(list + HEAD) >> 2] = element;
}

function detach(words: Uint32Array, list: number, element: number): void {
  const previous = words[(element + PREVIOUS) >> 2]!;
  const next = words[(element + NEXT) >> 2]!;
  if (previous === 0) words[(list + HEAD) >> 2] = next;
  else words[(previous + NEXT) >> 2] = next;
  if (next === 0) words[(list + TAIL) >> 2] = previous;
  else words[(next + PREVIOUS) >> 2] = previous;
}
