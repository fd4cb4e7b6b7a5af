/** BPF_MAP_TYPE_STACK_TRACE. Mirrors kernel/bpf/stackmap.c. No program of this kernel runs on a kernel stack, so no trace is ever stored. */

import { mapCheckNoBtf, type MapCreateAttr, type MapTypeOps } from '@libbpf-ts/kernel';
import {
  BPF_F_FAST_STACK_CMP,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_REUSE_STACKID,
  BPF_F_SKIP_FIELD_MASK,
  BPF_F_STACK_BUILD_ID,
  BPF_F_USER_STACK,
  BPF_F_WRONLY,
  BPF_MAP_TYPE_STACK_TRACE,
  KernelError,
} from '@libbpf-ts/uapi';

import { checkFlags, checkKeySize, checkMaxEntries } from './alloc-check.ts';
import { roundUpPowerOfTwo } from './bytes.ts';
import { E2BIG, EFAULT, EINVAL, ENOENT } from './errno.ts';
import { keepPermanentFlags } from './header.ts';

/** PERF_MAX_STACK_DEPTH, and sizeof(struct bpf_stack_build_id). */
const MAX_DEPTH = 127;
const BUILD_ID_BYTES = 32;

function checkAttr(attr: MapCreateAttr): void {
  checkFlags(attr, BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_STACK_BUILD_ID);
  checkMaxEntries(attr);
  checkKeySize(attr, 4);
  const { value_size } = attr;
  const entry = (attr.map_flags & BPF_F_STACK_BUILD_ID) !== 0 ? BUILD_ID_BYTES : 8;
  if (value_size < 8 || value_size % 8 !== 0 || value_size % entry !== 0 || value_size / entry > MAX_DEPTH) {
    throw new KernelError('EINVAL', `value_size is no multiple of ${entry} up to ${entry * MAX_DEPTH}`, 'value_size');
  }
  if (attr.max_entries > 0x8000_0000) throw new KernelError('E2BIG', 'too many buckets', 'max_entries');
}

export const stackTraceMapOps: MapTypeOps<undefined> = {
  type: BPF_MAP_TYPE_STACK_TRACE,
  name: 'stack_trace',
  canBeInner: true,
  allocCheck: checkAttr,
  alloc(map) {
    keepPermanentFlags(map);
    return undefined;
  },
  free() {},
  clone: () => undefined,
  lookup: () => 0,
  userLookup: () => -ENOENT,
  userUpdate: () => -EINVAL,
  userDelete: (map, key) =>
    map.kernel.arena.view.getUint32(key, true) >= roundUpPowerOfTwo(map.maxEntries) ? -E2BIG : -ENOENT,
  userLookupAndDelete: () => -ENOENT,
  getNextKey: () => -ENOENT,
  checkBtf: mapCheckNoBtf,
};

/** `bpf_get_stackid`: refuses flags that it does not know; there is no stack to walk. */
export function getStackId(flags: number): number {
  const known = BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP | BPF_F_REUSE_STACKID;
  return flags > 0xffff_ffff || (flags & ~known) !== 0 ? -EINVAL : -EFAULT;
}
