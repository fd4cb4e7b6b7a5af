/** BPF_MAP_TYPE_BLOOM_FILTER. Mirrors kernel/bpf/bloom_filter.c. */

import type { BpfMap, MapTypeOps } from '@libbpf-ts/kernel';
import { BPF_ANY, BPF_F_NUMA_NODE, BPF_F_ZERO_SEED, BPF_MAP_TYPE_BLOOM_FILTER, KernelError } from '@libbpf-ts/uapi';
import { hashKey } from '@libbpf-ts/vm';

import { ACCESS_FLAGS, checkFlags, checkKeySize, checkMaxEntries, checkNotEmpty, KMALLOC_MAX_SIZE } from './alloc-check.ts';
import { checkNoKey } from './btf-check.ts';
import { EINVAL, ENOENT, EOPNOTSUPP } from './errno.ts';
import { keepPermanentFlags } from './header.ts';

/** What a filter is from its creation on; its bits are in the arena. */
export interface BloomData {
  readonly hashes: number;
  /** Number of bits less one: a power of two less one. */
  readonly mask: number;
  readonly seed: number;
}

const DEFAULT_HASHES = 5;
const MOST_BITS = 2 ** 32;

export const bloomFilterMapOps: MapTypeOps<BloomData> = {
  type: BPF_MAP_TYPE_BLOOM_FILTER,
  name: 'bloom_filter',
  canBeInner: true,
  allocCheck(attr) {
    if (attr.value_size > KMALLOC_MAX_SIZE) throw new KernelError('E2BIG', 'the value is too large', 'value_size');
    checkKeySize(attr, 0);
    checkNotEmpty(attr);
    checkMaxEntries(attr);
    checkFlags(attr, BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | ACCESS_FLAGS);
    // The lower four bits of map_extra are the number of hash functions, the rest is reserved.
    if (attr.map_extra > 15n) throw new KernelError('EINVAL', 'more than 15 hash functions', 'map_extra');
  },
  alloc(map) {
    keepPermanentFlags(map);
    const hashes = Number(map.attributes.extra) || DEFAULT_HASHES;
    const wanted = Math.floor((map.maxEntries * hashes * 7) / 5);
    const bits = Math.min(MOST_BITS, Math.max(64, 2 ** Math.ceil(Math.log2(wanted))));
    map.setHeader('data', map.kernel.arena.allocate(bits / 8, 16));
    const seed = (map.flags & BPF_F_ZERO_SEED) !== 0 ? 0 : Math.imul(map.address, 0x2c1b_3c6d) >>> 0;
    return { hashes, mask: bits - 1, seed };
  },
  free(map) {
    map.kernel.arena.free(map.header('data'));
  },
  clone: (data) => data,
  lookup: () => 0,
  update: () => -EINVAL,
  delete: () => -EOPNOTSUPP,
  getNextKey: () => -EOPNOTSUPP,
  push,
  pop: () => -EOPNOTSUPP,
  peek,
  userLookup: (map, _key, value) => peek(map, value),
  userUpdate: (map, _key, value, flags) => push(map, value, flags),
  checkBtf: (_map, _btf, keyTypeId) => checkNoKey(keyTypeId),
  memUsage: (map) => (map.data.mask + 1) / 8 + 320,
};

function push(map: BpfMap<BloomData>, value: number, flags: number): number {
  if (flags !== BPF_ANY) return -EINVAL;
  const { u8 } = map.kernel.arena;
  for (let index = 0; index < map.data.hashes; index++) {
    const bit = bitOf(map, value, index);
    u8[map.header('data') + Math.floor(bit / 8)]! |= 1 << (bit & 7);
  }
  return 0;
}

/** 0 where the value may be in the filter, -ENOENT where it is not. */
function peek(map: BpfMap<BloomData>, value: number): number {
  const { u8 } = map.kernel.arena;
  for (let index = 0; index < map.data.hashes; index++) {
    const bit = bitOf(map, value, index);
    if ((u8[map.header('data') + Math.floor(bit / 8)]! & (1 << (bit & 7))) === 0) return -ENOENT;
  }
  return 0;
}

function bitOf(map: BpfMap<BloomData>, value: number, index: number): number {
  return (hashKey(map.kernel.arena, value, map.valueSize, map.data.seed + index) & map.data.mask) >>> 0;
}
