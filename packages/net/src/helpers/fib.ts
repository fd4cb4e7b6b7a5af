/** bpf_fib_lookup and bpf_check_mtu. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import {
  BPF_FIB_LKUP_RET_BLACKHOLE,
  BPF_FIB_LKUP_RET_FRAG_NEEDED,
  BPF_FIB_LKUP_RET_FWD_DISABLED,
  BPF_FIB_LKUP_RET_NO_NEIGH,
  BPF_FIB_LKUP_RET_NO_SRC_ADDR,
  BPF_FIB_LKUP_RET_NOT_FWDED,
  BPF_FIB_LKUP_RET_PROHIBIT,
  BPF_FIB_LKUP_RET_SUCCESS,
  BPF_FIB_LKUP_RET_UNREACHABLE,
  BPF_FIB_LOOKUP_DIRECT,
  BPF_FIB_LOOKUP_MARK,
  BPF_FIB_LOOKUP_OUTPUT,
  BPF_FIB_LOOKUP_SKIP_NEIGH,
  BPF_FIB_LOOKUP_SRC,
  BPF_FIB_LOOKUP_TBID,
  BPF_MTU_CHK_RET_FRAG_NEEDED,
  BPF_MTU_CHK_RET_SUCCESS,
  BPF_MTU_CHK_SEGS,
} from '@libbpf-ts/uapi';

import type { NetNamespace } from '../device.ts';
import { fibLookup, neighbourOf } from '../fib.ts';
import type { Net } from '../net.ts';
import { ETH_HLEN } from '../packet.ts';
import { failed, helper, skbAt } from './define.ts';

/** struct bpf_fib_lookup. */
const FIB = {
  family: 0,
  tot_len: 6,
  ifindex: 8,
  metric: 12,
  src: 16,
  dst: 32,
  h_vlan: 48,
  smac: 52,
  dmac: 58,
  size: 64,
} as const;
const FLAGS =
  BPF_FIB_LOOKUP_DIRECT |
  BPF_FIB_LOOKUP_OUTPUT |
  BPF_FIB_LOOKUP_SKIP_NEIGH |
  BPF_FIB_LOOKUP_TBID |
  BPF_FIB_LOOKUP_SRC |
  BPF_FIB_LOOKUP_MARK;
const REFUSED: Readonly<Record<string, number>> = {
  blackhole: BPF_FIB_LKUP_RET_BLACKHOLE,
  unreachable: BPF_FIB_LKUP_RET_UNREACHABLE,
  prohibit: BPF_FIB_LKUP_RET_PROHIBIT,
  local: BPF_FIB_LKUP_RET_NOT_FWDED,
};
const AF_INET = 2;
const AF_INET6 = 10;

/** Fills the parameters at `at`; a BPF_FIB_LKUP_RET_* or -errno. */
function lookup(net: Net, netns: NetNamespace, at: number, flags: number): number {
  const { view, u8 } = net.arena;
  const family = u8[at + FIB.family]!;
  if (family !== AF_INET && family !== AF_INET6) return failed('EAFNOSUPPORT');
  const device = netns.byIndex(view.getUint32(at + FIB.ifindex, true));
  if (!device) return failed('ENODEV');
  if (!netns.forwarding || !device.forwarding) return BPF_FIB_LKUP_RET_FWD_DISABLED;
  const bytes = family === AF_INET ? 4 : 16;
  const found = fibLookup(netns, u8.slice(at + FIB.dst, at + FIB.dst + bytes));
  if (!found) return BPF_FIB_LKUP_RET_NOT_FWDED;
  const refused = REFUSED[found.type];
  if (refused !== undefined) return refused;
  const total = view.getUint16(at + FIB.tot_len, true);
  if (total > found.mtu) {
    view.setUint16(at + FIB.tot_len, found.mtu, true);
    return BPF_FIB_LKUP_RET_FRAG_NEEDED;
  }
  if (flags & BPF_FIB_LOOKUP_SRC) {
    if (!found.src) return BPF_FIB_LKUP_RET_NO_SRC_ADDR;
    u8.set(found.src, at + FIB.src);
  }
  view.setUint32(at + FIB.ifindex, found.dev.ifindex, true);
  view.setUint32(at + FIB.metric, 0, true);
  if (found.gateway) u8.set(found.nexthop, at + FIB.dst);
  view.setUint16(at + FIB.tot_len, found.mtu, true);
  if (flags & BPF_FIB_LOOKUP_SKIP_NEIGH) return BPF_FIB_LKUP_RET_SUCCESS;
  const mac = neighbourOf(netns, found.dev, found.nexthop);
  if (!mac) return BPF_FIB_LKUP_RET_NO_NEIGH;
  view.setUint32(at + FIB.h_vlan, 0, true);
  u8.set(found.dev.mac, at + FIB.smac);
  u8.set(mac, at + FIB.dmac);
  return BPF_FIB_LKUP_RET_SUCCESS;
}

