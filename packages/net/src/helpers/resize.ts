/** Helpers that make a packet longer, shorter, or another protocol. All void packet pointers. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import {
  BPF_ADJ_ROOM_ENCAP_L2_MASK,
  BPF_ADJ_ROOM_ENCAP_L2_SHIFT,
  BPF_ADJ_ROOM_MAC,
  BPF_ADJ_ROOM_NET,
  BPF_F_ADJ_ROOM_DECAP_L3_IPV4,
  BPF_F_ADJ_ROOM_DECAP_L3_IPV6,
  BPF_F_ADJ_ROOM_ENCAP_L2_ETH,
  BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
  BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
  BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
  BPF_F_ADJ_ROOM_ENCAP_L4_UDP,
  BPF_F_ADJ_ROOM_FIXED_GSO,
  BPF_F_ADJ_ROOM_NO_CSUM_RESET,
} from '@libbpf-ts/uapi';

import type { Net } from '../net.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from '../packet.ts';
import { PACKET_OTHERHOST, type Skb } from '../skb.ts';
import { resetChecksum } from './csum.ts';
import { failed, helper, skbAt } from './define.ts';
import { clearHash } from './hash.ts';

const IPV4_HLEN = 20;
const IPV6_HLEN = 40;

/** BPF_SKB_MAX_LEN: four pages less the kernel's own data behind them, whatever the device takes. */
const MAX_LENGTH = 16_064;

/** `__bpf_skb_min_len`: the headers that the stack has noted must stay. */
function minLength(skb: Skb): number {
  const transport = skb.get('transport_header') - skb.data;
  return transport > 0 ? transport : Math.max(0, skb.get('network_header') - skb.data);
}

/** True of one packet that stands for several segments. Only BPF_PROG_TEST_RUN makes them here, and says of no protocol that they are. */
function isGso(skb: Skb): boolean {
  return skb.get('gso_size') !== 0;
}

/** `skb_gso_reset`: one packet again. */
function resetGso(skb: Skb): void {
  if (!isGso(skb)) return;
  for (const field of ['gso_size', 'gso_segs', 'gso_type'] as const) skb.set(field, 0);
}

export const skb_change_tail: HelperFactory = helper(
  'skb_change_tail',
  ['u32', 'u32', 'u64'],
  's32',
  (net) => (context, length, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    const wanted = length! >>> 0;
    if (flags || flagsHigh || wanted > MAX_LENGTH || wanted < minLength(skb)) return failed('EINVAL');
    const grow = wanted - skb.len;
    if (grow > 0) {
      skb.ensureRoom(0, grow);
      net.arena.u8.fill(0, skb.get('data_end'), skb.get('data_end') + grow);
    }
    skb.setLength(wanted);
    resetGso(skb);
    return 0;
  },
);

export const skb_change_head: HelperFactory = helper(
  'skb_change_head',
  ['u32', 'u32', 'u64'],
  's32',
  (net) => (context, room, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    const grow = room! >>> 0;
    if (flags || flagsHigh || (!isGso(skb) && skb.len + grow > MAX_LENGTH)) return failed('EINVAL');
    if (!skb.fits(grow)) return failed('ENOMEM');
    skb.ensureRoom(grow, 0);
    skb.push(grow);
    net.arena.u8.fill(0, skb.data, skb.data + grow);
    skb.set('mac_header', skb.data);
    return 0;
  },
);

/** Opens `length` zero bytes at `offset` from the start (`bpf_skb_net_hdr_push`). */
function pushAt(net: Net, skb: Skb, offset: number, length: number): void {
  const same = skb.get('network_header') === skb.get('transport_header');
  skb.ensureRoom(length, 0);
  skb.push(length);
  const { u8 } = net.arena;
  u8.copyWithin(skb.data, skb.data + length, skb.data + length + offset);
  u8.fill(0, skb.data + offset, skb.data + offset + length);
  moveHeaders(skb, -length, same);
}

/** Takes `length` bytes away at `offset` (`bpf_skb_net_hdr_pop`). */
function popAt(net: Net, skb: Skb, offset: number, length: number): number {
  if (offset + length > skb.len) return failed('ENOMEM');
  const same = skb.get('network_header') === skb.get('transport_header');
  net.arena.u8.copyWithin(skb.data + length, skb.data, skb.data + offset);
  skb.pull(length);
  moveHeaders(skb, length, same);
  return 0;
}

function moveHeaders(skb: Skb, by: number, transportToo: boolean): void {
  skb.set('mac_header', skb.get('mac_header') + by);
  skb.set('network_header', skb.get('network_header') + by);
  if (transportToo) skb.set('transport_header', skb.get('network_header'));
}

