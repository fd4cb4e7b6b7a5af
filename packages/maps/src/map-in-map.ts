/** BPF_MAP_TYPE_ARRAY_OF_MAPS and BPF_MAP_TYPE_HASH_OF_MAPS. Mirrors kernel/bpf/map_in_map.c, arraymap.c and hashtab.c. */

import {
  genericLookupBatch,
  genericUpdateBatch,
  mapCheckNoBtf,
  mapMetaEqual,
  type BpfMap,
  type MapCreateAttr,
  type MapTypeOps,
  type Task,
} from '@libbpf-ts/kernel';
import { BPF_EXIST, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS, isKernelError, KernelError } from '@libbpf-ts/uapi';

import { checkValueSize } from './alloc-check.ts';
import { arrayNextKey } from './array.ts';
import { E2BIG, EINVAL, ENOENT, ENOMEM } from './errno.ts';
import { checkFdArrayAttr, checkFdArrayUpdate, entryHolder, fdArrayAlloc, fdArrayFree, setEntry, u32At } from './fd-array.ts';
import { countOf, eachElement, findElement, giveElement, hashOf, link, newElement, tableFree, unlink } from './hash-table.ts';
import { hashBatchRows } from './hash-batch.ts';
import { checkHashAttr, hashAlloc, hashNextKey, type HashData } from './hash.ts';
import { lookupSlots } from './state.ts';
import { checkPresence } from './value.ts';

/** The pattern of inner maps (`bpf_map_meta_alloc`). Throws EBADF, EINVAL or ENOTSUPP. */
function takePattern(map: BpfMap, attr: MapCreateAttr, task: Task): void {
  const inner = task.map(attr.inner_map_fd | 0, 'inner_map_fd');
  if (inner.inner) throw new KernelError('EINVAL', 'a map of maps of maps', 'inner_map_fd');
  if (inner.ops.canBeInner !== true)
    throw new KernelError('ENOTSUPP', `a ${inner.ops.name} can't be inside another map`, 'inner_map_fd');
  map.inner = inner;
}

/** The map that the fd in a value names, or -errno. */
function innerFromValue(map: BpfMap, value: number, task: Task): BpfMap | number {
  try {
    const inner = task.map(u32At(map, value) | 0, 'value');
    return (inner.ops.metaEqual?.(map.inner!, inner) ?? mapMetaEqual(map.inner!, inner)) ? inner : -EINVAL;
  } catch (error) {
    if (isKernelError(error)) return -error.errno;
    throw error;
  }
}

export const arrayOfMapsOps: MapTypeOps<Map<number, BpfMap>> = {
  type: BPF_MAP_TYPE_ARRAY_OF_MAPS,
  name: 'array_of_maps',
  allocCheck(attr) {
    checkFdArrayAttr(attr);
  },
  alloc(map, attr, task) {
    takePattern(map, attr, task);
    fdArrayAlloc(map);
    map.setHeader('lookup_slot', lookupSlots(map.kernel).array_of_maps);
    return new Map();
  },
  free(map) {
    for (const index of map.data.keys()) putInner(map, index, undefined);
    fdArrayFree(map);
  },
  clone: (data, fork) => new Map([...data].map(([index, inner]) => [index, fork.twin(inner)])),
  getNextKey: arrayNextKey,
  userLookup(map, key, value) {
    const inner = map.data.get(u32At(map, key));
    if (!inner) return -ENOENT;
    map.kernel.arena.view.setUint32(value, inner.id, true);
    return 0;
  },
  userUpdate(map, key, value, flags, task) {
    const index = u32At(map, key);
    const refusal = checkFdArrayUpdate(map, index, flags);
    if (refusal !== 0) return refusal;
    const inner = innerFromValue(map, value, task);
    if (typeof inner === 'number') return inner;
    putInner(map, index, inner);
    return 0;
  },
  lookupBatch: genericLookupBatch,
  updateBatch: genericUpdateBatch,
  userDelete(map, key) {
    const index = u32At(map, key);
    if (index >= map.maxEntries) return -E2BIG;
    if (!map.data.has(index)) return -ENOENT;
    putInner(map, index, undefined);
    return 0;
  },
  checkBtf: mapCheckNoBtf,
  memUsage: (map) => map.maxEntries * 8 + 320,
};

