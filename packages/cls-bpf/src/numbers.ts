/** Numbers of this package's own, which no kernel has, and the range of priorities that the kernel chooses from. */

/** Where the kernel looks for a priority that is free: just below the first one from AUTO_PRIO_FLOOR on, or FIRST_AUTO_PRIO. */
export const AUTO_PRIO_FLOOR = 0x8000;
export const FIRST_AUTO_PRIO = 0xc000;
/** Chains have numbers of 28 bits (`TC_ACT_EXT_VAL_MASK`), since an action's code names them. */
export const MAX_CHAIN = 0x0fff_ffff;

/** Attach type and link type of a cls_bpf filter that a link owns. Mainline has no such link: both lie outside of the ABI's range. */
export const BPF_TC_FILTER = 0x1_0001;
export const BPF_LINK_TYPE_CLS_BPF = 0x1_0001;
