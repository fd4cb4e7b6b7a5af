/** Programs at sockets: socket_filter, sk_skb, sk_msg, sock_ops, sk_lookup, sk_reuseport, flow_dissector. */

import { BPF_SK_LOOKUP, BPF_SK_REUSEPORT_SELECT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE } from '@libbpf-ts/uapi';
import type { VerifierOps } from '@libbpf-ts/verifier';
import {
  bpf_base_func_proto, bpf_get_local_storage_proto, bpf_get_netns_cookie_proto, bpf_get_socket_cookie_proto,
  bpf_get_socket_uid_proto, bpf_ktime_get_coarse_ns_proto, bpf_load_hdr_opt_proto, bpf_msg_apply_bytes_proto,
  bpf_msg_cork_bytes_proto, bpf_msg_pop_data_proto, bpf_msg_pull_data_proto, bpf_msg_push_data_proto,
  bpf_msg_redirect_hash_proto, bpf_msg_redirect_map_proto, bpf_perf_event_output_proto, bpf_reserve_hdr_opt_proto,
  bpf_sk_base_func_proto, bpf_sk_lookup_assign_proto, bpf_sk_lookup_tcp_proto, bpf_sk_lookup_udp_proto,
  bpf_sk_redirect_hash_proto, bpf_sk_redirect_map_proto, bpf_sk_release_proto, bpf_sk_select_reuseport_proto,
  bpf_sk_storage_delete_proto, bpf_sk_storage_get_proto, bpf_skb_adjust_room_proto, bpf_skb_change_head_proto,
  bpf_skb_change_tail_proto, bpf_skb_load_bytes_proto, bpf_skb_load_bytes_relative_proto, bpf_skb_pull_data_proto,
  bpf_skb_store_bytes_proto, bpf_skc_lookup_tcp_proto, bpf_sock_addr_getsockopt_proto, bpf_sock_addr_setsockopt_proto,
  bpf_sock_hash_update_proto, bpf_sock_map_update_proto, bpf_sock_ops_cb_flags_set_proto, bpf_store_hdr_opt_proto,
  bpf_tcp_sock_proto, CGROUP_KFUNCS, COMMON_KFUNCS, contextRule, field, GENERIC_KFUNCS, kfuncs, NARROW, PACKET, PACKET_END,
  SKB_KFUNCS, skbContext, SKB_SOCKET_FIELDS, SOCK_COMMON_OR_NULL, SOCKET, SOCKET_OR_NULL, withHelpers,
} from '@libbpf-ts/verifier/protos';
import type { CtxField } from '@libbpf-ts/verifier/protos';

const skbKfuncs = kfuncs(COMMON_KFUNCS, SKB_KFUNCS);

/** A run of 4-byte fields that are read whole. */
function words(from: number, names: readonly string[]): CtxField[] {
  return names.map((name, index) => field(name, from + 4 * index, 4, 4));
}

export const socketFilterOps: VerifierOps = {
  name: 'socket_filter',
  funcProto: withHelpers([
    bpf_skb_load_bytes_proto, bpf_skb_load_bytes_relative_proto, bpf_get_socket_cookie_proto, bpf_get_netns_cookie_proto,
    bpf_get_socket_uid_proto, bpf_perf_event_output_proto,
  ], bpf_sk_base_func_proto),
  isValidAccess: skbContext(
    [...SKB_SOCKET_FIELDS, 'tc_classid', 'data', 'data_meta', 'data_end', 'tstamp', 'wire_len', 'tstamp_type', 'hwtstamp'],
    ['cb'],
  ),
  ldAbs: true,
  kfuncs: skbKfuncs,
  contextStruct: '__sk_buff',
};