/** IPv4 to IPv6 and back: only the room for the header changes, the program writes it. `proto` is in network order. */
export const skb_change_proto: HelperFactory = helper(
  'skb_change_proto',
  ['u32', 'u32', 'u64'],
  's32',
  (net) => (context, proto, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    if (flags || flagsHigh) return failed('EINVAL');
    const to = ((proto! & 0xff) << 8) | ((proto! >> 8) & 0xff);
    const offset = skb.get('network_header') - skb.get('mac_header');
    if (skb.protocol === ETH_P_IP && to === ETH_P_IPV6) pushAt(net, skb, offset, IPV6_HLEN - IPV4_HLEN);
    else if (skb.protocol === ETH_P_IPV6 && to === ETH_P_IP) {
      const result = popAt(net, skb, offset, IPV6_HLEN - IPV4_HLEN);
      if (result < 0) return result;
    } else return failed('ENOTSUPP');
    skb.protocol = to;
    clearHash(skb);
    return 0;
  },
);

export const skb_change_type: HelperFactory = helper('skb_change_type', ['u32', 'u32'], 's32', (net) => (context, type) => {
  const skb = skbAt(net, context!);
  if (skb.get('pkt_type') > PACKET_OTHERHOST || type! >>> 0 > PACKET_OTHERHOST) return failed('EINVAL');
  skb.set('pkt_type', type!);
  return 0;
});

const ENCAP_L3 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
const ENCAP_L4 = BPF_F_ADJ_ROOM_ENCAP_L4_GRE | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
const DECAP = BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_DECAP_L3_IPV6;
const KEEP = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
const LOW_FLAGS = KEEP | ENCAP_L3 | ENCAP_L4 | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | DECAP;
/** The length of an inner link header is in the top byte of the 64 flag bits. */
const L2_SHIFT = BPF_ADJ_ROOM_ENCAP_L2_SHIFT - 32;

export const skb_adjust_room: HelperFactory = helper(
  'skb_adjust_room',
  ['u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (context, difference, mode, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    const by = difference! | 0;
    const size = Math.abs(by);
    const v4 = skb.protocol === ETH_P_IP;
    if (flags! & ~LOW_FLAGS || (flagsHigh! & ~(BPF_ADJ_ROOM_ENCAP_L2_MASK << L2_SHIFT)) !== 0) return failed('EINVAL');
    if (size > 0xfff) return failed('EFAULT');
    if (!v4 && skb.protocol !== ETH_P_IPV6) return failed('ENOTSUPP');
    if (mode !== BPF_ADJ_ROOM_NET && mode !== BPF_ADJ_ROOM_MAC) return failed('ENOTSUPP');
    let least = v4 ? IPV4_HLEN : IPV6_HLEN;
    const offset = skb.get('network_header') - skb.get('mac_header') + (mode === BPF_ADJ_ROOM_NET ? least : 0);
    if (flags! & DECAP) {
      if (by >= 0 || (flags! & DECAP) === DECAP) return failed('EINVAL');
      least = flags! & BPF_F_ADJ_ROOM_DECAP_L3_IPV4 ? IPV4_HLEN : IPV6_HLEN;
    }
    const payload = skb.get('data_end') - skb.get('network_header');
    if (by < 0 && (size >= payload || payload - size < least)) return failed('ENOTSUPP');
    if (by >= 0 && !isGso(skb) && skb.len + size > MAX_LENGTH) return failed('ENOTSUPP');
    const result =
      by < 0 ? shrink(net, skb, offset, size, flags!, flagsHigh!) : grow(net, skb, offset, size, flags!, flagsHigh!);
    if (result === 0 && !(flags! & BPF_F_ADJ_ROOM_NO_CSUM_RESET)) resetChecksum(skb);
    return result;
  },
);

function grow(net: Net, skb: Skb, offset: number, size: number, flags: number, flagsHigh: number): number {
  const encap = flags & ENCAP_L3;
  if (flags & DECAP) return failed('EINVAL');
  // A segment's size would have to change with the header, which the kernel does for TCP alone.
  if (isGso(skb)) return failed('ENOTSUPP');
  const innerMac = (flagsHigh >>> L2_SHIFT) & BPF_ADJ_ROOM_ENCAP_L2_MASK;
  if (encap) {
    if ((flags & ENCAP_L3) === ENCAP_L3 || (flags & ENCAP_L4) === ENCAP_L4) return failed('EINVAL');
    if (flags & BPF_F_ADJ_ROOM_ENCAP_L2_ETH && innerMac < ETH_HLEN) return failed('EINVAL');
    if (innerMac > size) return failed('EINVAL');
  }
  pushAt(net, skb, offset, size);
  if (flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) skb.protocol = ETH_P_IP;
  if (flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) skb.protocol = ETH_P_IPV6;
  return 0;
}

function shrink(net: Net, skb: Skb, offset: number, size: number, flags: number, flagsHigh: number): number {
  if (flags & ~(KEEP | DECAP) || flagsHigh) return failed('EINVAL');
  if (isGso(skb)) return failed('ENOTSUPP');
  const result = popAt(net, skb, offset, size);
  if (result < 0) return result;
  if (flags & BPF_F_ADJ_ROOM_DECAP_L3_IPV4) skb.protocol = ETH_P_IP;
  if (flags & BPF_F_ADJ_ROOM_DECAP_L3_IPV6) skb.protocol = ETH_P_IPV6;
  return 0;
}
