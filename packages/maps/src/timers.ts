/** bpf_timer: timers in map values, on the virtual clock. */

import type { BpfMap, Kernel } from '@libbpf-ts/kernel';

/** Cancels the timers of a value that goes. */
export function cancelTimersOf(_kernel: Kernel, _map: BpfMap, _value: number): void {}
