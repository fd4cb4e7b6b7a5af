/** tc classifiers and actions (`sched_cls`, `sched_act`), tcx programs among them: the rules of `tc_cls_act_verifier_ops`. */

import type { VerifierOps } from '../ops.ts';
import { bpf_get_cgroup_classid_skb_proto, bpf_skb_ancestor_cgroup_id_proto, bpf_skb_cgroup_classid_proto, bpf_skb_cgroup_id_proto, bpf_skb_under_cgroup_proto } from './cgroup.ts';
import {
  COMMON_KFUNCS, CONNTRACK_KFUNCS, CRYPTO_KFUNCS, GENERIC_KFUNCS, kfuncs, SCHED_ACT_KFUNCS, SKB_KFUNCS, TC_KFUNCS, TEST_KFUNCS,
} from './kfuncs.ts';
import { bpf_sk_base_func_proto, withHelpers } from './sets.ts';
import type { FuncProtoRule } from './sets.ts';
import { skbContext, SKB_SOCKET_FIELDS } from './skb-context.ts';
import {
  bpf_check_mtu_proto, bpf_clone_redirect_proto, bpf_csum_diff_proto, bpf_csum_level_proto, bpf_csum_update_proto,
  bpf_fib_lookup_proto, bpf_get_hash_recalc_proto, bpf_get_route_realm_proto, bpf_l3_csum_replace_proto,
  bpf_l4_csum_replace_proto, bpf_redirect_neigh_proto, bpf_redirect_peer_proto, bpf_redirect_proto, bpf_set_hash_invalid_proto,
  bpf_set_hash_proto, bpf_skb_adjust_room_proto, bpf_skb_change_head_proto, bpf_skb_change_proto_proto,
  bpf_skb_change_tail_proto, bpf_skb_change_type_proto, bpf_skb_ecn_set_ce_proto, bpf_skb_get_tunnel_key_proto,
  bpf_skb_get_tunnel_opt_proto, bpf_skb_get_xfrm_state_proto, bpf_skb_load_bytes_proto, bpf_skb_load_bytes_relative_proto,
  bpf_skb_pull_data_proto, bpf_skb_set_tstamp_proto, bpf_skb_set_tunnel_key_proto, bpf_skb_set_tunnel_opt_proto,
  bpf_skb_store_bytes_proto, bpf_skb_vlan_pop_proto, bpf_skb_vlan_push_proto,
} from './skb.ts';
import {
  bpf_get_listener_sock_proto, bpf_get_netns_cookie_proto, bpf_get_socket_cookie_proto, bpf_get_socket_uid_proto,
  bpf_sk_assign_proto, bpf_sk_fullsock_proto, bpf_sk_lookup_tcp_proto, bpf_sk_lookup_udp_proto, bpf_sk_release_proto,
  bpf_skc_lookup_tcp_proto, bpf_tcp_check_syncookie_proto, bpf_tcp_gen_syncookie_proto, bpf_tcp_raw_check_syncookie_ipv4_proto,
  bpf_tcp_raw_check_syncookie_ipv6_proto, bpf_tcp_raw_gen_syncookie_ipv4_proto, bpf_tcp_raw_gen_syncookie_ipv6_proto,
  bpf_tcp_sock_proto,
} from './socket.ts';
import { bpf_sk_storage_delete_proto, bpf_sk_storage_get_proto } from './storage.ts';
import { bpf_perf_event_output_proto } from './tracing.ts';

/** Helpers of tc programs. */
export const tc_cls_act_func_proto: FuncProtoRule = withHelpers([
  bpf_skb_store_bytes_proto, bpf_skb_load_bytes_proto, bpf_skb_load_bytes_relative_proto, bpf_skb_pull_data_proto,
  bpf_csum_diff_proto, bpf_csum_update_proto, bpf_csum_level_proto, bpf_l3_csum_replace_proto, bpf_l4_csum_replace_proto,
  bpf_clone_redirect_proto, bpf_get_cgroup_classid_skb_proto, bpf_skb_vlan_push_proto, bpf_skb_vlan_pop_proto,
  bpf_skb_change_proto_proto, bpf_skb_change_type_proto, bpf_skb_adjust_room_proto, bpf_skb_change_tail_proto,
  bpf_skb_change_head_proto, bpf_skb_get_tunnel_key_proto, bpf_skb_set_tunnel_key_proto, bpf_skb_get_tunnel_opt_proto,
  bpf_skb_set_tunnel_opt_proto, bpf_redirect_proto, bpf_redirect_neigh_proto, bpf_redirect_peer_proto,
  bpf_get_route_realm_proto, bpf_get_hash_recalc_proto, bpf_set_hash_invalid_proto, bpf_set_hash_proto,
  bpf_perf_event_output_proto, bpf_skb_under_cgroup_proto, bpf_get_socket_cookie_proto, bpf_get_netns_cookie_proto,
  bpf_get_socket_uid_proto, bpf_fib_lookup_proto, bpf_check_mtu_proto, bpf_sk_fullsock_proto, bpf_sk_storage_get_proto,
  bpf_sk_storage_delete_proto, bpf_skb_get_xfrm_state_proto, bpf_skb_cgroup_classid_proto, bpf_skb_cgroup_id_proto,
  bpf_skb_ancestor_cgroup_id_proto, bpf_sk_lookup_tcp_proto, bpf_sk_lookup_udp_proto, bpf_sk_release_proto, bpf_tcp_sock_proto,
  bpf_get_listener_sock_proto, bpf_skc_lookup_tcp_proto, bpf_tcp_check_syncookie_proto, bpf_skb_ecn_set_ce_proto,
  bpf_tcp_gen_syncookie_proto, bpf_sk_assign_proto, bpf_skb_set_tstamp_proto, bpf_tcp_raw_gen_syncookie_ipv4_proto,
  bpf_tcp_raw_gen_syncookie_ipv6_proto, bpf_tcp_raw_check_syncookie_ipv4_proto, bpf_tcp_raw_check_syncookie_ipv6_proto,
], bpf_sk_base_func_proto);

const context = skbContext(SKB_SOCKET_FIELDS, ['mark', 'queue_mapping', 'priority', 'tc_index', 'cb', 'tc_classid', 'tstamp']);

/** `BPF_PROG_TYPE_SCHED_CLS`. */
export const schedClsOps: VerifierOps = {
  name: 'sched_cls',
  funcProto: tc_cls_act_func_proto,
  isValidAccess: context,
  packetRead: true,
  packetWrite: true,
  ldAbs: true,
  kfuncs: kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, CONNTRACK_KFUNCS, CRYPTO_KFUNCS, SKB_KFUNCS, TEST_KFUNCS, TC_KFUNCS, SCHED_ACT_KFUNCS),
  contextStruct: '__sk_buff',
};

/** `BPF_PROG_TYPE_SCHED_ACT`. */
export const schedActOps: VerifierOps = {
  ...schedClsOps,
  name: 'sched_act',
  kfuncs: kfuncs(COMMON_KFUNCS, CRYPTO_KFUNCS, SKB_KFUNCS, SCHED_ACT_KFUNCS),
};
