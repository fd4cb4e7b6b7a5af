/** Light-weight tunnels: lwt_in, lwt_out, lwt_xmit, lwt_seg6local. */

import type { VerifierOps } from '@libbpf-ts/verifier';
import {
  bpf_clone_redirect_proto,
  bpf_csum_diff_proto,
  bpf_csum_level_proto,
  bpf_csum_update_proto,
  bpf_get_cgroup_classid_skb_proto,
  bpf_get_hash_recalc_proto,
  bpf_get_route_realm_proto,
  bpf_l3_csum_replace_proto,
  bpf_l4_csum_replace_proto,
  bpf_lwt_push_encap_proto,
  bpf_lwt_seg6_action_proto,
  bpf_lwt_seg6_adjust_srh_proto,
  bpf_lwt_seg6_store_bytes_proto,
  bpf_perf_event_output_proto,
  bpf_redirect_proto,
  bpf_set_hash_invalid_proto,
  bpf_sk_base_func_proto,
  bpf_skb_change_head_proto,
  bpf_skb_change_tail_proto,
  bpf_skb_get_tunnel_key_proto,
  bpf_skb_get_tunnel_opt_proto,
  bpf_skb_load_bytes_proto,
  bpf_skb_pull_data_proto,
  bpf_skb_set_tunnel_key_proto,
  bpf_skb_set_tunnel_opt_proto,
  bpf_skb_store_bytes_proto,
  bpf_skb_under_cgroup_proto,
  COMMON_KFUNCS,
  kfuncs,
  SKB_KFUNCS,
  skbContext,
  SKB_SOCKET_FIELDS,
  withHelpers,
} from '@libbpf-ts/verifier/protos';
import type { FuncProtoRule } from '@libbpf-ts/verifier/protos';

/** Helpers of every tunnel program. */
const lwt_out_func_proto: FuncProtoRule = withHelpers(
  [
    bpf_skb_load_bytes_proto,
    bpf_skb_pull_data_proto,
    bpf_csum_diff_proto,
    bpf_get_cgroup_classid_skb_proto,
    bpf_get_route_realm_proto,
    bpf_get_hash_recalc_proto,
    bpf_perf_event_output_proto,
    bpf_skb_under_cgroup_proto,
  ],
  bpf_sk_base_func_proto,
);

const lwt_xmit_func_proto = withHelpers(
  [
    bpf_skb_get_tunnel_key_proto,
    bpf_skb_set_tunnel_key_proto,
    bpf_skb_get_tunnel_opt_proto,
    bpf_skb_set_tunnel_opt_proto,
    bpf_redirect_proto,
    bpf_clone_redirect_proto,
    bpf_skb_change_tail_proto,
    bpf_skb_change_head_proto,
    bpf_skb_store_bytes_proto,
    bpf_csum_update_proto,
    bpf_csum_level_proto,
    bpf_l3_csum_replace_proto,
    bpf_l4_csum_replace_proto,
    bpf_set_hash_invalid_proto,
    bpf_lwt_push_encap_proto,
  ],
  lwt_out_func_proto,
);

const base = {
  isValidAccess: skbContext(
    [...SKB_SOCKET_FIELDS, 'tc_classid', 'data_meta', 'tstamp', 'wire_len', 'tstamp_type', 'hwtstamp'],
    ['mark', 'priority', 'cb'],
  ),
  packetRead: true,
  kfuncs: kfuncs(COMMON_KFUNCS, SKB_KFUNCS),
  contextStruct: '__sk_buff',
};

export const lwtInOps: VerifierOps = {
  ...base,
  name: 'lwt_in',
  funcProto: withHelpers([bpf_lwt_push_encap_proto], lwt_out_func_proto),
};

export const lwtOutOps: VerifierOps = { ...base, name: 'lwt_out', funcProto: lwt_out_func_proto };

export const lwtXmitOps: VerifierOps = { ...base, name: 'lwt_xmit', funcProto: lwt_xmit_func_proto, packetWrite: true };

export const lwtSeg6localOps: VerifierOps = {
  ...base,
  name: 'lwt_seg6local',
  funcProto: withHelpers(
    [bpf_lwt_seg6_store_bytes_proto, bpf_lwt_seg6_action_proto, bpf_lwt_seg6_adjust_srh_proto],
    lwt_out_func_proto,
  ),
};
