/** Short words for making helpers. */

import type { HelperFactory, Kernel } from '@libbpf-ts/kernel';
import type { HelperType, VmHelper, VmIntrinsic } from '@libbpf-ts/vm';

/** Rows of a table of helpers: BPF_FUNC_* number and factory. */
export type HelperRow = readonly [id: number, factory: HelperFactory];

interface Extra {
  readonly intrinsic?: VmIntrinsic;
  readonly callsBack?: boolean;
  /** The same function as WebAssembly. */
  readonly slot?: (kernel: Kernel) => number;
}

/**
 * A helper whose `run` is made once a kernel. `args` is as VmHelper says: 'u64' arguments arrive as two int32, low half first.
 */
export function helper(
  id: number,
  name: string,
  args: readonly HelperType[],
  returns: VmHelper['returns'],
  make: (kernel: Kernel) => (...args: number[]) => number,
  { slot, ...extra }: Extra = {},
): HelperRow {
  return [id, (kernel) => ({ name, args, returns, run: make(kernel), ...extra, ...(slot ? { slot: slot(kernel) } : {}) })];
}

/** A u64 of two int32 halves as a double. */
export const u64 = (low: number, high: number): number => (low >>> 0) + (high >>> 0) * 0x1_0000_0000;

/** Returns a non-negative double as a u64 result: low half, and the high half in the runtime's cell. */
export function returnU64(kernel: Kernel, value: number): number {
  kernel.runtime.returnHigh.value = Math.floor(value / 0x1_0000_0000) | 0;
  return value | 0;
}
