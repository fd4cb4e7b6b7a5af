/** Programs of type syscall. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_sys_bpf_proto: BpfFuncProto = {
  id: 166,
  name: 'bpf_sys_bpf',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
};

export const bpf_btf_find_by_name_kind_proto: BpfFuncProto = {
  id: 167,
  name: 'bpf_btf_find_by_name_kind',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE', 'ARG_ANYTHING', 'ARG_ANYTHING'],
};

export const bpf_sys_close_proto: BpfFuncProto = {
  id: 168,
  name: 'bpf_sys_close',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING'],
};

export const bpf_kallsyms_lookup_name_proto: BpfFuncProto = {
  id: 179,
  name: 'bpf_kallsyms_lookup_name',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_PTR_TO_MEM | MEM_RDONLY',
    'ARG_CONST_SIZE_OR_ZERO',
    'ARG_ANYTHING',
    'ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_ALIGNED | MEM_WRITE',
  ],
  arg_size: [undefined, undefined, undefined, 8],
};