export const skSkbOps: VerifierOps = {
  name: 'sk_skb',
  funcProto: withHelpers([
    bpf_skb_store_bytes_proto, bpf_skb_load_bytes_proto, bpf_skb_pull_data_proto, bpf_skb_change_tail_proto,
    bpf_skb_change_head_proto, bpf_skb_adjust_room_proto, bpf_get_socket_cookie_proto, bpf_get_socket_uid_proto,
    bpf_sk_redirect_map_proto, bpf_sk_redirect_hash_proto, bpf_perf_event_output_proto, bpf_sk_lookup_tcp_proto,
    bpf_sk_lookup_udp_proto, bpf_sk_release_proto, bpf_skc_lookup_tcp_proto,
  ], bpf_sk_base_func_proto),
  isValidAccess: skbContext(
    ['tc_classid', 'data_meta', 'tstamp', 'wire_len', 'tstamp_type', 'hwtstamp', 'mark'],
    ['tc_index', 'priority'],
  ),
  packetRead: true,
  packetWrite: true,
  kfuncs: skbKfuncs,
  contextStruct: '__sk_buff',
};

export const skMsgOps: VerifierOps = {
  name: 'sk_msg',
  funcProto: withHelpers([
    bpf_msg_redirect_map_proto, bpf_msg_redirect_hash_proto, bpf_msg_apply_bytes_proto, bpf_msg_cork_bytes_proto,
    bpf_msg_pull_data_proto, bpf_msg_push_data_proto, bpf_msg_pop_data_proto, bpf_perf_event_output_proto,
    bpf_sk_storage_get_proto, bpf_sk_storage_delete_proto, bpf_get_netns_cookie_proto,
  ], bpf_sk_base_func_proto),
  isValidAccess: contextRule([
    field('data', 0, 8, 8, 0, { gives: PACKET }),
    field('data_end', 8, 8, 8, 0, { gives: PACKET_END }),
    field('family', 16, 4, 4),
    field('remote_ip4', 20, 4, 4),
    field('local_ip4', 24, 4, 4),
    field('remote_ip6', 28, 16, 4),
    field('local_ip6', 44, 16, 4),
    ...words(60, ['remote_port', 'local_port', 'size']),
    field('sk', 72, 8, 8, 0, { gives: SOCKET }),
  ]),
  packetRead: true,
  packetWrite: true,
  kfuncs: COMMON_KFUNCS,
  contextStruct: 'sk_msg_md',
};

export const sockOpsOps: VerifierOps = {
  name: 'sock_ops',
  funcProto: withHelpers([
    bpf_sock_addr_setsockopt_proto, bpf_sock_addr_getsockopt_proto, bpf_sock_ops_cb_flags_set_proto, bpf_sock_map_update_proto,
    bpf_sock_hash_update_proto, bpf_get_socket_cookie_proto, bpf_get_local_storage_proto, bpf_perf_event_output_proto,
    bpf_sk_storage_get_proto, bpf_sk_storage_delete_proto, bpf_get_netns_cookie_proto, bpf_load_hdr_opt_proto,
    bpf_store_hdr_opt_proto, bpf_reserve_hdr_opt_proto, bpf_tcp_sock_proto,
  ], bpf_sk_base_func_proto),
  isValidAccess: contextRule([
    field('op', 0, 4, 4),
    field('reply', 4, 4, 4, 4),
    field('args', 4, 16, 4),
    field('family', 20, 4, 4),
    field('remote_ip4', 24, 4, 4),
    field('local_ip4', 28, 4, 4),
    field('remote_ip6', 32, 16, 4),
    field('local_ip6', 48, 16, 4),
    ...words(64, [
      'remote_port', 'local_port', 'is_fullsock', 'snd_cwnd', 'srtt_us', 'bpf_sock_ops_cb_flags', 'state', 'rtt_min',
      'snd_ssthresh', 'rcv_nxt', 'snd_nxt', 'snd_una', 'mss_cache', 'ecn_flags', 'rate_delivered', 'rate_interval_us',
      'packets_out', 'retrans_out', 'total_retrans', 'segs_in', 'data_segs_in', 'segs_out', 'data_segs_out', 'lost_out',
      'sacked_out',
    ]),
    field('sk_txhash', 164, 4, 4, 4),
    field('bytes_received', 168, 8, 8),
    field('bytes_acked', 176, 8, 8),
    field('sk', 184, 8, 8, 0, { gives: SOCKET_OR_NULL }),
    field('skb_data', 192, 8, 8, 0, { gives: PACKET }),
    field('skb_data_end', 200, 8, 8, 0, { gives: PACKET_END }),
    field('skb_len', 208, 4, 4),
    field('skb_tcp_flags', 212, 4, NARROW, 0, { startOnly: true }),
    field('skb_hwtstamp', 216, 8, 8),
  ]),
  returnRange: () => ({ min: 0, max: 1 }),
  kfuncs: kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, SKB_KFUNCS, CGROUP_KFUNCS),
  contextStruct: 'bpf_sock_ops',
};

