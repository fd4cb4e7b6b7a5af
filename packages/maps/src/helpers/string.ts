/** Helpers on text and numbers: strtol, strtoul, strncmp, csum_diff. */

import type { Kernel } from '@libbpf-ts/kernel';
import { BPF_FUNC_csum_diff, BPF_FUNC_strncmp, BPF_FUNC_strtol, BPF_FUNC_strtoul } from '@libbpf-ts/uapi';

import { csumFold16, csumPartial, csumSub } from '../checksum.ts';
import { EINVAL, ERANGE } from '../errno.ts';
import { helper, type HelperRow } from './define.ts';

export const stringHelpers: readonly HelperRow[] = [
  helper(
    BPF_FUNC_strtol,
    'bpf_strtol',
    ['u32', 'u32', 'u64', 'u32'],
    's32',
    (kernel) => (text, size, low, high, result) =>
      parseInteger(kernel, text! >>> 0, size! >>> 0, low!, high!, result! >>> 0, true),
  ),
  helper(
    BPF_FUNC_strtoul,
    'bpf_strtoul',
    ['u32', 'u32', 'u64', 'u32'],
    's32',
    (kernel) => (text, size, low, high, result) =>
      parseInteger(kernel, text! >>> 0, size! >>> 0, low!, high!, result! >>> 0, false),
  ),
  helper(
    BPF_FUNC_strncmp,
    'bpf_strncmp',
    ['u32', 'u32', 'u32'],
    's32',
    (kernel) => (left, size, right) => compareText(kernel, left! >>> 0, size! >>> 0, right! >>> 0),
  ),
  helper(
    BPF_FUNC_csum_diff,
    'bpf_csum_diff',
    ['u32', 'u32', 'u32', 'u32', 'u32'],
    's32',
    (kernel) => (from, fromSize, to, toSize, seed) =>
      csumDiff(kernel, from! >>> 0, fromSize! >>> 0, to! >>> 0, toSize! >>> 0, seed! >>> 0),
  ),
];

/** The checksum of `to` less that of `from`, folded to 16 bits; `seed` is the sum so far. */
function csumDiff({ arena }: Kernel, from: number, fromSize: number, to: number, toSize: number, seed: number): number {
  let sum = seed;
  if (fromSize !== 0 && toSize !== 0)
    sum = csumSub(csumPartial(arena, to, toSize, seed), csumPartial(arena, from, fromSize, 0));
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
 * A number in text: leading space, a minus, 0x or 0 where the base in the flags is 0 or 16. Returns the characters read, or -EINVAL,
 * -ERANGE; the number goes to the eight bytes at `result`.
 */
function parseInteger(
  kernel: Kernel,
  text: number,
  size: number,
  base: number,
  high: number,
  result: number,
  signed: boolean,
): number {
  if (high !== 0 || ![0, 8, 10, 16].includes(base)) return -EINVAL;
  const { u8, view } = kernel.arena;
  let at = 0;
  while (at < size && isSpace(u8[text + at]!)) at++;
  const negative = at < size && u8[text + at] === 0x2d;
  if (negative) at++;
  const digits = String.fromCharCode(...u8.subarray(text + at, text + Math.min(size, at + MAX_DIGITS)));
  const found = parseDigits(digits, base);
  if (typeof found === 'number') return found;
  if (negative && !signed) return -EINVAL;
  if (signed && (negative ? found.value > 0x8000_0000_0000_0000n : found.value > 0x7fff_ffff_ffff_ffffn)) return -ERANGE;
  view.setBigInt64(result, BigInt.asIntN(64, negative ? -found.value : found.value), true);
  return at + found.length;
}

/** The kernel looks at no more than this many characters after space and sign. */
const MAX_DIGITS = 63;

function parseDigits(text: string, base: number): { readonly value: bigint; readonly length: number } | number {
  const prefixed = base === 16 ? /^0x/i.test(text) : base === 0 && /^0x[0-9a-f]/i.test(text);
  const radix = base !== 0 ? base : prefixed ? 16 : text.startsWith('0') ? 8 : 10;
  const first = prefixed ? 2 : 0;
  let at = first;
  let value = 0n;
  for (; at < text.length; at++) {
    const digit = Number.parseInt(text[at]!, 36);
    if (!(digit < radix)) break;
    value = value * BigInt(radix) + BigInt(digit);
    if (value > 0xffff_ffff_ffff_ffffn) return -ERANGE;
  }
  return at === first ? -EINVAL : { value, length: at };
}
