/** Numbers of rtnetlink's traffic control, and those of ours that no kernel has. */

export const TC_H_INGRESS = 0xffff_fff1;
/** Parents of filters: the two hooks of clsact. An ingress qdisc's filters have the parent ffff:0. */
export const TC_H_MIN_INGRESS = 0xffff_fff2;
export const TC_H_MIN_EGRESS = 0xffff_fff3;
export const INGRESS_PARENT = 0xffff_0000;
/** As an ifindex: the parent is the number of a shared block. */
export const TCM_IFINDEX_MAGIC_BLOCK = 0xffff_ffff;

export const TCA_BPF_FLAG_ACT_DIRECT = 1;
export const TCA_CLS_FLAGS_SKIP_HW = 1;
export const TCA_CLS_FLAGS_SKIP_SW = 2;
/** In dumps: no hardware took the filter. */
export const TCA_CLS_FLAGS_NOT_IN_HW = 8;

/** Priority of the first filter that leaves it to the kernel; the next ones get smaller numbers. */
export const FIRST_AUTO_PRIO = 0xc000;

/** Attach type and link type of a cls_bpf filter that a link owns. Mainline has no such link: both lie outside of the ABI's range. */
export const BPF_TC_FILTER = 0x1_0001;
export const BPF_LINK_TYPE_CLS_BPF = 0x1_0001;
