/** Helpers on dynptrs over memory of maps and ring buffers. Those of packets belong to who has packets. */

import type { Kernel } from '@libbpf-ts/kernel';
import { BPF_FUNC_dynptr_data, BPF_FUNC_dynptr_from_mem, BPF_FUNC_dynptr_read, BPF_FUNC_dynptr_write } from '@libbpf-ts/uapi';

import {
  clearDynptr,
  DYNPTR_TYPE_LOCAL,
  DYNPTR_TYPE_RINGBUF,
  dynptrData,
  dynptrIsReadOnly,
  dynptrOffset,
  dynptrSize,
  dynptrType,
  initDynptr,
  MAX_DYNPTR_SIZE,
} from '../dynptr.ts';
import { E2BIG, EINVAL } from '../errno.ts';
import { helper, u64, type HelperRow } from './define.ts';

export const dynptrHelpers: readonly HelperRow[] = [
  helper(
    BPF_FUNC_dynptr_from_mem,
    'bpf_dynptr_from_mem',
    ['u32', 'u32', 'u64', 'u32'],
    's32',
    (kernel) => (data, size, low, high, dynptr) => {
      const at = dynptr! >>> 0;
      const bytes = size! >>> 0;
      clearDynptr(kernel.arena, at);
      if (bytes > MAX_DYNPTR_SIZE) return -E2BIG;
      if (low !== 0 || high !== 0) return -EINVAL;
      initDynptr(kernel.arena, at, data! >>> 0, bytes, DYNPTR_TYPE_LOCAL, 0);
      return 0;
    },
  ),
  helper(
    BPF_FUNC_dynptr_read,
    'bpf_dynptr_read',
    ['u32', 'u32', 'u32', 'u32', 'u64'],
    's32',
    (kernel) => (to, size, dynptr, offset, low, high) => {
      const bytes = size! >>> 0;
      const from = rangeOf(kernel, dynptr! >>> 0, offset! >>> 0, bytes);
      if (from < 0) return from;
      if (low !== 0 || high !== 0) return -EINVAL;
      kernel.arena.u8.copyWithin(to! >>> 0, from, from + bytes);
      return 0;
    },
  ),
  helper(
    BPF_FUNC_dynptr_write,
    'bpf_dynptr_write',
    ['u32', 'u32', 'u32', 'u32', 'u64'],
    's32',
    (kernel) => (dynptr, offset, from, size, low, high) => {
      const at = dynptr! >>> 0;
      const bytes = size! >>> 0;
      if (dynptrData(kernel.arena, at) === 0 || dynptrIsReadOnly(kernel.arena, at)) return -EINVAL;
      const to = rangeOf(kernel, at, offset! >>> 0, bytes);
      if (to < 0) return to;
      if (u64(low!, high!) !== 0) return -EINVAL;
      kernel.arena.u8.copyWithin(to, from! >>> 0, (from! >>> 0) + bytes);
      return 0;
    },
  ),
  helper(BPF_FUNC_dynptr_data, 'bpf_dynptr_data', ['u32', 'u32', 'u32'], 'u32', (kernel) => (dynptr, offset, size) => {
    const at = dynptr! >>> 0;
    if (dynptrIsReadOnly(kernel.arena, at)) return 0;
    const found = rangeOf(kernel, at, offset! >>> 0, size! >>> 0);
    return found < 0 ? 0 : found;
  }),
];

/** Address of `size` bytes at an offset of a dynptr, or -EINVAL (null, or of another kind), -E2BIG (outside). */
export function rangeOf(kernel: Kernel, dynptr: number, offset: number, size: number): number {
  const { arena } = kernel;
  const data = dynptrData(arena, dynptr);
  if (data === 0) return -EINVAL;
  const whole = dynptrSize(arena, dynptr);
  if (size > whole || offset > whole - size) return -E2BIG;
  const type = dynptrType(arena, dynptr);
  if (type !== DYNPTR_TYPE_LOCAL && type !== DYNPTR_TYPE_RINGBUF) return -EINVAL;
  return data + dynptrOffset(arena, dynptr) + offset;
}
