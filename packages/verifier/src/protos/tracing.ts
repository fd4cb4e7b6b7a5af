/** Tracing: probes, stacks, perf events, what was attached to. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_probe_read_proto: BpfFuncProto = {
  id: 4,
  name: 'bpf_probe_read',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_perf_event_read_proto: BpfFuncProto = {
  id: 22,
  name: 'bpf_perf_event_read',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_perf_event_output_proto: BpfFuncProto = {
  id: 25,
  name: 'bpf_perf_event_output',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO'],
  gpl_only: true,
};

export const bpf_get_stackid_proto: BpfFuncProto = {
  id: 27,
  name: 'bpf_get_stackid',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_get_stackid_pe_proto: BpfFuncProto = {
  id: 27,
  name: 'bpf_get_stackid',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
};

export const bpf_probe_write_user_proto: BpfFuncProto = {
  id: 36,
  name: 'bpf_probe_write_user',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
  gpl_only: true,
};

export const bpf_probe_read_str_proto: BpfFuncProto = {
  id: 45,
  name: 'bpf_probe_read_str',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_perf_event_read_value_proto: BpfFuncProto = {
  id: 55,
  name: 'bpf_perf_event_read_value',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
  gpl_only: true,
};

export const bpf_perf_prog_read_value_proto: BpfFuncProto = {
  id: 56,
  name: 'bpf_perf_prog_read_value',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
  gpl_only: true,
};

export const bpf_override_return_proto: BpfFuncProto = {
  id: 58,
  name: 'bpf_override_return',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_get_stack_proto: BpfFuncProto = {
  id: 67,
  name: 'bpf_get_stack',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_skb_output_proto: BpfFuncProto = {
  id: 111,
  name: 'bpf_skb_output',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_BTF_ID',
    'ARG_CONST_MAP_PTR',
    'ARG_ANYTHING',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
  ],
  arg_btf_id: ['sk_buff'],
  gpl_only: true,
};

export const bpf_probe_read_user_proto: BpfFuncProto = {
  id: 112,
  name: 'bpf_probe_read_user',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_probe_read_kernel_proto: BpfFuncProto = {
  id: 113,
  name: 'bpf_probe_read_kernel',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_probe_read_user_str_proto: BpfFuncProto = {
  id: 114,
  name: 'bpf_probe_read_user_str',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_probe_read_kernel_str_proto: BpfFuncProto = {
  id: 115,
  name: 'bpf_probe_read_kernel_str',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_read_branch_records_proto: BpfFuncProto = {
  id: 119,
  name: 'bpf_read_branch_records',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM_OR_NULL | MEM_WRITE', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_xdp_output_proto: BpfFuncProto = {
  id: 121,
  name: 'bpf_xdp_output',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_BTF_ID',
    'ARG_CONST_MAP_PTR',
    'ARG_ANYTHING',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
  ],
  arg_btf_id: ['xdp_buff'],
  gpl_only: true,
};

export const bpf_d_path_proto: BpfFuncProto = {
  id: 147,
  name: 'bpf_d_path',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_PTR_TO_MEM | MEM_WRITE', 'ARG_CONST_SIZE_OR_ZERO'],
  arg_btf_id: ['path'],
};

export const bpf_get_func_ip_proto: BpfFuncProto = {
  id: 173,
  name: 'bpf_get_func_ip',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
  gpl_only: true,
};

export const bpf_get_func_ip_kprobe_multi_proto: BpfFuncProto = {
  id: 173,
  name: 'bpf_get_func_ip',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_get_attach_cookie_proto: BpfFuncProto = {
  id: 174,
  name: 'bpf_get_attach_cookie',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_get_branch_snapshot_proto: BpfFuncProto = {
  id: 176,
  name: 'bpf_get_branch_snapshot',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO'],
  gpl_only: true,
};

export const bpf_get_func_arg_proto: BpfFuncProto = {
  id: 183,
  name: 'bpf_get_func_arg',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_ALIGNED | MEM_WRITE'],
  arg_size: [undefined, undefined, 8],
};

export const bpf_get_func_ret_proto: BpfFuncProto = {
  id: 184,
  name: 'bpf_get_func_ret',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_ALIGNED | MEM_WRITE'],
  arg_size: [undefined, 8],
};

export const bpf_get_func_arg_cnt_proto: BpfFuncProto = {
  id: 185,
  name: 'bpf_get_func_arg_cnt',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};
