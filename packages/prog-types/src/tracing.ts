/** Programs that trace: kprobe, tracepoint, perf_event, raw_tracepoint, tracing (tp_btf, iter, fentry…), and their helpers. */

import {
  BPF_TRACE_FENTRY,
  BPF_TRACE_FEXIT,
  BPF_MODIFY_RETURN,
  BPF_TRACE_ITER,
  BPF_TRACE_RAW_TP,
  BPF_TRACE_KPROBE_MULTI,
  BPF_TRACE_KPROBE_SESSION,
  BPF_TRACE_UPROBE_MULTI,
  BPF_TRACE_UPROBE_SESSION,
} from '@libbpf-ts/uapi';
import type { ProgFacts, VerifierOps } from '@libbpf-ts/verifier';
import {
  bpf_base_func_proto,
  bpf_d_path_proto,
  bpf_get_attach_cookie_proto,
  bpf_get_func_arg_cnt_proto,
  bpf_get_func_arg_proto,
  bpf_get_func_ip_kprobe_multi_proto,
  bpf_get_func_ip_proto,
  bpf_get_func_ret_proto,
  bpf_get_socket_ptr_cookie_proto,
  bpf_get_stack_proto,
  bpf_get_stackid_pe_proto,
  bpf_get_stackid_proto,
  bpf_perf_event_output_proto,
  bpf_perf_prog_read_value_proto,
  bpf_probe_read_proto,
  bpf_probe_read_str_proto,
  bpf_read_branch_records_proto,
  bpf_seq_printf_btf_proto,
  bpf_seq_printf_proto,
  bpf_seq_write_proto,
  bpf_sk_getsockopt_proto,
  bpf_sk_setsockopt_proto,
  bpf_sk_storage_delete_tracing_proto,
  bpf_sk_storage_get_tracing_proto,
  bpf_skb_output_proto,
  bpf_sock_from_file_proto,
  bpf_xdp_get_buff_len_trace_proto,
  bpf_xdp_output_proto,
  COMMON_KFUNCS,
  contextRule,
  CPUMASK_KFUNCS,
  field,
  flatRule,
  GENERIC_KFUNCS,
  kfuncs,
  KPROBE_KFUNCS,
  SKB_KFUNCS,
  SKC_TO_PROTOS,
  TEST_KFUNCS,
  TRACING_KFUNCS,
  withHelpers,
  withHelpersIf,
} from '@libbpf-ts/verifier/protos';
import type { CtxAccessRule, FuncProtoRule } from '@libbpf-ts/verifier/protos';
import { iterContext } from './iter.ts';
import { rawTracepointNullArgs } from './raw-tp-null-args.ts';

const PT_REGS_SIZE = 168;
const PERF_MAX_TRACE_SIZE = 8192;
/** Twelve arguments of eight bytes. */
const RAW_TP_CTX_SIZE = 96;

/** Helpers of every program that traces; `bpf_probe_read` because the architecture's user and kernel addresses do not overlap. */
export const bpf_tracing_func_proto: FuncProtoRule = withHelpers(
  [bpf_probe_read_proto, bpf_probe_read_str_proto, bpf_get_func_ip_proto],
  bpf_base_func_proto,
);

const traced = withHelpers(
  [bpf_perf_event_output_proto, bpf_get_stackid_proto, bpf_get_stack_proto, bpf_get_attach_cookie_proto],
  bpf_tracing_func_proto,
);

function attachesToMany({ expected_attach_type }: ProgFacts): boolean {
  return (
    expected_attach_type === BPF_TRACE_KPROBE_MULTI ||
    expected_attach_type === BPF_TRACE_KPROBE_SESSION ||
    expected_attach_type === BPF_TRACE_UPROBE_MULTI ||
    expected_attach_type === BPF_TRACE_UPROBE_SESSION
  );
}

function isSession({ expected_attach_type }: ProgFacts): boolean {
  return expected_attach_type === BPF_TRACE_KPROBE_SESSION || expected_attach_type === BPF_TRACE_UPROBE_SESSION;
}

const isIter = ({ expected_attach_type }: ProgFacts): boolean => expected_attach_type === BPF_TRACE_ITER;
const isRawTp = ({ expected_attach_type }: ProgFacts): boolean => expected_attach_type === BPF_TRACE_RAW_TP;

function onTrampoline({ expected_attach_type }: ProgFacts): boolean {
  return (
    expected_attach_type === BPF_TRACE_FENTRY ||
    expected_attach_type === BPF_TRACE_FEXIT ||
    expected_attach_type === BPF_MODIFY_RETURN
  );
}

/** `tracing_prog_func_proto`: the tracing set, what BTF-typed arguments allow, and what iterators or trampolines add. */
export const tracing_prog_func_proto: FuncProtoRule = withHelpersIf(
  isIter,
  [bpf_seq_printf_proto, bpf_seq_printf_btf_proto, bpf_seq_write_proto],
  withHelpersIf(
    onTrampoline,
    [bpf_get_func_arg_proto, bpf_get_func_ret_proto, bpf_get_func_arg_cnt_proto],
    withHelpersIf(
      (prog) => isRawTp(prog) || onTrampoline(prog),
      [bpf_get_attach_cookie_proto],
      dPathIfAllowed(
        withHelpers(
          [
            bpf_skb_output_proto,
            bpf_xdp_output_proto,
            ...SKC_TO_PROTOS,
            bpf_sk_storage_get_tracing_proto,
            bpf_sk_storage_delete_tracing_proto,
            bpf_sock_from_file_proto,
            bpf_get_socket_ptr_cookie_proto,
            bpf_xdp_get_buff_len_trace_proto,
            bpf_perf_event_output_proto,
            bpf_get_stackid_proto,
            bpf_get_stack_proto,
          ],
          bpf_tracing_func_proto,
        ),
      ),
    ),
  ),
);

