/** What a program type contributes (`struct bpf_prog_ops` and `struct bpf_verifier_ops`). */

import type { VerifierOps } from '@libbpf-ts/verifier';
import type { VmHelper } from '@libbpf-ts/vm';

import type { BpfCall } from './call.ts';
import type { Kernel } from './kernel.ts';
import type { BpfProg } from './prog.ts';

/** Makes a helper for one kernel. Called once a kernel; what it returns may hold that kernel in closures. */
export type HelperFactory = (kernel: Kernel) => VmHelper;

export interface ProgTypeOps {
  /** BPF_PROG_TYPE_*, or a number outside of the ABI. */
  readonly type: number;
  /** As bpftool names it: `sched_cls`. */
  readonly name: string;
  readonly verifier: VerifierOps;
  /** The implementation of a helper for programs of this type; `kernel.helpers` is asked where it has none. */
  helper?(id: number): HelperFactory | undefined;
  /** The same for a kfunc by its name; `kernel.kfuncs` is asked where it has none. */
  kfunc?(name: string): HelperFactory | undefined;
  /** How ld_abs and ld_ind read the packet. */
  readonly packetLoad?: HelperFactory;
  /** BPF_PROG_TEST_RUN. It reads and writes through `call` and throws refusals. ENOTSUPP where omitted. */
  testRun?(call: BpfCall<10>, prog: BpfProg): void;
  /**
   * `expected_attach_type` at load. The kernel package knows the ABI's types (`bpf_prog_load_check_attach`); for others any is accepted
   * unless this says otherwise.
   */
  checkExpectedAttachType?(expectedAttachType: number): boolean;
  /** Whether a loaded program may be attached as `attachType` (`bpf_prog_attach_check_attach_type`); the ABI's rules where omitted. */
  checkAttachType?(prog: BpfProg, attachType: number): boolean;
}
