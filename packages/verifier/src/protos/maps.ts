/** Maps: elements of every kind, callbacks over elements, tail calls. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_map_lookup_elem_proto: BpfFuncProto = {
  id: 1,
  name: 'bpf_map_lookup_elem',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY'],
  pkt_access: true,
};

export const bpf_map_update_elem_proto: BpfFuncProto = {
  id: 2,
  name: 'bpf_map_update_elem',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY', 'ARG_PTR_TO_MAP_VALUE', 'ARG_ANYTHING'],
  pkt_access: true,
};

export const bpf_map_delete_elem_proto: BpfFuncProto = {
  id: 3,
  name: 'bpf_map_delete_elem',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY'],
  pkt_access: true,
};

export const bpf_tail_call_proto: BpfFuncProto = {
  id: 12,
  name: 'bpf_tail_call',
  ret_type: 'RET_VOID',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_redirect_map_proto: BpfFuncProto = {
  id: 51,
  name: 'bpf_redirect_map',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_map_push_elem_proto: BpfFuncProto = {
  id: 87,
  name: 'bpf_map_push_elem',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_VALUE', 'ARG_ANYTHING'],
  pkt_access: true,
};

export const bpf_map_pop_elem_proto: BpfFuncProto = {
  id: 88,
  name: 'bpf_map_pop_elem',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_VALUE | MEM_UNINIT | MEM_WRITE'],
};

export const bpf_map_peek_elem_proto: BpfFuncProto = {
  id: 89,
  name: 'bpf_map_peek_elem',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_VALUE | MEM_UNINIT | MEM_WRITE'],
};

export const bpf_for_each_map_elem_proto: BpfFuncProto = {
  id: 164,
  name: 'bpf_for_each_map_elem',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_FUNC', 'ARG_PTR_TO_STACK_OR_NULL', 'ARG_ANYTHING'],
};

export const bpf_loop_proto: BpfFuncProto = {
  id: 181,
  name: 'bpf_loop',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING', 'ARG_PTR_TO_FUNC', 'ARG_PTR_TO_STACK_OR_NULL', 'ARG_ANYTHING'],
};

export const bpf_kptr_xchg_proto: BpfFuncProto = {
  id: 194,
  name: 'bpf_kptr_xchg',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_KPTR_XCHG_DEST', 'ARG_PTR_TO_BTF_ID_OR_NULL | OBJ_RELEASE'],
};

export const bpf_map_lookup_percpu_elem_proto: BpfFuncProto = {
  id: 195,
  name: 'bpf_map_lookup_percpu_elem',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MAP_KEY', 'ARG_ANYTHING'],
  pkt_access: true,
};
