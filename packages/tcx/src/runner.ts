/** Runs a hook's programs over a packet. Mirrors tcx_run of net/core/dev.c. */

import type { Kernel } from '@libbpf-ts/kernel';
import type { ProgArrays, Walker } from '@libbpf-ts/mprog';
import { netOf, type Net, type Skb, type TcRunner } from '@libbpf-ts/net';
import { TCX_DROP, TCX_NEXT, TCX_PASS, TCX_REDIRECT } from '@libbpf-ts/uapi';

export class TcxRunner implements TcRunner {
  readonly #kernel: Kernel;
  readonly #walker: Walker;
  readonly #arrays: ProgArrays;
  readonly #net: Net;

  constructor(kernel: Kernel, walker: Walker, arrays: ProgArrays) {
    this.#kernel = kernel;
    this.#walker = walker;
    this.#arrays = arrays;
    this.#net = netOf(kernel);
  }

  run(skb: Skb): number {
    const kernel = this.#kernel;
    const { tracing, ring } = this.#net;
    kernel.enterRun();
    try {
      const ret =
        tracing && ring
          ? this.#walker.trace(this.#arrays, skb.address, ring.address)
          : this.#walker.run(this.#arrays, skb.address);
      return actionCode(ret, skb);
    } finally {
      kernel.leaveRun();
    }
  }
}

/** `tcx_action_code`: a code that tcx does not know ended the chain, but counts as "next" for what comes after tcx. */
export function actionCode(ret: number, skb: Skb): number {
  if (ret === TCX_PASS) {
    skb.set('tc_index', skb.get('tc_classid') & 0xffff);
    return ret;
  }
  return ret === TCX_DROP || ret === TCX_REDIRECT ? ret : TCX_NEXT;
}
