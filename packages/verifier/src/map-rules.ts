/** Which programs may name a map at all (`check_map_prog_compatibility`). */

import * as F from '@libbpf-ts/uapi';
import type { ErrnoName } from '@libbpf-ts/uapi';
import type { ProgFacts } from './ops.ts';
import type { VerifierMap } from './types.ts';

const TRACING_TYPES: ReadonlySet<number> = new Set([
  F.BPF_PROG_TYPE_KPROBE,
  F.BPF_PROG_TYPE_TRACEPOINT,
  F.BPF_PROG_TYPE_PERF_EVENT,
  F.BPF_PROG_TYPE_RAW_TRACEPOINT,
  F.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
]);

const SLEEPABLE_MAPS: ReadonlySet<number> = new Set([
  F.BPF_MAP_TYPE_HASH,
  F.BPF_MAP_TYPE_LRU_HASH,
  F.BPF_MAP_TYPE_ARRAY,
  F.BPF_MAP_TYPE_PERCPU_HASH,
  F.BPF_MAP_TYPE_PERCPU_ARRAY,
  F.BPF_MAP_TYPE_LRU_PERCPU_HASH,
  F.BPF_MAP_TYPE_ARRAY_OF_MAPS,
  F.BPF_MAP_TYPE_HASH_OF_MAPS,
  F.BPF_MAP_TYPE_RINGBUF,
  F.BPF_MAP_TYPE_USER_RINGBUF,
  F.BPF_MAP_TYPE_INODE_STORAGE,
  F.BPF_MAP_TYPE_SK_STORAGE,
  F.BPF_MAP_TYPE_TASK_STORAGE,
  F.BPF_MAP_TYPE_CGRP_STORAGE,
  F.BPF_MAP_TYPE_QUEUE,
  F.BPF_MAP_TYPE_STACK,
  F.BPF_MAP_TYPE_ARENA,
  F.BPF_MAP_TYPE_LPM_TRIE,
]);

export const hasField = (map: VerifierMap, ...types: readonly string[]): boolean =>
  map.record?.some((field) => types.includes(field.type)) ?? false;

/** The objection, or undefined. */
export function checkMapForProgram(
  map: VerifierMap,
  prog: ProgFacts,
): { readonly errno: ErrnoName; readonly message: string } | undefined {
  const tracing = TRACING_TYPES.has(prog.prog_type);
  if (tracing && hasField(map, 'BPF_LIST_HEAD', 'BPF_RB_ROOT')) {
    return { errno: 'EINVAL', message: 'tracing progs cannot use bpf_{list_head,rb_root} yet' };
  }
  if (hasField(map, 'BPF_SPIN_LOCK', 'BPF_RES_SPIN_LOCK')) {
    if (prog.prog_type === F.BPF_PROG_TYPE_SOCKET_FILTER) {
      return { errno: 'EINVAL', message: 'socket filter progs cannot use bpf_spin_lock yet' };
    }
    if (tracing) return { errno: 'EINVAL', message: 'tracing progs cannot use bpf_spin_lock yet' };
  }
  if (tracing && hasField(map, 'BPF_TIMER')) return { errno: 'EINVAL', message: 'tracing progs cannot use bpf_timer yet' };
  if (tracing && hasField(map, 'BPF_WORKQUEUE')) return { errno: 'EINVAL', message: 'tracing progs cannot use bpf_wq yet' };
  if (map.map_type === F.BPF_MAP_TYPE_STRUCT_OPS) {
    return { errno: 'EINVAL', message: 'bpf_struct_ops map cannot be used in prog' };
  }
  if (prog.sleepable && !SLEEPABLE_MAPS.has(map.map_type)) {
    return { errno: 'EINVAL', message: 'Sleepable programs can only use array, hash, ringbuf and local storage maps' };
  }
  return undefined;
}
