/**
 * Facts about a packet and who it belongs to: the socket that sent it or that it was steered to. A packet of BPF_PROG_TEST_RUN has one
 * of root's. Every socket is in the root cgroup.
 */

import type { HelperFactory } from '@libbpf-ts/kernel';
import { BPF_SKB_CLOCK_MONOTONIC, BPF_SKB_CLOCK_REALTIME, BPF_SKB_CLOCK_TAI } from '@libbpf-ts/uapi';
import type { HelperType } from '@libbpf-ts/vm';

import type { Net } from '../net.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from '../packet.ts';
import { SKB, type Skb } from '../skb.ts';
import { SOCK, TCP_TIME_WAIT } from '../socket.ts';
import { failed, helper, skbAt } from './define.ts';
import { from32to16 } from './csum.ts';

const always = (name: string, args: readonly HelperType[], value: number): HelperFactory =>
  helper(name, args, 's32', () => () => value);

/** A u64 that fits 32 bits: 0 without a socket. */
const ofSocket = (name: string, value: (net: Net, skb: Skb) => number): HelperFactory =>
  helper(name, ['u32'], 'u64', (net, kernel) => (context) => {
    kernel.runtime.returnHigh.value = 0;
    const skb = skbAt(net, context!);
    return skb.get('sk') === 0 ? 0 : value(net, skb);
  });

/** Id of the root cgroup. */
const ROOT_CGROUP = 1;
/** overflowuid: the owner of what has no full socket. */
const NOBODY = 65_534;

export const get_cgroup_classid: HelperFactory = always('get_cgroup_classid', ['u32'], 0);
export const get_route_realm: HelperFactory = always('get_route_realm', ['u32'], 0);
export const skb_under_cgroup: HelperFactory = always('skb_under_cgroup', ['u32', 'u32', 'u32'], failed('ENOENT'));
export const skb_cgroup_classid: HelperFactory = ofSocket('skb_cgroup_classid', () => 0);
export const skb_cgroup_id: HelperFactory = ofSocket('skb_cgroup_id', () => ROOT_CGROUP);
export const get_socket_cookie: HelperFactory = ofSocket(
  'get_socket_cookie',
  (net, skb) => net.references.at(skb.get('sk'))?.cookie ?? net.testSocket.cookie,
);

/** Only level 0, the root, is there. */
export const skb_ancestor_cgroup_id: HelperFactory = helper(
  'skb_ancestor_cgroup_id',
  ['u32', 'u32'],
  'u64',
  (net, kernel) => (context, level) => {
    kernel.runtime.returnHigh.value = 0;
    return skbAt(net, context!).get('sk') !== 0 && level === 0 ? ROOT_CGROUP : 0;
  },
);

export const get_socket_uid: HelperFactory = helper('get_socket_uid', ['u32'], 's32', (net) => (context) => {
  const block = skbAt(net, context!).get('sk');
  if (block === 0 || net.arena.u32[(block + SOCK.state) >> 2] === TCP_TIME_WAIT) return NOBODY;
  return net.references.at(block)?.options.uid ?? 0;
});

/** The cgroup of a socket, for cgroup_skb programs. */
export const sk_cgroup_id: HelperFactory = helper('sk_cgroup_id', ['u32'], 'u64', (_net, kernel) => () => {
  kernel.runtime.returnHigh.value = 0;
  return ROOT_CGROUP;
});
export const sk_ancestor_cgroup_id: HelperFactory = helper(
  'sk_ancestor_cgroup_id',
  ['u32', 'u32'],
  'u64',
  (_net, kernel) => (_socket, level) => {
    kernel.runtime.returnHigh.value = 0;
    return level === 0 ? ROOT_CGROUP : 0;
  },
);

export const skb_get_xfrm_state: HelperFactory = helper(
  'skb_get_xfrm_state',
  ['u32', 'u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (_context, _index, to, size) => {
    net.arena.u8.fill(0, to! >>> 0, (to! >>> 0) + (size! >>> 0));
    return failed('EINVAL');
  },
);

/** 1 and up, in the order of the namespaces; a context pointer of 0 means the first one. */
export const get_netns_cookie: HelperFactory = helper('get_netns_cookie', ['u32'], 'u64', (net, kernel) => (context) => {
  kernel.runtime.returnHigh.value = 0;
  return (context === 0 ? 0 : (net.deviceOf(skbAt(net, context!))?.netns.id ?? 0)) + 1;
});

export const skb_set_tstamp: HelperFactory = helper(
  'skb_set_tstamp',
  ['u32', 'u64', 'u32'],
  's32',
  (net) => (context, low, high, type) => {
    const skb = skbAt(net, context!);
    if (skb.protocol !== ETH_P_IP && skb.protocol !== ETH_P_IPV6) return failed('EOPNOTSUPP');
    const zero = low === 0 && high === 0;
    const known = type === BPF_SKB_CLOCK_REALTIME || type === BPF_SKB_CLOCK_MONOTONIC || type === BPF_SKB_CLOCK_TAI;
    if (!known || (zero && type !== BPF_SKB_CLOCK_REALTIME)) return failed('EINVAL');
    const { u32, u8 } = net.arena;
    u32[(context! + SKB.tstamp) >> 2] = low!;
    u32[(context! + SKB.tstamp + 4) >> 2] = high!;
    u8[context! + SKB.tstamp_type] = type!;
    return 0;
  },
);

/** Marks congestion experienced where the sender can take it: 1 if the packet is marked now. */
export const skb_ecn_set_ce: HelperFactory = helper('skb_ecn_set_ce', ['u32'], 's32', (net) => (context) => {
  const skb = skbAt(net, context!);
  const { view, u8 } = net.arena;
  const at = skb.data + ETH_HLEN;
  if (skb.protocol === ETH_P_IP && skb.len >= ETH_HLEN + 20) {
    const tos = u8[at + 1]!;
    if ((tos & 3) === 0) return 0;
    if ((tos & 3) !== 3) {
      u8[at + 1] = tos | 3;
      const old = ~view.getUint16(at + 10, true) & 0xffff;
      view.setUint16(at + 10, ~from32to16(old + (((tos | 3) - tos) << 8)) & 0xffff, true);
    }
    return 1;
  }
  if (skb.protocol === ETH_P_IPV6 && skb.len >= ETH_HLEN + 40) {
    const ecn = (u8[at + 1]! >> 4) & 3;
    if (ecn === 0) return 0;
    u8[at + 1] = u8[at + 1]! | 0x30;
    return 1;
  }
  return 0;
});
