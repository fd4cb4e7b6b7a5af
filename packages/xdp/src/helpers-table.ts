/** Helpers and kfuncs of XDP programs: `xdp_func_proto`. */

import type { KfuncRow } from '@libbpf-ts/verifier';
import {
  bpf_check_mtu_proto,
  bpf_csum_diff_proto,
  bpf_fib_lookup_proto,
  bpf_perf_event_output_proto,
  bpf_redirect_map_proto,
  bpf_redirect_proto,
  bpf_sk_base_func_proto,
  bpf_sk_lookup_tcp_proto,
  bpf_sk_lookup_udp_proto,
  bpf_sk_release_proto,
  bpf_skc_lookup_tcp_proto,
  bpf_tcp_check_syncookie_proto,
  bpf_tcp_gen_syncookie_proto,
  bpf_tcp_raw_check_syncookie_ipv4_proto,
  bpf_tcp_raw_check_syncookie_ipv6_proto,
  bpf_tcp_raw_gen_syncookie_ipv4_proto,
  bpf_tcp_raw_gen_syncookie_ipv6_proto,
  bpf_xdp_adjust_head_proto,
  bpf_xdp_adjust_meta_proto,
  bpf_xdp_adjust_tail_proto,
  bpf_xdp_get_buff_len_proto,
  bpf_xdp_load_bytes_proto,
  bpf_xdp_store_bytes_proto,
  COMMON_KFUNCS,
  CONNTRACK_KFUNCS,
  CRYPTO_KFUNCS,
  GENERIC_KFUNCS,
  kfuncs,
  withHelpers,
  XDP_KFUNCS,
} from '@libbpf-ts/verifier/protos';
import type { FuncProtoRule } from '@libbpf-ts/verifier/protos';

/** Helpers of XDP programs, before the set that every networking program has. */
export const xdp_func_proto: FuncProtoRule = withHelpers(
  [
    bpf_perf_event_output_proto,
    bpf_csum_diff_proto,
    bpf_xdp_adjust_head_proto,
    bpf_xdp_adjust_meta_proto,
    bpf_redirect_proto,
    bpf_redirect_map_proto,
    bpf_xdp_adjust_tail_proto,
    bpf_xdp_get_buff_len_proto,
    bpf_xdp_load_bytes_proto,
    bpf_xdp_store_bytes_proto,
    bpf_fib_lookup_proto,
    bpf_check_mtu_proto,
    bpf_sk_lookup_udp_proto,
    bpf_sk_lookup_tcp_proto,
    bpf_sk_release_proto,
    bpf_skc_lookup_tcp_proto,
    bpf_tcp_check_syncookie_proto,
    bpf_tcp_gen_syncookie_proto,
    bpf_tcp_raw_gen_syncookie_ipv4_proto,
    bpf_tcp_raw_gen_syncookie_ipv6_proto,
    bpf_tcp_raw_check_syncookie_ipv4_proto,
    bpf_tcp_raw_check_syncookie_ipv6_proto,
  ],
  bpf_sk_base_func_proto,
);

/** Kfuncs of XDP programs. The metadata ones are for programs bound to a device. */
export const xdpKfuncs: ReadonlyMap<string, KfuncRow> = kfuncs(
  COMMON_KFUNCS,
  GENERIC_KFUNCS,
  CONNTRACK_KFUNCS,
  CRYPTO_KFUNCS,
  XDP_KFUNCS,
);

/** Kfuncs that read what the device noted about a frame; only with BPF_F_XDP_DEV_BOUND_ONLY. */
export const XDP_METADATA_KFUNCS: readonly string[] = [
  'bpf_xdp_metadata_rx_hash',
  'bpf_xdp_metadata_rx_timestamp',
  'bpf_xdp_metadata_rx_vlan_tag',
];
