/** Which helpers a program type may call: the kernel's base sets, and the means to put a type's own rows before them. */

import type { ProgFacts } from '../ops.ts';
import type { BpfFuncProto } from '../types.ts';
import { bpf_get_cgroup_classid_proto } from './cgroup.ts';
import { bpf_dynptr_data_proto, bpf_dynptr_from_mem_proto, bpf_dynptr_read_proto, bpf_dynptr_write_proto } from './dynptr.ts';
import {
  bpf_for_each_map_elem_proto,
  bpf_kptr_xchg_proto,
  bpf_loop_proto,
  bpf_map_delete_elem_proto,
  bpf_map_lookup_elem_proto,
  bpf_map_lookup_percpu_elem_proto,
  bpf_map_peek_elem_proto,
  bpf_map_pop_elem_proto,
  bpf_map_push_elem_proto,
  bpf_map_update_elem_proto,
  bpf_tail_call_proto,
} from './maps.ts';
import {
  bpf_ringbuf_discard_dynptr_proto,
  bpf_ringbuf_discard_proto,
  bpf_ringbuf_output_proto,
  bpf_ringbuf_query_proto,
  bpf_ringbuf_reserve_dynptr_proto,
  bpf_ringbuf_reserve_proto,
  bpf_ringbuf_submit_dynptr_proto,
  bpf_ringbuf_submit_proto,
  bpf_user_ringbuf_drain_proto,
} from './ringbuf.ts';
import {
  bpf_skc_to_mptcp_sock_proto,
  bpf_skc_to_tcp6_sock_proto,
  bpf_skc_to_tcp_request_sock_proto,
  bpf_skc_to_tcp_sock_proto,
  bpf_skc_to_tcp_timewait_sock_proto,
  bpf_skc_to_udp6_sock_proto,
  bpf_skc_to_unix_sock_proto,
} from './socket.ts';
import {
  bpf_cgrp_storage_delete_proto,
  bpf_cgrp_storage_get_proto,
  bpf_task_storage_delete_proto,
  bpf_task_storage_get_proto,
} from './storage.ts';
import {
  bpf_snprintf_btf_proto,
  bpf_snprintf_proto,
  bpf_strncmp_proto,
  bpf_strtol_proto,
  bpf_strtoul_proto,
  bpf_trace_printk_proto,
  bpf_trace_vprintk_proto,
} from './string.ts';
import {
  bpf_copy_from_user_proto,
  bpf_copy_from_user_task_proto,
  bpf_current_task_under_cgroup_proto,
  bpf_find_vma_proto,
  bpf_get_current_ancestor_cgroup_id_proto,
  bpf_get_current_cgroup_id_proto,
  bpf_get_current_comm_proto,
  bpf_get_current_pid_tgid_proto,
  bpf_get_current_task_btf_proto,
  bpf_get_current_task_proto,
  bpf_get_current_uid_gid_proto,
  bpf_get_ns_current_pid_tgid_proto,
  bpf_get_task_stack_proto,
  bpf_send_signal_proto,
  bpf_send_signal_thread_proto,
  bpf_task_pt_regs_proto,
} from './task.ts';
import {
  bpf_get_numa_node_id_proto,
  bpf_get_prandom_u32_proto,
  bpf_get_smp_processor_id_proto,
  bpf_jiffies64_proto,
  bpf_ktime_get_boot_ns_proto,
  bpf_ktime_get_coarse_ns_proto,
  bpf_ktime_get_ns_proto,
  bpf_ktime_get_tai_ns_proto,
  bpf_per_cpu_ptr_proto,
  bpf_this_cpu_ptr_proto,
} from './time.ts';
import {
  bpf_spin_lock_proto,
  bpf_spin_unlock_proto,
  bpf_timer_cancel_proto,
  bpf_timer_init_proto,
  bpf_timer_set_callback_proto,
  bpf_timer_start_proto,
} from './timer.ts';
import {
  bpf_get_branch_snapshot_proto,
  bpf_perf_event_read_proto,
  bpf_perf_event_read_value_proto,
  bpf_probe_read_kernel_proto,
  bpf_probe_read_kernel_str_proto,
  bpf_probe_read_user_proto,
  bpf_probe_read_user_str_proto,
} from './tracing.ts';

/** `get_func_proto` of a program type: undefined where its programs cannot call the helper. */
export type FuncProtoRule = (id: number, prog: ProgFacts) => BpfFuncProto | undefined;

/** The rows first, then the rule `rest`. */
export function withHelpers(rows: readonly BpfFuncProto[], rest: FuncProtoRule): FuncProtoRule {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return (id, prog) => byId.get(id) ?? rest(id, prog);
}

/** The rows first, but only for programs that `condition` holds for; then `rest`. */
export function withHelpersIf(
  condition: (prog: ProgFacts) => boolean,
  rows: readonly BpfFuncProto[],
  rest: FuncProtoRule,
): FuncProtoRule {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return (id, prog) => (condition(prog) ? byId.get(id) : undefined) ?? rest(id, prog);
}

