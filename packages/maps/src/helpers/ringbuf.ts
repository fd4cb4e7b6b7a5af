/** Helpers on ring buffers, both directions. */

import type { Kernel } from '@libbpf-ts/kernel';
import {
  BPF_FUNC_ringbuf_discard,
  BPF_FUNC_ringbuf_discard_dynptr,
  BPF_FUNC_ringbuf_output,
  BPF_FUNC_ringbuf_query,
  BPF_FUNC_ringbuf_reserve,
  BPF_FUNC_ringbuf_reserve_dynptr,
  BPF_FUNC_ringbuf_submit,
  BPF_FUNC_ringbuf_submit_dynptr,
  BPF_FUNC_user_ringbuf_drain,
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
} from '@libbpf-ts/uapi';

import { clearDynptr, DYNPTR_TYPE_LOCAL, DYNPTR_TYPE_RINGBUF, dynptrData, initDynptr, MAX_DYNPTR_SIZE } from '../dynptr.ts';
import { E2BIG, EINVAL, ENODATA } from '../errno.ts';
import { commit, mapOfSample, output, query, reserve } from '../ringbuf.ts';
import { ringSlots } from '../state.ts';
import { peekUserSample, releaseUserSample } from '../user-ringbuf.ts';
import { helper, returnU64, u64, type HelperRow } from './define.ts';

/** Most samples of one bpf_user_ringbuf_drain. */
const MAX_USER_SAMPLES = 128 * 1024;

export const ringbufHelpers: readonly HelperRow[] = [
  helper(
    BPF_FUNC_ringbuf_output,
    'bpf_ringbuf_output',
    ['u32', 'u32', 'u64', 'u64'],
    's32',
    (kernel) => (map, data, size, sizeHigh, low, high) =>
      output(kernel.mapAt(map!), data! >>> 0, u64(size!, sizeHigh!), low!, high!),
    { slot: (kernel) => ringSlots(kernel).output },
  ),
  helper(
    BPF_FUNC_ringbuf_reserve,
    'bpf_ringbuf_reserve',
    ['u32', 'u64', 'u64'],
    'u32',
    (kernel) => (map, size, sizeHigh, low, high) =>
      low !== 0 || high !== 0 ? 0 : reserve(kernel.mapAt(map!), u64(size!, sizeHigh!)),
    { slot: (kernel) => ringSlots(kernel).reserve },
  ),
  helper(
    BPF_FUNC_ringbuf_submit,
    'bpf_ringbuf_submit',
    ['u32', 'u64'],
    'void',
    (kernel) => (sample, flags) => complete(kernel, sample!, flags!, false),
    { slot: (kernel) => ringSlots(kernel).submit },
  ),
  helper(
    BPF_FUNC_ringbuf_discard,
    'bpf_ringbuf_discard',
    ['u32', 'u64'],
    'void',
    (kernel) => (sample, flags) => complete(kernel, sample!, flags!, true),
    { slot: (kernel) => ringSlots(kernel).discard },
  ),
  helper(
    BPF_FUNC_ringbuf_query,
    'bpf_ringbuf_query',
    ['u32', 'u64'],
    'u64',
    (kernel) => (map, low, high) => returnU64(kernel, high === 0 ? query(kernel.mapAt(map!), low! >>> 0) : 0),
  ),
  helper(BPF_FUNC_ringbuf_reserve_dynptr, 'bpf_ringbuf_reserve_dynptr', ['u32', 'u32', 'u64', 'u32'], 's32', makeReserveDynptr),
  helper(
    BPF_FUNC_ringbuf_submit_dynptr,
    'bpf_ringbuf_submit_dynptr',
    ['u32', 'u64'],
    'void',
    (kernel) => (dynptr, flags) => completeDynptr(kernel, dynptr! >>> 0, flags!, false),
  ),
  helper(
    BPF_FUNC_ringbuf_discard_dynptr,
    'bpf_ringbuf_discard_dynptr',
    ['u32', 'u64'],
    'void',
    (kernel) => (dynptr, flags) => completeDynptr(kernel, dynptr! >>> 0, flags!, true),
  ),
  helper(BPF_FUNC_user_ringbuf_drain, 'bpf_user_ringbuf_drain', ['u32', 'u32', 'u32', 'u64'], 's32', makeDrain, {
    callsBack: true,
  }),
];

function complete(kernel: Kernel, sample: number, flags: number, discard: boolean): number {
  commit(mapOfSample(kernel, sample >>> 0), sample >>> 0, flags, discard);
  return 0;
}

function makeReserveDynptr(kernel: Kernel): (...args: number[]) => number {
  return (address, size, low, high, dynptr) => {
    const at = dynptr! >>> 0;
    clearDynptr(kernel.arena, at);
    if (low !== 0 || high !== 0) return -EINVAL;
    const bytes = size! >>> 0;
    if (bytes > MAX_DYNPTR_SIZE) return -E2BIG;
    const sample = reserve(kernel.mapAt(address!), bytes);
    if (sample === 0) return -EINVAL;
    initDynptr(kernel.arena, at, sample, bytes, DYNPTR_TYPE_RINGBUF, 0);
    return 0;
  };
}

function completeDynptr(kernel: Kernel, dynptr: number, flags: number, discard: boolean): number {
  const sample = dynptrData(kernel.arena, dynptr);
  if (sample === 0) return 0;
  complete(kernel, sample, flags, discard);
  clearDynptr(kernel.arena, dynptr);
  return 0;
}

/** Gives each sample to the callback as a dynptr; 1 stops, anything but 0 and 1 does too. Returns how many it gave. */
function makeDrain(kernel: Kernel): (...args: number[]) => number {
  return (address, callback, context, low, high) => {
    if (high !== 0 || (low! & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) !== 0) return -EINVAL;
    const map = kernel.mapAt(address!);
    const dynptr = kernel.arena.allocate(16);
    try {
      let samples = 0;
      for (let stop = false; samples < MAX_USER_SAMPLES && !stop; samples++) {
        const { error, address: data, size } = peekUserSample(map);
        if (error === -ENODATA) break;
        if (error !== 0) return error;
        initDynptr(kernel.arena, dynptr, data, size, DYNPTR_TYPE_LOCAL, 0);
        stop = kernel.runtime.callback(callback!, dynptr, context) !== 0;
        releaseUserSample(map, size);
      }
      return samples;
    } finally {
      kernel.arena.free(dynptr);
    }
  };
}
