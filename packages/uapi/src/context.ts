/** Contexts of programs as the ABI lays them out (`struct __sk_buff`, `struct xdp_md`), with field offsets. */

import { at, bytes, struct, u32, u64, u8 } from './layout.ts';

export const __sk_buff = struct('__sk_buff', {
  len: u32,
  pkt_type: u32,
  mark: u32,
  queue_mapping: u32,
  protocol: u32,
  vlan_present: u32,
  vlan_tci: u32,
  vlan_proto: u32,
  priority: u32,
  ingress_ifindex: u32,
  ifindex: u32,
  tc_index: u32,
  cb: bytes(20),
  hash: u32,
  tc_classid: u32,
  data: u32,
  data_end: u32,
  napi_id: u32,
  family: u32,
  remote_ip4: u32,
  local_ip4: u32,
  remote_ip6: bytes(16),
  local_ip6: bytes(16),
  remote_port: u32,
  local_port: u32,
  data_meta: u32,
  flow_keys: u64,
  tstamp: u64,
  wire_len: u32,
  gso_segs: u32,
  sk: u64,
  gso_size: u32,
  tstamp_type: u8,
  hwtstamp: at(184, u64),
});

export const xdp_md = struct('xdp_md', {
  data: u32,
  data_end: u32,
  data_meta: u32,
  ingress_ifindex: u32,
  rx_queue_index: u32,
  egress_ifindex: u32,
});
