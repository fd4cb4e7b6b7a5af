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

import type { NetDevice, NetNamespace } from '../device.ts';
import { fibLookup, neighbourOf, RT_TABLE_MAIN, type FibQuery, type FibResult } from '../fib.ts';
import type { Net } from '../net.ts';
import { ETH_HLEN } from '../packet.ts';
import { forwardable } from '../redirect.ts';
import { failed, helper, skbAt } from './define.ts';

/** struct bpf_fib_lookup. */
const FIB = {
  family: 0,
  tot_len: 6,
  ifindex: 8,
  metric: 12,
  src: 16,
  dst: 32,
  /** Also h_vlan_proto and h_vlan_TCI. */
  tbid: 48,
  /** Also mark. */
  mark: 52,
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
};
const AF_INET = 2;
const AF_INET6 = 10;

/** Addresses that IPv6 never forwards from or to (`rt6_need_strict`): multicast, link-local, loopback. */
function needsStrict(address: Uint8Array): boolean {
  const [first, second] = address;
  if (first === 0xff || (first === 0xfe && (second! & 0xc0) === 0x80)) return true;
  return address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0);
}

/** What the parameters ask routing for. The number of a table is taken out of them. */
function queryOf(net: Net, device: NetDevice, at: number, flags: number): FibQuery {
  const { view } = net.arena;
  const oif = flags & BPF_FIB_LOOKUP_OUTPUT ? { oif: device } : {};
  if (!(flags & BPF_FIB_LOOKUP_DIRECT))
    return { ...oif, mark: flags & BPF_FIB_LOOKUP_MARK ? view.getUint32(at + FIB.mark, true) : 0 };
  if (!(flags & BPF_FIB_LOOKUP_TBID)) return { ...oif, table: RT_TABLE_MAIN };
  const table = view.getUint32(at + FIB.tbid, true);
  view.setUint32(at + FIB.tbid, 0, true);
  return { ...oif, table: table === 0 ? RT_TABLE_MAIN : table };
}

/**
 * Fills the parameters at `at` (`bpf_ipv4_fib_lookup`, `bpf_ipv6_fib_lookup`); a BPF_FIB_LKUP_RET_* or -errno. What a lookup that fails has
 * filled in by then stays, as in the kernel.
 */
function lookup(net: Net, netns: NetNamespace, at: number, flags: number): number {
  const { view, u8 } = net.arena;
  const family = u8[at + FIB.family]!;
  if (family !== AF_INET && family !== AF_INET6) return failed('EAFNOSUPPORT');
  const bytes = family === AF_INET ? 4 : 16;
  const [src, dst] = [FIB.src, FIB.dst].map((from) => u8.slice(at + from, at + from + bytes)) as [Uint8Array, Uint8Array];
  if (family === AF_INET6 && (needsStrict(src) || needsStrict(dst))) return BPF_FIB_LKUP_RET_NOT_FWDED;
  const device = netns.byIndex(view.getUint32(at + FIB.ifindex, true));
  if (!device) return failed('ENODEV');
  if (!netns.forwarding || !device.forwarding) return BPF_FIB_LKUP_RET_FWD_DISABLED;
  const found = fibLookup(netns, dst, queryOf(net, device, at, flags));
  if (!found) return BPF_FIB_LKUP_RET_NOT_FWDED;
  if (found.type !== 'unicast') return REFUSED[found.type] ?? BPF_FIB_LKUP_RET_NOT_FWDED;
  if (view.getUint16(at + FIB.tot_len, true) > found.mtu) {
    view.setUint16(at + FIB.tot_len, found.mtu, true);
    return BPF_FIB_LKUP_RET_FRAG_NEEDED;
  }
  return fill(net, at, flags, found);
}

function fill(net: Net, at: number, flags: number, { dev, nexthop, gateway, src, mtu, metric }: FibResult): number {
  const { view, u8 } = net.arena;
  view.setUint32(at + FIB.ifindex, dev.ifindex, true);
  view.setUint32(at + FIB.metric, metric, true);
  if (gateway) u8.set(nexthop, at + FIB.dst);
  if (flags & BPF_FIB_LOOKUP_SRC) {
    if (!src && nexthop.length === 16) return BPF_FIB_LKUP_RET_NO_SRC_ADDR;
    u8.set(src ?? [0, 0, 0, 0], at + FIB.src);
  }
  if (!(flags & BPF_FIB_LOOKUP_SKIP_NEIGH)) {
    const mac = neighbourOf(dev.netns, dev, nexthop);
    if (!mac) return BPF_FIB_LKUP_RET_NO_NEIGH;
    u8.set(dev.mac, at + FIB.smac);
    u8.set(mac, at + FIB.dmac);
  }
  view.setUint32(at + FIB.tbid, 0, true);
  view.setUint16(at + FIB.tot_len, mtu, true);
  return BPF_FIB_LKUP_RET_SUCCESS;
}

export const fib_lookup: HelperFactory = helper(
  'fib_lookup',
  ['u32', 'u32', 'u32', 'u32'],
  's32',
  (net) => (context, params, size, flags) => {
    if (size! >>> 0 < FIB.size || flags! & ~FLAGS) return failed('EINVAL');
    const skb = skbAt(net, context!);
    const netns = net.deviceOf(skb)?.netns ?? net.init;
    const at = params! >>> 0;
    const { view } = net.arena;
    const given = view.getUint16(at + FIB.tot_len, true);
    const result = lookup(net, netns, at, flags!);
    if (result !== BPF_FIB_LKUP_RET_SUCCESS || given !== 0) return result;
    // Without a length in the parameters the packet's own one counts, against the device and not the route.
    const device = netns.byIndex(view.getUint32(at + FIB.ifindex, true))!;
    view.setUint16(at + FIB.tot_len, device.mtu, true);
    return forwardable(device, skb) ? result : BPF_FIB_LKUP_RET_FRAG_NEEDED;
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
    const segments = (flags! & BPF_MTU_CHK_SEGS) !== 0;
    if (segments && (difference || net.arena.view.getUint32(mtu! >>> 0, true))) return failed('EINVAL');
    const netns = net.deviceOf(skb)?.netns ?? net.init;
    const at = mtu! >>> 0;
    const given = net.arena.view.getUint32(at, true);
    const result = checkMtu(net, netns, skb.get('ifindex'), ifindex! >>> 0, at, difference! | 0, skb.len);
    if (result !== BPF_MTU_CHK_RET_FRAG_NEEDED || skb.get('gso_size') === 0) return result;
    if (!segments) return BPF_MTU_CHK_RET_SUCCESS;
    // The kernel measures a segment from the transport header, which is not known in the packets of BPF_PROG_TEST_RUN: no others are GSO here.
    net.arena.view.setUint32(at, given, true);
    return failed('EINVAL');
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
