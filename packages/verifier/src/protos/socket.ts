/** Sockets: lookup, options, conversion, SYN cookies. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_get_socket_cookie_proto: BpfFuncProto = {
  id: 46,
  name: 'bpf_get_socket_cookie',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_get_socket_ptr_cookie_proto: BpfFuncProto = {
  id: 46,
  name: 'bpf_get_socket_cookie',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON | PTR_MAYBE_NULL'],
};

export const bpf_get_socket_uid_proto: BpfFuncProto = {
  id: 47,
  name: 'bpf_get_socket_uid',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_sk_setsockopt_proto: BpfFuncProto = {
  id: 49,
  name: 'bpf_setsockopt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
};

export const bpf_sock_addr_setsockopt_proto: BpfFuncProto = {
  id: 49,
  name: 'bpf_setsockopt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
};

export const bpf_sk_getsockopt_proto: BpfFuncProto = {
  id: 57,
  name: 'bpf_getsockopt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_sock_addr_getsockopt_proto: BpfFuncProto = {
  id: 57,
  name: 'bpf_getsockopt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_sock_ops_cb_flags_set_proto: BpfFuncProto = {
  id: 59,
  name: 'bpf_sock_ops_cb_flags_set',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_bind_proto: BpfFuncProto = {
  id: 64,
  name: 'bpf_bind',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
};

export const bpf_sk_lookup_tcp_proto: BpfFuncProto = {
  id: 84,
  name: 'bpf_sk_lookup_tcp',
  ret_type: 'RET_PTR_TO_SOCKET_OR_NULL',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  pkt_access: true,
};

export const bpf_sock_addr_sk_lookup_tcp_proto: BpfFuncProto = {
  id: 84,
  name: 'bpf_sk_lookup_tcp',
  ret_type: 'RET_PTR_TO_SOCKET_OR_NULL',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_sk_lookup_udp_proto: BpfFuncProto = {
  id: 85,
  name: 'bpf_sk_lookup_udp',
  ret_type: 'RET_PTR_TO_SOCKET_OR_NULL',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  pkt_access: true,
};

export const bpf_sock_addr_sk_lookup_udp_proto: BpfFuncProto = {
  id: 85,
  name: 'bpf_sk_lookup_udp',
  ret_type: 'RET_PTR_TO_SOCKET_OR_NULL',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_sk_release_proto: BpfFuncProto = {
  id: 86,
  name: 'bpf_sk_release',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON | OBJ_RELEASE'],
};

export const bpf_sk_fullsock_proto: BpfFuncProto = {
  id: 95,
  name: 'bpf_sk_fullsock',
  ret_type: 'RET_PTR_TO_SOCKET_OR_NULL',
  arg_types: ['ARG_PTR_TO_SOCK_COMMON'],
};

export const bpf_tcp_sock_proto: BpfFuncProto = {
  id: 96,
  name: 'bpf_tcp_sock',
  ret_type: 'RET_PTR_TO_TCP_SOCK_OR_NULL',
  arg_types: ['ARG_PTR_TO_SOCK_COMMON'],
};

export const bpf_get_listener_sock_proto: BpfFuncProto = {
  id: 98,
  name: 'bpf_get_listener_sock',
  ret_type: 'RET_PTR_TO_SOCKET_OR_NULL',
  arg_types: ['ARG_PTR_TO_SOCK_COMMON'],
};

export const bpf_skc_lookup_tcp_proto: BpfFuncProto = {
  id: 99,
  name: 'bpf_skc_lookup_tcp',
  ret_type: 'RET_PTR_TO_SOCK_COMMON_OR_NULL',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  pkt_access: true,
};

export const bpf_sock_addr_skc_lookup_tcp_proto: BpfFuncProto = {
  id: 99,
  name: 'bpf_skc_lookup_tcp',
  ret_type: 'RET_PTR_TO_SOCK_COMMON_OR_NULL',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_tcp_check_syncookie_proto: BpfFuncProto = {
  id: 100,
  name: 'bpf_tcp_check_syncookie',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_BTF_ID_SOCK_COMMON',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE',
  ],
  gpl_only: true,
  pkt_access: true,
};

export const bpf_tcp_gen_syncookie_proto: BpfFuncProto = {
  id: 110,
  name: 'bpf_tcp_gen_syncookie',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_BTF_ID_SOCK_COMMON',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE',
  ],
  gpl_only: true,
  pkt_access: true,
};

export const bpf_tcp_send_ack_proto: BpfFuncProto = {
  id: 116,
  name: 'bpf_tcp_send_ack',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_ANYTHING'],
  arg_btf_id: ['tcp_sock'],
};

export const bpf_get_netns_cookie_proto: BpfFuncProto = {
  id: 122,
  name: 'bpf_get_netns_cookie',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX_OR_NULL'],
};

export const bpf_sk_assign_proto: BpfFuncProto = {
  id: 124,
  name: 'bpf_sk_assign',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_BTF_ID_SOCK_COMMON', 'ARG_ANYTHING'],
};

export const bpf_sk_lookup_assign_proto: BpfFuncProto = {
  id: 124,
  name: 'bpf_sk_assign',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_SOCKET_OR_NULL', 'ARG_ANYTHING'],
};

export const bpf_skc_to_tcp6_sock_proto: BpfFuncProto = {
  id: 136,
  name: 'bpf_skc_to_tcp6_sock',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
  ret_btf_id: 'tcp6_sock',
};

export const bpf_skc_to_tcp_sock_proto: BpfFuncProto = {
  id: 137,
  name: 'bpf_skc_to_tcp_sock',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
  ret_btf_id: 'tcp_sock',
};

export const bpf_skc_to_tcp_timewait_sock_proto: BpfFuncProto = {
  id: 138,
  name: 'bpf_skc_to_tcp_timewait_sock',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
  ret_btf_id: 'tcp_timewait_sock',
};

export const bpf_skc_to_tcp_request_sock_proto: BpfFuncProto = {
  id: 139,
  name: 'bpf_skc_to_tcp_request_sock',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
  ret_btf_id: 'tcp_request_sock',
};

export const bpf_skc_to_udp6_sock_proto: BpfFuncProto = {
  id: 140,
  name: 'bpf_skc_to_udp6_sock',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
  ret_btf_id: 'udp6_sock',
};

export const bpf_load_hdr_opt_proto: BpfFuncProto = {
  id: 142,
  name: 'bpf_load_hdr_opt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_WRITE', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
};

export const bpf_store_hdr_opt_proto: BpfFuncProto = {
  id: 143,
  name: 'bpf_store_hdr_opt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_reserve_hdr_opt_proto: BpfFuncProto = {
  id: 144,
  name: 'bpf_reserve_hdr_opt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_skc_to_unix_sock_proto: BpfFuncProto = {
  id: 178,
  name: 'bpf_skc_to_unix_sock',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
  ret_btf_id: 'unix_sock',
};

export const bpf_skc_to_mptcp_sock_proto: BpfFuncProto = {
  id: 196,
  name: 'bpf_skc_to_mptcp_sock',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_SOCK_COMMON'],
  ret_btf_id: 'mptcp_sock',
};

export const bpf_tcp_raw_gen_syncookie_ipv4_proto: BpfFuncProto = {
  id: 204,
  name: 'bpf_tcp_raw_gen_syncookie_ipv4',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_FIXED_SIZE_MEM | MEM_RDONLY', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO'],
  arg_size: [20],
  gpl_only: true,
  pkt_access: true,
};

export const bpf_tcp_raw_gen_syncookie_ipv6_proto: BpfFuncProto = {
  id: 205,
  name: 'bpf_tcp_raw_gen_syncookie_ipv6',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_FIXED_SIZE_MEM | MEM_RDONLY', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO'],
  arg_size: [40],
  gpl_only: true,
  pkt_access: true,
};

export const bpf_tcp_raw_check_syncookie_ipv4_proto: BpfFuncProto = {
  id: 206,
  name: 'bpf_tcp_raw_check_syncookie_ipv4',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_FIXED_SIZE_MEM | MEM_RDONLY', 'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_RDONLY'],
  arg_size: [20, 20],
  gpl_only: true,
  pkt_access: true,
};

export const bpf_tcp_raw_check_syncookie_ipv6_proto: BpfFuncProto = {
  id: 207,
  name: 'bpf_tcp_raw_check_syncookie_ipv6',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_FIXED_SIZE_MEM | MEM_RDONLY', 'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_RDONLY'],
  arg_size: [40, 20],
  gpl_only: true,
  pkt_access: true,
};
