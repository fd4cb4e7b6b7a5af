/** Helpers that read a clock, the CPU, or draw a random number. */

import { stateKey, type Kernel, type StateKey } from '@libbpf-ts/kernel';
import {
  BPF_FUNC_get_numa_node_id,
  BPF_FUNC_get_prandom_u32,
  BPF_FUNC_get_smp_processor_id,
  BPF_FUNC_jiffies64,
  BPF_FUNC_ktime_get_boot_ns,
  BPF_FUNC_ktime_get_coarse_ns,
  BPF_FUNC_ktime_get_ns,
  BPF_FUNC_ktime_get_tai_ns,
} from '@libbpf-ts/uapi';

import { helper, returnU64, type HelperRow } from './define.ts';

/** Ticks a second, and where the kernel starts to count them: five minutes before the 32-bit counter wraps. */
const HZ = 250;
const INITIAL_JIFFIES = 0x1_0000_0000 - 300 * HZ;
const TICK_NS = 1_000_000_000 / HZ;

export const timeHelpers: readonly HelperRow[] = [
  helper(BPF_FUNC_ktime_get_ns, 'bpf_ktime_get_ns', [], 'u64', makeClock),
  // The machine never sleeps, so the two clocks agree.
  helper(BPF_FUNC_ktime_get_boot_ns, 'bpf_ktime_get_boot_ns', [], 'u64', makeClock),
  helper(BPF_FUNC_ktime_get_coarse_ns, 'bpf_ktime_get_coarse_ns', [], 'u64', (kernel) => () => {
    const now = Number(kernel.clock.now());
    return returnU64(kernel, now - (now % TICK_NS));
  }),
  helper(BPF_FUNC_ktime_get_tai_ns, 'bpf_ktime_get_tai_ns', [], 'u64', makeClock),
  helper(
    BPF_FUNC_jiffies64,
    'bpf_jiffies64',
    [],
    'u64',
    (kernel) => () => returnU64(kernel, INITIAL_JIFFIES + Math.floor(Number(kernel.clock.now()) / TICK_NS)),
  ),
  helper(
    BPF_FUNC_get_smp_processor_id,
    'bpf_get_smp_processor_id',
    [],
    'u32',
    ({ runtime }) =>
      () =>
        runtime.cpu,
    { intrinsic: 'smp_processor_id' },
  ),
  helper(BPF_FUNC_get_numa_node_id, 'bpf_get_numa_node_id', [], 's32', () => () => 0),
  helper(BPF_FUNC_get_prandom_u32, 'bpf_get_prandom_u32', [], 'u32', makeRandom),
];

/** The halves of a time are kept as long as the clock stands still. */
function makeClock(kernel: Kernel): () => number {
  const { clock, runtime } = kernel;
  let last = -1n;
  let low = 0;
  let high = 0;
  return () => {
    const now = clock.now();
    if (now !== last) {
      last = now;
      low = Number(BigInt.asIntN(32, now));
      high = Number(BigInt.asIntN(32, now >> 32n));
    }
    runtime.returnHigh.value = high;
    return low;
  };
}

interface RandomState {
  value: number;
}

const randomKey: StateKey<RandomState> = stateKey<RandomState>('maps.random');

function randomState(kernel: Kernel): RandomState {
  return kernel.state(randomKey, { create: () => ({ value: 0x2545_f491 }), clone: ({ value }) => ({ value }) });
}

/** Sets the seed of bpf_get_prandom_u32. Every kernel starts with the same one, so that tests repeat. */
export function seedRandom(kernel: Kernel, seed: number): void {
  randomState(kernel).value = seed | 0 || 1;
}

/** xorshift32, with the golden ratio mixed in so that low bits are as good as high ones. */
function makeRandom(kernel: Kernel): () => number {
  const state = randomState(kernel);
  return () => {
    let x = state.value;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    state.value = x;
    return Math.imul(x, 0x9e37_79b1) ^ (x >>> 15);
  };
}
