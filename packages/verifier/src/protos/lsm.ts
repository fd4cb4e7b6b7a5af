/** Security modules. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_bprm_opts_set_proto: BpfFuncProto = {
  id: 159,
  name: 'bpf_bprm_opts_set',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_ANYTHING'],
  arg_btf_id: ['linux_binprm'],
};

export const bpf_ima_inode_hash_proto: BpfFuncProto = {
  id: 161,
  name: 'bpf_ima_inode_hash',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
  arg_btf_id: ['inode'],
  might_sleep: true,
};

export const bpf_sock_from_file_proto: BpfFuncProto = {
  id: 162,
  name: 'bpf_sock_from_file',
  ret_type: 'RET_PTR_TO_BTF_ID_OR_NULL',
  arg_types: ['ARG_PTR_TO_BTF_ID'],
  arg_btf_id: ['file'],
  ret_btf_id: 'socket',
};

export const bpf_ima_file_hash_proto: BpfFuncProto = {
  id: 193,
  name: 'bpf_ima_file_hash',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
  arg_btf_id: ['file'],
  might_sleep: true,
};
