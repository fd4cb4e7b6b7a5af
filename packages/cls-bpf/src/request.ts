/** Requests as rtnetlink has them, typed: qdiscs and filters made, changed, deleted and dumped. The answers carry the kernel's words. */

import type { Task } from '@libbpf-ts/kernel';
import { isKernelError, KernelError } from '@libbpf-ts/uapi';

import type { ClassicInsn } from './classic.ts';

/** 0 or `-errno`, and the extack text where the kernel gives one. */
export interface TcAnswer {
  readonly result: number;
  readonly extack: string | undefined;
}

export interface QdiscRequest {
  readonly ifindex: number;
  readonly kind: string;
  /** Numbers of shared blocks; 0 or omitted for the hook's own. */
  readonly ingressBlock?: number;
  readonly egressBlock?: number;
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
      readonly action?: number;
    }
  | { readonly kind: 'bpf'; readonly fd: number; readonly action?: number };

export type FilterRequest = FilterPlace & {
  /** 0: the kernel chooses. */
  readonly prio?: number;
  /** EtherType; ETH_P_ALL (3) for any. */
  readonly protocol: number;
  /** 0: the kernel chooses. */
  readonly handle?: number;
  /** NLM_F_CREATE, NLM_F_EXCL. */
  readonly create?: boolean;
  readonly excl?: boolean;
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

export type FilterSelection = FilterPlace & { readonly prio?: number; readonly protocol?: number; readonly handle?: number };

/** A refusal with the kernel's own words. */
export class TcRefusal extends KernelError {
  readonly extack: string;

  constructor(code: KernelError['code'], extack: string, argument?: string) {
    super(code, extack, argument);
    this.extack = extack;
  }
}

/** Answers a request: what is thrown becomes a number and words. */
export function answerRequest(task: Task, message: string, act: () => void): TcAnswer {
  try {
    task.kernel.because(task, message, act);
    return { result: 0, extack: undefined };
  } catch (error) {
    if (!isKernelError(error)) throw error;
    task.lastError = error;
    return { result: -error.errno, extack: (error as Partial<TcRefusal>).extack };
  }
}
