import { expect, test } from 'vitest';

import { Arena } from '../src/arena.ts';
import { MAP_HEADER, MAP_HEADER_SIZE } from '../src/map-header.ts';
import type { MapHeaderField } from '../src/map-header.ts';
import { hashKey } from '../src/map-lookup/hash.ts';
import { installMapLookups } from '../src/map-lookup/install.ts';
import { HASH_ELEMENT, hashElementLayout, TRIE_NODE, trieValueOffset } from '../src/map-lookup/layout.ts';
import type { MapLookupKind } from '../src/map-lookup/layout.ts';
import { findHashElement, findTrieNode, hashOfMapKey, matchingBits } from '../src/map-lookup/twin.ts';
import { VmRuntime } from '../src/runtime.ts';

function setup(): { runtime: VmRuntime; arena: Arena; lookup: (kind: MapLookupKind, map: number, key: number) => number } {
  const runtime = new VmRuntime();
  const slots = installMapLookups(runtime);
  return { runtime, arena: runtime.arena, lookup: (kind, map, key) => runtime.functions.get(slots[kind])!(map, key) };
}

function header(arena: Arena, fields: Partial<Record<MapHeaderField, number>>): number {
  const map = arena.allocate(MAP_HEADER_SIZE);
  for (const [name, value] of Object.entries(fields)) arena.u32[(map + MAP_HEADER[name as MapHeaderField]) >> 2] = value;
  return map;
}

test('array kinds: bounds, stride, the current CPU, inner maps', () => {
  const { runtime, arena, lookup } = setup();
  const data = arena.allocate(4 * 16 * 2);
  const map = header(arena, { max_entries: 4, data, stride: 16, cpu_stride: 64 });
  const key = arena.allocate(8);
  arena.u32[key >> 2] = 3;
  runtime.cpu = 1;
  arena.u32[(data + 48) >> 2] = 77;
  expect(lookup('array', map, key)).toBe(data + 48);
  expect(lookup('percpu_array', map, key)).toBe(data + 48 + 64);
  expect(lookup('array_of_maps', map, key)).toBe(77);
  arena.u32[key >> 2] = 4;
  expect(lookup('array', map, key)).toBe(0);
  arena.u32[key >> 2] = 0xffff_ffff;
  expect(lookup('percpu_array', map, key)).toBe(0);
});

test.each<[MapLookupKind, number]>(
  (['hash', 'percpu_hash', 'lru_hash', 'lru_percpu_hash', 'hash_of_maps'] as const).flatMap((kind) =>
    [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16, 31, 64].map((size): [MapLookupKind, number] => [kind, size]),
  ),
)('%s with keys of %i bytes: the function finds what the twin put in', (kind, key_size) => {
  const { runtime, arena, lookup } = setup();
  runtime.cpu = 1;
  const { keyOffset, valueOffset } = hashElementLayout(kind, key_size);
  const map = header(arena, { key_size, mask: 15, buckets: arena.allocate(64), seed: 0x1234_5678, cpu_stride: 8 });
  const perCpu = kind === 'percpu_hash' || kind === 'lru_percpu_hash';
  const key = arena.allocate(72) + 1;
  const setKey = (n: number): void => {
    for (let at = 0; at < key_size; at++) arena.u8[key + at] = Math.imul(n + 1, 0x9e37_79b1) >>> ((at % 4) * 8);
  };
  const elements: number[] = [];
  for (let n = 0; n < 60; n++) {
    setKey(n);
    const hash = hashOfMapKey(arena, map, key);
    if (findHashElement(arena, map, key, hash, keyOffset) !== 0) continue;
    const element = arena.allocate(valueOffset + 16);
    const bucket = arena.u32[(map + MAP_HEADER.buckets) >> 2]! + (hash & 15) * 4;
    arena.u32[(element + HASH_ELEMENT.next) >> 2] = arena.u32[bucket >> 2]!;
    arena.i32[(element + HASH_ELEMENT.hash) >> 2] = hash;
    arena.u8.copyWithin(element + keyOffset, key, key + key_size);
    arena.u32[(element + valueOffset) >> 2] = 1000 + n;
    arena.u32[bucket >> 2] = element;
    elements[n] = element;
  }
  elements.forEach((element, n) => {
    setKey(n);
    const expected = kind === 'hash_of_maps' ? 1000 + n : element + valueOffset + (perCpu ? 8 : 0);
    expect(lookup(kind, map, key)).toBe(expected);
    if (keyOffset === 16) expect(arena.u32[(element + HASH_ELEMENT.referenced) >> 2]).toBe(1);
  });
  for (let n = 100; n < 160; n++) {
    setKey(n);
    const found = findHashElement(arena, map, key, hashOfMapKey(arena, map, key), keyOffset);
    if (found === 0) expect(lookup(kind, map, key)).toBe(0);
  }
});

