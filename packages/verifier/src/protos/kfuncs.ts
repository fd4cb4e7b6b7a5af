/** Kfuncs: what the sets registered by Linux 6.18 hold, with the flags that the verifier acts on. Their types are in kernel BTF. */

import type { KfuncRow } from '../types.ts';

export type KfuncSet = ReadonlyMap<string, KfuncRow>;

/** The rows of several sets as one. */
export function kfuncs(...sets: readonly KfuncSet[]): KfuncSet {
  return new Map(sets.flatMap((set) => [...set]));
}

function kfuncSet(text: string): KfuncSet {
  const rows = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(' '));
  return new Map(rows.map(([name = '', ...flags]) => [name, { name, flags }]));
}

/** BTF_KFUNC_HOOK_COMMON: every program type may call these. */
export const COMMON_KFUNCS: KfuncSet = kfuncSet(`
  __bpf_trap
  bpf_arena_alloc_pages KF_TRUSTED_ARGS KF_SLEEPABLE KF_ARENA_RET KF_ARENA_ARG2
  bpf_arena_free_pages KF_TRUSTED_ARGS KF_SLEEPABLE KF_ARENA_ARG2
  bpf_arena_reserve_pages KF_TRUSTED_ARGS KF_SLEEPABLE KF_ARENA_ARG2
  bpf_cast_to_kern_ctx KF_FASTCALL
  bpf_cgroup_read_xattr KF_RCU
  bpf_copy_from_user_dynptr KF_SLEEPABLE
  bpf_copy_from_user_str KF_SLEEPABLE
  bpf_copy_from_user_str_dynptr KF_SLEEPABLE
  bpf_copy_from_user_task_dynptr KF_TRUSTED_ARGS KF_SLEEPABLE
  bpf_copy_from_user_task_str KF_SLEEPABLE
  bpf_copy_from_user_task_str_dynptr KF_TRUSTED_ARGS KF_SLEEPABLE
  bpf_dynptr_adjust
  bpf_dynptr_clone
  bpf_dynptr_copy
  bpf_dynptr_is_null
  bpf_dynptr_is_rdonly
  bpf_dynptr_memset
  bpf_dynptr_size
  bpf_dynptr_slice KF_RET_NULL
  bpf_dynptr_slice_rdwr KF_RET_NULL
  bpf_get_kmem_cache
  bpf_iter_bits_destroy KF_ITER_DESTROY
  bpf_iter_bits_new KF_ITER_NEW
  bpf_iter_bits_next KF_RET_NULL KF_ITER_NEXT
  bpf_iter_css_destroy KF_ITER_DESTROY
  bpf_iter_css_new KF_TRUSTED_ARGS KF_ITER_NEW KF_RCU_PROTECTED
  bpf_iter_css_next KF_RET_NULL KF_ITER_NEXT
  bpf_iter_css_task_destroy KF_ITER_DESTROY
  bpf_iter_css_task_new KF_TRUSTED_ARGS KF_ITER_NEW
  bpf_iter_css_task_next KF_RET_NULL KF_ITER_NEXT
  bpf_iter_dmabuf_destroy KF_SLEEPABLE KF_ITER_DESTROY
  bpf_iter_dmabuf_new KF_SLEEPABLE KF_ITER_NEW
  bpf_iter_dmabuf_next KF_RET_NULL KF_SLEEPABLE KF_ITER_NEXT
  bpf_iter_kmem_cache_destroy KF_SLEEPABLE KF_ITER_DESTROY
  bpf_iter_kmem_cache_new KF_SLEEPABLE KF_ITER_NEW
  bpf_iter_kmem_cache_next KF_RET_NULL KF_SLEEPABLE KF_ITER_NEXT
  bpf_iter_num_destroy KF_ITER_DESTROY
  bpf_iter_num_new KF_ITER_NEW
  bpf_iter_num_next KF_RET_NULL KF_ITER_NEXT
  bpf_iter_task_destroy KF_ITER_DESTROY
  bpf_iter_task_new KF_TRUSTED_ARGS KF_ITER_NEW KF_RCU_PROTECTED
  bpf_iter_task_next KF_RET_NULL KF_ITER_NEXT
  bpf_iter_task_vma_destroy KF_ITER_DESTROY
  bpf_iter_task_vma_new KF_RCU KF_ITER_NEW
  bpf_iter_task_vma_next KF_RET_NULL KF_ITER_NEXT
  bpf_local_irq_restore
  bpf_local_irq_save
  bpf_map_sum_elem_count KF_TRUSTED_ARGS
  bpf_modify_return_test_tp
  bpf_preempt_disable
  bpf_preempt_enable
  bpf_probe_read_kernel_dynptr
  bpf_probe_read_kernel_str_dynptr
  bpf_probe_read_user_dynptr
  bpf_probe_read_user_str_dynptr
  bpf_rcu_read_lock
  bpf_rcu_read_unlock
  bpf_rdonly_cast KF_FASTCALL
  bpf_res_spin_lock KF_RET_NULL
  bpf_res_spin_lock_irqsave KF_RET_NULL
  bpf_res_spin_unlock
  bpf_res_spin_unlock_irqrestore
  bpf_strcasecmp
  bpf_strchr
  bpf_strchrnul
  bpf_strcmp
  bpf_strcspn
  bpf_stream_vprintk_impl KF_TRUSTED_ARGS
  bpf_strlen
  bpf_strnchr
  bpf_strnlen
  bpf_strnstr
  bpf_strrchr
  bpf_strspn
  bpf_strstr
  bpf_task_work_schedule_resume_impl KF_TRUSTED_ARGS
  bpf_task_work_schedule_signal_impl KF_TRUSTED_ARGS
  bpf_wq_init
  bpf_wq_set_callback_impl
  bpf_wq_start
`);

