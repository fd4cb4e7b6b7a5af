/** Sockets as programs find, ask and steer to them. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import type { VmHelper } from '@libbpf-ts/vm';

import type { NetDevice } from '../device.ts';
import type { Net } from '../net.ts';
import { IPPROTO_TCP } from '../packet.ts';
import { SKB_AT_INGRESS, SKB_SOCKET_ASSIGNED, swap16 } from '../skb.ts';
import { lookupTcp, lookupUdp } from '../socket-lookup.ts';
import { SOCK, TCP_LISTEN, TCP_TIME_WAIT, type Socket } from '../socket.ts';
import { failed, helper, skbAt } from './define.ts';

/** struct bpf_sock_tuple: two addresses, then two ports in network order. */
const TUPLE_SIZES: Readonly<Record<number, number>> = { 12: 4, 36: 16 };

type Find = typeof lookupUdp;

/** `__bpf_skc_lookup`. A namespace has no ids for others here, so only the caller's own is known: a netns_id whose lower half is negative. */
function find(net: Net, from: NetDevice | undefined, how: Find, args: readonly number[]): Socket | undefined {
  const [tuple = 0, size = 0, low = 0, , flags = 0, flagsHigh = 0] = args;
  const length = TUPLE_SIZES[size >>> 0];
  const own = (low | 0) < 0;
  if (length === undefined || !own || flags !== 0 || flagsHigh !== 0) return undefined;
  const { u8, view } = net.arena;
  const at = tuple >>> 0;
  return how(from?.netns ?? net.init, {
    saddr: u8.slice(at, at + length),
    daddr: u8.slice(at + length, at + 2 * length),
    sport: swap16(view.getUint16(at + 2 * length, true)),
    dport: swap16(view.getUint16(at + 2 * length + 2, true)),
    dif: from?.ifindex ?? 0,
  });
}

const ARGS = ['u32', 'u32', 'u32', 'u64', 'u64'] as const;

/** Lookups for programs over packets and, by the device of the run, for XDP. `fullOnly` finds no TIME_WAIT rest. */
function lookup(name: string, how: Find, fullOnly: boolean, xdp: boolean): HelperFactory {
  return helper(name, ARGS, 'u32', (net) => (context, ...args) => {
    const from = xdp ? net.xdpDevice : net.deviceOf(skbAt(net, context!));
    const socket = find(net, from, how, args);
    return socket && (socket.full || !fullOnly) ? net.references.borrow(socket) : 0;
  });
}

export const sk_lookup_tcp: HelperFactory = lookup('sk_lookup_tcp', lookupTcp, true, false);
export const sk_lookup_udp: HelperFactory = lookup('sk_lookup_udp', lookupUdp, true, false);
export const skc_lookup_tcp: HelperFactory = lookup('skc_lookup_tcp', lookupTcp, false, false);
export const xdp_sk_lookup_tcp: HelperFactory = lookup('sk_lookup_tcp', lookupTcp, true, true);
export const xdp_sk_lookup_udp: HelperFactory = lookup('sk_lookup_udp', lookupUdp, true, true);
export const xdp_skc_lookup_tcp: HelperFactory = lookup('skc_lookup_tcp', lookupTcp, false, true);

export const sk_release: HelperFactory = helper('sk_release', ['u32'], 's32', (net) => (block) => {
  net.references.giveBack(block!);
  return 0;
});

/** A helper that turns one socket pointer into another, from what the socket shows of itself. */
function convert(name: string, to: (block: number, word: (offset: number) => number) => number): HelperFactory {
  return helper(name, ['u32'], 'u32', (net) => (block): number => {
    const at = block! >>> 0;
    return to(at, (offset) => net.arena.u32[(at + offset) >> 2]!);
  });
}

export const sk_fullsock: HelperFactory = convert('sk_fullsock', (block, word) =>
  word(SOCK.state) === TCP_TIME_WAIT ? 0 : block,
);
export const tcp_sock: HelperFactory = convert('tcp_sock', (block, word) =>
  word(SOCK.protocol) === IPPROTO_TCP && word(SOCK.state) !== TCP_TIME_WAIT ? block + SOCK.tcp : 0,
);
export const get_listener_sock: HelperFactory = convert('get_listener_sock', (block, word) =>
  word(SOCK.state) === TCP_LISTEN ? block : 0,
);

/** Steers a packet that comes in to a socket of its namespace. */
export const sk_assign: HelperFactory = helper(
  'sk_assign',
  ['u32', 'u32', 'u64'],
  's32',
  (net) => (context, block, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    if (flags || flagsHigh || block === 0) return failed('EINVAL');
    if ((skb.flags & SKB_AT_INGRESS) === 0) return failed('EOPNOTSUPP');
    const socket = net.references.at(block!);
    if (!socket || net.deviceOf(skb)?.netns !== socket.netns) return failed('ENETUNREACH');
    if (socket.closed) return failed('EOPNOTSUPP');
    net.references.assign(skb, socket);
    skb.flags |= SKB_SOCKET_ASSIGNED;
    return 0;
  },
);

const TCP_HLEN = 20;
const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

/** What a listener whose queue never ran over answers: it has sent no cookie, and sends none. */
function cookies(name: string, refuse: (flags: number, exact: boolean) => boolean): HelperFactory {
  const make = (net: Net): VmHelper['run'] => {
    return (block, _ip, _ipSize, header, size) => {
      const at = block! >>> 0;
      const tcp = header! >>> 0;
      const { u32, u8 } = net.arena;
      if (size! >>> 0 < TCP_HLEN) return failed('EINVAL');
      if (u32[(at + SOCK.protocol) >> 2] !== IPPROTO_TCP || u32[(at + SOCK.state) >> 2] !== TCP_LISTEN) return failed('EINVAL');
      return failed(refuse(u8[tcp + 13]!, (u8[tcp + 12]! >> 4) * 4 === size! >>> 0) ? 'EINVAL' : 'ENOENT');
    };
  };
  return helper(name, ['u32', 'u32', 'u32', 'u32', 'u32'], 's32', make);
}

export const tcp_check_syncookie: HelperFactory = cookies('tcp_check_syncookie', () => false);
export const tcp_gen_syncookie: HelperFactory = cookies(
  'tcp_gen_syncookie',
  (flags, exact) => !exact || (flags & (SYN | ACK | FIN | RST)) !== SYN,
);
