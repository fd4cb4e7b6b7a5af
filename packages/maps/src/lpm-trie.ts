/** BPF_MAP_TYPE_LPM_TRIE: longest prefix match. Mirrors kernel/bpf/lpm_trie.c; nodes are laid out as the lookup of `vm` reads them. */

import { skipModifiers } from '@libbpf-ts/btf';
import { genericDeleteBatch, genericLookupBatch, genericUpdateBatch, type BpfMap, type MapTypeOps } from '@libbpf-ts/kernel';
import { BPF_EXIST, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE, BPF_MAP_TYPE_LPM_TRIE, KernelError } from '@libbpf-ts/uapi';
import { MAP_HEADER, matchingBits, TRIE_INTERMEDIATE, TRIE_NODE, trieValueOffset } from '@libbpf-ts/vm';

import { ACCESS_FLAGS, checkFlags, checkMaxEntries, KMALLOC_MAX_SIZE } from './alloc-check.ts';
import { copyBytes, round8 } from './bytes.ts';
import { EINVAL, ENOENT, ENOMEM, ENOSPC } from './errno.ts';
import { keepPermanentFlags } from './header.ts';
import { slabBytes, slabFree, slabGive, slabTake } from './slab.ts';
import { lookupSlots } from './state.ts';
import { checkPresence } from './value.ts';

/** A key is a u32 prefix length and 1 to 256 bytes. */
const MIN_KEY = 5;
const MAX_KEY = 260;
/** KMALLOC_MAX_SIZE less the largest key data and less what the kernel keeps in a node. */
const MAX_VALUE: number = KMALLOC_MAX_SIZE - 256 - 24;

export const lpmTrieMapOps: MapTypeOps<undefined> = {
  type: BPF_MAP_TYPE_LPM_TRIE,
  name: 'lpm_trie',
  canBeInner: true,
  allocCheck(attr) {
    checkMaxEntries(attr);
    if ((attr.map_flags & BPF_F_NO_PREALLOC) === 0)
      throw new KernelError('EINVAL', 'a trie needs BPF_F_NO_PREALLOC', 'map_flags');
    checkFlags(attr, BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | ACCESS_FLAGS);
    if (attr.key_size < MIN_KEY || attr.key_size > MAX_KEY)
      throw new KernelError('EINVAL', `key_size is not ${MIN_KEY} to ${MAX_KEY}`, 'key_size');
    if (attr.value_size === 0 || attr.value_size > MAX_VALUE)
      throw new KernelError('EINVAL', `value_size is not 1 to ${MAX_VALUE}`, 'value_size');
  },
  alloc(map) {
    keepPermanentFlags(map);
    map.setHeader('lookup_slot', lookupSlots(map.kernel).lpm_trie);
    return undefined;
  },
  free: slabFree,
  clone: () => undefined,
  update,
  delete: remove,
  getNextKey,
  lookupBatch: genericLookupBatch,
  updateBatch: genericUpdateBatch,
  deleteBatch: genericDeleteBatch,
  checkBtf(_map, btf, keyTypeId) {
    if (skipModifiers(btf, keyTypeId).kind !== 'STRUCT')
      throw new KernelError('EINVAL', 'the key is no struct', 'btf_key_type_id');
  },
  memUsage: slabBytes,
};

const maxPrefix = (map: BpfMap): number => (map.keySize - 4) * 8;
const nodeSize = (map: BpfMap): number => trieValueOffset(map.keySize) + round8(map.valueSize);
const wordsOf = (map: BpfMap): Uint32Array => map.kernel.arena.u32;
const prefixOf = (map: BpfMap, node: number): number => wordsOf(map)[(node + TRIE_NODE.prefixlen) >> 2]!;
const isIntermediate = (map: BpfMap, node: number): boolean =>
  (wordsOf(map)[(node + TRIE_NODE.flags) >> 2]! & TRIE_INTERMEDIATE) !== 0;
const rootLink = (map: BpfMap): number => map.address + MAP_HEADER.root;

/** Bit `index` of the data at an address, the most significant of the first byte first. */
function bitAt(map: BpfMap, data: number, index: number): number {
  return (map.kernel.arena.u8[data + (index >> 3)]! >> (7 - (index & 7))) & 1;
}

