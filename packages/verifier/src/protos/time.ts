/** Clocks, random numbers and the CPU that runs. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_ktime_get_ns_proto: BpfFuncProto = {
  id: 5,
  name: 'bpf_ktime_get_ns',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_get_prandom_u32_proto: BpfFuncProto = {
  id: 7,
  name: 'bpf_get_prandom_u32',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_get_raw_smp_processor_id_proto: BpfFuncProto = {
  id: 8,
  name: 'bpf_get_smp_processor_id',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_get_smp_processor_id_proto: BpfFuncProto = {
  id: 8,
  name: 'bpf_get_smp_processor_id',
  ret_type: 'RET_INTEGER',
  arg_types: [],
  allow_fastcall: true,
};

export const bpf_get_numa_node_id_proto: BpfFuncProto = {
  id: 42,
  name: 'bpf_get_numa_node_id',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_jiffies64_proto: BpfFuncProto = {
  id: 118,
  name: 'bpf_jiffies64',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_ktime_get_boot_ns_proto: BpfFuncProto = {
  id: 125,
  name: 'bpf_ktime_get_boot_ns',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_per_cpu_ptr_proto: BpfFuncProto = {
  id: 153,
  name: 'bpf_per_cpu_ptr',
  ret_type: 'RET_PTR_TO_MEM_OR_BTF_ID | PTR_MAYBE_NULL | MEM_RDONLY',
  arg_types: ['ARG_PTR_TO_PERCPU_BTF_ID', 'ARG_ANYTHING'],
};

export const bpf_this_cpu_ptr_proto: BpfFuncProto = {
  id: 154,
  name: 'bpf_this_cpu_ptr',
  ret_type: 'RET_PTR_TO_MEM_OR_BTF_ID | MEM_RDONLY',
  arg_types: ['ARG_PTR_TO_PERCPU_BTF_ID'],
};

export const bpf_ktime_get_coarse_ns_proto: BpfFuncProto = {
  id: 160,
  name: 'bpf_ktime_get_coarse_ns',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};

export const bpf_ktime_get_tai_ns_proto: BpfFuncProto = {
  id: 208,
  name: 'bpf_ktime_get_tai_ns',
  ret_type: 'RET_INTEGER',
  arg_types: [],
};
