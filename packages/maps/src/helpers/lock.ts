/** bpf_spin_lock and bpf_spin_unlock: the verifier proves that they pair, so on one thread a word is all that changes. */

import { BPF_FUNC_kptr_xchg, BPF_FUNC_spin_lock, BPF_FUNC_spin_unlock } from '@libbpf-ts/uapi';

import { helper, type HelperRow } from './define.ts';

export const lockHelpers: readonly HelperRow[] = [
  helper(BPF_FUNC_spin_lock, 'bpf_spin_lock', ['u32'], 'void', (kernel) => (lock) => {
    kernel.arena.u32[lock! >>> 2] = 1;
    return 0;
  }),
  helper(BPF_FUNC_spin_unlock, 'bpf_spin_unlock', ['u32'], 'void', (kernel) => (lock) => {
    kernel.arena.u32[lock! >>> 2] = 0;
    return 0;
  }),
  helper(BPF_FUNC_kptr_xchg, 'bpf_kptr_xchg', ['u32', 'u64'], 'u64', (kernel) => (address, low, high) => {
    const words = kernel.arena.u32;
    const at = address! >>> 2;
    const old = words[at]!;
    kernel.runtime.returnHigh.value = words[at + 1]! | 0;
    words[at] = low!;
    words[at + 1] = high!;
    return old | 0;
  }),
];
