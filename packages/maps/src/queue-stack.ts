/** BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK. Mirrors kernel/bpf/queue_stack_maps.c. */

import type { BpfMap, MapTypeOps } from '@libbpf-ts/kernel';
import { BPF_EXIST, BPF_F_NUMA_NODE, BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK, BPF_NOEXIST, KernelError } from '@libbpf-ts/uapi';

import { ACCESS_FLAGS, checkFlags, checkKeySize, checkMaxEntries, checkNotEmpty, KMALLOC_MAX_SIZE } from './alloc-check.ts';
import { copyBytes, zeroBytes } from './bytes.ts';
import { E2BIG, EINVAL, ENOENT } from './errno.ts';
import { keepPermanentFlags } from './header.ts';

/** Words of the header: where the next value goes, and where the oldest is. They are equal when the map is empty. */
const HEAD = 64;
const TAIL = 68;

/** 1: user space looks at the oldest (queue); 0: at the newest (stack). */
function makeOps(type: number, name: string, oldestFirst: boolean): MapTypeOps<undefined> {
  const get = (map: BpfMap, value: number, remove: boolean): number => (oldestFirst ? takeTail : takeHead)(map, value, remove);
  return {
    type,
    name,
    canBeInner: true,
    allocCheck(attr) {
      checkMaxEntries(attr);
      checkKeySize(attr, 0);
      checkNotEmpty(attr);
      checkFlags(attr, BPF_F_NUMA_NODE | ACCESS_FLAGS);
      if (attr.value_size > KMALLOC_MAX_SIZE) throw new KernelError('E2BIG', 'the value is too large', 'value_size');
    },
    alloc(map) {
      keepPermanentFlags(map);
      map.setHeader('data', map.kernel.arena.allocate((map.maxEntries + 1) * map.valueSize, 16));
      return undefined;
    },
    free(map) {
      map.kernel.arena.free(map.header('data'));
    },
    clone: () => undefined,
    lookup: () => 0,
    update: () => -EINVAL,
    delete: () => -EINVAL,
    getNextKey: () => -EINVAL,
    push,
    pop: (map, value) => get(map, value, true),
    peek: (map, value) => get(map, value, false),
    userLookup: (map, _key, value) => get(map, value, false),
    userUpdate: (map, _key, value, flags) => push(map, value, flags),
    memUsage: (map) => (map.maxEntries + 1) * map.valueSize + 320,
  };
}

export const queueMapOps: MapTypeOps<undefined> = makeOps(BPF_MAP_TYPE_QUEUE, 'queue', true);
export const stackMapOps: MapTypeOps<undefined> = makeOps(BPF_MAP_TYPE_STACK, 'stack', false);

const word = (map: BpfMap, at: number): number => map.kernel.arena.u32[(map.address + at) >> 2]!;
const setWord = (map: BpfMap, at: number, value: number): void => {
  map.kernel.arena.u32[(map.address + at) >> 2] = value;
};
const slotAddress = (map: BpfMap, index: number): number => map.header('data') + index * map.valueSize;
const following = (map: BpfMap, index: number): number => (index === map.maxEntries ? 0 : index + 1);

/** BPF_EXIST drops the oldest value of a full map instead of refusing. */
function push(map: BpfMap, value: number, flags: number): number {
  if (flags > BPF_EXIST || flags === BPF_NOEXIST) return -EINVAL;
  const head = word(map, HEAD);
  const tail = word(map, TAIL);
  const next = following(map, head);
  if (next === tail) {
    if (flags !== BPF_EXIST) return -E2BIG;
    setWord(map, TAIL, following(map, tail));
  }
  copyBytes(map.kernel.arena, slotAddress(map, head), value, map.valueSize);
  setWord(map, HEAD, next);
  return 0;
}

/** The oldest. An empty map writes zeros. */
function takeTail(map: BpfMap, value: number, remove: boolean): number {
  const tail = word(map, TAIL);
  if (tail === word(map, HEAD)) return empty(map, value);
  copyBytes(map.kernel.arena, value, slotAddress(map, tail), map.valueSize);
  if (remove) setWord(map, TAIL, following(map, tail));
  return 0;
}

/** The newest. */
function takeHead(map: BpfMap, value: number, remove: boolean): number {
  const head = word(map, HEAD);
  if (head === word(map, TAIL)) return empty(map, value);
  const newest = head === 0 ? map.maxEntries : head - 1;
  copyBytes(map.kernel.arena, value, slotAddress(map, newest), map.valueSize);
  if (remove) setWord(map, HEAD, newest);
  return 0;
}

function empty(map: BpfMap, value: number): number {
  zeroBytes(map.kernel.arena, value, map.valueSize);
  return -ENOENT;
}
