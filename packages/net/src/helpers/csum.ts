/** Checksum helpers. Sums are over little-endian words, as on x86, so that every intermediate result is the kernel's. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import {
  BPF_CSUM_LEVEL_DEC,
  BPF_CSUM_LEVEL_INC,
  BPF_CSUM_LEVEL_QUERY,
  BPF_CSUM_LEVEL_RESET,
  BPF_F_HDR_FIELD_MASK,
  BPF_F_IPV6,
  BPF_F_MARK_ENFORCE,
  BPF_F_MARK_MANGLED_0,
  BPF_F_PSEUDO_HDR,
} from '@libbpf-ts/uapi';

import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_UNNECESSARY, type Skb } from '../skb.ts';
import { failed, helper, skbAt } from './define.ts';

/** 32-bit one's-complement addition. */
export function csumAdd(a: number, b: number): number {
  const sum = (a >>> 0) + (b >>> 0);
  return sum > 0xffff_ffff ? (sum - 0xffff_ffff) >>> 0 : sum;
}

const csumSub = (a: number, b: number): number => csumAdd(a, ~b >>> 0);

/** Folds to 16 bits without the complement (`csum_from32to16`). */
export function from32to16(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return ((once & 0xffff) + (once >>> 16)) & 0xffff;
}

const fold = (sum: number): number => ~from32to16(sum) & 0xffff;

/** `csum_partial` over bytes in the arena. */
export function csumPartial(u8: Uint8Array, at: number, length: number, seed: number): number {
  let sum = 0;
  let i = 0;
  // Words of 32 bits: a sum of 16-bit ones is the same number modulo 0xffff, but not the same bits where it is all ones.
  for (; i + 4 <= length; i += 4)
    sum += (u8[at + i]! | (u8[at + i + 1]! << 8) | (u8[at + i + 2]! << 16) | (u8[at + i + 3]! << 24)) >>> 0;
  if (i + 2 <= length) {
    sum += u8[at + i]! | (u8[at + i + 1]! << 8);
    i += 2;
  }
  if (i < length) sum += u8[at + i]!;
  while (sum > 0xffff_ffff) sum = (sum % 0x1_0000_0000) + Math.floor(sum / 0x1_0000_0000);
  return csumAdd(sum, seed);
}

/** The checksum field after `from` was replaced by `to` in what it covers. */
function replace(field: number, from: number, to: number): number {
  return fold(csumAdd(csumSub(~field >>> 0, from), to));
}

const replaceByDiff = (field: number, diff: number): number => fold(csumAdd(diff, ~field >>> 0));

/** `csum_replace2` works on 16 bits throughout, which matters where the sum is 0. */
function replace2(field: number, from: number, to: number): number {
  const add16 = (a: number, b: number): number => (a + b > 0xffff ? a + b - 0xffff : a + b);
  return ~add16(add16(~field & 0xffff, ~from & 0xffff), to & 0xffff) & 0xffff;
}

/** Address of a 16-bit field of the packet, or an errno. */
function fieldAt(skb: Skb, offset: number): number {
  if (offset > 0xffff || offset & 1 || offset + 2 > skb.len) return failed('EFAULT');
  return skb.data + offset;
}

export const l3_csum_replace: HelperFactory = helper(
  'l3_csum_replace',
  ['u32', 'u32', 'u64', 'u64', 'u64'],
  's32',
  (net) => (context, offset, from, fromHigh, to, _toHigh, flags, flagsHigh) => {
    const at = fieldAt(skbAt(net, context!), offset! >>> 0);
    if (flags! & ~BPF_F_HDR_FIELD_MASK || flagsHigh) return failed('EINVAL');
    if (at < 0) return at;
    const { view } = net.arena;
    const old = view.getUint16(at, true);
    const size = flags! & BPF_F_HDR_FIELD_MASK;
    if (size === 0 && (from || fromHigh)) return failed('EINVAL');
    if (size !== 0 && size !== 2 && size !== 4) return failed('EINVAL');
    view.setUint16(
      at,
      size === 0 ? replaceByDiff(old, to!) : size === 2 ? replace2(old, from!, to!) : replace(old, from!, to!),
      true,
    );
    return 0;
  },
);

