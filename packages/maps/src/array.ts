/** BPF_MAP_TYPE_ARRAY and BPF_MAP_TYPE_PERCPU_ARRAY. Mirrors kernel/bpf/arraymap.c. */

import type { Btf } from '@libbpf-ts/btf';
import {
  genericLookupBatch,
  genericUpdateBatch,
  mapMetaEqual,
  type BpfMap,
  type Kernel,
  type MapCreateAttr,
  type MapTypeOps,
} from '@libbpf-ts/kernel';
import {
  BPF_EXIST,
  BPF_F_INNER_MAP,
  BPF_F_LOCK,
  BPF_F_MMAPABLE,
  BPF_F_NUMA_NODE,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_NOEXIST,
  KernelError,
} from '@libbpf-ts/uapi';
import { MAP_HEADER } from '@libbpf-ts/vm';

import {
  ACCESS_FLAGS,
  checkFlags,
  checkKeySize,
  checkMaxEntries,
  checkNotEmpty,
  checkPerCpuSize,
  refuseNumaNode,
} from './alloc-check.ts';
import { checkArrayBtf } from './btf-check.ts';
import { copyBytes, round8 } from './bytes.ts';
import { E2BIG, EEXIST, EINVAL, ENOENT } from './errno.ts';
import { keepPermanentFlags } from './header.ts';
import { lookupSlots } from './state.ts';
import { cancelTimersOf } from './timers.ts';
import { copyValue, freeFields, hasSpinLock } from './value.ts';

/** The checks of every map whose key is an index (`array_map_alloc_check`). */
export function checkArrayAttr(attr: MapCreateAttr, perCpu: boolean, more = 0): void {
  checkMaxEntries(attr);
  checkKeySize(attr, 4);
  checkNotEmpty(attr);
  checkFlags(attr, BPF_F_NUMA_NODE | ACCESS_FLAGS | more);
  if (perCpu) refuseNumaNode(attr);
  if (attr.value_size > 0x7fff_ffff) throw new KernelError('E2BIG', 'the value is too large', 'value_size');
  if (perCpu) checkPerCpuSize(attr);
}

/** The refusal of an update of element `index`, or 0. */
export function checkArrayUpdate(map: BpfMap, index: number, flags: number): number {
  const mode = flags >= BPF_F_LOCK ? flags - BPF_F_LOCK : flags;
  if (mode > BPF_EXIST) return -EINVAL;
  if (index >= map.maxEntries) return -E2BIG;
  if (mode === BPF_NOEXIST) return -EEXIST;
  if (flags >= BPF_F_LOCK && !hasSpinLock(map)) return -EINVAL;
  return 0;
}

/** `array_map_get_next_key`: the order is that of the indexes; a key outside of the map starts again. */
export function arrayNextKey(map: BpfMap, key: number, next: number): number {
  const { view } = map.kernel.arena;
  const index = key === 0 ? 0xffff_ffff : view.getUint32(key, true);
  if (index < map.maxEntries && index === map.maxEntries - 1) return -ENOENT;
  view.setUint32(next, index >= map.maxEntries ? 0 : index + 1, true);
  return 0;
}

/** Calls `visit` with the index in an arena word of its own and the address of each value. */
export function forEachIndex(
  map: BpfMap,
  valueAt: (index: number) => number,
  visit: (key: number, value: number) => boolean | void,
): number {
  const { arena } = map.kernel;
  const key = arena.allocate(8);
  try {
    for (let index = 0; index < map.maxEntries; index++) {
      arena.u32[key >> 2] = index;
      if (visit(key, valueAt(index)) === true) return index + 1;
    }
    return map.maxEntries;
  } finally {
    arena.free(key);
  }
}

function setUp(map: BpfMap, copies: number): void {
  const { arena } = map.kernel;
  keepPermanentFlags(map);
  const stride = round8(map.valueSize);
  const size = stride * map.maxEntries;
  map.setHeader('stride', stride);
  map.setHeader('cpu_stride', copies > 1 || map.type === BPF_MAP_TYPE_PERCPU_ARRAY ? size : 0);
  map.setHeader('data', arena.allocate(size * copies, 16));
}

const dataOf = (map: BpfMap): number => map.kernel.arena.u32[(map.address + MAP_HEADER.data) >> 2]!;
const indexAt = (kernel: Kernel, key: number): number => kernel.arena.view.getUint32(key, true);

