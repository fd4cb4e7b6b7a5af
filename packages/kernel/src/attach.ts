/** What a subsystem contributes for an attach type: the four commands that go through it. */

import type { BpfCall } from './call.ts';
import type { BpfLink } from './link.ts';
import type { BpfProg } from './prog.ts';

/**
 * One attach type, registered in `kernel.attachTypes`. The dispatcher has checked the attr's end, the attach type, the flags that no type
 * knows, and that the program (if any) exists and is of `progType`; the rest, in the kernel's order, is up to these. They throw refusals.
 */
export interface AttachTypeOps {
  /** The program type that is attached this way. For ABI attach types it must be what `attach_type_to_prog_type` says. */
  readonly progType: number;
  /** `mprog`: BPF_PROG_ATTACH takes BPF_F_BEFORE, AFTER, ID, LINK, REPLACE, relative_fd and expected_revision. */
  readonly mprog?: boolean;
  /** With `mprog`: further attach flags that the hook knows; they lie outside of the ABI's. */
  readonly extraFlags?: number;
  /** BPF_PROG_ATTACH; EINVAL where omitted (xdp attaches by link or netlink only). */
  attach?(call: BpfCall<8>, prog: BpfProg): void;
  /** BPF_PROG_DETACH; `prog` is undefined where attach_bpf_fd is 0. */
  detach?(call: BpfCall<9>, prog: BpfProg | undefined): void;
  /** BPF_PROG_QUERY. Results go back through `call.put` and `call.write`. */
  query?(call: BpfCall<16>): void;
  /** BPF_LINK_CREATE where a map is attached, not a program (struct_ops): asked before any check of a program. */
  linkCreateFromMap?(call: BpfCall<28>): BpfLink;
  /** BPF_LINK_CREATE; returns the attached link, which the dispatcher gives an fd. EINVAL where omitted. */
  linkCreate?(call: BpfCall<28>, prog: BpfProg): BpfLink;
}
