/** The internet checksum (RFC 1071) over bytes and partial sums. Sums are of big-endian 16-bit words. */

/** Adds `bytes` to a partial sum; an odd last byte counts as the high half of a word. The result fits 32 bits. */
export function partialSum(bytes: Uint8Array, seed = 0): number {
  let sum = seed;
  const even = bytes.length & ~1;
  for (let at = 0; at < even; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!;
  if (even !== bytes.length) sum += bytes[even]! << 8;
  return fold32(sum);
}

/** Brings a sum of many words back under 2^32 without changing its value modulo 0xffff. */
export function fold32(sum: number): number {
  while (sum > 0xffff_ffff) sum = (sum % 0x1_0000_0000) + Math.floor(sum / 0x1_0000_0000);
  return sum >>> 0;
}

/** Folds a partial sum to 16 bits. */
export function fold16(sum: number): number {
  let folded = sum >>> 0;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** The checksum field for these bytes: the complement of their folded sum. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return ~fold16(partialSum(bytes, seed)) & 0xffff;
}
