/** Runs a packet through the filters of a hook. Mirrors tcf_classify and cls_bpf_classify. */

import type { Kernel } from '@libbpf-ts/kernel';
import { ETH_P_ALL, hookNumber, INGRESS, EGRESS, netOf, type NetDevice, type Skb, type TcRunner } from '@libbpf-ts/net';
import {
  TC_ACT_OK,
  TC_ACT_QUEUED,
  TC_ACT_RECLASSIFY,
  TC_ACT_REDIRECT,
  TC_ACT_SHOT,
  TC_ACT_STOLEN,
  TC_ACT_TRAP,
  TC_ACT_UNSPEC,
  TCA_CLS_FLAGS_SKIP_SW,
} from '@libbpf-ts/uapi';

import { gotoChain, runActions } from './actions.ts';
import type { Block, Chain, Filter, Proto } from './model.ts';

/** Times that a packet may start again (RECLASSIFY) or change chains before it is dropped. */
const MAX_RECLASSIFY_LOOP = 16;

/** What a program says in direct-action mode: these codes stand, every other one means "no match". */
export function directAction(ret: number): number {
  switch (ret) {
    case TC_ACT_OK:
    case TC_ACT_SHOT:
    case TC_ACT_STOLEN:
    case TC_ACT_TRAP:
    case TC_ACT_REDIRECT:
      return ret;
    default:
      return TC_ACT_UNSPEC;
  }
}

interface Match {
  code: number;
  classid: number;
}

export class ClsRunner implements TcRunner {
  readonly #kernel: Kernel;
  readonly #block: Block;
  readonly #which: number;

  constructor(kernel: Kernel, block: Block, side: 'ingress' | 'egress') {
    this.#kernel = kernel;
    this.#block = block;
    this.#which = side === 'ingress' ? INGRESS : EGRESS;
  }

  run(skb: Skb, device: NetDevice): number {
    this.#kernel.enterRun();
    try {
      return verdict(this.#classify(skb, device), skb);
    } finally {
      this.#kernel.leaveRun();
    }
  }

  #classify(skb: Skb, device: NetDevice): Match {
    let chain = this.#block.chains.get(0);
    for (let loop = 0; loop <= MAX_RECLASSIFY_LOOP; loop++) {
      const match = chain ? this.#runChain(chain, skb, device) : { code: TC_ACT_UNSPEC, classid: 0 };
      const next = gotoChain(match.code);
      if (next !== undefined) chain = this.#block.chains.get(next);
      else if (match.code === TC_ACT_RECLASSIFY) chain = this.#block.chains.get(0);
      else return match;
    }
    return { code: TC_ACT_SHOT, classid: 0 };
  }

  #runChain(chain: Chain, skb: Skb, device: NetDevice): Match {
    for (const proto of chain.protos) {
      if (proto.protocol !== ETH_P_ALL && proto.protocol !== skb.protocol) continue;
      const match = this.#runProto(proto, skb, device);
      if (match.code >= 0) return match;
    }
    return { code: TC_ACT_UNSPEC, classid: 0 };
  }

  #runProto(proto: Proto, skb: Skb, device: NetDevice): Match {
    // The array is replaced by a change, never altered, so a program may change the filters that it is one of.
    for (const filter of proto.filters) {
      skb.set('tc_classid', filter.classid & 0xffff);
      const ret = this.#runFilter(filter, skb, device);
      if (filter.directAction) {
        const code = directAction(ret);
        if (code !== TC_ACT_UNSPEC)
          return { code, classid: ((filter.classid & 0xffff_0000) | (skb.get('tc_classid') & 0xffff)) >>> 0 };
        continue;
      }
      if (ret === 0) continue;
      const code = runActions(filter.actions, skb, device);
      if (code >= 0) return { code, classid: ret === -1 ? filter.classid : ret >>> 0 };
    }
    return { code: TC_ACT_UNSPEC, classid: 0 };
  }

  #runFilter(filter: Filter, skb: Skb, device: NetDevice): number {
    if (filter.genFlags & TCA_CLS_FLAGS_SKIP_SW) return filter.directAction ? TC_ACT_UNSPEC : 0;
    const prog = filter.link?.prog ?? filter.prog;
    const ret = prog ? prog.run(skb.address) : filter.classic!.loaded.run(skb.address);
    const net = netOf(this.#kernel);
    if (net.tracing && prog) net.ring?.push(hookNumber(device, this.#which), prog.id, ret);
    return ret;
  }
}

/** What clsact makes of it (`tc_run`). */
function verdict({ code, classid }: Match, skb: Skb): number {
  if (code === TC_ACT_OK || code === TC_ACT_RECLASSIFY) skb.set('tc_index', classid & 0xffff);
  return code === TC_ACT_QUEUED || code === TC_ACT_TRAP ? TC_ACT_STOLEN : code;
}
