/** Everything public of `@libbpf-ts/cls-bpf`, spelt out. */

export { clsBpf } from './subsystem.ts';
export { TcRefusal } from './request.ts';
export { createFilterLink } from './link.ts';
export type { ClsBpfLinkRequest } from './link.ts';
export { checkClassic, convertClassic, parseClassic } from './classic.ts';
export { directAction } from './classify.ts';
export { bpfVerdict, TC_ACT_GOTO_CHAIN } from './actions.ts';
export type { ActionStats, TcAction } from './actions.ts';
export type { ClsBpfLink, ClsBpfLinkData } from './model.ts';
export { BPF_LINK_TYPE_CLS_BPF, BPF_TC_FILTER } from './numbers.ts';
// The requests that this package answers: they go through the syscall border, to any kernel.
export {
  addFilter,
  addQdisc,
  deleteFilter,
  dumpFilters,
  dumpQdiscs,
  filterText,
  getFilter,
  INGRESS_PARENT,
  removeQdisc,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCA_CLS_FLAGS_NOT_IN_HW,
  TCA_CLS_FLAGS_SKIP_HW,
  TCA_CLS_FLAGS_SKIP_SW,
  TCM_IFINDEX_MAGIC_BLOCK,
} from '@libbpf-ts/uapi';
export type {
  ActionRequest,
  ClassicInsn,
  FilterPlace,
  FilterRequest,
  FilterRow,
  FilterSelection,
  QdiscRequest,
  QdiscRow,
  TcAnswer,
} from '@libbpf-ts/uapi';
