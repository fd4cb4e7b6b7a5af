/**
 * 64-bit numbers as two int32 halves. The verifier's inner loop works on halves because a BigInt is an allocation; these are
 * the comparisons and conversions that it needs. Halves are always stored signed (`| 0`), so they stay small integers.
 */

export const S32_MIN = -0x80000000;
export const S32_MAX = 0x7fffffff;

/** a < b, unsigned. */
export const ult = (ah: number, al: number, bh: number, bl: number): boolean =>
  ah === bh ? al >>> 0 < bl >>> 0 : ah >>> 0 < bh >>> 0;

/** a < b, signed. */
export const slt = (ah: number, al: number, bh: number, bl: number): boolean => (ah === bh ? al >>> 0 < bl >>> 0 : ah < bh);

/** Do two int32 compare a < b as unsigned? */
export const ult32 = (a: number, b: number): boolean => a >>> 0 < b >>> 0;

export const toBigInt = (h: number, l: number): bigint => (BigInt(h) << 32n) | BigInt(l >>> 0);
export const toUnsignedBigInt = (h: number, l: number): bigint => (BigInt(h >>> 0) << 32n) | BigInt(l >>> 0);
export const highOf = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n));
export const lowOf = (value: bigint): number => Number(BigInt.asIntN(32, value));

/** The signed value as a double where it is exact (|v| < 2^53); the caller knows that it is, or only needs the sign and size. */
export const toDouble = (h: number, l: number): number => h * 4294967296 + (l >>> 0);
export const toUnsignedDouble = (h: number, l: number): number => (h >>> 0) * 4294967296 + (l >>> 0);
/** High half of an integer held in a double. */
export const doubleHigh = (value: number): number => Math.floor(value / 4294967296) | 0;

/** Decimal text, signed. */
export function signedText(h: number, l: number): string {
  return h === l >> 31 ? String(l) : toBigInt(h, l).toString();
}

/** Decimal text, unsigned. */
export function unsignedText(h: number, l: number): string {
  return h === 0 ? String(l >>> 0) : toUnsignedBigInt(h, l).toString();
}

/** Hexadecimal text with 0x and no leading zeros. */
export function hexText(h: number, l: number): string {
  if (h === 0) return `0x${(l >>> 0).toString(16)}`;
  return `0x${(h >>> 0).toString(16)}${(l >>> 0).toString(16).padStart(8, '0')}`;
}
