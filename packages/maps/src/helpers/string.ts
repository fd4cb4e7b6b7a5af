/** Helpers on text and numbers: strtol, strtoul, strncmp, csum_diff. */

import type { Kernel } from '@libbpf-ts/kernel';
import { BPF_FUNC_csum_diff, BPF_FUNC_strncmp, BPF_FUNC_strtol, BPF_FUNC_strtoul } from '@libbpf-ts/uapi';

import { csumFold16, csumPartial, csumSub } from '../checksum.ts';
import { EINVAL, ERANGE } from '../errno.ts';
import { helper, type HelperRow } from './define.ts';

export const stringHelpers: readonly HelperRow[] = [
  helper(BPF_FUNC_strtol, 'bpf_strtol', ['u32', 'u32', 'u64', 'u32'], 's32', (kernel) => (text, size, low, high, result) =>
    parseInteger(kernel, text! >>> 0, size! >>> 0, low!, high!, result! >>> 0, true)),
  helper(BPF_FUNC_strtoul, 'bpf_strtoul', ['u32', 'u32', 'u64', 'u32'], 's32', (kernel) => (text, size, low, high, result) =>
    parseInteger(kernel, text! >>> 0, size! >>> 0, low!, high!, result! >>> 0, false)),
  helper(BPF_FUNC_strncmp, 'bpf_strncmp', ['u32', 'u32', 'u32'], 's32', (kernel) => (left, size, right) => compareText(kernel, left! >>> 0, size! >>> 0, right! >>> 0)),
  helper(BPF_FUNC_csum_diff, 'bpf_csum_diff', ['u32', 'u32', 'u32', 'u32', 'u32'], 's32', (kernel) => (from, fromSize, to, toSize, seed) =>
    csumDiff(kernel, from! >>> 0, fromSize! >>> 0, to! >>> 0, toSize! >>> 0, seed! >>> 0)),
];

/** The checksum of `to` less that of `from`, folded to 16 bits; `seed` is the sum so far. */
function csumDiff({ arena }: Kernel, from: number, fromSize: number, to: number, toSize: number, seed: number): number {
  if (((fromSize | toSize) & 3) !== 0) return -EINVAL;
  let sum = seed;
  if (fromSize !== 0 && toSize !== 0) sum = csumSub(csumPartial(arena, to, toSize, seed), csumPartial(arena, from, fromSize, 0));
  else if (toSize !== 0) sum = csumPartial(arena, to, toSize, seed);
  else if (fromSize !== 0) sum = ~csumPartial(arena, from, fromSize, ~seed >>> 0) >>> 0;
  return csumFold16(sum);
}

function compareText({ arena: { u8 } }: Kernel, left: number, size: number, right: number): number {
  for (let index = 0; index < size; index++) {
    const a = u8[left + index]!;
    const b = u8[right + index]!;
    if (a !== b) return a < b ? -1 : 1;
    if (a === 0) return 0;
  }
  return 0;
}

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13) || byte === 0xa0;

/**
 * A number in text: leading space, a sign, 0x or 0 where the base in the flags is 0 or 16. Returns the characters read, or -EINVAL,
 * -ERANGE; the number goes to the eight bytes at `result`.
 */
function parseInteger(kernel: Kernel, text: number, size: number, base: number, high: number, result: number, signed: boolean): number {
  if (high !== 0 || ![0, 8, 10, 16].includes(base)) return -EINVAL;
  const { u8, view } = kernel.arena;
  const limit = Math.min(size, MAX_TEXT);
  let at = 0;
  while (at < limit && isSpace(u8[text + at]!)) at++;
  const negative = at < limit && u8[text + at] === 0x2d;
  if (negative) at++;
  else if (at < limit && u8[text + at] === 0x2b) at++;
  if (negative && !signed) return -EINVAL;
  const start = at;
  const digits = String.fromCharCode(...u8.subarray(text + at, text + limit));
  const prefixed = /^0x[0-9a-f]/i.test(digits);
  const radix = base !== 0 ? base : prefixed ? 16 : digits.startsWith('0') ? 8 : 10;
  if (radix === 16 && prefixed) at += 2;
  let value = 0n;
  const first = at;
  for (; at < limit; at++) {
    const digit = Number.parseInt(String.fromCharCode(u8[text + at]!), 36);
    if (!(digit < radix)) break;
    value = value * BigInt(radix) + BigInt(digit);
    if (value > 0xffff_ffff_ffff_ffffn) return -ERANGE;
  }
  if (at === first || start === limit) return -EINVAL;
  if (signed && (negative ? value > 0x8000_0000_0000_0000n : value > 0x7fff_ffff_ffff_ffffn)) return -ERANGE;
  view.setBigInt64(result, BigInt.asIntN(64, negative ? -value : value), true);
  return at;
}

/** The kernel looks at no more than this many characters. */
const MAX_TEXT = 65;
