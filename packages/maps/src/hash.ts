/** The hash map types: hash, percpu_hash, lru_hash, lru_percpu_hash. Mirrors kernel/bpf/hashtab.c. */

import type { BpfMap, MapCreateAttr, MapTypeOps, Task } from '@libbpf-ts/kernel';
import {
  BPF_EXIST,
  BPF_F_LOCK,
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_ZERO_SEED,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_HASH,
  KernelError,
} from '@libbpf-ts/uapi';
import { HASH_ELEMENT, hashElementLayout, type MapLookupKind } from '@libbpf-ts/vm';

import { ACCESS_FLAGS, checkFlags, checkMaxEntries, checkPerCpuSize, KMALLOC_MAX_SIZE, refuseNumaNode } from './alloc-check.ts';
import { copyBytes, round8, zeroBytes } from './bytes.ts';
import { E2BIG, EINVAL, ENOENT, ENOMEM } from './errno.ts';
import {
  countOf,
  eachElement,
  findElement,
  findReference,
  firstElement,
  giveElement,
  hashOf,
  link,
  nameElement,
  newElement,
  nextElement,
  replace,
  tableAlloc,
  tableFree,
  unlink,
  type HashLayout,
} from './hash-table.ts';
import { hashBatchRows } from './hash-batch.ts';
import { keepPermanentFlags } from './header.ts';
import { lruAlloc, lruFree, lruGive, lruTake, LRU_PREFIX, type LruLists } from './lru-list.ts';
import { slabBytes } from './slab.ts';
import { lookupSlots } from './state.ts';
import { cancelTimersOf } from './timers.ts';
import { checkPresence, checkUpdateFlags, copyValue, freeFields, initValue, zeroFields } from './value.ts';

/** What a hash map is from its creation on; all that changes is in the arena. */
export interface HashData extends HashLayout {
  readonly perCpu: boolean;
  /** Of an LRU map. */
  readonly lru: LruLists | undefined;
  /** Bytes between the values of two CPUs. */
  readonly cpuStride: number;
}

const HASH_FLAGS = BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE | ACCESS_FLAGS | BPF_F_ZERO_SEED;
/** sizeof(struct htab_elem) and sizeof(struct bucket). */
const KERNEL_ELEMENT = 48;
const KERNEL_BUCKET = 16;

/** `htab_map_alloc_check`. */
export function checkHashAttr(attr: MapCreateAttr, task: Task, lru: boolean, perCpu: boolean): void {
  if ((attr.map_flags & BPF_F_ZERO_SEED) !== 0 && !task.capabilities.sysAdmin) {
    throw new KernelError('EPERM', 'BPF_F_ZERO_SEED needs CAP_SYS_ADMIN', 'map_flags');
  }
  checkFlags(attr, HASH_FLAGS);
  if (!lru && (attr.map_flags & BPF_F_NO_COMMON_LRU) !== 0)
    throw new KernelError('EINVAL', 'the map has no LRU lists', 'map_flags');
  if (lru && (attr.map_flags & BPF_F_NO_PREALLOC) !== 0)
    throw new KernelError('ENOTSUPP', 'an LRU map has its elements from the start', 'map_flags');
  if (perCpu || (attr.map_flags & BPF_F_NO_COMMON_LRU) !== 0) refuseNumaNode(attr);
  checkMaxEntries(attr);
  if (attr.key_size === 0) throw new KernelError('EINVAL', 'key_size is 0', 'key_size');
  if (attr.value_size === 0) throw new KernelError('EINVAL', 'value_size is 0', 'value_size');
  if (attr.key_size + attr.value_size >= KMALLOC_MAX_SIZE - KERNEL_ELEMENT) {
    throw new KernelError('E2BIG', 'key and value are too large together', 'value_size');
  }
  if (perCpu) checkPerCpuSize(attr);
  const buckets = attr.max_entries > 0x8000_0000 ? 0 : 2 ** Math.ceil(Math.log2(attr.max_entries));
  if (buckets === 0 || buckets > Math.floor(0xffff_ffff / KERNEL_BUCKET))
    throw new KernelError('E2BIG', 'too many elements', 'max_entries');
}

