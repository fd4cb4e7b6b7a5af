/** What a program type contributes to the verifier (`struct bpf_verifier_ops`). Implemented by subsystems and `prog-types`. */

import type { BpfFuncProto, KfuncRow, TypeFlag, VerifierBtf, VerifierCapabilities } from './types.ts';

/** What a program type may look at when it answers. */
export interface ProgFacts {
  readonly prog_type: number;
  readonly expected_attach_type: number;
  readonly prog_flags: number;
  readonly sleepable: boolean;
  readonly gplCompatible: boolean;
  readonly capabilities: VerifierCapabilities;
  readonly kernelBtf: VerifierBtf | undefined;
  /** Name of the function or tracepoint typedef attached to, where the type has one. */
  readonly attachName: string | undefined;
}

/** `enum bpf_reg_type`, base types only. */
export type RegTypeName =
  | 'NOT_INIT'
  | 'SCALAR_VALUE'
  | 'PTR_TO_CTX'
  | 'CONST_PTR_TO_MAP'
  | 'PTR_TO_MAP_VALUE'
  | 'PTR_TO_MAP_KEY'
  | 'PTR_TO_STACK'
  | 'PTR_TO_PACKET_META'
  | 'PTR_TO_PACKET'
  | 'PTR_TO_PACKET_END'
  | 'PTR_TO_FLOW_KEYS'
  | 'PTR_TO_SOCKET'
  | 'PTR_TO_SOCK_COMMON'
  | 'PTR_TO_TCP_SOCK'
  | 'PTR_TO_TP_BUFFER'
  | 'PTR_TO_XDP_SOCK'
  | 'PTR_TO_BTF_ID'
  | 'PTR_TO_MEM'
  | 'PTR_TO_ARENA'
  | 'PTR_TO_BUF'
  | 'PTR_TO_FUNC'
  | 'CONST_PTR_TO_DYNPTR';

/** The answer to an access of the context at a constant offset (`struct bpf_insn_access_aux`). */
export interface CtxAccess {
  /** What a load gives; SCALAR_VALUE where omitted. */
  readonly reg?: RegTypeName;
  /** Modifiers of a pointer: PTR_MAYBE_NULL, PTR_TRUSTED, MEM_RDONLY, … */
  readonly flags?: readonly TypeFlag[];
  /** Bytes of the whole field where a narrower load is allowed (`bpf_ctx_record_field_size`). */
  readonly ctx_field_size?: number;
  /** PTR_TO_BTF_ID: name of the kernel struct. */
  readonly btfStruct?: string;
  /** PTR_TO_BTF_ID: id in kernel BTF, where known instead of a name. */
  readonly btf_id?: number;
  /** PTR_TO_MEM, PTR_TO_BUF: bytes behind it. */
  readonly mem_size?: number;
  /** The load must sign-extend, or must not. */
  readonly is_ldsx?: boolean;
}

/** The type of one argument of a BTF-typed context (`struct bpf_ctx_arg_aux`). */
export interface CtxArgInfo extends CtxAccess {
  /** Bytes from the start of the context: eight times the argument's number. */
  readonly offset: number;
  /** The type goes beyond what BTF says; the log names what BTF says first. */
  readonly promoted?: boolean;
}

/** A range of return values; the bounds are signed 64-bit numbers that fit 32 bits. */
export interface ReturnRange {
  readonly min: number;
  readonly max: number;
  /** Compared as 32 bits (LSM hooks, netfilter…). */
  readonly return32?: boolean;
}

/** The rules of one program type. */
export interface VerifierOps {
  /** Name as in logs: `sched_cls`. */
  readonly name: string;
  /** undefined: programs of this type cannot use the helper. */
  funcProto(id: number, prog: ProgFacts): BpfFuncProto | undefined;
  /** undefined: `invalid bpf_context access`. */
  isValidAccess(off: number, size: number, write: boolean, prog: ProgFacts): CtxAccess | undefined;
  /** What the program may return; undefined: anything. */
  returnRange?(prog: ProgFacts): ReturnRange | undefined;
  /** The program cannot be loaded with these attributes: the errno and the line to log. */
  checkAttach?(
    prog: ProgFacts,
  ): { readonly errno: 'EINVAL' | 'EPERM' | 'EACCES' | 'ENOTSUPP'; readonly message?: string } | undefined;
  /** `may_access_direct_pkt_data` for reads; false where omitted. */
  readonly packetRead?: boolean | ((prog: ProgFacts) => boolean);
  /** The same for writes. */
  readonly packetWrite?: boolean | ((prog: ProgFacts) => boolean);
  /** BPF_LD_ABS and BPF_LD_IND are allowed (socket_filter, sched_cls, sched_act). */
  readonly ldAbs?: boolean;
  /** Kfuncs that the type may call, by name. */
  readonly kfuncs?: ReadonlyMap<string, KfuncRow>;
  /** Kfuncs of `kfuncs` that this program may not call after all (`btf_kfunc_filter_t`); true refuses. */
  kfuncFilter?(name: string, prog: ProgFacts): boolean;
  /** With `btfContext`: arguments whose type is not simply what BTF says (`struct bpf_ctx_arg_aux`). */
  ctxArgInfo?(prog: ProgFacts): readonly CtxArgInfo[];
  /** The context is an array of 64-bit arguments typed by the BTF of the function attached to (`btf_ctx_access`). */
  readonly btfContext?: boolean;
  /** Name of the struct that programs see as the context (`__sk_buff`), for global functions with a ctx argument. */
  readonly contextStruct?: string;
  /** Each frame may have its own 512 bytes of stack (`bpf_enable_priv_stack`): kprobe, tracepoint, perf_event, raw_tracepoint. */
  readonly privateStack?: boolean;
  /** BTF-typed struct whose fields may be written, and how far (`btf_struct_access`); a string refuses with those words. */
  btfStructAccess?(struct: string, off: number, size: number, prog: ProgFacts): boolean | string;
}