/** Address of the word that holds the child on the side of the key data. */
function childLink(map: BpfMap, node: number, data: number): number {
  return node + TRIE_NODE.child + bitAt(map, data, prefixOf(map, node)) * 4;
}

/** Follows the key as far as nodes are prefixes of it. */
function descend(
  map: BpfMap,
  data: number,
  prefix: number,
): { readonly link: number; readonly node: number; readonly match: number } {
  const words = wordsOf(map);
  let link = rootLink(map);
  for (;;) {
    const node = words[link >> 2]!;
    if (node === 0) return { link, node, match: 0 };
    const nodePrefix = prefixOf(map, node);
    const match = matchingBits(map.kernel.arena, node + TRIE_NODE.data, data, Math.min(nodePrefix, prefix));
    if (match !== nodePrefix || nodePrefix === prefix || nodePrefix === maxPrefix(map)) return { link, node, match };
    link = childLink(map, node, data);
  }
}

/** `trie_update_elem`. */
function update(map: BpfMap, key: number, value: number, flags: number): number {
  if (flags > BPF_EXIST) return -EINVAL;
  const prefix = map.kernel.arena.view.getUint32(key, true);
  if (prefix > maxPrefix(map)) return -EINVAL;
  const { link, node, match } = descend(map, key + 4, prefix);
  const exact = node !== 0 && match === prefixOf(map, node) && match === prefix;
  const present = exact && !isIntermediate(map, node);
  const presence = checkPresence(present, flags);
  if (presence !== 0) return presence;
  if (!present && map.header('count') >= map.maxEntries) return -ENOSPC;
  const fresh = makeNode(map, key + 4, prefix, 0);
  if (fresh === 0) return -ENOMEM;
  copyBytes(map.kernel.arena, fresh + trieValueOffset(map.keySize), value, map.valueSize);
  if (!place(map, link, node, match, fresh, exact)) return -ENOMEM;
  if (!present) map.setHeader('count', map.header('count') + 1);
  return 0;
}

/** Puts a new node where the walk ended: in an empty place, instead of its equal, above a longer prefix, or beside one under a joint. */
function place(map: BpfMap, link: number, node: number, match: number, fresh: number, exact: boolean): boolean {
  const words = wordsOf(map);
  if (node === 0) {
    words[link >> 2] = fresh;
    return true;
  }
  if (exact) {
    words[(fresh + TRIE_NODE.child) >> 2] = words[(node + TRIE_NODE.child) >> 2]!;
    words[(fresh + TRIE_NODE.child + 4) >> 2] = words[(node + TRIE_NODE.child + 4) >> 2]!;
    words[link >> 2] = fresh;
    slabGive(map, node);
    return true;
  }
  if (match === prefixOf(map, fresh)) {
    words[childLink(map, fresh, node + TRIE_NODE.data) >> 2] = node;
    words[link >> 2] = fresh;
    return true;
  }
  const joint = makeNode(map, node + TRIE_NODE.data, match, TRIE_INTERMEDIATE);
  if (joint === 0) {
    slabGive(map, fresh);
    return false;
  }
  const after = wordsOf(map);
  after[childLink(map, joint, node + TRIE_NODE.data) >> 2] = node;
  after[childLink(map, joint, fresh + TRIE_NODE.data) >> 2] = fresh;
  after[link >> 2] = joint;
  return true;
}

function makeNode(map: BpfMap, data: number, prefix: number, flags: number): number {
  const node = slabTake(map, nodeSize(map));
  if (node === 0) return 0;
  const words = wordsOf(map);
  words[(node + TRIE_NODE.child) >> 2] = 0;
  words[(node + TRIE_NODE.child + 4) >> 2] = 0;
  words[(node + TRIE_NODE.prefixlen) >> 2] = prefix;
  words[(node + TRIE_NODE.flags) >> 2] = flags;
  copyBytes(map.kernel.arena, node + TRIE_NODE.data, data, map.keySize - 4);
  return node;
}

