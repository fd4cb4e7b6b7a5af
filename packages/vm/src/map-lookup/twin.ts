/** The same lookups in TypeScript, for where WebAssembly is not allowed and for updates, which find before they change. */

import type { Arena } from '../arena.ts';
import { MAP_HEADER } from '../map-header.ts';
import { hashKey } from './hash.ts';
import { HASH_ELEMENT, TRIE_INTERMEDIATE, TRIE_NODE } from './layout.ts';

/** Address of the element of a hash map with this key and hash (as `hashKey` returns it), or 0. */
export function findHashElement(arena: Arena, map: number, key: number, hash: number, keyOffset: number): number {
  const words = arena.i32;
  const size = words[(map + MAP_HEADER.key_size) >> 2]!;
  const bucket = words[(map + MAP_HEADER.buckets) >> 2]! + (hash & words[(map + MAP_HEADER.mask) >> 2]!) * 4;
  for (let element = words[bucket >> 2]!; element !== 0; element = words[(element + HASH_ELEMENT.next) >> 2]!) {
    if (words[(element + HASH_ELEMENT.hash) >> 2] === hash && sameBytes(arena, element + keyOffset, key, size)) return element;
  }
  return 0;
}

/** The hash of the key at `key`, with the size and seed of the map. */
export function hashOfMapKey(arena: Arena, map: number, key: number): number {
  const words = arena.i32;
  return hashKey(arena, key, words[(map + MAP_HEADER.key_size) >> 2]!, words[(map + MAP_HEADER.seed) >> 2]!);
}

export function sameBytes(arena: Arena, left: number, right: number, size: number): boolean {
  const bytes = arena.u8;
  for (let at = 0; at < size; at++) if (bytes[left + at] !== bytes[right + at]) return false;
  return true;
}

/** Address of the node that holds the longest prefix of the key at `key` ({ u32 prefixlen, data }), or 0. */
export function findTrieNode(arena: Arena, map: number, key: number): number {
  const words = arena.u32;
  const max = (words[(map + MAP_HEADER.key_size) >> 2]! - 4) * 8;
  const prefix = arena.view.getUint32(key, true);
  let found = 0;
  if (prefix > max) return 0;
  for (let node = words[(map + MAP_HEADER.root) >> 2]!; node !== 0;) {
    const prefixlen = words[(node + TRIE_NODE.prefixlen) >> 2]!;
    const match = matchingBits(arena, node + TRIE_NODE.data, key + 4, Math.min(prefixlen, prefix));
    if (match === max) return node;
    if (match < prefixlen) break;
    if ((words[(node + TRIE_NODE.flags) >> 2]! & TRIE_INTERMEDIATE) === 0) found = node;
    const bit = (arena.u8[key + 4 + (prefixlen >> 3)]! >> (7 - (prefixlen & 7))) & 1;
    node = words[(node + TRIE_NODE.child + bit * 4) >> 2]!;
  }
  return found;
}

/** How many leading bits of two byte strings agree, at most `limit`. */
export function matchingBits(arena: Arena, left: number, right: number, limit: number): number {
  const bytes = arena.u8;
  for (let at = 0; at < limit; at += 8) {
    const differs = bytes[left + (at >> 3)]! ^ bytes[right + (at >> 3)]!;
    if (differs !== 0) return Math.min(limit, at + Math.clz32(differs) - 24);
  }
  return limit;
}