function makeHashOps(
  type: number,
  kind: MapLookupKind & ('hash' | 'percpu_hash' | 'lru_hash' | 'lru_percpu_hash'),
): MapTypeOps<HashData> {
  const lru = kind === 'lru_hash' || kind === 'lru_percpu_hash';
  const perCpu = kind === 'percpu_hash' || kind === 'lru_percpu_hash';
  return {
    type,
    name: kind,
    canBeInner: true,
    allocCheck: (attr, _kernel, task) => checkHashAttr(attr, task, lru, perCpu),
    alloc: (map) => hashAlloc(map, kind, lru, perCpu),
    free(map) {
      if (map.record.length > 0) eachElement(map, (element) => freeFields(map, element + map.data.valueOffset));
      if (map.data.lru) lruFree(map, map.data.lru);
      tableFree(map);
    },
    clone: (data) => data,
    update: perCpu ? updatePerCpu : lru ? updateLru : updateHash,
    delete: deleteHash,
    getNextKey: hashNextKey,
    ...(perCpu ? perCpuRows : {}),
    ...(lru && !perCpu ? { userLookup: lookupWithoutReference } : {}),
    userLookupAndDelete: lookupAndDelete,
    ...hashBatchRows({ copyOut, remove }),
    forEach(map, visit) {
      const { keyOffset, valueOffset, cpuStride } = map.data;
      const offset = valueOffset + (perCpu ? map.kernel.runtime.cpu * cpuStride : 0);
      return eachElement(map, (element) => visit(element + keyOffset, element + offset));
    },
    lastUserRefGone(map) {
      if (map.record.length > 0) eachElement(map, (element) => cancelTimersOf(map.kernel, map, element + map.data.valueOffset));
    },
    memUsage: (map) => slabBytes(map) + (map.header('mask') + 1) * KERNEL_BUCKET,
  };
}

const perCpuRows: Partial<MapTypeOps<HashData>> = {
  userValueSize: (map) => map.data.cpuStride * map.kernel.cpus,
  userLookup(map, key, value) {
    const element = findElement(map, map.data, key, hashOf(map, key));
    if (element === 0) return -ENOENT;
    copyOut(map, element, value);
    return 0;
  },
  userUpdate: (map, key, value, flags) => putPerCpu(map, key, value, flags, true),
};

export const hashMapOps: MapTypeOps<HashData> = makeHashOps(BPF_MAP_TYPE_HASH, 'hash');
export const percpuHashMapOps: MapTypeOps<HashData> = makeHashOps(BPF_MAP_TYPE_PERCPU_HASH, 'percpu_hash');
export const lruHashMapOps: MapTypeOps<HashData> = makeHashOps(BPF_MAP_TYPE_LRU_HASH, 'lru_hash');
export const lruPercpuHashMapOps: MapTypeOps<HashData> = makeHashOps(BPF_MAP_TYPE_LRU_PERCPU_HASH, 'lru_percpu_hash');

/** Address of the value of a key on a given CPU, or 0. */
export function percpuHashElement(map: BpfMap<HashData>, key: number, cpu: number): number {
  if (cpu >= map.kernel.cpus) return 0;
  const element = findElement(map, map.data, key, hashOf(map, key));
  return element === 0 ? 0 : element + map.data.valueOffset + cpu * map.data.cpuStride;
}

/** Sets the header up for a table whose values have `valueBytes` bytes. */
export function hashAlloc(map: BpfMap, kind: Parameters<typeof hashElementLayout>[0], lru: boolean, perCpu: boolean): HashData {
  keepPermanentFlags(map);
  const { keyOffset, valueOffset } = hashElementLayout(kind, map.keySize);
  const cpuStride = perCpu ? round8(map.valueSize) : 0;
  const { cpus } = map.kernel;
  const ownLists = lru && (map.flags & BPF_F_NO_COMMON_LRU) !== 0;
  if (ownLists) roundUpEntries(map);
  map.setHeader('lookup_slot', lookupSlots(map.kernel)[kind]);
  map.setHeader('cpu_stride', cpuStride);
  const size = valueOffset + (perCpu ? cpuStride * cpus : round8(map.valueSize));
  const lists = lru ? lruAlloc(map, LRU_PREFIX + size, ownLists) : undefined;
  try {
    tableAlloc(map, (map.flags & BPF_F_ZERO_SEED) !== 0 ? 0 : seedOf(map.address));
  } catch (error) {
    if (lists) lruFree(map, lists);
    throw error;
  }
  return { keyOffset, valueOffset, cpuStride, perCpu, size, lru: lists };
}

