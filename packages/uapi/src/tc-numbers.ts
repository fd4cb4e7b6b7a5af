/** Numbers of rtnetlink's traffic control, as in linux/rtnetlink.h, linux/pkt_sched.h and linux/pkt_cls.h. */

export const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;
export const RTM_GETQDISC = 38;
export const RTM_NEWTFILTER = 44;
export const RTM_DELTFILTER = 45;
export const RTM_GETTFILTER = 46;

/** Parent of a clsact or ingress qdisc. */
export const TC_H_CLSACT = 0xffff_fff1;
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

/** Attributes of a tc message. */
export const TCA = { kind: 1, options: 2, chain: 11, ingressBlock: 13, egressBlock: 14 } as const;
/** Attributes of a cls_bpf filter. `link` is ours: no mainline kernel has links that own filters. */
export const TCA_BPF = {
  act: 1,
  police: 2,
  classid: 3,
  opsLen: 4,
  ops: 5,
  fd: 6,
  name: 7,
  flags: 8,
  flagsGen: 9,
  tag: 10,
  id: 11,
  link: 0x1001,
} as const;
/** Attributes of one action. */
export const TCA_ACT = { kind: 1, options: 2, index: 3, stats: 4, inHwCount: 10 } as const;
/** The parameters of an action are attribute 2 of gact, mirred and act_bpf alike. */
export const TCA_ACT_PARMS = 2;
export const TCA_ACT_BPF = { fd: 5, tag: 8, id: 9 } as const;
export const TCA_STATS = { basic: 1, queue: 3 } as const;
/** `eaction` of mirred. */
export const MIRRED_ACTIONS: readonly {
  readonly eaction: number;
  readonly mode: 'redirect' | 'mirror';
  readonly direction: 'egress' | 'ingress';
}[] = [
  { eaction: 1, mode: 'redirect', direction: 'egress' },
  { eaction: 2, mode: 'mirror', direction: 'egress' },
  { eaction: 3, mode: 'redirect', direction: 'ingress' },
  { eaction: 4, mode: 'mirror', direction: 'ingress' },
];
