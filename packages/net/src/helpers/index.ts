/** The helpers of this package by BPF_FUNC_* number. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import * as id from '@libbpf-ts/uapi';

import * as bytes from './bytes.ts';
import * as csum from './csum.ts';
import * as fib from './fib.ts';
import * as hash from './hash.ts';
import * as metadata from './metadata.ts';
import * as redirect from './redirect.ts';
import * as resize from './resize.ts';
import * as socket from './socket.ts';
import * as tunnel from './tunnel.ts';
import * as vlan from './vlan.ts';

/** For sched_cls and sched_act programs, whose context is a packet of this package. */
export const skbHelpers: ReadonlyMap<number, HelperFactory> = new Map<number, HelperFactory>([
  [id.BPF_FUNC_skb_load_bytes, bytes.skb_load_bytes],
  [id.BPF_FUNC_skb_load_bytes_relative, bytes.skb_load_bytes_relative],
  [id.BPF_FUNC_skb_store_bytes, bytes.skb_store_bytes],
  [id.BPF_FUNC_skb_pull_data, bytes.skb_pull_data],
  [id.BPF_FUNC_l3_csum_replace, csum.l3_csum_replace],
  [id.BPF_FUNC_l4_csum_replace, csum.l4_csum_replace],
  [id.BPF_FUNC_csum_diff, csum.csum_diff],
  [id.BPF_FUNC_csum_update, csum.csum_update],
  [id.BPF_FUNC_csum_level, csum.csum_level],
  [id.BPF_FUNC_get_hash_recalc, hash.get_hash_recalc],
  [id.BPF_FUNC_set_hash_invalid, hash.set_hash_invalid],
  [id.BPF_FUNC_set_hash, hash.set_hash],
  [id.BPF_FUNC_skb_change_tail, resize.skb_change_tail],
  [id.BPF_FUNC_skb_change_head, resize.skb_change_head],
  [id.BPF_FUNC_skb_change_proto, resize.skb_change_proto],
  [id.BPF_FUNC_skb_change_type, resize.skb_change_type],
  [id.BPF_FUNC_skb_adjust_room, resize.skb_adjust_room],
  [id.BPF_FUNC_skb_vlan_push, vlan.skb_vlan_push],
  [id.BPF_FUNC_skb_vlan_pop, vlan.skb_vlan_pop],
  [id.BPF_FUNC_redirect, redirect.redirect],
  [id.BPF_FUNC_redirect_peer, redirect.redirect_peer],
  [id.BPF_FUNC_redirect_neigh, redirect.redirect_neigh],
  [id.BPF_FUNC_clone_redirect, redirect.clone_redirect],
  [id.BPF_FUNC_skb_set_tunnel_key, tunnel.skb_set_tunnel_key],
  [id.BPF_FUNC_skb_get_tunnel_key, tunnel.skb_get_tunnel_key],
  [id.BPF_FUNC_skb_set_tunnel_opt, tunnel.skb_set_tunnel_opt],
  [id.BPF_FUNC_skb_get_tunnel_opt, tunnel.skb_get_tunnel_opt],
  [id.BPF_FUNC_fib_lookup, fib.fib_lookup],
  [id.BPF_FUNC_check_mtu, fib.check_mtu],
  [id.BPF_FUNC_get_cgroup_classid, metadata.get_cgroup_classid],
  [id.BPF_FUNC_get_route_realm, metadata.get_route_realm],
  [id.BPF_FUNC_skb_under_cgroup, metadata.skb_under_cgroup],
  [id.BPF_FUNC_skb_cgroup_classid, metadata.skb_cgroup_classid],
  [id.BPF_FUNC_skb_cgroup_id, metadata.skb_cgroup_id],
  [id.BPF_FUNC_skb_ancestor_cgroup_id, metadata.skb_ancestor_cgroup_id],
  [id.BPF_FUNC_get_socket_cookie, metadata.get_socket_cookie],
  [id.BPF_FUNC_get_socket_uid, metadata.get_socket_uid],
  [id.BPF_FUNC_get_netns_cookie, metadata.get_netns_cookie],
  [id.BPF_FUNC_skb_get_xfrm_state, metadata.skb_get_xfrm_state],
  [id.BPF_FUNC_skb_set_tstamp, metadata.skb_set_tstamp],
  [id.BPF_FUNC_skb_ecn_set_ce, metadata.skb_ecn_set_ce],
  [id.BPF_FUNC_sk_cgroup_id, metadata.sk_cgroup_id],
  [id.BPF_FUNC_sk_ancestor_cgroup_id, metadata.sk_ancestor_cgroup_id],
  [id.BPF_FUNC_sk_lookup_tcp, socket.sk_lookup_tcp],
  [id.BPF_FUNC_sk_lookup_udp, socket.sk_lookup_udp],
  [id.BPF_FUNC_skc_lookup_tcp, socket.skc_lookup_tcp],
  [id.BPF_FUNC_sk_release, socket.sk_release],
  [id.BPF_FUNC_sk_fullsock, socket.sk_fullsock],
  [id.BPF_FUNC_tcp_sock, socket.tcp_sock],
  [id.BPF_FUNC_get_listener_sock, socket.get_listener_sock],
  [id.BPF_FUNC_sk_assign, socket.sk_assign],
  [id.BPF_FUNC_tcp_check_syncookie, socket.tcp_check_syncookie],
  [id.BPF_FUNC_tcp_gen_syncookie, socket.tcp_gen_syncookie],
]);

/** For XDP programs: those that need no packet of this package. */
export const xdpNetHelpers: ReadonlyMap<number, HelperFactory> = new Map<number, HelperFactory>([
  [id.BPF_FUNC_csum_diff, csum.csum_diff],
  [id.BPF_FUNC_redirect, redirect.xdp_redirect],
  [id.BPF_FUNC_fib_lookup, fib.xdp_fib_lookup],
  [id.BPF_FUNC_check_mtu, fib.xdp_check_mtu],
  [id.BPF_FUNC_sk_lookup_tcp, socket.xdp_sk_lookup_tcp],
  [id.BPF_FUNC_sk_lookup_udp, socket.xdp_sk_lookup_udp],
  [id.BPF_FUNC_skc_lookup_tcp, socket.xdp_skc_lookup_tcp],
  [id.BPF_FUNC_sk_release, socket.sk_release],
  [id.BPF_FUNC_tcp_check_syncookie, socket.tcp_check_syncookie],
  [id.BPF_FUNC_tcp_gen_syncookie, socket.tcp_gen_syncookie],
]);
