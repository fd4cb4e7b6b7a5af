/** Ring buffers, both directions. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_ringbuf_output_proto: BpfFuncProto = {
  id: 130,
  name: 'bpf_ringbuf_output',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_MEM | MEM_RDONLY', 'ARG_CONST_SIZE_OR_ZERO', 'ARG_ANYTHING'],
};

export const bpf_ringbuf_reserve_proto: BpfFuncProto = {
  id: 131,
  name: 'bpf_ringbuf_reserve',
  ret_type: 'RET_PTR_TO_RINGBUF_MEM_OR_NULL',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_CONST_ALLOC_SIZE_OR_ZERO', 'ARG_ANYTHING'],
};

export const bpf_ringbuf_submit_proto: BpfFuncProto = {
  id: 132,
  name: 'bpf_ringbuf_submit',
  ret_type: 'RET_VOID',
  arg_types: ['ARG_PTR_TO_RINGBUF_MEM | OBJ_RELEASE', 'ARG_ANYTHING'],
};

export const bpf_ringbuf_discard_proto: BpfFuncProto = {
  id: 133,
  name: 'bpf_ringbuf_discard',
  ret_type: 'RET_VOID',
  arg_types: ['ARG_PTR_TO_RINGBUF_MEM | OBJ_RELEASE', 'ARG_ANYTHING'],
};

export const bpf_ringbuf_query_proto: BpfFuncProto = {
  id: 134,
  name: 'bpf_ringbuf_query',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
};

export const bpf_ringbuf_reserve_dynptr_proto: BpfFuncProto = {
  id: 198,
  name: 'bpf_ringbuf_reserve_dynptr',
  ret_type: 'RET_INTEGER',
  arg_types: [
    'ARG_CONST_MAP_PTR',
    'ARG_ANYTHING',
    'ARG_ANYTHING',
    'ARG_PTR_TO_DYNPTR | MEM_UNINIT | DYNPTR_TYPE_RINGBUF | MEM_WRITE',
  ],
};

export const bpf_ringbuf_submit_dynptr_proto: BpfFuncProto = {
  id: 199,
  name: 'bpf_ringbuf_submit_dynptr',
  ret_type: 'RET_VOID',
  arg_types: ['ARG_PTR_TO_DYNPTR | OBJ_RELEASE | DYNPTR_TYPE_RINGBUF', 'ARG_ANYTHING'],
};

export const bpf_ringbuf_discard_dynptr_proto: BpfFuncProto = {
  id: 200,
  name: 'bpf_ringbuf_discard_dynptr',
  ret_type: 'RET_VOID',
  arg_types: ['ARG_PTR_TO_DYNPTR | OBJ_RELEASE | DYNPTR_TYPE_RINGBUF', 'ARG_ANYTHING'],
};

export const bpf_user_ringbuf_drain_proto: BpfFuncProto = {
  id: 209,
  name: 'bpf_user_ringbuf_drain',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_CONST_MAP_PTR', 'ARG_PTR_TO_FUNC', 'ARG_PTR_TO_STACK_OR_NULL', 'ARG_ANYTHING'],
};