export const skLookupOps: VerifierOps = {
  name: 'sk_lookup',
  funcProto: withHelpers(
    [bpf_perf_event_output_proto, bpf_sk_lookup_assign_proto, bpf_sk_release_proto],
    bpf_sk_base_func_proto,
  ),
  isValidAccess: contextRule([
    field('sk', 0, 8, 8, 0, { gives: SOCKET_OR_NULL }),
    field('family', 8, 4, NARROW),
    field('protocol', 12, 4, NARROW),
    field('remote_ip4', 16, 4, NARROW),
    field('remote_ip6', 20, 16, NARROW),
    field('remote_port', 36, 4, NARROW),
    field('local_ip4', 40, 4, NARROW),
    field('local_ip6', 44, 16, NARROW),
    field('local_port', 60, 4, NARROW),
    field('ingress_ifindex', 64, 4, NARROW),
  ]),
  returnRange: () => ({ min: 0, max: 1 }),
  checkAttach: (prog) => (prog.expected_attach_type === BPF_SK_LOOKUP ? undefined : { errno: 'EINVAL' }),
  kfuncs: COMMON_KFUNCS,
  contextStruct: 'bpf_sk_lookup',
};

export const skReuseportOps: VerifierOps = {
  name: 'sk_reuseport',
  funcProto: withHelpers([
    bpf_sk_select_reuseport_proto, bpf_skb_load_bytes_proto, bpf_skb_load_bytes_relative_proto, bpf_get_socket_cookie_proto,
    bpf_ktime_get_coarse_ns_proto,
  ], bpf_base_func_proto),
  isValidAccess: contextRule([
    field('data', 0, 8, 8, 0, { gives: PACKET }),
    field('data_end', 8, 8, 8, 0, { gives: PACKET_END }),
    field('len', 16, 4, NARROW),
    field('eth_protocol', 20, 4, 6),
    field('ip_protocol', 24, 4, NARROW),
    field('bind_inany', 28, 4, NARROW),
    field('hash', 32, 4, 4),
    field('sk', 40, 8, 8, 0, { gives: SOCKET }),
    field('migrating_sk', 48, 8, 8, 0, { gives: SOCK_COMMON_OR_NULL }),
  ]),
  checkAttach: ({ expected_attach_type: type }) =>
    type === 0 || type === BPF_SK_REUSEPORT_SELECT || type === BPF_SK_REUSEPORT_SELECT_OR_MIGRATE ? undefined : { errno: 'EINVAL' },
  packetRead: true,
  kfuncs: COMMON_KFUNCS,
  contextStruct: 'sk_reuseport_md',
};

export const flowDissectorOps: VerifierOps = {
  name: 'flow_dissector',
  funcProto: withHelpers([bpf_skb_load_bytes_proto], bpf_sk_base_func_proto),
  isValidAccess: contextRule([
    field('data', 76, 4, 4, 0, { gives: PACKET }),
    field('data_end', 80, 4, 4, 0, { gives: PACKET_END }),
    field('flow_keys', 144, 8, 8, 0, { gives: { reg: 'PTR_TO_FLOW_KEYS' } }),
  ]),
  packetRead: true,
  kfuncs: COMMON_KFUNCS,
  contextStruct: '__sk_buff',
};
