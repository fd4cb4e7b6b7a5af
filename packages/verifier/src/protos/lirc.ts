/** Infrared decoders. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_rc_repeat_proto: BpfFuncProto = {
  id: 77,
  name: 'bpf_rc_repeat',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX'],
  gpl_only: true,
};

export const bpf_rc_keydown_proto: BpfFuncProto = {
  id: 78,
  name: 'bpf_rc_keydown',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_rc_pointer_rel_proto: BpfFuncProto = {
  id: 92,
  name: 'bpf_rc_pointer_rel',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_CTX', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  gpl_only: true,
};