export const fib_lookup: HelperFactory = helper(
  'fib_lookup',
  ['u32', 'u32', 'u32', 'u32'],
  's32',
  (net) => (context, params, size, flags) => {
    if (size! >>> 0 < FIB.size || flags! & ~FLAGS) return failed('EINVAL');
    return lookup(net, net.deviceOf(skbAt(net, context!))?.netns ?? net.init, params! >>> 0, flags!);
  },
);

/** For XDP programs, whose context is a struct xdp_md. */
export const xdp_fib_lookup: HelperFactory = helper(
  'fib_lookup',
  ['u32', 'u32', 'u32', 'u32'],
  's32',
  (net) => (_context, params, size, flags) => {
    if (size! >>> 0 < FIB.size || flags! & ~FLAGS) return failed('EINVAL');
    return lookup(net, net.xdpDevice?.netns ?? net.init, params! >>> 0, flags!);
  },
);

/** Whether the packet, `difference` bytes longer, fits a device; the MTU goes to `*mtu`, whose value may give a length to check instead. */
function checkMtu(
  net: Net,
  netns: NetNamespace,
  own: number,
  ifindex: number,
  mtu: number,
  difference: number,
  packet: number,
): number {
  const device = netns.byIndex(ifindex === 0 ? own : ifindex);
  if (!device) return failed('ENODEV');
  const { view } = net.arena;
  const given = view.getUint32(mtu, true);
  const length = given ? given + ETH_HLEN + difference : packet + difference;
  view.setUint32(mtu, device.mtu, true);
  return length <= device.mtu + ETH_HLEN ? BPF_MTU_CHK_RET_SUCCESS : BPF_MTU_CHK_RET_FRAG_NEEDED;
}

export const check_mtu: HelperFactory = helper(
  'check_mtu',
  ['u32', 'u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (context, ifindex, mtu, difference, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    if (flags! & ~BPF_MTU_CHK_SEGS || flagsHigh) return failed('EINVAL');
    if (flags! & BPF_MTU_CHK_SEGS && (difference || net.arena.view.getUint32(mtu! >>> 0, true))) return failed('EINVAL');
    const netns = net.deviceOf(skb)?.netns ?? net.init;
    return checkMtu(net, netns, skb.get('ifindex'), ifindex! >>> 0, mtu! >>> 0, difference! | 0, skb.len);
  },
);

export const xdp_check_mtu: HelperFactory = helper(
  'check_mtu',
  ['u32', 'u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (context, ifindex, mtu, difference, flags, flagsHigh) => {
    if (flags || flagsHigh) return failed('EINVAL');
    const { view } = net.arena;
    const length = view.getUint32(context! + 4, true) - view.getUint32(context!, true);
    const device = net.xdpDevice;
    return checkMtu(net, device?.netns ?? net.init, device?.ifindex ?? 1, ifindex! >>> 0, mtu! >>> 0, difference! | 0, length);
  },
);
