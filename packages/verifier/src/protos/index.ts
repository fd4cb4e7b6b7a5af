/** Helper prototypes, kfunc sets, and the rules that several program types share: what the program types are made of. */

export {
  contextRule, field, flatRule, NARROW, PACKET, PACKET_END, PACKET_META, SOCK_COMMON_OR_NULL, SOCKET, SOCKET_OR_NULL,
} from '../context-table.ts';
export type { CtxAccessRule, CtxField, CtxFieldOptions, CtxPointer } from '../context-table.ts';
export {
  COMMON_KFUNCS, CONNTRACK_KFUNCS, CPUMASK_KFUNCS, CRYPTO_KFUNCS, CGROUP_KFUNCS, GENERIC_KFUNCS, kfuncs, KPROBE_KFUNCS,
  SCHED_ACT_KFUNCS, SKB_KFUNCS, SYSCALL_KFUNCS, TC_KFUNCS, TCP_CONGESTION_KFUNCS, TEST_KFUNCS, TRACING_KFUNCS, XDP_KFUNCS,
} from './kfuncs.ts';
export type { KfuncSet } from './kfuncs.ts';
export { schedActOps, schedClsOps, tc_cls_act_func_proto } from './sched-cls.ts';
export {
  bpf_base_func_proto, bpf_sk_base_func_proto, hasBpf, hasPerfmon, SKC_TO_PROTOS, withHelpers, withHelpersIf, withoutHelpers,
} from './sets.ts';
export type { FuncProtoRule } from './sets.ts';
export { skbContext, SKB_SOCKET_FIELDS } from './skb-context.ts';
export {
  bpf_map_lookup_elem_proto, bpf_map_update_elem_proto, bpf_map_delete_elem_proto, bpf_tail_call_proto,
  bpf_redirect_map_proto, bpf_map_push_elem_proto, bpf_map_pop_elem_proto, bpf_map_peek_elem_proto,
  bpf_for_each_map_elem_proto, bpf_loop_proto, bpf_kptr_xchg_proto, bpf_map_lookup_percpu_elem_proto,
} from './maps.ts';
export {
  bpf_ringbuf_output_proto, bpf_ringbuf_reserve_proto, bpf_ringbuf_submit_proto, bpf_ringbuf_discard_proto,
  bpf_ringbuf_query_proto, bpf_ringbuf_reserve_dynptr_proto, bpf_ringbuf_submit_dynptr_proto,
  bpf_ringbuf_discard_dynptr_proto, bpf_user_ringbuf_drain_proto,
} from './ringbuf.ts';
export {
  bpf_dynptr_from_mem_proto, bpf_dynptr_read_proto, bpf_dynptr_write_proto, bpf_dynptr_data_proto,
} from './dynptr.ts';
export {
  bpf_spin_lock_proto, bpf_spin_unlock_proto, bpf_timer_init_proto, bpf_timer_set_callback_proto, bpf_timer_start_proto,
  bpf_timer_cancel_proto,
} from './timer.ts';
export {
  bpf_get_local_storage_proto, bpf_sk_storage_get_proto, bpf_sk_storage_get_cg_sock_proto, bpf_sk_storage_get_tracing_proto,
  bpf_sk_storage_delete_proto, bpf_sk_storage_delete_tracing_proto, bpf_inode_storage_get_proto,
  bpf_inode_storage_delete_proto, bpf_task_storage_get_proto, bpf_task_storage_delete_proto, bpf_cgrp_storage_get_proto,
  bpf_cgrp_storage_delete_proto,
} from './storage.ts';
export {
  bpf_ktime_get_ns_proto, bpf_get_prandom_u32_proto, bpf_get_raw_smp_processor_id_proto, bpf_get_smp_processor_id_proto,
  bpf_get_numa_node_id_proto, bpf_jiffies64_proto, bpf_ktime_get_boot_ns_proto, bpf_per_cpu_ptr_proto,
  bpf_this_cpu_ptr_proto, bpf_ktime_get_coarse_ns_proto, bpf_ktime_get_tai_ns_proto,
} from './time.ts';
export {
  bpf_trace_printk_proto, bpf_strtol_proto, bpf_strtoul_proto, bpf_seq_printf_proto, bpf_seq_write_proto,
  bpf_snprintf_btf_proto, bpf_seq_printf_btf_proto, bpf_snprintf_proto, bpf_trace_vprintk_proto, bpf_strncmp_proto,
} from './string.ts';
export {
  bpf_get_current_pid_tgid_proto, bpf_get_current_uid_gid_proto, bpf_get_current_comm_proto, bpf_get_current_task_proto,
  bpf_current_task_under_cgroup_proto, bpf_get_current_cgroup_id_proto, bpf_send_signal_proto, bpf_send_signal_thread_proto,
  bpf_get_ns_current_pid_tgid_proto, bpf_get_current_ancestor_cgroup_id_proto, bpf_get_task_stack_proto,
  bpf_copy_from_user_proto, bpf_get_current_task_btf_proto, bpf_task_pt_regs_proto, bpf_find_vma_proto,
  bpf_copy_from_user_task_proto,
} from './task.ts';
export {
  bpf_probe_read_proto, bpf_perf_event_read_proto, bpf_perf_event_output_proto, bpf_get_stackid_proto,
  bpf_get_stackid_pe_proto, bpf_probe_write_user_proto, bpf_probe_read_str_proto, bpf_perf_event_read_value_proto,
  bpf_perf_prog_read_value_proto, bpf_override_return_proto, bpf_get_stack_proto, bpf_skb_output_proto,
  bpf_probe_read_user_proto, bpf_probe_read_kernel_proto, bpf_probe_read_user_str_proto, bpf_probe_read_kernel_str_proto,
  bpf_read_branch_records_proto, bpf_xdp_output_proto, bpf_d_path_proto, bpf_get_func_ip_proto,
  bpf_get_func_ip_kprobe_multi_proto, bpf_get_attach_cookie_proto, bpf_get_branch_snapshot_proto, bpf_get_func_arg_proto,
  bpf_get_func_ret_proto, bpf_get_func_arg_cnt_proto,
} from './tracing.ts';
export {
  bpf_bprm_opts_set_proto, bpf_ima_inode_hash_proto, bpf_sock_from_file_proto, bpf_ima_file_hash_proto,
} from './lsm.ts';
export {
  bpf_sys_bpf_proto, bpf_btf_find_by_name_kind_proto, bpf_sys_close_proto, bpf_kallsyms_lookup_name_proto,
} from './syscall.ts';
export {
  bpf_xdp_adjust_head_proto, bpf_xdp_adjust_meta_proto, bpf_xdp_adjust_tail_proto, bpf_xdp_get_buff_len_proto,
  bpf_xdp_get_buff_len_trace_proto, bpf_xdp_load_bytes_proto, bpf_xdp_store_bytes_proto,
} from './xdp.ts';
export {
  bpf_skb_store_bytes_proto, bpf_l3_csum_replace_proto, bpf_l4_csum_replace_proto, bpf_clone_redirect_proto,
  bpf_skb_vlan_push_proto, bpf_skb_vlan_pop_proto, bpf_skb_get_tunnel_key_proto, bpf_skb_set_tunnel_key_proto,
  bpf_redirect_proto, bpf_get_route_realm_proto, bpf_skb_load_bytes_proto, bpf_csum_diff_proto, bpf_skb_get_tunnel_opt_proto,
  bpf_skb_set_tunnel_opt_proto, bpf_skb_change_proto_proto, bpf_skb_change_type_proto, bpf_get_hash_recalc_proto,
  bpf_skb_change_tail_proto, bpf_skb_pull_data_proto, bpf_csum_update_proto, bpf_set_hash_invalid_proto,
  bpf_skb_change_head_proto, bpf_set_hash_proto, bpf_skb_adjust_room_proto, bpf_skb_get_xfrm_state_proto,
  bpf_skb_load_bytes_relative_proto, bpf_fib_lookup_proto, bpf_skb_ecn_set_ce_proto, bpf_csum_level_proto,
  bpf_redirect_neigh_proto, bpf_redirect_peer_proto, bpf_check_mtu_proto, bpf_skb_set_tstamp_proto,
} from './skb.ts';
export {
  bpf_lwt_push_encap_proto, bpf_lwt_seg6_store_bytes_proto, bpf_lwt_seg6_adjust_srh_proto, bpf_lwt_seg6_action_proto,
} from './lwt.ts';
export {
  bpf_get_cgroup_classid_proto, bpf_get_cgroup_classid_skb_proto, bpf_skb_under_cgroup_proto, bpf_skb_cgroup_id_proto,
  bpf_skb_ancestor_cgroup_id_proto, bpf_sysctl_get_name_proto, bpf_sysctl_get_current_value_proto,
  bpf_sysctl_get_new_value_proto, bpf_sysctl_set_new_value_proto, bpf_sk_cgroup_id_proto, bpf_sk_ancestor_cgroup_id_proto,
  bpf_skb_cgroup_classid_proto, bpf_get_retval_proto, bpf_set_retval_proto,
} from './cgroup.ts';
export {
  bpf_get_socket_cookie_proto, bpf_get_socket_ptr_cookie_proto, bpf_get_socket_uid_proto, bpf_sk_setsockopt_proto,
  bpf_sock_addr_setsockopt_proto, bpf_sk_getsockopt_proto, bpf_sock_addr_getsockopt_proto, bpf_sock_ops_cb_flags_set_proto,
  bpf_bind_proto, bpf_sk_lookup_tcp_proto, bpf_sock_addr_sk_lookup_tcp_proto, bpf_sk_lookup_udp_proto,
  bpf_sock_addr_sk_lookup_udp_proto, bpf_sk_release_proto, bpf_sk_fullsock_proto, bpf_tcp_sock_proto,
  bpf_get_listener_sock_proto, bpf_skc_lookup_tcp_proto, bpf_sock_addr_skc_lookup_tcp_proto, bpf_tcp_check_syncookie_proto,
  bpf_tcp_gen_syncookie_proto, bpf_tcp_send_ack_proto, bpf_get_netns_cookie_proto, bpf_sk_assign_proto,
  bpf_sk_lookup_assign_proto, bpf_skc_to_tcp6_sock_proto, bpf_skc_to_tcp_sock_proto, bpf_skc_to_tcp_timewait_sock_proto,
  bpf_skc_to_tcp_request_sock_proto, bpf_skc_to_udp6_sock_proto, bpf_load_hdr_opt_proto, bpf_store_hdr_opt_proto,
  bpf_reserve_hdr_opt_proto, bpf_skc_to_unix_sock_proto, bpf_skc_to_mptcp_sock_proto, bpf_tcp_raw_gen_syncookie_ipv4_proto,
  bpf_tcp_raw_gen_syncookie_ipv6_proto, bpf_tcp_raw_check_syncookie_ipv4_proto, bpf_tcp_raw_check_syncookie_ipv6_proto,
} from './socket.ts';
export {
  bpf_sk_redirect_map_proto, bpf_sock_map_update_proto, bpf_msg_redirect_map_proto, bpf_msg_apply_bytes_proto,
  bpf_msg_cork_bytes_proto, bpf_msg_pull_data_proto, bpf_sock_hash_update_proto, bpf_msg_redirect_hash_proto,
  bpf_sk_redirect_hash_proto, bpf_sk_select_reuseport_proto, bpf_msg_push_data_proto, bpf_msg_pop_data_proto,
} from './sockmap.ts';
export {
  bpf_rc_repeat_proto, bpf_rc_keydown_proto, bpf_rc_pointer_rel_proto,
} from './lirc.ts';
