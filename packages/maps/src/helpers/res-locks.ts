/** Resilient spin locks: on one thread a lock that is held is held by the program itself, so asking for it again is a deadlock. */

import type { Kernel } from '@libbpf-ts/kernel';
import { ERRNO } from '@libbpf-ts/uapi';

import { kfunc, type KfuncRow } from './kfunc-row.ts';

const { EDEADLK } = ERRNO;

const lock =
  ({ arena }: Kernel) =>
  (at: number): number => {
    const words = arena.u32;
    if (words[at >>> 2] !== 0) return -EDEADLK;
    words[at >>> 2] = 1;
    return 0;
  };

const unlock =
  ({ arena }: Kernel) =>
  (at: number): number => {
    arena.u32[at >>> 2] = 0;
    return 0;
  };

export const resLockKfuncs: readonly KfuncRow[] = [
  kfunc('bpf_res_spin_lock', ['u32'], 's32', lock),
  kfunc('bpf_res_spin_unlock', ['u32'], 'void', unlock),
  kfunc('bpf_res_spin_lock_irqsave', ['u32', 'u32'], 's32', lock),
  kfunc('bpf_res_spin_unlock_irqrestore', ['u32', 'u32'], 'void', unlock),
];
