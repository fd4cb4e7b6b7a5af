/** Helpers on perf events and stacks, as programs without a packet have them. */

import type { Kernel } from '@libbpf-ts/kernel';
import {
  BPF_F_INDEX_MASK,
  BPF_FUNC_get_stack,
  BPF_FUNC_get_stackid,
  BPF_FUNC_perf_event_output,
  BPF_FUNC_perf_event_read,
  BPF_FUNC_perf_event_read_value,
} from '@libbpf-ts/uapi';

import { zeroBytes } from '../bytes.ts';
import { EFAULT, EINVAL } from '../errno.ts';
import { perfEventEntry, perfEventOutput } from '../perf-event-array.ts';
import { getStackId } from '../stack-trace.ts';
import { helper, u64, type HelperRow } from './define.ts';

const INDEX_MASK = Number(BPF_F_INDEX_MASK);
/** struct bpf_perf_event_value: counter, enabled, running. */
const VALUE_BYTES = 24;

export const perfHelpers: readonly HelperRow[] = [
  helper(
    BPF_FUNC_perf_event_output,
    'bpf_perf_event_output',
    ['u32', 'u32', 'u64', 'u32', 'u32'],
    's32',
    (kernel) => (_ctx, map, low, high, data, size) =>
      high !== 0 ? -EINVAL : perfEventOutput(kernel.mapAt(map!), low! >>> 0, data! >>> 0, size! >>> 0),
  ),
  helper(
    BPF_FUNC_perf_event_read,
    'bpf_perf_event_read',
    ['u32', 'u64'],
    's32',
    (kernel) => (map, low, high) => readEvent(kernel, map!, u64(low!, high!)),
  ),
  helper(
    BPF_FUNC_perf_event_read_value,
    'bpf_perf_event_read_value',
    ['u32', 'u64', 'u32', 'u32'],
    's32',
    (kernel) => (map, low, high, buffer, size) => {
      zeroBytes(kernel.arena, buffer! >>> 0, size! >>> 0);
      return size! >>> 0 === VALUE_BYTES ? readEvent(kernel, map!, u64(low!, high!)) : -EINVAL;
    },
  ),
  helper(
    BPF_FUNC_get_stackid,
    'bpf_get_stackid',
    ['u32', 'u32', 'u64'],
    's32',
    () => (_ctx, _map, low, high) => getStackId(u64(low!, high!)),
  ),
  helper(BPF_FUNC_get_stack, 'bpf_get_stack', ['u32', 'u32', 'u32', 'u64'], 's32', (kernel) => (_ctx, buffer, size) => {
    zeroBytes(kernel.arena, buffer! >>> 0, size! >>> 0);
    return -EFAULT;
  }),
];

/** The counter of an event: those for BPF output count nothing. */
function readEvent(kernel: Kernel, map: number, flags: number): number {
  if (flags > INDEX_MASK) return -EINVAL;
  const event = perfEventEntry(kernel.mapAt(map), flags);
  if (typeof event === 'number') return event;
  return event.cpu === kernel.runtime.cpu ? 0 : -EINVAL;
}