/** Objects, lists, trees, tasks, cgroups and keys: registered for most hooks. */
export const GENERIC_KFUNCS: KfuncSet = kfuncSet(`
  bpf_cgroup_acquire KF_ACQUIRE KF_RET_NULL KF_RCU
  bpf_cgroup_ancestor KF_ACQUIRE KF_RET_NULL KF_RCU
  bpf_cgroup_from_id KF_ACQUIRE KF_RET_NULL
  bpf_cgroup_release KF_RELEASE
  bpf_key_put KF_RELEASE
  bpf_list_back KF_RET_NULL
  bpf_list_front KF_RET_NULL
  bpf_list_pop_back KF_ACQUIRE KF_RET_NULL
  bpf_list_pop_front KF_ACQUIRE KF_RET_NULL
  bpf_list_push_back_impl
  bpf_list_push_front_impl
  bpf_lookup_system_key KF_ACQUIRE KF_RET_NULL
  bpf_lookup_user_key KF_ACQUIRE KF_RET_NULL KF_SLEEPABLE
  bpf_obj_drop_impl KF_RELEASE
  bpf_obj_new_impl KF_ACQUIRE KF_RET_NULL
  bpf_percpu_obj_drop_impl KF_RELEASE
  bpf_percpu_obj_new_impl KF_ACQUIRE KF_RET_NULL
  bpf_rbtree_add_impl
  bpf_rbtree_first KF_RET_NULL
  bpf_rbtree_left KF_RET_NULL
  bpf_rbtree_remove KF_ACQUIRE KF_RET_NULL
  bpf_rbtree_right KF_RET_NULL
  bpf_rbtree_root KF_RET_NULL
  bpf_refcount_acquire_impl KF_ACQUIRE KF_RET_NULL KF_RCU
  bpf_send_signal_task KF_TRUSTED_ARGS
  bpf_task_acquire KF_ACQUIRE KF_RET_NULL KF_RCU
  bpf_task_from_pid KF_ACQUIRE KF_RET_NULL
  bpf_task_from_vpid KF_ACQUIRE KF_RET_NULL
  bpf_task_get_cgroup1 KF_ACQUIRE KF_RET_NULL KF_RCU
  bpf_task_release KF_RELEASE
  bpf_task_under_cgroup KF_RCU
  bpf_throw
`);

/** CPU masks. */
export const CPUMASK_KFUNCS: KfuncSet = kfuncSet(`
  bpf_cpumask_acquire KF_ACQUIRE KF_TRUSTED_ARGS
  bpf_cpumask_and KF_RCU
  bpf_cpumask_any_and_distribute KF_RCU
  bpf_cpumask_any_distribute KF_RCU
  bpf_cpumask_clear KF_RCU
  bpf_cpumask_clear_cpu KF_RCU
  bpf_cpumask_copy KF_RCU
  bpf_cpumask_create KF_ACQUIRE KF_RET_NULL
  bpf_cpumask_empty KF_RCU
  bpf_cpumask_equal KF_RCU
  bpf_cpumask_first KF_RCU
  bpf_cpumask_first_and KF_RCU
  bpf_cpumask_first_zero KF_RCU
  bpf_cpumask_full KF_RCU
  bpf_cpumask_intersects KF_RCU
  bpf_cpumask_or KF_RCU
  bpf_cpumask_populate KF_RCU
  bpf_cpumask_release KF_RELEASE
  bpf_cpumask_set_cpu KF_RCU
  bpf_cpumask_setall KF_RCU
  bpf_cpumask_subset KF_RCU
  bpf_cpumask_test_and_clear_cpu KF_RCU
  bpf_cpumask_test_and_set_cpu KF_RCU
  bpf_cpumask_test_cpu KF_RCU
  bpf_cpumask_weight KF_RCU
  bpf_cpumask_xor KF_RCU
`);

