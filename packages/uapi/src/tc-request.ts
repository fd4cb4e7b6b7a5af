/** Requests of traffic control, typed: what `tc` would say. `tc-wire.ts` puts them into rtnetlink messages and back. */

/** One instruction of classic BPF (`struct sock_filter`). */
export interface ClassicInsn {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** What a request may do: make only what is not there, make or take the place of it, or change only what is there. */
export type RequestMode = 'add' | 'replace' | 'change';

export interface QdiscRequest {
  readonly ifindex: number;
  /** `clsact` or `ingress`. An empty text leaves it out. */
  readonly kind: string;
  /** `add` where omitted. */
  readonly mode?: RequestMode;
  /** TC_H_CLSACT where omitted. */
  readonly parent?: number;
  /** ffff:0 where omitted, the only one that these kinds have. */
  readonly handle?: number;
  /** Numbers of shared blocks; 0 or omitted for the hook's own. */
  readonly ingressBlock?: number;
  readonly egressBlock?: number;
}

export interface QdiscSelection {
  readonly ifindex: number;
  /** Must be that of the qdisc, where given. */
  readonly kind?: string;
  readonly parent?: number;
  readonly handle?: number;
}

/** Where filters are: a hook of a device, or a shared block. */
export type FilterPlace =
  | { readonly ifindex: number; readonly parent: number; readonly chain?: number }
  | { readonly block: number; readonly chain?: number };

/** An action by what `tc` would say. */
export type ActionRequest =
  | { readonly kind: 'gact'; readonly action: number }
  | {
      readonly kind: 'mirred';
      readonly mode: 'redirect' | 'mirror';
      readonly direction: 'egress' | 'ingress';
      readonly ifindex: number;
      /** The code that follows; TC_ACT_STOLEN of a redirect and TC_ACT_PIPE of a mirror where omitted. */
      readonly action?: number;
    }
  | { readonly kind: 'bpf'; readonly fd: number; readonly action?: number };

export type FilterRequest = FilterPlace & {
  /** 0 or omitted: the kernel chooses. */
  readonly prio?: number;
  /** EtherType; ETH_P_ALL (3) for any. */
  readonly protocol: number;
  /** 0 or omitted: the kernel chooses. */
  readonly handle?: number;
  /** NLM_F_CREATE, NLM_F_EXCL. */
  readonly create?: boolean;
  readonly excl?: boolean;
  /** `bpf` where omitted; an empty text leaves it out. */
  readonly kind?: string;
  readonly fd?: number;
  readonly ops?: readonly ClassicInsn[];
  readonly classid?: number;
  readonly name?: string;
  /** TCA_BPF_FLAGS: 1 is direct action. */
  readonly flags?: number;
  /** TCA_BPF_FLAGS_GEN: 1 skip_hw, 2 skip_sw. */
  readonly flagsGen?: number;
  readonly actions?: readonly ActionRequest[];
};

export type FilterSelection = FilterPlace & {
  readonly prio?: number;
  readonly protocol?: number;
  readonly handle?: number;
  readonly kind?: string;
};

/** 0 or `-errno`, and the extack text where the kernel gives one. */
export interface TcAnswer {
  readonly result: number;
  readonly extack: string | undefined;
}
