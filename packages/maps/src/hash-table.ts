/**
 * The table behind all hash maps: buckets of chained elements, laid out as the lookup functions of `vm` read them.
 *
 * The table starts small and doubles as elements come, up to the buckets that the kernel would have. Chains are ordered by the
 * bit-reversed hash, and a walk visits buckets by bit-reversed index: then the order of elements is the same for every number of
 * buckets, and a walk by get_next_key neither repeats nor misses one when the table grows under it.
 */

import type { BpfMap } from '@libbpf-ts/kernel';
import { HASH_ELEMENT, hashKey, MAP_HEADER, sameBytes, type Arena } from '@libbpf-ts/vm';

import { copyBytes, roundUpPowerOfTwo } from './bytes.ts';
import { slabFree, slabGive, slabTake } from './slab.ts';

/** Where things are in an element; the same for all elements of a map. */
export interface HashLayout {
  readonly keyOffset: number;
  readonly valueOffset: number;
  /** Bytes of an element, a multiple of 8. */
  readonly size: number;
}

const INITIAL_BUCKETS = 16;

export function tableAlloc(map: BpfMap, seed: number): void {
  const buckets = Math.min(INITIAL_BUCKETS, roundUpPowerOfTwo(map.maxEntries));
  map.setHeader('mask', buckets - 1);
  map.setHeader('seed', seed);
  map.setHeader('buckets', map.kernel.arena.allocate(buckets * 4, 16));
}

export function tableFree(map: BpfMap): void {
  map.kernel.arena.free(map.header('buckets'));
  slabFree(map);
}

export function hashOf(map: BpfMap, key: number): number {
  return hashKey(map.kernel.arena, key, map.keySize, map.kernel.arena.i32[(map.address + MAP_HEADER.seed) >> 2]!);
}

/** Address of the element with this key, or 0. */
export function findElement(map: BpfMap, layout: HashLayout, key: number, hash: number): number {
  const reference = findReference(map, layout, key, hash);
  return reference === 0 ? 0 : map.kernel.arena.u32[reference >> 2]!;
}

/**
 * Address of the word that refers to the element with this key (a bucket head or the next word of another element), or 0: what an update
 * needs to put another element there. Valid until the table changes.
 */
export function findReference(map: BpfMap, layout: HashLayout, key: number, hash: number): number {
  const { arena } = map.kernel;
  const words = arena.i32;
  const header = map.address >> 2;
  const size = words[header + (MAP_HEADER.key_size >> 2)]!;
  const { keyOffset } = layout;
  let at = (words[header + (MAP_HEADER.buckets >> 2)]! >> 2) + (hash & words[header + (MAP_HEADER.mask >> 2)]!);
  for (let element = words[at]!; element !== 0; element = words[at]!) {
    if (words[(element + HASH_ELEMENT.hash) >> 2] === hash && sameKey(arena, element + keyOffset, key, size)) return at << 2;
    at = (element + HASH_ELEMENT.next) >> 2;
  }
  return 0;
}

/** Most keys are whole words. */
function sameKey(arena: Arena, left: number, right: number, size: number): boolean {
  if (((left | right | size) & 3) !== 0) return sameBytes(arena, left, right, size);
  const words = arena.i32;
  for (let at = 0; at < size; at += 4) if (words[(left + at) >> 2] !== words[(right + at) >> 2]) return false;
  return true;
}

export const countOf = (map: BpfMap): number => map.kernel.arena.u32[(map.address + MAP_HEADER.count) >> 2]!;

/** Memory for an element with its key and hash written, in no chain yet; 0 where the arena is full. Its value is whatever was there. */
export function newElement(map: BpfMap, layout: HashLayout, key: number, hash: number): number {
  const element = slabTake(map, layout.size);
  if (element !== 0) nameElement(map, layout, element, key, hash);
  return element;
}

/** Writes key and hash of an element that is in no chain. */
export function nameElement(map: BpfMap, layout: HashLayout, element: number, key: number, hash: number): void {
  const { arena } = map.kernel;
  arena.i32[(element + HASH_ELEMENT.hash) >> 2] = hash;
  copyBytes(arena, element + layout.keyOffset, key, map.keySize);
}

