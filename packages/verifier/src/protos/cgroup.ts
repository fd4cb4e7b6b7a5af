/** Cgroup hooks: sysctl, return values, who owns a packet. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_get_cgroup_classid_proto: BpfFuncProto = {
  id: 17,
  name: 'bpf_get_cgroup_classid',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_get_cgroup_classid_skb_proto: BpfFuncProto = {
  id: 17,
  name: 'bpf_get_cgroup_classid',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_skb_under_cgroup_proto: BpfFuncProto = {
  id: 33,
  name: 'bpf_skb_under_cgroup',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
};

export const bpf_skb_cgroup_id_proto: BpfFuncProto = {
  id: 79,
  name: 'bpf_skb_cgroup_id',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_skb_ancestor_cgroup_id_proto: BpfFuncProto = {
  id: 83,
  name: 'bpf_skb_ancestor_cgroup_id',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING'],
};

export const bpf_sysctl_get_name_proto: BpfFuncProto = {
  id: 101,
  name: 'bpf_sysctl_get_name',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_WRITE', 'ARG_CONST_SIZE', 'ARG_ANYTHING'],
};

export const bpf_sysctl_get_current_value_proto: BpfFuncProto = {
  id: 102,
  name: 'bpf_sysctl_get_current_value',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_sysctl_get_new_value_proto: BpfFuncProto = {
  id: 103,
  name: 'bpf_sysctl_get_new_value',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_sysctl_set_new_value_proto: BpfFuncProto = {
  id: 104,
  name: 'bpf_sysctl_set_new_value',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE'],
};

export const bpf_sk_cgroup_id_proto: BpfFuncProto = {
  id: 128,
  name: 'bpf_sk_cgroup_id',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON'],
};

export const bpf_sk_ancestor_cgroup_id_proto: BpfFuncProto = {
  id: 129,
  name: 'bpf_sk_ancestor_cgroup_id',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID_SOCK_COMMON', 'ARG_ANYTHING'],
};

export const bpf_skb_cgroup_classid_proto: BpfFuncProto = {
  id: 151,
  name: 'bpf_skb_cgroup_classid',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
};

export const bpf_get_retval_proto: BpfFuncProto = {
  id: 186,
  name: 'bpf_get_retval',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_set_retval_proto: BpfFuncProto = {
  id: 187,
  name: 'bpf_set_retval',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING'],
};
