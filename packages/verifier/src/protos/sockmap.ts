/** Socket maps: parsers, verdicts, messages. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_sk_redirect_map_proto: BpfFuncProto = {
  id: 52,
  name: 'bpf_sk_redirect_map',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_sock_map_update_proto: BpfFuncProto = {
  id: 53,
  name: 'bpf_sock_map_update',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY', 'ARG_ANYTHING'],
  pkt_access: true,
};

export const bpf_msg_redirect_map_proto: BpfFuncProto = {
  id: 60,
  name: 'bpf_msg_redirect_map',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_msg_apply_bytes_proto: BpfFuncProto = {
  id: 61,
  name: 'bpf_msg_apply_bytes',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_msg_cork_bytes_proto: BpfFuncProto = {
  id: 62,
  name: 'bpf_msg_cork_bytes',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_msg_pull_data_proto: BpfFuncProto = {
  id: 63,
  name: 'bpf_msg_pull_data',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_sock_hash_update_proto: BpfFuncProto = {
  id: 70,
  name: 'bpf_sock_hash_update',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY', 'ARG_ANYTHING'],
  pkt_access: true,
};

export const bpf_msg_redirect_hash_proto: BpfFuncProto = {
  id: 71,
  name: 'bpf_msg_redirect_hash',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY', 'ARG_ANYTHING'],
};

export const bpf_sk_redirect_hash_proto: BpfFuncProto = {
  id: 72,
  name: 'bpf_sk_redirect_hash',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY', 'ARG_ANYTHING'],
};

export const bpf_sk_select_reuseport_proto: BpfFuncProto = {
  id: 82,
  name: 'bpf_sk_select_reuseport',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY', 'ARG_ANYTHING'],
};

export const bpf_msg_push_data_proto: BpfFuncProto = {
  id: 90,
  name: 'bpf_msg_push_data',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_msg_pop_data_proto: BpfFuncProto = {
  id: 91,
  name: 'bpf_msg_pop_data',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};