/** Gives the memory of an element that is in no chain back to the map. */
export function giveElement(map: BpfMap, element: number): void {
  slabGive(map, element);
}

/** Puts an element into its chain and counts it. */
export function link(map: BpfMap, element: number): void {
  const words = map.kernel.arena.u32;
  const count = ++words[(map.address + MAP_HEADER.count) >> 2]!;
  if (count > words[(map.address + MAP_HEADER.mask) >> 2]! + 1) growTable(map);
  insertSorted(map, element);
}

/** Takes an element out of its chain and counts it no more. */
export function unlink(map: BpfMap, element: number): void {
  const words = map.kernel.arena.u32;
  words[referenceTo(map, element) >> 2] = words[(element + HASH_ELEMENT.next) >> 2]!;
  words[(map.address + MAP_HEADER.count) >> 2]!--;
}

/** Puts `element`, whose hash is the same, in the place of `old`, to which the word at `reference` refers. */
export function replace(map: BpfMap, old: number, element: number, reference: number): void {
  const words = map.kernel.arena.u32;
  words[(element + HASH_ELEMENT.next) >> 2] = words[(old + HASH_ELEMENT.next) >> 2]!;
  words[reference >> 2] = element;
}

/** The first element in the map's order, or 0. */
export function firstElement(map: BpfMap): number {
  return firstFrom(map, 0);
}

/** The element after one that is in the table. */
export function nextElement(map: BpfMap, element: number): number {
  const words = map.kernel.arena.u32;
  const next = words[(element + HASH_ELEMENT.next) >> 2]!;
  if (next !== 0) return next;
  const mask = words[(map.address + MAP_HEADER.mask) >> 2]!;
  return firstFrom(map, bucketRank(words[(element + HASH_ELEMENT.hash) >> 2]! & mask, mask) + 1);
}

/** Place of an element in the order of a walk: elements of the same hash have the same. */
export function rankOf(map: BpfMap, element: number): number {
  return reverseBits(map.kernel.arena.u32[(element + HASH_ELEMENT.hash) >> 2]!);
}

/** The first element whose place is `rank` or behind it, or 0. */
export function elementFrom(map: BpfMap, rank: number): number {
  return rank === 0 ? firstElement(map) : firstAfter(map, reverseBits(rank - 1));
}

/**
 * Visits every element, whatever the visitor does to the table meanwhile: what it deletes is not visited later, what it adds may be.
 * `visit` returns true to stop. Returns how many it saw.
 */
export function eachElement(map: BpfMap, visit: (element: number) => boolean | void): number {
  const { arena } = map.kernel;
  let seen = 0;
  for (let element = firstElement(map); element !== 0;) {
    const hash = arena.i32[(element + HASH_ELEMENT.hash) >> 2]!;
    seen++;
    if (visit(element) === true) break;
    element = stillThere(map, element, hash) ? nextElement(map, element) : firstAfter(map, hash);
  }
  return seen;
}

/** Bits of an int32 in reverse order, unsigned. */
export function reverseBits(value: number): number {
  let bits = value;
  bits = ((bits >>> 1) & 0x5555_5555) | ((bits & 0x5555_5555) << 1);
  bits = ((bits >>> 2) & 0x3333_3333) | ((bits & 0x3333_3333) << 2);
  bits = ((bits >>> 4) & 0x0f0f_0f0f) | ((bits & 0x0f0f_0f0f) << 4);
  bits = ((bits >>> 8) & 0x00ff_00ff) | ((bits & 0x00ff_00ff) << 8);
  return ((bits >>> 16) | (bits << 16)) >>> 0;
}

/** Position of a bucket in the order of a walk. */
function bucketRank(bucket: number, mask: number): number {
  return mask === 0 ? 0 : reverseBits(bucket) >>> Math.clz32(mask);
}

