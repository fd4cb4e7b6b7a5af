/** The in-process kernel, put together. */

import { clsBpf } from '@libbpf-ts/cls-bpf';
import { Kernel, type KernelOptions, type Subsystem } from '@libbpf-ts/kernel';
import { maps } from '@libbpf-ts/maps';
import { net, netOf, type NetNamespace } from '@libbpf-ts/net';
import { progTypes } from '@libbpf-ts/prog-types';
import { tcx } from '@libbpf-ts/tcx';
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

/** A kernel with short names for what people reach for first. */
export class InProcessKernel extends Kernel {
  /** The first network namespace, where tasks start: `addDevice`, `addVeth`, `get`. Throws where the network is not built in. */
  get net(): NetNamespace {
    return netOf(this).init;
  }

  /** Whether packets note which programs they met (`PacketResult.path`). Off by default: a traced walk costs a little more. */
  get tracing(): boolean {
    return netOf(this).tracing;
  }
  set tracing(on: boolean) {
    netOf(this).tracing = on;
  }
}

/** Boots a kernel of its own: nothing is shared with other kernels of the process. */
export function createKernel(options: CreateKernelOptions = {}): InProcessKernel {
  return new InProcessKernel({ ...options, subsystems: options.subsystems ?? defaultSubsystems });
}
