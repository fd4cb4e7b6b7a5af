/** Programs that stand in for kernel functions: syscall, struct_ops, netfilter, lsm. */

import { BPF_NETFILTER } from '@libbpf-ts/uapi';
import type { CtxArgInfo, ProgFacts, ReturnRange, VerifierOps } from '@libbpf-ts/verifier';
import {
  bpf_base_func_proto,
  bpf_bprm_opts_set_proto,
  bpf_btf_find_by_name_kind_proto,
  bpf_get_attach_cookie_proto,
  bpf_ima_file_hash_proto,
  bpf_ima_inode_hash_proto,
  bpf_inode_storage_delete_proto,
  bpf_inode_storage_get_proto,
  bpf_kallsyms_lookup_name_proto,
  bpf_ktime_get_coarse_ns_proto,
  bpf_sk_getsockopt_proto,
  bpf_sk_setsockopt_proto,
  bpf_sk_storage_delete_proto,
  bpf_sk_storage_get_proto,
  bpf_sys_bpf_proto,
  bpf_sys_close_proto,
  bpf_tcp_send_ack_proto,
  COMMON_KFUNCS,
  CPUMASK_KFUNCS,
  flatRule,
  GENERIC_KFUNCS,
  hasPerfmon,
  kfuncs,
  SKB_KFUNCS,
  SYSCALL_KFUNCS,
  TCP_CONGESTION_KFUNCS,
  TEST_KFUNCS,
  TRACING_KFUNCS,
  withHelpers,
  withHelpersIf,
  withoutHelpers,
} from '@libbpf-ts/verifier/protos';
import type { FuncProtoRule } from '@libbpf-ts/verifier/protos';
import { btfArguments, tracing_prog_func_proto } from './tracing.ts';

const U16_MAX = 65535;

/** Helpers whose kernel function is for what a program is attached to. */
const NOT_IN_SYSCALL: readonly number[] = [/* bpf_sk_storage_get */ 107, /* bpf_sk_storage_delete */ 108, /* bpf_d_path */ 147];

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
  contextStruct: 'bpf_nf_ctx',
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
  /** Members that no program can stand in for though they are functions. */
  readonly unsupported?: readonly string[];
  /** Fields of a kernel struct that programs may write, by dotted name. */
  readonly writable?: Readonly<Record<string, readonly string[]>>;
  readonly ctxArgInfo?: Readonly<Record<string, readonly CtxArgInfo[]>>;
  /** The same for every member. */
  readonly everyMember?: readonly CtxArgInfo[];
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
  unsupported: ['get_info'],
  // Every member is given its socket first, and a congestion control only ever sees TCP's.
  everyMember: [{ offset: 0, reg: 'PTR_TO_BTF_ID', flags: ['PTR_TRUSTED'], btfStruct: 'tcp_sock', promoted: true }],
  writable: {
    tcp_sock: [
      'inet_conn.icsk_ca_priv',
      'inet_conn.icsk_ack.pending',
      'snd_cwnd',
      'snd_cwnd_cnt',
      'snd_cwnd_stamp',
      'snd_ssthresh',
      'ecn_flags',
      'app_limited',
      'inet_conn.icsk_inet.sk.sk_pacing_rate',
      'inet_conn.icsk_inet.sk.sk_pacing_status',
    ],
  },
};