/** Address of the word that holds the address of `element`: a bucket head or the next word of another element. */
function referenceTo(map: BpfMap, element: number): number {
  const words = map.kernel.arena.u32;
  const hash = words[(element + HASH_ELEMENT.hash) >> 2]!;
  let at = words[(map.address + MAP_HEADER.buckets) >> 2]! + (hash & words[(map.address + MAP_HEADER.mask) >> 2]!) * 4;
  while (words[at >> 2] !== element) {
    at = words[at >> 2]! + HASH_ELEMENT.next;
    if (at === HASH_ELEMENT.next) throw new Error(`element 0x${element.toString(16)} is not in map ${map.id}`);
  }
  return at;
}

function insertSorted(map: BpfMap, element: number): void {
  const words = map.kernel.arena.u32;
  const hash = words[(element + HASH_ELEMENT.hash) >> 2]!;
  let at = words[(map.address + MAP_HEADER.buckets) >> 2]! + (hash & words[(map.address + MAP_HEADER.mask) >> 2]!) * 4;
  let next = words[at >> 2]!;
  if (next !== 0) {
    const rank = reverseBits(hash);
    while (next !== 0 && reverseBits(words[(next + HASH_ELEMENT.hash) >> 2]!) < rank) {
      at = next + HASH_ELEMENT.next;
      next = words[at >> 2]!;
    }
  }
  words[(element + HASH_ELEMENT.next) >> 2] = next;
  words[at >> 2] = element;
}

/** First element of the bucket of this rank or a later one. */
function firstFrom(map: BpfMap, rank: number): number {
  const words = map.kernel.arena.u32;
  const mask = words[(map.address + MAP_HEADER.mask) >> 2]!;
  const buckets = words[(map.address + MAP_HEADER.buckets) >> 2]! >> 2;
  for (let at = rank; at <= mask; at++) {
    const element = words[buckets + bucketRank(at, mask)]!;
    if (element !== 0) return element;
  }
  return 0;
}

/** First element whose place in the order is behind that of `hash`. */
function firstAfter(map: BpfMap, hash: number): number {
  const words = map.kernel.arena.u32;
  const mask = words[(map.address + MAP_HEADER.mask) >> 2]!;
  const rank = reverseBits(hash);
  let element = words[(words[(map.address + MAP_HEADER.buckets) >> 2]! >> 2) + (hash & mask)]!;
  while (element !== 0 && reverseBits(words[(element + HASH_ELEMENT.hash) >> 2]!) <= rank)
    element = words[(element + HASH_ELEMENT.next) >> 2]!;
  return element !== 0 ? element : firstFrom(map, bucketRank(hash & mask, mask) + 1);
}

function stillThere(map: BpfMap, element: number, hash: number): boolean {
  const words = map.kernel.arena.u32;
  const mask = words[(map.address + MAP_HEADER.mask) >> 2]!;
  let at = words[(words[(map.address + MAP_HEADER.buckets) >> 2]! >> 2) + (hash & mask)]!;
  while (at !== 0 && at !== element) at = words[(at + HASH_ELEMENT.next) >> 2]!;
  return at === element;
}

/** Doubles the buckets. Each chain splits into two that keep its order; where the arena is full, chains just get longer. */
function growTable(map: BpfMap): void {
  const { arena } = map.kernel;
  const size = map.header('mask') + 1;
  if (size >= roundUpPowerOfTwo(map.maxEntries)) return;
  const fresh = arena.tryAllocate(size * 8, 16);
  if (fresh === 0) return;
  const words = arena.u32;
  const old = map.header('buckets');
  for (let bucket = 0; bucket < size; bucket++) {
    const tails = [fresh + bucket * 4, fresh + (bucket + size) * 4] as [number, number];
    for (let element = words[(old >> 2) + bucket]!; element !== 0;) {
      const next = words[(element + HASH_ELEMENT.next) >> 2]!;
      const side = (words[(element + HASH_ELEMENT.hash) >> 2]! & size) === 0 ? 0 : 1;
      words[tails[side] >> 2] = element;
      words[(element + HASH_ELEMENT.next) >> 2] = 0;
      tails[side] = element + HASH_ELEMENT.next;
      element = next;
    }
  }
  map.setHeader('buckets', fresh);
  map.setHeader('mask', size * 2 - 1);
  arena.free(old);
}
