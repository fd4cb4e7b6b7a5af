/** Timers and spin locks. Prototypes of helpers, as Linux 6.18 has them. */

import type { BpfFuncProto } from '../types.ts';

export const bpf_spin_lock_proto: BpfFuncProto = {
  id: 93,
  name: 'bpf_spin_lock',
  ret_type: 'RET_VOID',
  arg_types: ['ARG_PTR_TO_SPIN_LOCK'],
};

export const bpf_spin_unlock_proto: BpfFuncProto = {
  id: 94,
  name: 'bpf_spin_unlock',
  ret_type: 'RET_VOID',
  arg_types: ['ARG_PTR_TO_SPIN_LOCK'],
};

export const bpf_timer_init_proto: BpfFuncProto = {
  id: 169,
  name: 'bpf_timer_init',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_TIMER', 'ARG_CONST_MAP_PTR', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_timer_set_callback_proto: BpfFuncProto = {
  id: 170,
  name: 'bpf_timer_set_callback',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_TIMER', 'ARG_PTR_TO_FUNC'],
  gpl_only: true,
};

export const bpf_timer_start_proto: BpfFuncProto = {
  id: 171,
  name: 'bpf_timer_start',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_TIMER', 'ARG_ANYTHING', 'ARG_ANYTHING'],
  gpl_only: true,
};

export const bpf_timer_cancel_proto: BpfFuncProto = {
  id: 172,
  name: 'bpf_timer_cancel',
  ret_type: 'RET_INTEGER',
  arg_types: ['ARG_PTR_TO_TIMER'],
  gpl_only: true,
};
