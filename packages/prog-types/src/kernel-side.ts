/** Programs that stand in for kernel functions: syscall, struct_ops, netfilter, lsm. */

import { BPF_NETFILTER } from '@libbpf-ts/uapi';
import type { CtxArgInfo, ProgFacts, ReturnRange, VerifierOps } from '@libbpf-ts/verifier';
import {
  bpf_base_func_proto, bpf_bprm_opts_set_proto, bpf_btf_find_by_name_kind_proto, bpf_get_attach_cookie_proto,
  bpf_ima_file_hash_proto, bpf_ima_inode_hash_proto, bpf_inode_storage_delete_proto, bpf_inode_storage_get_proto,
  bpf_kallsyms_lookup_name_proto, bpf_ktime_get_coarse_ns_proto, bpf_sk_getsockopt_proto, bpf_sk_setsockopt_proto,
  bpf_sk_storage_delete_proto, bpf_sk_storage_get_proto, bpf_sys_bpf_proto, bpf_sys_close_proto, bpf_tcp_send_ack_proto,
  COMMON_KFUNCS, CPUMASK_KFUNCS, flatRule, GENERIC_KFUNCS, hasPerfmon, kfuncs, SKB_KFUNCS, SYSCALL_KFUNCS,
  TCP_CONGESTION_KFUNCS, TEST_KFUNCS, TRACING_KFUNCS, withHelpers, withHelpersIf, withoutHelpers,
} from '@libbpf-ts/verifier/protos';
import type { FuncProtoRule } from '@libbpf-ts/verifier/protos';
import { btfArguments, tracing_prog_func_proto } from './tracing.ts';

const U16_MAX = 65535;

/** Helpers whose kernel function is for what a program is attached to. */
const NOT_IN_SYSCALL: readonly number[] = [
  /* bpf_sk_storage_get */ 107, /* bpf_sk_storage_delete */ 108, /* bpf_d_path */ 147,
];

export const syscallOps: VerifierOps = {
  name: 'syscall',
  funcProto: withHelpersIf(
    hasPerfmon,
    [bpf_sys_bpf_proto],
    withHelpers(
      [bpf_btf_find_by_name_kind_proto, bpf_sys_close_proto, bpf_kallsyms_lookup_name_proto],
      withoutHelpers(NOT_IN_SYSCALL, tracing_prog_func_proto),
    ),
  ),
  isValidAccess: flatRule(0, U16_MAX, true),
  kfuncs: kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, CPUMASK_KFUNCS, TEST_KFUNCS, SYSCALL_KFUNCS),
};

export const netfilterOps: VerifierOps = {
  name: 'netfilter',
  funcProto: bpf_base_func_proto,
  isValidAccess: (off, size, write) => {
    if (write || size !== 8) return undefined;
    if (off === 0) return { reg: 'PTR_TO_BTF_ID', flags: ['PTR_TRUSTED'], btfStruct: 'nf_hook_state' };
    return off === 8 ? { reg: 'PTR_TO_BTF_ID', flags: ['PTR_TRUSTED'], btfStruct: 'sk_buff' } : undefined;
  },
  returnRange: () => ({ min: 0, max: 1 }),
  checkAttach: (prog) => (prog.expected_attach_type === BPF_NETFILTER ? undefined : { errno: 'EINVAL' }),
  kfuncs: kfuncs(COMMON_KFUNCS, SKB_KFUNCS),
};

/** What a kind of struct_ops lets its programs do; `attachName` is `tcp_congestion_ops.ssthresh`. */
export interface StructOpsRules {
  readonly funcProto: FuncProtoRule;
  /** Fields of a kernel struct that programs may write: [first byte, byte after the last]. */
  readonly writable?: Readonly<Record<string, readonly (readonly [number, number])[]>>;
  readonly ctxArgInfo?: Readonly<Record<string, readonly CtxArgInfo[]>>;
}

/** The congestion control of TCP. */
const tcpCongestion: StructOpsRules = {
  funcProto: withHelpersIf(
    (prog) => prog.attachName !== 'tcp_congestion_ops.release',
    [bpf_sk_setsockopt_proto, bpf_sk_getsockopt_proto],
    withHelpers(
      [bpf_tcp_send_ack_proto, bpf_sk_storage_get_proto, bpf_sk_storage_delete_proto, bpf_ktime_get_coarse_ns_proto],
      bpf_base_func_proto,
    ),
  ),
};

/** The kernel's test type: no helper at all, and a state that may be NULL. */
const dummyOps: StructOpsRules = {
  funcProto: () => undefined,
  ctxArgInfo: {
    'bpf_dummy_ops.test_1': [
      { offset: 0, reg: 'PTR_TO_BTF_ID', flags: ['PTR_MAYBE_NULL', 'PTR_TRUSTED'], btfStruct: 'bpf_dummy_ops_state' },
    ],
  },
};

const STRUCT_OPS: ReadonlyMap<string, StructOpsRules> = new Map([
  ['tcp_congestion_ops', tcpCongestion],
  ['bpf_dummy_ops', dummyOps],
]);

function rulesOf(prog: ProgFacts): StructOpsRules | undefined {
  return STRUCT_OPS.get((prog.attachName ?? '').split('.')[0] ?? '');
}

/** struct_ops programs; a struct of the user's own has the base set. */
export const structOpsOps: VerifierOps = {
  name: 'struct_ops',
  funcProto: (id, prog) => (rulesOf(prog)?.funcProto ?? bpf_base_func_proto)(id, prog),
  isValidAccess: btfArguments,
  kfuncs: kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, CPUMASK_KFUNCS, TCP_CONGESTION_KFUNCS),
  btfContext: true,
  ctxArgInfo: (prog) => rulesOf(prog)?.ctxArgInfo?.[prog.attachName ?? ''] ?? [],
};

const MAX_ERRNO = 4095;

/** Security modules. No oracle on kernels that refuse them; hooks that return nothing or a truth value narrow the range. */
export const lsmOps: VerifierOps = {
  name: 'lsm',
  funcProto: withHelpers([
    bpf_inode_storage_get_proto, bpf_inode_storage_delete_proto, bpf_sk_storage_get_proto, bpf_sk_storage_delete_proto,
    bpf_bprm_opts_set_proto, bpf_get_attach_cookie_proto,
  ], withHelpersIf((prog) => prog.sleepable, [bpf_ima_inode_hash_proto, bpf_ima_file_hash_proto], tracing_prog_func_proto)),
  isValidAccess: btfArguments,
  returnRange: (): ReturnRange => ({ min: -MAX_ERRNO, max: 0, return32: true }),
  kfuncs: kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, CPUMASK_KFUNCS, SKB_KFUNCS, TEST_KFUNCS, TRACING_KFUNCS),
  btfContext: true,
};