/** Every CPU has lists of the same length, so the map gets room for a whole multiple of the CPUs. */
function roundUpEntries(map: BpfMap): void {
  const { cpus } = map.kernel;
  const entries = Math.ceil(map.maxEntries / cpus) * cpus;
  (map.attributes as { maxEntries: number }).maxEntries = entries;
  map.setHeader('max_entries', entries);
}

/** A seed that differs from map to map, and is the same each time a test runs. */
function seedOf(address: number): number {
  return Math.imul(address ^ (address >>> 15), 0x2c1b_3c6d) >>> 0;
}

/** A new element with its key, not yet in the table; -E2BIG where the map is full. LRU maps evict instead. */
function roomFor(map: BpfMap<HashData>, key: number, hash: number): number {
  if (map.data.lru) return takeLru(map, key, hash) || -ENOMEM;
  if (countOf(map) >= map.maxEntries) return -E2BIG;
  return newElement(map, map.data, key, hash) || -ENOMEM;
}

function takeLru(map: BpfMap<HashData>, key: number, hash: number): number {
  const element = lruTake(map, map.data.lru!, (victim) => {
    unlink(map, victim);
    freeFields(map, victim + map.data.valueOffset);
  });
  if (element !== 0) nameElement(map, map.data, element, key, hash);
  return element;
}

function remove(map: BpfMap<HashData>, element: number): void {
  unlink(map, element);
  freeFields(map, element + map.data.valueOffset);
  give(map, element);
}

/** The memory of an element that is not in the table any more. */
function give(map: BpfMap<HashData>, element: number): void {
  if (map.data.lru) lruGive(map, map.data.lru, element);
  else giveElement(map, element);
}

/** `htab_map_update_elem`: a present element is replaced by a new one, so who holds the old one still reads the old value. */
function updateHash(map: BpfMap<HashData>, key: number, value: number, flags: number): number {
  const refusal = checkUpdateFlags(map, flags);
  if (refusal !== 0) return refusal;
  const { data } = map;
  const hash = hashOf(map, key);
  const reference = findReference(map, data, key, hash);
  const old = reference === 0 ? 0 : map.kernel.arena.u32[reference >> 2]!;
  const presence = checkPresence(old !== 0, flags);
  if (presence !== 0) return presence;
  if (old !== 0 && flags >= BPF_F_LOCK) {
    copyValue(map, old + data.valueOffset, value);
    return 0;
  }
  const element = old === 0 ? roomFor(map, key, hash) : newElement(map, data, key, hash) || -ENOMEM;
  if (element < 0) return element;
  initValue(map, element + data.valueOffset, value);
  if (old === 0) link(map, element);
  else swap(map, old, element, reference);
  return 0;
}

/** `htab_lru_map_update_elem`: room is made before anyone looks whether the key is there, so an update of a full map always evicts. */
function updateLru(map: BpfMap<HashData>, key: number, value: number, flags: number): number {
  if (flags > BPF_EXIST) return -EINVAL;
  const { data } = map;
  const hash = hashOf(map, key);
  const element = takeLru(map, key, hash);
  if (element === 0) return -ENOMEM;
  initValue(map, element + data.valueOffset, value);
  const reference = findReference(map, data, key, hash);
  const old = reference === 0 ? 0 : map.kernel.arena.u32[reference >> 2]!;
  const presence = checkPresence(old !== 0, flags);
  if (presence !== 0) give(map, element);
  else if (old === 0) link(map, element);
  else {
    map.kernel.arena.u32[(element + HASH_ELEMENT.referenced) >> 2] = 1;
    swap(map, old, element, reference);
  }
  return presence;
}

