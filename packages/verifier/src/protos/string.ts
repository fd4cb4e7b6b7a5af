/** Strings: parsing, comparing, formatting. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_trace_printk_proto: BpfFuncProto = {
  id: 6,
  name: 'bpf_trace_printk',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
  gpl_only: true,
};

export const bpf_strtol_proto: BpfFuncProto = {
  id: 105,
  name: 'bpf_strtol',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE',
    'ARG_ANYTHING',
    'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_ALIGNED | MEM_WRITE',
  ],
  arg_size: [undefined, undefined, undefined, 8],
};

export const bpf_strtoul_proto: BpfFuncProto = {
  id: 106,
  name: 'bpf_strtoul',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE',
    'ARG_ANYTHING',
    'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_ALIGNED | MEM_WRITE',
  ],
  arg_size: [undefined, undefined, undefined, 8],
};

export const bpf_seq_printf_proto: BpfFuncProto = {
  id: 126,
  name: 'bpf_seq_printf',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_BTF_ID',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE',
    'ARG_PTR_TO_MEM_OR_NULL | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
  ],
  arg_btf_id: ['seq_file'],
  gpl_only: true,
};

export const bpf_seq_write_proto: BpfFuncProto = {
  id: 127,
  name: 'bpf_seq_write',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO'],
  arg_btf_id: ['seq_file'],
  gpl_only: true,
};

export const bpf_snprintf_btf_proto: BpfFuncProto = {
  id: 149,
  name: 'bpf_snprintf_btf',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_MEM | MEM_WRITE', 'ARG_CONST_SIZE', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
};

export const bpf_seq_printf_btf_proto: BpfFuncProto = {
  id: 150,
  name: 'bpf_seq_printf_btf',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  arg_btf_id: ['seq_file'],
  gpl_only: true,
};

export const bpf_snprintf_proto: BpfFuncProto = {
  id: 165,
  name: 'bpf_snprintf',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_MEM_OR_NULL | MEM_WRITE',
    'ARG_CONST_SIZE_OR_ZERO',
    'ARG_PTR_TO_CONST_STR',
    'ARG_PTR_TO_MEM_OR_NULL | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
  ],
  gpl_only: true,
};

export const bpf_trace_vprintk_proto: BpfFuncProto = {
  id: 177,
  name: 'bpf_trace_vprintk',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE', 'ARG_PTR_TO_MEM_OR_NULL | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO'],
  gpl_only: true,
};

export const bpf_strncmp_proto: BpfFuncProto = {
  id: 182,
  name: 'bpf_strncmp',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE', 'ARG_PTR_TO_CONST_STR'],
};