function putInner(map: BpfMap<Map<number, BpfMap>>, index: number, inner: BpfMap | undefined): void {
  const holder = entryHolder(map, `${index}`);
  const old = map.data.get(index);
  inner?.acquire(holder);
  if (inner) map.data.set(index, inner);
  else map.data.delete(index);
  setEntry(map, index, inner?.address ?? 0);
  old?.release(holder);
}

export const hashOfMapsOps: MapTypeOps<HashData> = {
  type: BPF_MAP_TYPE_HASH_OF_MAPS,
  name: 'hash_of_maps',
  allocCheck(attr, _kernel, task) {
    checkValueSize(attr, 4);
    checkHashAttr(attr, task, false, false);
  },
  alloc(map, attr, task) {
    takePattern(map, attr, task);
    return hashAlloc(map, 'hash_of_maps', false, false);
  },
  free(map) {
    eachElement(map, (element) => innerAt(map, element).release(entryHolder(map, keyText(map, element))));
    tableFree(map);
  },
  clone: (data) => data,
  getNextKey: hashNextKey,
  userLookup(map, key, value) {
    const element = findElement(map, map.data, key, hashOf(map, key));
    if (element === 0) return -ENOENT;
    writeInnerId(map, element, value);
    return 0;
  },
  userUpdate(map, key, value, flags, task) {
    const inner = innerFromValue(map, value, task);
    if (typeof inner === 'number') return inner;
    return putInnerByKey(map, key, inner, flags);
  },
  userDelete(map, key) {
    const element = findElement(map, map.data, key, hashOf(map, key));
    if (element === 0) return -ENOENT;
    removeInner(map, element);
    return 0;
  },
  ...hashBatchRows<HashData>({ copyOut: writeInnerId, remove: removeInner }),
  checkBtf: mapCheckNoBtf,
};

function putInnerByKey(map: BpfMap<HashData>, key: number, inner: BpfMap, flags: number): number {
  if (flags > BPF_EXIST) return -EINVAL;
  const { arena } = map.kernel;
  const hash = hashOf(map, key);
  const found = findElement(map, map.data, key, hash);
  const presence = checkPresence(found !== 0, flags);
  if (presence !== 0) return presence;
  if (found === 0 && countOf(map) >= map.maxEntries) return -E2BIG;
  const element = found || newElement(map, map.data, key, hash);
  if (element === 0) return -ENOMEM;
  const holder = entryHolder(map, keyText(map, element));
  const old = found === 0 ? undefined : innerAt(map, element);
  inner.acquire(holder);
  arena.u32[(element + map.data.valueOffset) >> 2] = inner.address;
  if (found === 0) link(map, element);
  old?.release(holder);
  return 0;
}

function removeInner(map: BpfMap<HashData>, element: number): void {
  const inner = innerAt(map, element);
  unlink(map, element);
  inner.release(entryHolder(map, keyText(map, element)));
  giveElement(map, element);
}

function writeInnerId(map: BpfMap<HashData>, element: number, value: number): void {
  map.kernel.arena.view.setUint32(value, innerAt(map, element).id, true);
}

function innerAt(map: BpfMap<HashData>, element: number): BpfMap {
  return map.kernel.mapAt(map.kernel.arena.u32[(element + map.data.valueOffset) >> 2]!);
}

/** The key in words: hex of its bytes. */
function keyText(map: BpfMap<HashData>, element: number): string {
  const at = element + map.data.keyOffset;
  return Array.from(map.kernel.arena.u8.subarray(at, at + map.keySize), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
