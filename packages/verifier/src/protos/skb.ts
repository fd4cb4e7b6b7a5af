/** Packets as socket buffers: bytes, checksums, headers, tunnels, redirection. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_skb_store_bytes_proto: BpfFuncProto = {
  id: 9,
  name: 'bpf_skb_store_bytes',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_l3_csum_replace_proto: BpfFuncProto = {
  id: 10,
  name: 'bpf_l3_csum_replace',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_l4_csum_replace_proto: BpfFuncProto = {
  id: 11,
  name: 'bpf_l4_csum_replace',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_clone_redirect_proto: BpfFuncProto = {
  id: 13,
  name: 'bpf_clone_redirect',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_skb_vlan_push_proto: BpfFuncProto = {
  id: 18,
  name: 'bpf_skb_vlan_push',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_skb_vlan_pop_proto: BpfFuncProto = {
  id: 19,
  name: 'bpf_skb_vlan_pop',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
  changesPacketData: true,
};

export const bpf_skb_get_tunnel_key_proto: BpfFuncProto = {
  id: 20,
  name: 'bpf_skb_get_tunnel_key',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
};

export const bpf_skb_set_tunnel_key_proto: BpfFuncProto = {
  id: 21,
  name: 'bpf_skb_set_tunnel_key',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
};

export const bpf_redirect_proto: BpfFuncProto = {
  id: 23,
  name: 'bpf_redirect',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_get_route_realm_proto: BpfFuncProto = {
  id: 24,
  name: 'bpf_get_route_realm',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_skb_load_bytes_proto: BpfFuncProto = {
  id: 26,
  name: 'bpf_skb_load_bytes',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_csum_diff_proto: BpfFuncProto = {
  id: 28,
  name: 'bpf_csum_diff',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_MEM_OR_NULL | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
    'ARG_PTR_TO_MEM_OR_NULL | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
    'ARG_ANYTHING',
  ],
  pkt_access: true,
};

export const bpf_skb_get_tunnel_opt_proto: BpfFuncProto = {
  id: 29,
  name: 'bpf_skb_get_tunnel_opt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_skb_set_tunnel_opt_proto: BpfFuncProto = {
  id: 30,
  name: 'bpf_skb_set_tunnel_opt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
};

export const bpf_skb_change_proto_proto: BpfFuncProto = {
  id: 31,
  name: 'bpf_skb_change_proto',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_skb_change_type_proto: BpfFuncProto = {
  id: 32,
  name: 'bpf_skb_change_type',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_get_hash_recalc_proto: BpfFuncProto = {
  id: 34,
  name: 'bpf_get_hash_recalc',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_skb_change_tail_proto: BpfFuncProto = {
  id: 38,
  name: 'bpf_skb_change_tail',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_skb_pull_data_proto: BpfFuncProto = {
  id: 39,
  name: 'bpf_skb_pull_data',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_csum_update_proto: BpfFuncProto = {
  id: 40,
  name: 'bpf_csum_update',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_set_hash_invalid_proto: BpfFuncProto = {
  id: 41,
  name: 'bpf_set_hash_invalid',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_skb_change_head_proto: BpfFuncProto = {
  id: 43,
  name: 'bpf_skb_change_head',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_set_hash_proto: BpfFuncProto = {
  id: 48,
  name: 'bpf_set_hash',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_skb_adjust_room_proto: BpfFuncProto = {
  id: 50,
  name: 'bpf_skb_adjust_room',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_skb_get_xfrm_state_proto: BpfFuncProto = {
  id: 66,
  name: 'bpf_skb_get_xfrm_state',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
};

export const bpf_skb_load_bytes_relative_proto: BpfFuncProto = {
  id: 68,
  name: 'bpf_skb_load_bytes_relative',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
};

export const bpf_fib_lookup_proto: BpfFuncProto = {
  id: 69,
  name: 'bpf_fib_lookup',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_WRITE', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_skb_ecn_set_ce_proto: BpfFuncProto = {
  id: 97,
  name: 'bpf_skb_ecn_set_ce',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_csum_level_proto: BpfFuncProto = {
  id: 135,
  name: 'bpf_csum_level',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_redirect_neigh_proto: BpfFuncProto = {
  id: 152,
  name: 'bpf_redirect_neigh',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING', 'ARG_PTR_TO_MEM_OR_NULL | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
};

export const bpf_redirect_peer_proto: BpfFuncProto = {
  id: 155,
  name: 'bpf_redirect_peer',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_check_mtu_proto: BpfFuncProto = {
  id: 163,
  name: 'bpf_check_mtu',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_CTX',
    'ARG_ANYTHING',
    'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_ALIGNED | MEM_WRITE',
    'ARG_ANYTHING',
    'ARG_ANYTHING',
  ],
  arg_size: [undefined, undefined, 4],
  gpl_only: true,
};

export const bpf_skb_set_tstamp_proto: BpfFuncProto = {
  id: 192,
  name: 'bpf_skb_set_tstamp',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};
