/** Dynptrs. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_dynptr_from_mem_proto: BpfFuncProto = {
  id: 197,
  name: 'bpf_dynptr_from_mem',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_UNINIT_MEM',
    'ARG_CONST_SIZE_OR_ZERO',
    'ARG_ANYTHING',
    'ARG_PTR_TO_DYNPTR | MEM_UNINIT | DYNPTR_TYPE_LOCAL | MEM_WRITE',
  ],
};

export const bpf_dynptr_read_proto: BpfFuncProto = {
  id: 201,
  name: 'bpf_dynptr_read',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_UNINIT_MEM',
    'ARG_CONST_SIZE_OR_ZERO',
    'ARG_PTR_TO_DYNPTR | MEM_RDONLY',
    'ARG_ANYTHING',
    'ARG_ANYTHING',
  ],
};

export const bpf_dynptr_write_proto: BpfFuncProto = {
  id: 202,
  name: 'bpf_dynptr_write',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_DYNPTR | MEM_RDONLY',
    'ARG_ANYTHING',
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
    'ARG_ANYTHING',
  ],
};

export const bpf_dynptr_data_proto: BpfFuncProto = {
  id: 203,
  name: 'bpf_dynptr_data',
  ret_type: 'RET_PTR_TO_DYNPTR_MEM_OR_NULL',
  arg_types: ['ARG_PTR_TO_DYNPTR | MEM_RDONLY', 'ARG_ANYTHING', 'ARG_CONST_ALLOC_SIZE_OR_ZERO'],
};
