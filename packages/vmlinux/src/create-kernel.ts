/** The in-process kernel, put together. */

import { clsBpf } from '@libbpf-ts/cls-bpf';
import { Kernel, type KernelOptions, type Subsystem } from '@libbpf-ts/kernel';
import { maps } from '@libbpf-ts/maps';
import { net } from '@libbpf-ts/net';
import { progTypes } from '@libbpf-ts/prog-types';
import { tcx } from '@libbpf-ts/tcx';
import { verify } from '@libbpf-ts/verifier';
import { xdp } from '@libbpf-ts/xdp';

/** THE table of what is built in, as `bpf_types.h` is. A row a subsystem, in the order in which they install themselves. */
export const defaultSubsystems: readonly Subsystem[] = [
  maps,
  net,
  tcx,
  clsBpf,
  xdp,
  // Last: the rules of program types that nothing above runs.
  progTypes,
];

export interface CreateKernelOptions extends KernelOptions {
  /** What is built in; all of `defaultSubsystems` where omitted. A subset, or the user's own besides, may be given. */
  readonly subsystems?: readonly Subsystem[];
}

/** Boots a kernel of its own: nothing is shared with other kernels of the process. */
export function createKernel(options: CreateKernelOptions = {}): Kernel {
  return new Kernel({ verify, ...options, subsystems: options.subsystems ?? defaultSubsystems });
}