test('an unaligned key hashes as an aligned one', () => {
  const arena = new Arena();
  const at = arena.allocate(64);
  for (let index = 0; index < 32; index++) arena.u8[at + index] = index * 37;
  arena.u8.copyWithin(at + 33, at, at + 31);
  for (let size = 0; size < 31; size++) expect(hashKey(arena, at + 33, size, 5)).toBe(hashKey(arena, at, size, 5));
});

test('lpm_trie: the longest prefix wins, intermediate nodes never do', () => {
  const { arena, lookup } = setup();
  const map = header(arena, { key_size: 8 });
  const insert = trieInserter(arena, map);
  const address = (text: string): number[] => text.split('.').map(Number);
  for (const [prefix, bits] of [
    ['10.0.0.0', 8],
    ['10.1.0.0', 16],
    ['10.1.2.0', 24],
    ['10.1.2.3', 32],
    ['192.168.0.0', 15],
    ['10.1.128.0', 17],
  ] as const) {
    insert(address(prefix), bits);
  }
  const key = arena.allocate(8);
  const cases: [string, number, number][] = [
    ['10.1.2.3', 32, 32],
    ['10.1.2.4', 32, 24],
    ['10.1.3.1', 32, 16],
    ['10.2.0.0', 32, 8],
    ['11.0.0.0', 32, 0],
    ['192.169.1.1', 32, 15],
    ['10.1.2.3', 20, 16],
    ['10.1.200.1', 32, 17],
    ['10.0.0.0', 7, 0],
  ];
  for (const [text, prefixlen, expected] of cases) {
    arena.u32[key >> 2] = prefixlen;
    arena.u8.set(address(text), key + 4);
    const value = lookup('lpm_trie', map, key);
    expect(value === 0 ? 0 : arena.u32[value >> 2]).toBe(expected);
    const node = findTrieNode(arena, map, key);
    expect(node === 0 ? 0 : node + trieValueOffset(8)).toBe(value);
  }
});

/** Inserts nodes as the layout asks; the value of a node is its prefix length. */
function trieInserter(arena: Arena, map: number): (data: number[], bits: number) => void {
  const node = (data: number[], bits: number, flags: number): number => {
    const address = arena.allocate(trieValueOffset(8) + 8);
    arena.u32[(address + TRIE_NODE.prefixlen) >> 2] = bits;
    arena.u32[(address + TRIE_NODE.flags) >> 2] = flags;
    arena.u8.set(data, address + TRIE_NODE.data);
    arena.u32[(address + trieValueOffset(8)) >> 2] = bits;
    return address;
  };
  const childOf = (parent: number, of: number): number => {
    const bits = arena.u32[(parent + TRIE_NODE.prefixlen) >> 2]!;
    return parent + TRIE_NODE.child + ((arena.u8[of + TRIE_NODE.data + (bits >> 3)]! >> (7 - (bits & 7))) & 1) * 4;
  };
  return (data, bits) => {
    const fresh = node(data, bits, 0);
    let link = map + MAP_HEADER.root;
    for (;;) {
      const here = arena.u32[link >> 2]!;
      if (here === 0) return void (arena.u32[link >> 2] = fresh);
      const hereBits = arena.u32[(here + TRIE_NODE.prefixlen) >> 2]!;
      const match = matchingBits(arena, here + TRIE_NODE.data, fresh + TRIE_NODE.data, Math.min(hereBits, bits));
      if (match === hereBits) link = childOf(here, fresh);
      else {
        const joint = match === bits ? fresh : node(data, match, 1);
        arena.u32[link >> 2] = joint;
        arena.u32[childOf(joint, here) >> 2] = here;
        if (joint !== fresh) arena.u32[childOf(joint, fresh) >> 2] = fresh;
        return;
      }
    }
  };
}
