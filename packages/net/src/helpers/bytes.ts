/** Helpers that read and write packet bytes. Mirrors net/core/filter.c. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import { BPF_F_INVALIDATE_HASH, BPF_F_RECOMPUTE_CSUM, BPF_HDR_START_MAC, BPF_HDR_START_NET } from '@libbpf-ts/uapi';

import { clearHash } from './hash.ts';
import { failed, helper, skbAt } from './define.ts';

const INT_MAX = 0x7fff_ffff;

/** Bytes that are not there read as zero. */
export const skb_load_bytes: HelperFactory = helper('skb_load_bytes', ['u32', 'u32', 'u32', 'u32'], 's32', (net) => {
  const { arena } = net;
  return (context, offset, to, length) => {
    const from = offset >>> 0;
    const at = to! >>> 0;
    const count = length! >>> 0;
    const words = arena.u32;
    const data = words[(context! + 76) >> 2]!;
    if (from > INT_MAX || from + count > words[context! >> 2]!) {
      arena.u8.fill(0, at, at + count);
      return failed('EFAULT');
    }
    arena.u8.copyWithin(at, data + from, data + from + count);
    return 0;
  };
});

export const skb_load_bytes_relative: HelperFactory = helper(
  'skb_load_bytes_relative',
  ['u32', 'u32', 'u32', 'u32', 'u32'],
  's32',
  (net) => (context, offset, to, length, start) => {
    const skb = skbAt(net, context!);
    const at = to! >>> 0;
    const count = length! >>> 0;
    const base =
      start === BPF_HDR_START_MAC ? skb.get('mac_header') : start === BPF_HDR_START_NET ? skb.get('network_header') : 0;
    const from = base + (offset! >>> 0);
    if (base === 0 || offset! >>> 0 > 0xffff || from + count > skb.get('data_end')) {
      net.arena.u8.fill(0, at, at + count);
      return failed('EFAULT');
    }
    net.arena.u8.copyWithin(at, from, from + count);
    return 0;
  },
);

export const skb_store_bytes: HelperFactory = helper(
  'skb_store_bytes',
  ['u32', 'u32', 'u32', 'u32', 'u64'],
  's32',
  (net) => (context, offset, from, length, flags, flagsHigh) => {
    const skb = skbAt(net, context!);
    const at = offset! >>> 0;
    const count = length! >>> 0;
    if (flags! & ~(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH) || flagsHigh) return failed('EINVAL');
    if (at > INT_MAX || at + count > skb.len) return failed('EFAULT');
    net.arena.u8.copyWithin(skb.data + at, from! >>> 0, (from! >>> 0) + count);
    if (flags! & BPF_F_INVALIDATE_HASH) clearHash(skb);
    return 0;
  },
);

/** Everything is linear here; only the length is checked. */
export const skb_pull_data: HelperFactory = helper(
  'skb_pull_data',
  ['u32', 'u32'],
  's32',
  (net) => (context, length) => (length! >>> 0 > skbAt(net, context!).len ? failed('ENOMEM') : 0),
);
