/** Tunnel metadata of a packet: kept and given back; no device here encapsulates by it. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import {
  BPF_F_DONT_FRAGMENT,
  BPF_F_NO_TUNNEL_KEY,
  BPF_F_SEQ_NUMBER,
  BPF_F_TUNINFO_FLAGS,
  BPF_F_TUNINFO_IPV6,
  BPF_F_ZERO_CSUM_TX,
} from '@libbpf-ts/uapi';

import { TUNNEL_SIZE, type Skb } from '../skb.ts';
import { failed, helper, skbAt } from './define.ts';

/** struct bpf_tunnel_key: id 0, remote 4, tos 20, ttl 21, ext 22, label 24, local 28. */
const KEY_SIZE = 44;
/** Sizes that programs built against older headers have. */
const OLDER_SIZES: readonly number[] = [28, 24, 22, 8];
const OPTIONS_MAX = 255;
/** Behind the key: whether it is IPv6, the length of the options, the options. */
const IS_V6 = 44;
const OPTIONS_LENGTH = 48;
const OPTIONS = 52;

const SET_FLAGS = BPF_F_TUNINFO_IPV6 | BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT | BPF_F_SEQ_NUMBER | BPF_F_NO_TUNNEL_KEY;

const tunnelOf = (skb: Skb): number => skb.get('tunnel');

export const skb_set_tunnel_key: HelperFactory = helper(
  'skb_set_tunnel_key',
  ['u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (context, from, size, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    if (flags! & ~SET_FLAGS || flagsHigh) return failed('EINVAL');
    if (size !== KEY_SIZE && !OLDER_SIZES.includes(size!)) return failed('EINVAL');
    const key = new Uint8Array(KEY_SIZE);
    key.set(net.arena.u8.subarray(from! >>> 0, (from! >>> 0) + size!));
    const view = new DataView(key.buffer);
    const six = (flags! & BPF_F_TUNINFO_IPV6) !== 0;
    if ((!six && view.getUint32(24, true) !== 0) || view.getUint16(22, true) !== 0) return failed('EINVAL');
    const at = tunnelOf(skb) || net.arena.allocate(TUNNEL_SIZE);
    skb.set('tunnel', at);
    net.arena.u8.fill(0, at, at + TUNNEL_SIZE);
    net.arena.u8.set(key, at);
    net.arena.u32[(at + IS_V6) >> 2] = six ? 1 : 0;
    return 0;
  },
);

/** After a set the two ends are swapped: what was set as remote is the destination, and what is read as remote is the source. */
export const skb_get_tunnel_key: HelperFactory = helper(
  'skb_get_tunnel_key',
  ['u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (context, to, size, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    const out = to! >>> 0;
    const refuse = (code: Parameters<typeof failed>[0]): number => {
      net.arena.u8.fill(0, out, out + size!);
      return failed(code);
    };
    const at = tunnelOf(skb);
    if (at === 0 || flags! & ~(BPF_F_TUNINFO_IPV6 | BPF_F_TUNINFO_FLAGS) || flagsHigh) return refuse('EINVAL');
    const six = net.arena.u32[(at + IS_V6) >> 2] === 1;
    if (six !== ((flags! & BPF_F_TUNINFO_IPV6) !== 0)) return refuse('EPROTO');
    if (size !== KEY_SIZE && !OLDER_SIZES.includes(size!)) return refuse('EINVAL');
    if (size === 8 && six) return refuse('EINVAL');
    const stored = net.arena.u8.slice(at, at + KEY_SIZE);
    const key = stored.slice();
    key.set(stored.subarray(28, 44), 4);
    key.set(stored.subarray(4, 20), 28);
    net.arena.u8.set(key.subarray(0, size), out);
    return 0;
  },
);

export const skb_set_tunnel_opt: HelperFactory = helper(
  'skb_set_tunnel_opt',
  ['u32', 'u32', 'u32'],
  's32',
  (net) => (context, from, size) => {
    const at = tunnelOf(skbAt(net, context!));
    if (at === 0 || size! & 3) return failed('EINVAL');
    if (size! >>> 0 > OPTIONS_MAX) return failed('ENOMEM');
    net.arena.u32[(at + OPTIONS_LENGTH) >> 2] = size!;
    net.arena.u8.copyWithin(at + OPTIONS, from! >>> 0, (from! >>> 0) + size!);
    return 0;
  },
);

export const skb_get_tunnel_opt: HelperFactory = helper(
  'skb_get_tunnel_opt',
  ['u32', 'u32', 'u32'],
  's32',
  (net) => (context, to, size) => {
    const at = tunnelOf(skbAt(net, context!));
    const out = to! >>> 0;
    const length = at === 0 ? 0 : net.arena.u32[(at + OPTIONS_LENGTH) >> 2]!;
    if (length === 0 || size! >>> 0 < length) {
      net.arena.u8.fill(0, out, out + (size! >>> 0));
      return failed(length === 0 ? 'ENOENT' : 'ENOMEM');
    }
    net.arena.u8.copyWithin(out, at + OPTIONS, at + OPTIONS + length);
    net.arena.u8.fill(0, out + length, out + (size! >>> 0));
    return length;
  },
);