/** Connection tracking. */
export const CONNTRACK_KFUNCS: KfuncSet = kfuncSet(`
  bpf_ct_change_status KF_TRUSTED_ARGS
  bpf_ct_change_timeout KF_TRUSTED_ARGS
  bpf_ct_insert_entry KF_ACQUIRE KF_RELEASE KF_RET_NULL
  bpf_ct_release KF_RELEASE
  bpf_ct_set_nat_info KF_TRUSTED_ARGS
  bpf_ct_set_status KF_TRUSTED_ARGS
  bpf_ct_set_timeout KF_TRUSTED_ARGS
  bpf_skb_ct_alloc KF_ACQUIRE KF_RET_NULL
  bpf_skb_ct_lookup KF_ACQUIRE KF_RET_NULL
  bpf_xdp_ct_alloc KF_ACQUIRE KF_RET_NULL
  bpf_xdp_ct_lookup KF_ACQUIRE KF_RET_NULL
`);

/** Encryption of packet data. */
export const CRYPTO_KFUNCS: KfuncSet = kfuncSet(`
  bpf_crypto_decrypt KF_RCU
  bpf_crypto_encrypt KF_RCU
`);

/** Dynptrs over a packet. */
export const SKB_KFUNCS: KfuncSet = kfuncSet(`
  bpf_dynptr_from_skb KF_TRUSTED_ARGS
`);

/** Destructors of the kernel test objects. */
export const TEST_KFUNCS: KfuncSet = kfuncSet(`
  bpf_kfunc_call_memb_release KF_RELEASE
  bpf_kfunc_call_test_release KF_RELEASE
`);

/** Only XDP. */
export const XDP_KFUNCS: KfuncSet = kfuncSet(`
  bpf_dynptr_from_xdp
  bpf_xdp_get_xfrm_state KF_ACQUIRE KF_RET_NULL
  bpf_xdp_metadata_rx_hash KF_TRUSTED_ARGS
  bpf_xdp_metadata_rx_timestamp KF_TRUSTED_ARGS
  bpf_xdp_metadata_rx_vlan_tag KF_TRUSTED_ARGS
  bpf_xdp_pull_data
  bpf_xdp_xfrm_state_release KF_RELEASE
`);

/** Only tc classifiers. */
export const TC_KFUNCS: KfuncSet = kfuncSet(`
  bpf_dynptr_from_skb_meta KF_TRUSTED_ARGS
  bpf_sk_assign_tcp_reqsk KF_TRUSTED_ARGS
`);

/** What the congestion controls of the kernel are made of. */
export const TCP_CONGESTION_KFUNCS: KfuncSet = kfuncSet(`
  bbr_cwnd_event
  bbr_init
  bbr_main
  bbr_min_tso_segs
  bbr_set_state
  bbr_sndbuf_expand
  bbr_ssthresh
  bbr_undo_cwnd
  cubictcp_acked
  cubictcp_cong_avoid
  cubictcp_cwnd_event
  cubictcp_init
  cubictcp_recalc_ssthresh
  cubictcp_state
  tcp_cong_avoid_ai
  tcp_reno_cong_avoid
  tcp_reno_ssthresh
  tcp_reno_undo_cwnd
  tcp_slow_start
`);

/** Files, tasks and cgroup statistics, for tracing programs. */
export const TRACING_KFUNCS: KfuncSet = kfuncSet(`
  bpf_get_dentry_xattr KF_TRUSTED_ARGS KF_SLEEPABLE
  bpf_get_file_xattr KF_TRUSTED_ARGS KF_SLEEPABLE
  bpf_get_task_exe_file KF_ACQUIRE KF_RET_NULL KF_TRUSTED_ARGS
  bpf_path_d_path KF_TRUSTED_ARGS
  bpf_put_file KF_RELEASE
  bpf_remove_dentry_xattr KF_TRUSTED_ARGS KF_SLEEPABLE
  bpf_set_dentry_xattr KF_TRUSTED_ARGS KF_SLEEPABLE
  bpf_sock_destroy KF_TRUSTED_ARGS
  css_rstat_flush KF_SLEEPABLE
  css_rstat_updated
`);

/** Crypto contexts are made by syscall programs. */
export const SYSCALL_KFUNCS: KfuncSet = kfuncSet(`
  bpf_crypto_ctx_acquire KF_ACQUIRE KF_RET_NULL KF_RCU
  bpf_crypto_ctx_create KF_ACQUIRE KF_RET_NULL KF_SLEEPABLE
  bpf_crypto_ctx_release KF_RELEASE
`);

/** Socket hooks of cgroups. */
export const CGROUP_KFUNCS: KfuncSet = kfuncSet(`
  bpf_sock_addr_set_sun_path
  bpf_sock_ops_enable_tx_tstamp KF_TRUSTED_ARGS
`);

/** Only tc actions. */
export const SCHED_ACT_KFUNCS: KfuncSet = kfuncSet(`
  bpf_dynptr_from_skb_meta KF_TRUSTED_ARGS
`);

/** Probe sessions. */
export const KPROBE_KFUNCS: KfuncSet = kfuncSet(`
  bpf_session_cookie
  bpf_session_is_return
`);
