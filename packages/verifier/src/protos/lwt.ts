/** Light-weight tunnels and segment routing. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_lwt_push_encap_proto: BpfFuncProto = {
  id: 73,
  name: 'bpf_lwt_push_encap',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
  changesPacketData: true,
};

export const bpf_lwt_seg6_store_bytes_proto: BpfFuncProto = {
  id: 74,
  name: 'bpf_lwt_seg6_store_bytes',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
  changesPacketData: true,
};

export const bpf_lwt_seg6_adjust_srh_proto: BpfFuncProto = {
  id: 75,
  name: 'bpf_lwt_seg6_adjust_srh',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  changesPacketData: true,
};

export const bpf_lwt_seg6_action_proto: BpfFuncProto = {
  id: 76,
  name: 'bpf_lwt_seg6_action',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
  changesPacketData: true,
};
