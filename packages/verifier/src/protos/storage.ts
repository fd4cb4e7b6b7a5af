/** Storage that hangs off sockets, tasks, inodes and cgroups. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_get_local_storage_proto: BpfFuncProto = {
  id: 81,
  name: 'bpf_get_local_storage',
  ret_type: 'RET_PTR_TO_MAP_VALUE',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
};

export const bpf_sk_storage_get_proto: BpfFuncProto = {
  id: 107,
  name: 'bpf_sk_storage_get',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_SOCK_COMMON', 'ARG_PTR_TO_MAP_VALUE_OR_NULL', 'ARG_ANYTHING'],
};

export const bpf_sk_storage_get_cg_sock_proto: BpfFuncProto = {
  id: 107,
  name: 'bpf_sk_storage_get',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_CTX', 'ARG_PTR_TO_MAP_VALUE_OR_NULL', 'ARG_ANYTHING'],
};

export const bpf_sk_storage_get_tracing_proto: BpfFuncProto = {
  id: 107,
  name: 'bpf_sk_storage_get',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL', 'ARG_PTR_TO_MAP_VALUE_OR_NULL', 'ARG_ANYTHING'],
  arg_btf_id: [undefined, 'sock_common'],
};

export const bpf_sk_storage_delete_proto: BpfFuncProto = {
  id: 108,
  name: 'bpf_sk_storage_delete',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
};

export const bpf_sk_storage_delete_tracing_proto: BpfFuncProto = {
  id: 108,
  name: 'bpf_sk_storage_delete',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL'],
  arg_btf_id: [undefined, 'sock_common'],
};

export const bpf_inode_storage_get_proto: BpfFuncProto = {
  id: 145,
  name: 'bpf_inode_storage_get',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL', 'ARG_PTR_TO_MAP_VALUE_OR_NULL', 'ARG_ANYTHING'],
  arg_btf_id: [undefined, 'inode'],
};

export const bpf_inode_storage_delete_proto: BpfFuncProto = {
  id: 146,
  name: 'bpf_inode_storage_delete',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL'],
  arg_btf_id: [undefined, 'inode'],
};

export const bpf_task_storage_get_proto: BpfFuncProto = {
  id: 156,
  name: 'bpf_task_storage_get',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL', 'ARG_PTR_TO_MAP_VALUE_OR_NULL', 'ARG_ANYTHING'],
  arg_btf_id: [undefined, 'task_struct'],
};

export const bpf_task_storage_delete_proto: BpfFuncProto = {
  id: 157,
  name: 'bpf_task_storage_delete',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL'],
  arg_btf_id: [undefined, 'task_struct'],
};

export const bpf_cgrp_storage_get_proto: BpfFuncProto = {
  id: 210,
  name: 'bpf_cgrp_storage_get',
  ret_type: 'RET_PTR_TO_MAP_VALUE_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL', 'ARG_PTR_TO_MAP_VALUE_OR_NULL', 'ARG_ANYTHING'],
  arg_btf_id: [undefined, 'cgroup'],
};

export const bpf_cgrp_storage_delete_proto: BpfFuncProto = {
  id: 211,
  name: 'bpf_cgrp_storage_delete',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_BTF_ID_OR_NULL'],
  arg_btf_id: [undefined, 'cgroup'],
};
