/** 64-bit multiplication and division over pairs of int32, without BigInt. Operands come as halves; results go to `regs[at]`, `regs[at + 1]`. */

const TWO_32 = 4_294_967_296;

/** High half of the product of two unsigned 32-bit numbers. */
function mulHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) >>> 0;
  const low = (Math.imul(a0, b1) + (middle & 0xffff)) >>> 0;
  return (Math.imul(a1, b1) + (middle >>> 16) + (low >>> 16)) | 0;
}

export function mul64(regs: Int32Array, at: number, bl: number, bh: number): void {
  const al = regs[at]!;
  regs[at + 1] = (mulHigh(al, bl) + Math.imul(al, bh) + Math.imul(regs[at + 1]!, bl)) | 0;
  regs[at] = Math.imul(al, bl);
}

const QUOTIENT = 0;
const REMAINDER = 1;

/** Unsigned quotient; 0 where the divisor is 0. */
export function div64(regs: Int32Array, at: number, bl: number, bh: number): void {
  if ((bl | bh) === 0) regs[at] = regs[at + 1] = 0;
  else divide(regs, at, bl, bh, QUOTIENT);
}

/** Unsigned remainder; the dividend where the divisor is 0. */
export function mod64(regs: Int32Array, at: number, bl: number, bh: number): void {
  if ((bl | bh) !== 0) divide(regs, at, bl, bh, REMAINDER);
}

/** Signed quotient, rounded towards 0; 0 where the divisor is 0, and the dividend itself for the lowest number by -1. */
export function sdiv64(regs: Int32Array, at: number, bl: number, bh: number): void {
  const negative = (regs[at + 1]! ^ bh) < 0;
  if (regs[at + 1]! < 0) negate(regs, at);
  div64(regs, at, bh < 0 ? -bl | 0 : bl, bh < 0 ? (~bh + (bl === 0 ? 1 : 0)) | 0 : bh);
  if (negative) negate(regs, at);
}

/** Signed remainder, with the sign of the dividend, which it is where the divisor is 0. */
export function smod64(regs: Int32Array, at: number, bl: number, bh: number): void {
  const negative = regs[at + 1]! < 0;
  if (negative) negate(regs, at);
  mod64(regs, at, bh < 0 ? -bl | 0 : bl, bh < 0 ? (~bh + (bl === 0 ? 1 : 0)) | 0 : bh);
  if (negative) negate(regs, at);
}

export function negate(regs: Int32Array, at: number): void {
  const low = regs[at]!;
  regs[at] = -low;
  regs[at + 1] = ~regs[at + 1]! + (low === 0 ? 1 : 0);
}

/**
 * The quotient is estimated in doubles, exactly multiplied back, and corrected by the estimate of what is left over, which is small
 * enough then to be a signed 64-bit number.
 */
function divide(regs: Int32Array, at: number, bl: number, bh: number, want: number): void {
  const al = regs[at]!;
  const ah = regs[at + 1]!;
  if ((ah | bh) === 0) {
    regs[at] = want === QUOTIENT ? ((al >>> 0) / (bl >>> 0)) | 0 : (al >>> 0) % (bl >>> 0);
    return;
  }
  let ql = 0;
  let qh = 0;
  let rl = al;
  let rh = ah;
  const divisor = (bh >>> 0) * TWO_32 + (bl >>> 0);
  // A divisor this large fits three times at most: the signed view of a remainder would not do.
  if (bh >>> 30 !== 0) {
    while (rh >>> 0 > bh >>> 0 || (rh === bh && rl >>> 0 >= bl >>> 0)) {
      rh = (rh - bh - (rl >>> 0 < bl >>> 0 ? 1 : 0)) | 0;
      rl = (rl - bl) | 0;
      ql++;
    }
  } else {
    let rest = (rh >>> 0) * TWO_32 + (rl >>> 0);
    for (;;) {
      const part = Math.floor(rest / divisor);
      const pl = part | 0;
      const ph = Math.floor(part / TWO_32) | 0;
      qh = (qh + ph + (((ql + pl) | 0) >>> 0 < ql >>> 0 ? 1 : 0)) | 0;
      ql = (ql + pl) | 0;
      const tl = Math.imul(pl, bl);
      const th = (mulHigh(pl, bl) + Math.imul(pl, bh) + Math.imul(ph, bl)) | 0;
      rh = (rh - th - (rl >>> 0 < tl >>> 0 ? 1 : 0)) | 0;
      rl = (rl - tl) | 0;
      if (rh >= 0 && (rh < bh || (rh === bh && rl >>> 0 < bl >>> 0))) break;
      rest = rh * TWO_32 + (rl >>> 0);
    }
  }
  regs[at] = want === QUOTIENT ? ql : rl;
  regs[at + 1] = want === QUOTIENT ? qh : rh;
}

/** The four bytes in reverse order. */
export function swap32(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}
