/** How the helpers of this package are written down. */

import type { HelperFactory, Kernel } from '@libbpf-ts/kernel';
import { ERRNO, type ErrnoName } from '@libbpf-ts/uapi';
import type { HelperType, VmHelper } from '@libbpf-ts/vm';

import type { Net } from '../net.ts';
import { Skb } from '../skb.ts';
import { netOf } from '../subsystem.ts';

/** A row: the helper's name without `bpf_`, its argument types, and what makes its implementation for a kernel. */
export function helper(
  name: string,
  args: readonly HelperType[],
  returns: VmHelper['returns'],
  make: (net: Net, kernel: Kernel) => VmHelper['run'],
): HelperFactory {
  return (kernel) => ({ name: `bpf_${name}`, args, returns, run: make(netOf(kernel), kernel) });
}

/** `-errno`, as a helper returns it. */
export const failed = (code: ErrnoName): number => -ERRNO[code];

/** The packet whose context a program passed on. */
export const skbAt = (net: Net, context: number): Skb => new Skb(net.skbs, context);