function swap(map: BpfMap<HashData>, old: number, element: number, reference: number): void {
  replace(map, old, element, reference);
  freeFields(map, old + map.data.valueOffset);
  give(map, old);
}

function updatePerCpu(map: BpfMap<HashData>, key: number, value: number, flags: number): number {
  return putPerCpu(map, key, value, flags, false);
}

/** `__htab_percpu_map_update_elem`: a program writes its CPU's copy (those of the others start at zero), user space writes all. */
function putPerCpu(map: BpfMap<HashData>, key: number, value: number, flags: number, allCpus: boolean): number {
  if (flags > BPF_EXIST) return -EINVAL;
  const { data } = map;
  const hash = hashOf(map, key);
  // An LRU map makes room first, unless only a present key will do.
  const spare = data.lru && flags !== BPF_EXIST ? takeLru(map, key, hash) : 0;
  if (data.lru && flags !== BPF_EXIST && spare === 0) return -ENOMEM;
  const old = findElement(map, data, key, hash);
  const presence = checkPresence(old !== 0, flags);
  if (presence !== 0 || old !== 0) {
    if (presence === 0) writePerCpu(map, old, value, allCpus);
    if (spare !== 0) give(map, spare);
    if (data.lru && presence === 0) map.kernel.arena.u32[(old + HASH_ELEMENT.referenced) >> 2] = 1;
    return presence;
  }
  const element = spare || roomFor(map, key, hash);
  if (element < 0) return element;
  zeroBytes(map.kernel.arena, element + data.valueOffset, data.cpuStride * map.kernel.cpus);
  writePerCpu(map, element, value, allCpus);
  link(map, element);
  return 0;
}

/** User space gives and gets whole multiples of 8 bytes, padding included; a program writes the value of its CPU. */
function writePerCpu(map: BpfMap<HashData>, element: number, value: number, allCpus: boolean): void {
  const {
    data: { valueOffset, cpuStride },
    kernel,
  } = map;
  const first = element + valueOffset;
  if (allCpus) copyBytes(kernel.arena, first, value, cpuStride * kernel.cpus);
  else copyBytes(kernel.arena, first + kernel.runtime.cpu * cpuStride, value, map.valueSize);
}

function deleteHash(map: BpfMap<HashData>, key: number): number {
  const element = findElement(map, map.data, key, hashOf(map, key));
  if (element === 0) return -ENOENT;
  remove(map, element);
  return 0;
}

/** `htab_map_get_next_key`: a key that is not there starts again. */
export function hashNextKey(map: BpfMap<HashLayout>, key: number, next: number): number {
  const current = key === 0 ? 0 : findElement(map, map.data, key, hashOf(map, key));
  const element = current === 0 ? firstElement(map) : nextElement(map, current);
  if (element === 0) return -ENOENT;
  copyBytes(map.kernel.arena, next, element + map.data.keyOffset, map.keySize);
  return 0;
}

/** A value as user space gets it: per-CPU copies in a row, managed fields zero. */
function copyOut(map: BpfMap<HashData>, element: number, value: number): void {
  const { arena, cpus } = map.kernel;
  const { perCpu, cpuStride, valueOffset } = map.data;
  if (!perCpu) {
    copyBytes(arena, value, element + valueOffset, map.valueSize);
    zeroFields(map, value);
    return;
  }
  copyBytes(arena, value, element + valueOffset, cpuStride * cpus);
}

/** bpf(2) does not make an element of an LRU map younger (`htab_lru_map_lookup_elem_sys`). */
function lookupWithoutReference(map: BpfMap<HashData>, key: number, value: number): number {
  const element = findElement(map, map.data, key, hashOf(map, key));
  if (element === 0) return -ENOENT;
  copyOut(map, element, value);
  return 0;
}

function lookupAndDelete(map: BpfMap<HashData>, key: number, value: number): number {
  const element = findElement(map, map.data, key, hashOf(map, key));
  if (element === 0) return -ENOENT;
  copyOut(map, element, value);
  remove(map, element);
  return 0;
}
