/** Helpers on timers. */

import { BPF_FUNC_timer_cancel, BPF_FUNC_timer_init, BPF_FUNC_timer_set_callback, BPF_FUNC_timer_start } from '@libbpf-ts/uapi';

import { EINVAL } from '../errno.ts';
import { timerCancel, timerInit, timerSetCallback, timerStart } from '../timers.ts';
import { helper, u64, type HelperRow } from './define.ts';

export const timerHelpers: readonly HelperRow[] = [
  helper(
    BPF_FUNC_timer_init,
    'bpf_timer_init',
    ['u32', 'u32', 'u64'],
    's32',
    (kernel) => (timer, map, low, high) => (high !== 0 ? -EINVAL : timerInit(kernel.mapAt(map!), timer! >>> 0, low! >>> 0)),
  ),
  helper(
    BPF_FUNC_timer_set_callback,
    'bpf_timer_set_callback',
    ['u32', 'u32'],
    's32',
    (kernel) => (timer, callback) => timerSetCallback(kernel, timer! >>> 0, callback! >>> 0),
    { callsBack: true },
  ),
  helper(
    BPF_FUNC_timer_start,
    'bpf_timer_start',
    ['u32', 'u64', 'u64'],
    's32',
    (kernel) => (timer, nsLow, nsHigh, low, high) =>
      timerStart(kernel, timer! >>> 0, BigInt(u64(nsLow!, nsHigh!)), u64(low!, high!)),
  ),
  helper(BPF_FUNC_timer_cancel, 'bpf_timer_cancel', ['u32'], 's32', (kernel) => (timer) => timerCancel(kernel, timer! >>> 0)),
];
