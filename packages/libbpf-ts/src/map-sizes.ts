/** Sizes that a map definition leaves open or has wrong, set as the kernel demands them for the map type. */

import {
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_CGROUP_ARRAY,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_RINGBUF,
  BPF_MAP_TYPE_USER_RINGBUF,
} from '@libbpf-ts/uapi';
import type { MapSpec } from './spec.ts';

/** Values are file descriptors: four bytes, whatever the definition says. */
const FD_VALUES: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_CGROUP_ARRAY,
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH_OF_MAPS,
]);
const PAGE_SIZE = 4096;

export function fixMapSizes(spec: MapSpec): MapSpec {
  if (spec.map_type === BPF_MAP_TYPE_RINGBUF || spec.map_type === BPF_MAP_TYPE_USER_RINGBUF) {
    return {
      ...spec,
      key_size: 0,
      value_size: 0,
      btf_key_type_id: 0,
      btf_value_type_id: 0,
      max_entries: ringSize(spec.max_entries),
    };
  }
  if (!FD_VALUES.has(spec.map_type)) return spec;
  const key_size = spec.map_type === BPF_MAP_TYPE_HASH_OF_MAPS ? spec.key_size || 4 : 4;
  return { ...spec, key_size, value_size: 4 };
}

/** A ring buffer's size is a power of two and a whole number of pages; what cannot be made so is left for the kernel to refuse. */
function ringSize(bytes: number): number {
  if (bytes === 0 || bytes > 0x8000_0000) return bytes;
  if (bytes % PAGE_SIZE === 0 && (bytes & (bytes - 1)) === 0) return bytes;
  let size = PAGE_SIZE;
  while (size < bytes) size *= 2;
  return size > 0xffff_ffff ? bytes : size;
}