/** The kernel's test type: no helper at all, and a state that may be NULL. */
const dummyOps: StructOpsRules = {
  funcProto: () => undefined,
  writable: { bpf_dummy_ops_state: ['val'] },
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

/** What `check_struct_ops_btf_id` refuses. */
function checkMember(prog: ProgFacts): ReturnType<NonNullable<VerifierOps['checkAttach']>> {
  if (!prog.gplCompatible) return { errno: 'EINVAL', message: 'struct ops programs must have a GPL compatible license' };
  const [struct = '', member = ''] = (prog.attachName ?? '').split('.');
  const type = prog.kernelBtf?.type(prog.kernelBtf.find(struct, 'STRUCT'));
  if (!type) return undefined;
  const index = prog.expected_attach_type;
  const row = type.members[index];
  if (!row) return { errno: 'EINVAL', message: `attach to invalid member idx ${index} of struct ${struct}` };
  if (!isFunctionPointer(prog, row.type)) {
    return { errno: 'EINVAL', message: `attach to invalid member ${member}(@idx ${index}) of struct ${struct}` };
  }
  if (!rulesOf(prog)?.unsupported?.includes(member)) return undefined;
  return { errno: 'ENOTSUPP', message: `attach to unsupported member ${member} of struct ${struct}` };
}

function isFunctionPointer({ kernelBtf }: ProgFacts, id: number): boolean {
  const pointer = kernelBtf?.type(id);
  return pointer?.kind === 'PTR' && kernelBtf?.type(pointer.type)?.kind === 'FUNC_PROTO';
}

/** Stores into kernel structs: whole fields that the kind of struct_ops opens (`bpf_tcp_ca_btf_struct_access`). */
function structAccess(struct: string, off: number, size: number, prog: ProgFacts): boolean | string {
  const fields = rulesOf(prog)?.writable?.[struct];
  if (!fields) return 'only read is supported';
  const place = fields.map((name) => placeOf(prog, struct, name)).find((found) => found && off >= found.off && off < found.end);
  if (!place) return `no write support to ${struct} at off ${off}`;
  return (
    off + size <= place.end ||
    `write access at off ${off} with size ${size} beyond the member of ${struct} ended at ${place.end}`
  );
}

function placeOf({ kernelBtf }: ProgFacts, struct: string, dotted: string): { off: number; end: number } | undefined {
  let id = kernelBtf?.find(struct, 'STRUCT') ?? 0;
  let off = 0;
  for (const name of dotted.split('.')) {
    const member = kernelBtf?.type(id)?.members.find((row) => row.name === name);
    if (!member) return undefined;
    off += member.bitOffset >> 3;
    id = member.type;
  }
  return { off, end: off + sizeOf(kernelBtf, id) };
}

function sizeOf(btf: ProgFacts['kernelBtf'], id: number): number {
  const type = btf?.type(id);
  if (type?.kind === 'ARRAY') return type.nelems * sizeOf(btf, type.type);
  if (type?.kind === 'PTR') return 8;
  return type && type.size === 0 && type.type ? sizeOf(btf, type.type) : (type?.size ?? 0);
}

/** struct_ops programs; a struct of the user's own has the base set. */
export const structOpsOps: VerifierOps = {
  name: 'struct_ops',
  funcProto: (id, prog) => (rulesOf(prog)?.funcProto ?? bpf_base_func_proto)(id, prog),
  isValidAccess: btfArguments,
  kfuncs: kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, CPUMASK_KFUNCS, TCP_CONGESTION_KFUNCS),
  btfContext: true,
  checkAttach: checkMember,
  btfStructAccess: structAccess,
  ctxArgInfo: (prog) => rulesOf(prog)?.ctxArgInfo?.[prog.attachName ?? ''] ?? rulesOf(prog)?.everyMember ?? [],
};

const MAX_ERRNO = 4095;

/** Security modules. No oracle on kernels that refuse them; hooks that return nothing or a truth value narrow the range. */
export const lsmOps: VerifierOps = {
  name: 'lsm',
  funcProto: withHelpers(
    [
      bpf_inode_storage_get_proto,
      bpf_inode_storage_delete_proto,
      bpf_sk_storage_get_proto,
      bpf_sk_storage_delete_proto,
      bpf_bprm_opts_set_proto,
      bpf_get_attach_cookie_proto,
    ],
    withHelpersIf((prog) => prog.sleepable, [bpf_ima_inode_hash_proto, bpf_ima_file_hash_proto], tracing_prog_func_proto),
  ),
  isValidAccess: btfArguments,
  returnRange: (): ReturnRange => ({ min: -MAX_ERRNO, max: 0, return32: true }),
  kfuncs: kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, CPUMASK_KFUNCS, SKB_KFUNCS, TEST_KFUNCS, TRACING_KFUNCS),
  btfContext: true,
};