/** `trie_delete_elem`: a node with two children stays as a joint; a joint left with one child goes as well. */
function remove(map: BpfMap, key: number): number {
  const prefix = map.kernel.arena.view.getUint32(key, true);
  if (prefix > maxPrefix(map)) return -EINVAL;
  const words = wordsOf(map);
  let parentLink = 0;
  let parent = 0;
  let link = rootLink(map);
  let node = words[link >> 2]!;
  while (node !== 0) {
    const nodePrefix = prefixOf(map, node);
    const match = matchingBits(map.kernel.arena, node + TRIE_NODE.data, key + 4, Math.min(nodePrefix, prefix));
    if (match !== nodePrefix || nodePrefix === prefix) break;
    parentLink = link;
    parent = node;
    link = childLink(map, node, key + 4);
    node = words[link >> 2]!;
  }
  if (node === 0 || prefixOf(map, node) !== prefix || isIntermediate(map, node) || !samePrefix(map, node, key + 4, prefix))
    return -ENOENT;
  map.setHeader('count', map.header('count') - 1);
  takeOut(map, node, link, parent, parentLink);
  return 0;
}

function samePrefix(map: BpfMap, node: number, data: number, prefix: number): boolean {
  return matchingBits(map.kernel.arena, node + TRIE_NODE.data, data, prefix) === prefix;
}

function takeOut(map: BpfMap, node: number, link: number, parent: number, parentLink: number): void {
  const words = wordsOf(map);
  const left = words[(node + TRIE_NODE.child) >> 2]!;
  const right = words[(node + TRIE_NODE.child + 4) >> 2]!;
  if (left !== 0 && right !== 0) {
    words[(node + TRIE_NODE.flags) >> 2] = TRIE_INTERMEDIATE;
    return;
  }
  if (parent !== 0 && isIntermediate(map, parent) && left === 0 && right === 0) {
    const isLeft = words[(parent + TRIE_NODE.child) >> 2] === node;
    words[parentLink >> 2] = words[(parent + TRIE_NODE.child + (isLeft ? 4 : 0)) >> 2]!;
    slabGive(map, parent);
  } else words[link >> 2] = left || right;
  slabGive(map, node);
}

/** `trie_get_next_key`: children before their parent, left before right; a key that is not there starts again. */
function getNextKey(map: BpfMap, key: number, next: number): number {
  const { arena } = map.kernel;
  const words = arena.u32;
  const path = key === 0 ? undefined : pathTo(map, key);
  let found = 0;
  if (path === undefined) found = deepest(map, words[rootLink(map) >> 2]!);
  else found = after(map, path);
  if (found === 0) return -ENOENT;
  arena.view.setUint32(next, prefixOf(map, found), true);
  copyBytes(arena, next + 4, found + TRIE_NODE.data, map.keySize - 4);
  return 0;
}

/** Nodes from the root to the one of this key; undefined where there is none. */
function pathTo(map: BpfMap, key: number): number[] | undefined {
  const prefix = map.kernel.arena.view.getUint32(key, true);
  if (prefix > maxPrefix(map)) return undefined;
  const words = wordsOf(map);
  const path: number[] = [];
  for (let node = words[rootLink(map) >> 2]!; node !== 0;) {
    path.push(node);
    const nodePrefix = prefixOf(map, node);
    const match = matchingBits(map.kernel.arena, node + TRIE_NODE.data, key + 4, Math.min(nodePrefix, prefix));
    if (match === prefix && nodePrefix === prefix) return isIntermediate(map, node) ? undefined : path;
    if (match !== nodePrefix) return undefined;
    node = words[childLink(map, node, key + 4) >> 2]!;
  }
  return undefined;
}

/** The node after the last of the path: the first of the parent's right subtree, else the parent; joints are passed over. */
function after(map: BpfMap, path: number[]): number {
  const words = wordsOf(map);
  for (let node = path.pop()!, parent = path.pop(); parent !== undefined; node = parent, parent = path.pop()) {
    const right = words[(parent + TRIE_NODE.child + 4) >> 2]!;
    if (words[(parent + TRIE_NODE.child) >> 2] === node && right !== 0) return deepest(map, right);
    if (!isIntermediate(map, parent)) return parent;
  }
  return 0;
}

/** The first node of a subtree: leftmost, as deep as it goes. A joint always has two children, so a leaf is never one. */
function deepest(map: BpfMap, root: number): number {
  const words = wordsOf(map);
  let node = root;
  while (node !== 0) {
    const child = words[(node + TRIE_NODE.child) >> 2]! || words[(node + TRIE_NODE.child + 4) >> 2]!;
    if (child === 0) return node;
    node = child;
  }
  return 0;
}
