/** The current task. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_get_current_pid_tgid_proto: BpfFuncProto = {
  id: 14,
  name: 'bpf_get_current_pid_tgid',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_get_current_uid_gid_proto: BpfFuncProto = {
  id: 15,
  name: 'bpf_get_current_uid_gid',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_get_current_comm_proto: BpfFuncProto = {
  id: 16,
  name: 'bpf_get_current_comm',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_get_current_task_proto: BpfFuncProto = {
  id: 35,
  name: 'bpf_get_current_task',
  ret_type: 'RET_INTEGER',
  arg_types: [],
  gpl_only: true,
};

export const bpf_current_task_under_cgroup_proto: BpfFuncProto = {
  id: 37,
  name: 'bpf_current_task_under_cgroup',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
};

export const bpf_get_current_cgroup_id_proto: BpfFuncProto = {
  id: 80,
  name: 'bpf_get_current_cgroup_id',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_send_signal_proto: BpfFuncProto = {
  id: 109,
  name: 'bpf_send_signal',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING'],
};

export const bpf_send_signal_thread_proto: BpfFuncProto = {
  id: 117,
  name: 'bpf_send_signal_thread',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING'],
};

export const bpf_get_ns_current_pid_tgid_proto: BpfFuncProto = {
  id: 120,
  name: 'bpf_get_ns_current_pid_tgid',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE'],
};

export const bpf_get_current_ancestor_cgroup_id_proto: BpfFuncProto = {
  id: 123,
  name: 'bpf_get_current_ancestor_cgroup_id',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_ANYTHING'],
};

export const bpf_get_task_stack_proto: BpfFuncProto = {
  id: 141,
  name: 'bpf_get_task_stack',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  arg_btf_id: ['task_struct'],
};

export const bpf_copy_from_user_proto: BpfFuncProto = {
  id: 148,
  name: 'bpf_copy_from_user',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
  might_sleep: true,
};

export const bpf_get_current_task_btf_proto: BpfFuncProto = {
  id: 158,
  name: 'bpf_get_current_task_btf',
  ret_type: 'RET_PTR_TO_BTF_ID_TRUSTED',
  arg_types: [],
  ret_btf_id: 'task_struct',
  gpl_only: true,
};

export const bpf_task_pt_regs_proto: BpfFuncProto = {
  id: 175,
  name: 'bpf_task_pt_regs',
  ret_type: 'RET_PTR_TO_BTF_ID',
  arg_types: ['ARG_PTR_TO_BTF_ID'],
  arg_btf_id: ['task_struct'],
  ret_btf_id: 'pt_regs',
  gpl_only: true,
};

export const bpf_find_vma_proto: BpfFuncProto = {
  id: 180,
  name: 'bpf_find_vma',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_BTF_ID', 'ARG_ANYTHING', 'ARG_PTR_TO_FUNC', 'ARG_PTR_TO_STACK_OR_NULL', 'ARG_ANYTHING'],
  arg_btf_id: ['task_struct'],
};

export const bpf_copy_from_user_task_proto: BpfFuncProto = {
  id: 191,
  name: 'bpf_copy_from_user_task',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_UNINIT_MEM', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING', 'ARG_PTR_TO_BTF_ID', 'ARG_ANYTHING'],
  arg_btf_id: [undefined, undefined, undefined, 'task_struct'],
  gpl_only: true,
  might_sleep: true,
};