const L4_FLAGS = BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR | BPF_F_HDR_FIELD_MASK | BPF_F_IPV6;

export const l4_csum_replace: HelperFactory = helper(
  'l4_csum_replace',
  ['u32', 'u32', 'u64', 'u64', 'u64'],
  's32',
  (net) => (context, offset, from, fromHigh, to, _toHigh, flags, flagsHigh) => {
    const at = fieldAt(skbAt(net, context!), offset! >>> 0);
    if (flags! & ~L4_FLAGS || flagsHigh) return failed('EINVAL');
    if (at < 0) return at;
    const { view } = net.arena;
    const old = view.getUint16(at, true);
    const mangled = (flags! & BPF_F_MARK_MANGLED_0) !== 0;
    if (mangled && !(flags! & BPF_F_MARK_ENFORCE) && old === 0) return 0;
    const size = flags! & BPF_F_HDR_FIELD_MASK;
    if (size === 0 && (from || fromHigh)) return failed('EINVAL');
    if (size !== 0 && size !== 2 && size !== 4) return failed('EINVAL');
    const mask = size === 2 ? 0xffff : -1;
    const sum = size === 0 ? replaceByDiff(old, to!) : replace(old, from! & mask, to! & mask);
    view.setUint16(at, mangled && sum === 0 ? 0xffff : sum, true);
    return 0;
  },
);

/** Also for XDP programs: it touches no packet. */
export const csum_diff: HelperFactory = helper(
  'csum_diff',
  ['u32', 'u32', 'u32', 'u32', 'u32'],
  's32',
  (net) => (from, fromSize, to, toSize, seed) => {
    const { u8 } = net.arena;
    const initial = seed! >>> 0;
    if (fromSize && toSize)
      return from32to16(csumSub(csumPartial(u8, to! >>> 0, toSize, initial), csumPartial(u8, from! >>> 0, fromSize, 0)));
    if (toSize) return from32to16(csumPartial(u8, to! >>> 0, toSize, initial));
    if (fromSize) return from32to16(~csumPartial(u8, from! >>> 0, fromSize, ~initial >>> 0) >>> 0);
    return from32to16(initial);
  },
);

export const csum_update: HelperFactory = helper('csum_update', ['u32', 'u32'], 'u64', (net, kernel) => (context, csum) => {
  const skb = skbAt(net, context!);
  kernel.runtime.returnHigh.value = 0;
  if (skb.get('ip_summed') === CHECKSUM_COMPLETE) {
    skb.set('csum', csumAdd(skb.get('csum'), csum!));
    return skb.get('csum') | 0;
  }
  kernel.runtime.returnHigh.value = -1;
  return failed('ENOTSUPP');
});

export const csum_level: HelperFactory = helper('csum_level', ['u32', 'u64'], 's32', (net) => (context, level, levelHigh) => {
  const skb = skbAt(net, context!);
  const good = skb.get('ip_summed') === CHECKSUM_UNNECESSARY;
  const known = skb.get('csum_level');
  if (levelHigh) return failed('EINVAL');
  switch (level) {
    case BPF_CSUM_LEVEL_INC:
      if (good) skb.set('csum_level', Math.min(3, known + 1));
      else if (skb.get('ip_summed') === CHECKSUM_NONE) setGood(skb, CHECKSUM_UNNECESSARY, 0);
      return 0;
    case BPF_CSUM_LEVEL_DEC:
      if (good) setGood(skb, known === 0 ? CHECKSUM_NONE : CHECKSUM_UNNECESSARY, Math.max(0, known - 1));
      return 0;
    case BPF_CSUM_LEVEL_RESET:
      resetChecksum(skb);
      return 0;
    case BPF_CSUM_LEVEL_QUERY:
      return good ? known : failed('EACCES');
    default:
      return failed('EINVAL');
  }
});

function setGood(skb: Skb, summed: number, level: number): void {
  skb.set('ip_summed', summed);
  skb.set('csum_level', level);
}

/** `__skb_reset_checksum_unnecessary`. */
export function resetChecksum(skb: Skb): void {
  if (skb.get('ip_summed') === CHECKSUM_UNNECESSARY) setGood(skb, CHECKSUM_NONE, 0);
}
