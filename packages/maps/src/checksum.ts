/** The Internet checksum over bytes of the arena, as 32-bit partial sums. */

import type { Arena } from '@libbpf-ts/vm';

/** Adds the 16-bit words of `size` bytes to a sum, with carries kept (`csum_partial`, up to the order of folding). */
export function csumPartial(arena: Arena, at: number, size: number, sum: number): number {
  const { view } = arena;
  let total = sum >>> 0;
  let index = 0;
  for (; index + 4 <= size; index += 4) total = carry(total + view.getUint32(at + index, true));
  if (index + 2 <= size) {
    total = carry(total + view.getUint16(at + index, true));
    index += 2;
  }
  if (index < size) total = carry(total + view.getUint8(at + index));
  return total;
}

/** Takes one sum from another. */
export const csumSub = (left: number, right: number): number => carry((left >>> 0) + (~right >>> 0));

/** Folds to 16 bits without complementing (`csum_from32to16`). */
export function csumFold16(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

function carry(total: number): number {
  return total > 0xffff_ffff ? (total % 0x1_0000_0000) + 1 : total;
}