/** Iterators over sockets may set and read socket options. */
const socketOptions = withHelpersIf(
  (prog) => prog.attachName === 'bpf_iter_tcp' || prog.attachName === 'bpf_iter_unix',
  [bpf_sk_setsockopt_proto, bpf_sk_getsockopt_proto],
  tracing_prog_func_proto,
);

/** Kernel functions whose path argument bpf_d_path may take apart. */
const D_PATH_FUNCTIONS: ReadonlySet<string> = new Set([
  'security_file_permission',
  'security_inode_getattr',
  'security_file_open',
  'security_path_truncate',
  'vfs_truncate',
  'vfs_fallocate',
  'dentry_open',
  'vfs_getattr',
  'filp_close',
]);

function dPathIfAllowed(rest: FuncProtoRule): FuncProtoRule {
  const allowed = (prog: ProgFacts): boolean => isIter(prog) || D_PATH_FUNCTIONS.has(prog.attachName ?? '');
  return withHelpersIf(allowed, [bpf_d_path_proto], rest);
}

const tracingKfuncs = kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, CPUMASK_KFUNCS, SKB_KFUNCS, TEST_KFUNCS, TRACING_KFUNCS);

/** Files and paths are for security modules; closing a socket is for iterators. */
const FS_KFUNCS: ReadonlySet<string> = new Set([
  'bpf_get_dentry_xattr',
  'bpf_get_file_xattr',
  'bpf_get_task_exe_file',
  'bpf_path_d_path',
  'bpf_put_file',
  'bpf_remove_dentry_xattr',
  'bpf_set_dentry_xattr',
]);

function notForTracing(name: string, prog: ProgFacts): boolean {
  return FS_KFUNCS.has(name) || (name === 'bpf_sock_destroy' && !isIter(prog));
}

/** Aligned reads of the arguments of a raw tracepoint. */
const rawArguments = flatRule(0, RAW_TP_CTX_SIZE);

/** The first argument of a writable raw tracepoint is its buffer. */
const rawWritable: CtxAccessRule = (off, size, write, prog) => {
  if (off === 0) return size === 8 && !write ? { reg: 'PTR_TO_TP_BUFFER' } : undefined;
  return rawArguments(off, size, write, prog);
};

/** Fields of a tracepoint; its first eight bytes are the kernel's. An offset below zero passes, as it does in Linux. */
const tracepointFields: CtxAccessRule = (off, size, write) =>
  !write && (off < 0 || off >= 8) && off < PERF_MAX_TRACE_SIZE && off % size === 0 ? {} : undefined;

const perfEventData = contextRule([
  field('regs', 0, PT_REGS_SIZE, 8),
  field('sample_period', PT_REGS_SIZE, 8, 15),
  field('addr', PT_REGS_SIZE + 8, 8, 15),
]);

export const kprobeOps: VerifierOps = {
  name: 'kprobe',
  funcProto: withHelpersIf(attachesToMany, [bpf_get_func_ip_kprobe_multi_proto], traced),
  isValidAccess: flatRule(0, PT_REGS_SIZE),
  returnRange: (prog) => (isSession(prog) ? { min: 0, max: 1 } : undefined),
  kfuncs: kfuncs(COMMON_KFUNCS, KPROBE_KFUNCS),
  kfuncFilter: (name, prog) => KPROBE_KFUNCS.has(name) && !isSession(prog),
  contextStruct: 'pt_regs',
  privateStack: true,
};

export const tracepointOps: VerifierOps = {
  name: 'tracepoint',
  funcProto: traced,
  isValidAccess: tracepointFields,
  kfuncs: tracingKfuncs,
  kfuncFilter: notForTracing,
  privateStack: true,
};

export const perfEventOps: VerifierOps = {
  name: 'perf_event',
  funcProto: withHelpers([bpf_get_stackid_pe_proto, bpf_perf_prog_read_value_proto, bpf_read_branch_records_proto], traced),
  isValidAccess: perfEventData,
  kfuncs: tracingKfuncs,
  kfuncFilter: notForTracing,
  contextStruct: 'bpf_perf_event_data',
  privateStack: true,
};

export const rawTracepointOps: VerifierOps = {
  name: 'raw_tracepoint',
  funcProto: traced,
  isValidAccess: rawArguments,
  kfuncs: COMMON_KFUNCS,
  contextStruct: 'bpf_raw_tracepoint_args',
  privateStack: true,
};

export const rawTracepointWritableOps: VerifierOps = {
  name: 'raw_tracepointw',
  funcProto: traced,
  isValidAccess: rawWritable,
  kfuncs: COMMON_KFUNCS,
  contextStruct: 'bpf_raw_tracepoint_args',
};

/** Arguments by BTF: the access must be an aligned read of one of twelve; what it gives, the verifier asks BTF. */
export const btfArguments: CtxAccessRule = flatRule(0, RAW_TP_CTX_SIZE);

function tracingReturns({ expected_attach_type }: ProgFacts): { min: number; max: number } | undefined {
  if (expected_attach_type === BPF_TRACE_ITER) return { min: 0, max: 1 };
  return expected_attach_type === BPF_TRACE_FENTRY || expected_attach_type === BPF_TRACE_FEXIT ? { min: 0, max: 0 } : undefined;
}

export const tracingOps: VerifierOps = {
  name: 'tracing',
  funcProto: socketOptions,
  isValidAccess: btfArguments,
  returnRange: tracingReturns,
  kfuncs: tracingKfuncs,
  kfuncFilter: notForTracing,
  btfContext: true,
  ctxArgInfo: (prog) => (isRawTp(prog) ? rawTracepointNullArgs(prog.attachName ?? '') : iterContext(prog)),
};
