/** Every map type of this package, in the order of their numbers. */

import type { MapTypeOps } from '@libbpf-ts/kernel';

import { arrayMapOps, percpuArrayMapOps } from './array.ts';
import { bloomFilterMapOps } from './bloom-filter.ts';
import { cgroupArrayMapOps } from './cgroup-array.ts';
import { hashMapOps, lruHashMapOps, lruPercpuHashMapOps, percpuHashMapOps } from './hash.ts';
import {
  arenaMapOps,
  cgroupStorageMapOps,
  cgrpStorageMapOps,
  inodeStorageMapOps,
  percpuCgroupStorageMapOps,
  reuseportSockarrayOps,
  skStorageMapOps,
  sockhashOps,
  sockmapOps,
  taskStorageMapOps,
} from './later.ts';
import { lpmTrieMapOps } from './lpm-trie.ts';
import { arrayOfMapsOps, hashOfMapsOps } from './map-in-map.ts';
import { perfEventArrayMapOps } from './perf-event-array.ts';
import { progArrayMapOps } from './prog-array.ts';
import { queueMapOps, stackMapOps } from './queue-stack.ts';
import { cpumapOps, devmapHashOps, devmapOps, xskmapOps } from './redirect-maps.ts';
import { ringbufMapOps } from './ringbuf.ts';
import { stackTraceMapOps } from './stack-trace.ts';
import { userRingbufMapOps } from './user-ringbuf.ts';

export const mapTypes: readonly MapTypeOps[] = [
  hashMapOps,
  arrayMapOps,
  progArrayMapOps,
  perfEventArrayMapOps,
  percpuHashMapOps,
  percpuArrayMapOps,
  stackTraceMapOps,
  cgroupArrayMapOps,
  lruHashMapOps,
  lruPercpuHashMapOps,
  lpmTrieMapOps,
  arrayOfMapsOps,
  hashOfMapsOps,
  devmapOps,
  sockmapOps,
  cpumapOps,
  xskmapOps,
  sockhashOps,
  cgroupStorageMapOps,
  reuseportSockarrayOps,
  percpuCgroupStorageMapOps,
  queueMapOps,
  stackMapOps,
  skStorageMapOps,
  devmapHashOps,
  ringbufMapOps,
  inodeStorageMapOps,
  taskStorageMapOps,
  bloomFilterMapOps,
  userRingbufMapOps,
  cgrpStorageMapOps,
  arenaMapOps,
];
