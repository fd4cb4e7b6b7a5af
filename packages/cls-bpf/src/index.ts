/** Everything public of `@libbpf-ts/cls-bpf`, spelt out. */

export { clsBpf } from './subsystem.ts';
export { addQdisc, removeQdisc } from './qdisc.ts';
export { addFilter, deleteFilter } from './filter.ts';
export { dumpFilters, dumpQdiscs, filterText } from './dump.ts';
export type { FilterRow, QdiscRow } from './dump.ts';
export { TcRefusal } from './request.ts';
export type { ActionRequest, FilterPlace, FilterRequest, FilterSelection, QdiscRequest, TcAnswer } from './request.ts';
export { createFilterLink } from './link.ts';
export type { ClsBpfLinkRequest } from './link.ts';
export { checkClassic, convertClassic, parseClassic } from './classic.ts';
export type { ClassicInsn } from './classic.ts';
export { directAction } from './classify.ts';
export { bpfVerdict, TC_ACT_GOTO_CHAIN } from './actions.ts';
export type { ActionStats, TcAction } from './actions.ts';
export type { ClsBpfLink, ClsBpfLinkData } from './model.ts';
export {
  BPF_LINK_TYPE_CLS_BPF,
  BPF_TC_FILTER,
  INGRESS_PARENT,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCA_CLS_FLAGS_NOT_IN_HW,
  TCA_CLS_FLAGS_SKIP_HW,
  TCA_CLS_FLAGS_SKIP_SW,
  TCM_IFINDEX_MAGIC_BLOCK,
} from './numbers.ts';
