/** bpf_redirect and its relatives. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import {
  BPF_F_INGRESS,
  BPF_F_NEIGH,
  BPF_F_PEER,
  TC_ACT_REDIRECT,
  TC_ACT_SHOT,
  XDP_ABORTED,
  XDP_REDIRECT,
} from '@libbpf-ts/uapi';

import { emptyRedirect, forwardable } from '../redirect.ts';
import { scrub } from '../net.ts';
import { failed, helper, skbAt } from './define.ts';

export const redirect: HelperFactory = helper('redirect', ['u32', 'u64'], 's32', (net) => (ifindex, flags, flagsHigh) => {
  if (flags! & ~BPF_F_INGRESS || flagsHigh) return TC_ACT_SHOT;
  net.redirect = { ...emptyRedirect(), ifindex: ifindex! >>> 0, flags: flags! };
  return TC_ACT_REDIRECT;
});

/** The same helper for XDP programs. */
export const xdp_redirect: HelperFactory = helper('redirect', ['u32', 'u64'], 's32', (net) => (ifindex, flags, flagsHigh) => {
  if (flags || flagsHigh) return XDP_ABORTED;
  net.redirect = { ...emptyRedirect(), ifindex: ifindex! >>> 0 };
  return XDP_REDIRECT;
});

export const redirect_peer: HelperFactory = helper(
  'redirect_peer',
  ['u32', 'u64'],
  's32',
  (net) => (ifindex, flags, flagsHigh) => {
    if (flags || flagsHigh) return TC_ACT_SHOT;
    net.redirect = { ...emptyRedirect(), ifindex: ifindex! >>> 0, flags: BPF_F_PEER };
    return TC_ACT_REDIRECT;
  },
);

const REDIR_NEIGH_SIZE = 20;
const AF_INET = 2;

export const redirect_neigh: HelperFactory = helper(
  'redirect_neigh',
  ['u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (ifindex, params, length, flags, flagsHigh) => {
    if ((length && length < REDIR_NEIGH_SIZE) || flags || flagsHigh) return TC_ACT_SHOT;
    const at = params! >>> 0;
    const bytes = net.arena.view.getUint32(at, true) === AF_INET ? 4 : 16;
    const nexthop = length ? net.arena.u8.slice(at + 4, at + 4 + bytes) : undefined;
    net.redirect = { ...emptyRedirect(), ifindex: ifindex! >>> 0, flags: BPF_F_NEIGH, nexthop };
    return TC_ACT_REDIRECT;
  },
);

export const clone_redirect: HelperFactory = helper(
  'clone_redirect',
  ['u32', 'u32', 'u64'],
  's32',
  (net) => (context, ifindex, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    if (flags! & ~BPF_F_INGRESS || flagsHigh) return failed('EINVAL');
    const target = net.deviceOf(skb)?.netns.byIndex(ifindex! >>> 0);
    if (!target) return failed('EINVAL');
    const copy = net.skbs.clone(skb);
    if (flags! & BPF_F_INGRESS) {
      if (!forwardable(target, copy)) {
        net.skbs.free(copy);
        return 1;
      }
      net.enqueue(target, scrub(copy, false));
      return 0;
    }
    if (!target.up) {
      net.skbs.free(copy);
      return failed('ENETDOWN');
    }
    const saved = net.redirect;
    const outcome = net.send(target, copy);
    net.redirect = saved;
    return outcome === undefined ? failed('ENETDOWN') : outcome === 'dropped' ? 1 : 0;
  },
);
