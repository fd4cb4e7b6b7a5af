/** Where a map's bytes are, as the lookup functions expect them. `maps` writes them so. */

import type { MAP_HEADER } from '../map-header.ts';

/**
 * How a lookup finds the value of a key:
 * - `array`: value `i` at header.data + i * header.stride.
 * - `percpu_array`: the same, plus cpu * header.cpu_stride.
 * - `array_of_maps`: a u32 at header.data + i * header.stride, the address of the inner map's header; 0 is NULL.
 * - `hash`: u32 bucket heads at header.buckets, index hash & header.mask, each the address of an element or 0.
 *   Element: u32 next, u32 hash, key (padded to 8), value.
 * - `percpu_hash`: the same; the value of CPU c is header.cpu_stride * c further.
 * - `lru_hash`, `lru_percpu_hash`: element: u32 next, u32 hash, u32 referenced (a lookup sets 1), u32 of the map's own, key, value.
 * - `hash_of_maps`: as `hash`; the value is a u32, the address of the inner map's header.
 * - `lpm_trie`: header.root is the address of the root node or 0.
 *   Node: u32 child[2], u32 prefixlen, u32 flags (1: no value of its own), key data (key_size - 4, padded to 8), value.
 */
export type MapLookupKind =
  | 'array'
  | 'percpu_array'
  | 'array_of_maps'
  | 'hash'
  | 'percpu_hash'
  | 'lru_hash'
  | 'lru_percpu_hash'
  | 'hash_of_maps'
  | 'lpm_trie';

/** Offsets in a hash element. */
export const HASH_ELEMENT = { next: 0, hash: 4, referenced: 8, own: 12 } as const;

/** Offsets in a node of an LPM trie; the value follows the key data. */
export const TRIE_NODE = { child: 0, prefixlen: 8, flags: 12, data: 16 } as const;
/** Flag of a node that only joins two others. */
export const TRIE_INTERMEDIATE = 1;

export interface ElementLayout {
  readonly keyOffset: number;
  readonly valueOffset: number;
}

const round8 = (size: number): number => (size + 7) & ~7;

/** Offsets of key and value in an element of a hash of this kind. */
export function hashElementLayout(kind: MapLookupKind, key_size: number): ElementLayout {
  const keyOffset = kind === 'lru_hash' || kind === 'lru_percpu_hash' ? 16 : 8;
  return { keyOffset, valueOffset: keyOffset + round8(key_size) };
}

/** Offset of the value in a trie node. `key_size` is the map's, the four bytes of prefixlen included. */
export function trieValueOffset(key_size: number): number {
  return TRIE_NODE.data + round8(key_size - 4);
}

/** The header fields that each kind reads, for whoever fills a header in. */
export const LOOKUP_FIELDS: Readonly<Record<MapLookupKind, readonly (keyof typeof MAP_HEADER)[]>> = {
  array: ['max_entries', 'data', 'stride'],
  percpu_array: ['max_entries', 'data', 'stride', 'cpu_stride'],
  array_of_maps: ['max_entries', 'data', 'stride'],
  hash: ['key_size', 'mask', 'buckets', 'seed'],
  percpu_hash: ['key_size', 'mask', 'buckets', 'seed', 'cpu_stride'],
  lru_hash: ['key_size', 'mask', 'buckets', 'seed'],
  lru_percpu_hash: ['key_size', 'mask', 'buckets', 'seed', 'cpu_stride'],
  hash_of_maps: ['key_size', 'mask', 'buckets', 'seed'],
  lpm_trie: ['key_size', 'root'],
};
