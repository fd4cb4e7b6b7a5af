/** XDP frames. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_xdp_adjust_head_proto: BpfFuncProto = {
  id: 44,
  name: 'bpf_xdp_adjust_head',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_xdp_adjust_meta_proto: BpfFuncProto = {
  id: 54,
  name: 'bpf_xdp_adjust_meta',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_xdp_adjust_tail_proto: BpfFuncProto = {
  id: 65,
  name: 'bpf_xdp_adjust_tail',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_xdp_get_buff_len_proto: BpfFuncProto = {
  id: 188,
  name: 'bpf_xdp_get_buff_len',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_xdp_get_buff_len_trace_proto: BpfFuncProto = {
  id: 188,
  name: 'bpf_xdp_get_buff_len',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID'],
  arg_btf_id: ['xdp_buff'],
};

export const bpf_xdp_load_bytes_proto: BpfFuncProto = {
  id: 189,
  name: 'bpf_xdp_load_bytes',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_xdp_store_bytes_proto: BpfFuncProto = {
  id: 190,
  name: 'bpf_xdp_store_bytes',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
};