export const arrayMapOps: MapTypeOps<undefined> = {
  type: BPF_MAP_TYPE_ARRAY,
  name: 'array',
  canBeInner: true,
  allocCheck(attr) {
    checkArrayAttr(attr, false, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
  },
  alloc(map) {
    setUp(map, 1);
    map.setHeader('lookup_slot', lookupSlots(map.kernel).array);
    return undefined;
  },
  free(map) {
    if (map.record.length > 0) for (let index = 0; index < map.maxEntries; index++) freeFields(map, elementOf(map, index));
    map.kernel.arena.free(dataOf(map));
  },
  clone: () => undefined,
  update(map, key, value, flags) {
    const index = indexAt(map.kernel, key);
    const refusal = checkArrayUpdate(map, index, flags);
    if (refusal !== 0) return refusal;
    const element = elementOf(map, index);
    copyValue(map, element, value);
    if (flags < BPF_F_LOCK) freeFields(map, element);
    return 0;
  },
  delete: () => -EINVAL,
  getNextKey: arrayNextKey,
  lookupBatch: genericLookupBatch,
  updateBatch: genericUpdateBatch,
  forEach: (map, visit) => forEachIndex(map, (index) => elementOf(map, index), visit),
  valueAddress(map, off) {
    return map.maxEntries === 1 && off < map.valueSize ? dataOf(map) + off : undefined;
  },
  mmap(map, offset, length) {
    const size = round8(map.valueSize) * map.maxEntries;
    if ((map.flags & BPF_F_MMAPABLE) === 0 || offset + length > roundToPages(size)) return -EINVAL;
    return { address: dataOf(map) + offset, length: Math.max(0, Math.min(length, size - offset)) };
  },
  checkBtf: (map, btf: Btf, keyTypeId, valueTypeId) => checkArrayBtf(map, btf, keyTypeId, valueTypeId),
  metaEqual(template, map) {
    return mapMetaEqual(template, map) && ((template.flags & BPF_F_INNER_MAP) !== 0 || map.maxEntries === template.maxEntries);
  },
  lastUserRefGone(map) {
    if (map.record.length > 0)
      for (let index = 0; index < map.maxEntries; index++) cancelTimersOf(map.kernel, map, elementOf(map, index));
  },
  memUsage: (map) => round8(map.valueSize) * map.maxEntries + 320,
};

const roundToPages = (bytes: number): number => Math.ceil(bytes / 4096) * 4096;

function elementOf(map: BpfMap, index: number): number {
  return dataOf(map) + index * round8(map.valueSize);
}

/** Element `index` of CPU `cpu`. */
function cpuElement(map: BpfMap, index: number, cpu: number): number {
  return elementOf(map, index) + cpu * map.header('cpu_stride');
}

export const percpuArrayMapOps: MapTypeOps<undefined> = {
  type: BPF_MAP_TYPE_PERCPU_ARRAY,
  name: 'percpu_array',
  canBeInner: true,
  allocCheck(attr) {
    checkArrayAttr(attr, true);
  },
  alloc(map) {
    setUp(map, map.kernel.cpus);
    map.setHeader('lookup_slot', lookupSlots(map.kernel).percpu_array);
    return undefined;
  },
  free(map) {
    map.kernel.arena.free(dataOf(map));
  },
  clone: () => undefined,
  update(map, key, value, flags) {
    const index = indexAt(map.kernel, key);
    const refusal = checkArrayUpdate(map, index, flags);
    if (refusal !== 0) return refusal;
    copyValue(map, cpuElement(map, index, map.kernel.runtime.cpu), value);
    return 0;
  },
  delete: () => -EINVAL,
  getNextKey: arrayNextKey,
  userValueSize: (map) => round8(map.valueSize) * map.kernel.cpus,
  userLookup(map, key, value) {
    const { arena, cpus } = map.kernel;
    const index = indexAt(map.kernel, key);
    if (index >= map.maxEntries) return -ENOENT;
    const size = round8(map.valueSize);
    for (let cpu = 0; cpu < cpus; cpu++) copyBytes(arena, value + cpu * size, cpuElement(map, index, cpu), size);
    return 0;
  },
  userUpdate(map, key, value, flags) {
    const { cpus } = map.kernel;
    if (flags > BPF_EXIST) return -EINVAL;
    const index = indexAt(map.kernel, key);
    if (index >= map.maxEntries) return -E2BIG;
    if (flags === BPF_NOEXIST) return -EEXIST;
    // User space gives and gets whole multiples of 8 bytes, padding included.
    const size = round8(map.valueSize);
    for (let cpu = 0; cpu < cpus; cpu++) copyBytes(map.kernel.arena, cpuElement(map, index, cpu), value + cpu * size, size);
    return 0;
  },
  lookupBatch: genericLookupBatch,
  updateBatch: genericUpdateBatch,
  forEach: (map, visit) => forEachIndex(map, (index) => cpuElement(map, index, map.kernel.runtime.cpu), visit),
  checkBtf: (map, btf, keyTypeId, valueTypeId) => checkArrayBtf(map, btf, keyTypeId, valueTypeId),
  memUsage: (map) => (round8(map.valueSize) * map.kernel.cpus + 8) * map.maxEntries + 320,
};

/** Address of the value of a key on a given CPU, or 0 (`map_lookup_percpu_elem`). */
export function percpuArrayElement(map: BpfMap, key: number, cpu: number): number {
  const index = indexAt(map.kernel, key);
  return index < map.maxEntries && cpu < map.kernel.cpus ? cpuElement(map, index, cpu) : 0;
}
