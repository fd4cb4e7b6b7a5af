/** A row of the table of kfuncs. */

import type { HelperFactory, Kernel } from '@libbpf-ts/kernel';
import type { HelperType, VmHelper } from '@libbpf-ts/vm';

/** Name and factory. */
export type KfuncRow = readonly [name: string, factory: HelperFactory];

export function kfunc(
  name: string,
  args: readonly HelperType[],
  returns: VmHelper['returns'],
  make: (kernel: Kernel) => (...args: number[]) => number,
): KfuncRow {
  return [name, (kernel) => ({ name, args, returns, run: make(kernel) })];
}