/** Withholds helpers that a lower set would give. */
export function withoutHelpers(ids: readonly number[], rest: FuncProtoRule): FuncProtoRule {
  const hidden = new Set(ids);
  return (id, prog) => (hidden.has(id) ? undefined : rest(id, prog));
}

export function hasPerfmon(prog: ProgFacts): boolean {
  return prog.capabilities.perfmon || prog.capabilities.sysAdmin;
}

export function hasBpf(prog: ProgFacts): boolean {
  return prog.capabilities.bpf || prog.capabilities.sysAdmin;
}

const none: FuncProtoRule = () => undefined;

const needPerfmon = withHelpersIf(
  hasPerfmon,
  [
    bpf_trace_printk_proto,
    bpf_get_current_task_proto,
    bpf_get_current_task_btf_proto,
    bpf_get_current_comm_proto,
    bpf_probe_read_user_proto,
    bpf_probe_read_kernel_proto,
    bpf_probe_read_user_str_proto,
    bpf_probe_read_kernel_str_proto,
    bpf_snprintf_btf_proto,
    bpf_snprintf_proto,
    bpf_task_pt_regs_proto,
    bpf_trace_vprintk_proto,
    bpf_perf_event_read_proto,
    bpf_perf_event_read_value_proto,
    bpf_send_signal_proto,
    bpf_send_signal_thread_proto,
    bpf_get_task_stack_proto,
    bpf_copy_from_user_proto,
    bpf_copy_from_user_task_proto,
    bpf_get_branch_snapshot_proto,
    bpf_find_vma_proto,
  ],
  none,
);

const needBpf = withHelpersIf(
  hasBpf,
  [
    bpf_spin_lock_proto,
    bpf_spin_unlock_proto,
    bpf_jiffies64_proto,
    bpf_per_cpu_ptr_proto,
    bpf_this_cpu_ptr_proto,
    bpf_timer_init_proto,
    bpf_timer_set_callback_proto,
    bpf_timer_start_proto,
    bpf_timer_cancel_proto,
    bpf_kptr_xchg_proto,
    bpf_for_each_map_elem_proto,
    bpf_loop_proto,
    bpf_user_ringbuf_drain_proto,
    bpf_ringbuf_reserve_dynptr_proto,
    bpf_ringbuf_submit_dynptr_proto,
    bpf_ringbuf_discard_dynptr_proto,
    bpf_dynptr_from_mem_proto,
    bpf_dynptr_read_proto,
    bpf_dynptr_write_proto,
    bpf_dynptr_data_proto,
    bpf_cgrp_storage_get_proto,
    bpf_cgrp_storage_delete_proto,
    bpf_get_current_cgroup_id_proto,
    bpf_get_current_ancestor_cgroup_id_proto,
    bpf_current_task_under_cgroup_proto,
    bpf_get_cgroup_classid_proto,
    bpf_task_storage_get_proto,
    bpf_task_storage_delete_proto,
  ],
  needPerfmon,
);

/** What every program type may call: some helpers always, more with CAP_BPF, more again with CAP_PERFMON. */
export const bpf_base_func_proto: FuncProtoRule = withHelpers(
  [
    bpf_map_lookup_elem_proto,
    bpf_map_update_elem_proto,
    bpf_map_delete_elem_proto,
    bpf_map_push_elem_proto,
    bpf_map_pop_elem_proto,
    bpf_map_peek_elem_proto,
    bpf_map_lookup_percpu_elem_proto,
    bpf_get_prandom_u32_proto,
    bpf_get_smp_processor_id_proto,
    bpf_get_numa_node_id_proto,
    bpf_tail_call_proto,
    bpf_ktime_get_ns_proto,
    bpf_ktime_get_boot_ns_proto,
    bpf_ktime_get_tai_ns_proto,
    bpf_ringbuf_output_proto,
    bpf_ringbuf_reserve_proto,
    bpf_ringbuf_submit_proto,
    bpf_ringbuf_discard_proto,
    bpf_ringbuf_query_proto,
    bpf_strncmp_proto,
    bpf_strtol_proto,
    bpf_strtoul_proto,
    bpf_get_current_pid_tgid_proto,
    bpf_get_ns_current_pid_tgid_proto,
    bpf_get_current_uid_gid_proto,
  ],
  needBpf,
);

/** Conversions from a socket to a more exact type (`bpf_skc_to_*`). */
export const SKC_TO_PROTOS: readonly BpfFuncProto[] = [
  bpf_skc_to_tcp6_sock_proto,
  bpf_skc_to_tcp_sock_proto,
  bpf_skc_to_tcp_timewait_sock_proto,
  bpf_skc_to_tcp_request_sock_proto,
  bpf_skc_to_udp6_sock_proto,
  bpf_skc_to_unix_sock_proto,
  bpf_skc_to_mptcp_sock_proto,
];

/** The base set of networking programs: coarse time, and socket conversions with CAP_PERFMON. */
export const bpf_sk_base_func_proto: FuncProtoRule = withHelpers(
  [bpf_ktime_get_coarse_ns_proto],
  withHelpersIf(hasPerfmon, SKC_TO_PROTOS, bpf_base_func_proto),
);
