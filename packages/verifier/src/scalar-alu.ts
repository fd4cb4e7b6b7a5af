/** What an ALU instruction does to the known bits and bounds of a scalar (`adjust_scalar_min_max_vals`). */

import { syncBounds, update32, updateBounds, zeroExtend32 } from './bounds.ts';
import { highOf, lowOf, S32_MAX, S32_MIN, slt, toBigInt, toUnsignedBigInt, ult, ult32 } from './int64.ts';
import { copyReg, markKnown, markUnknown, Reg, setUnbounded32, setUnbounded64 } from './register.ts';
import { tnumAdd, tnumAnd, tnumArshift, tnumLshift, tnumMul, tnumOr, tnumRshift, tnumSub, tnumXor } from './tnum.ts';

/** ALU operations by the high nibble of the opcode. */
export const OP_ADD = 0x00;
export const OP_SUB = 0x10;
export const OP_MUL = 0x20;
export const OP_DIV = 0x30;
export const OP_OR = 0x40;
export const OP_AND = 0x50;
export const OP_LSH = 0x60;
export const OP_RSH = 0x70;
export const OP_NEG = 0x80;
export const OP_MOD = 0x90;
export const OP_XOR = 0xa0;
export const OP_MOV = 0xb0;
export const OP_ARSH = 0xc0;
export const OP_END = 0xd0;

/** Can the result be tracked? Shifts only by a known amount that is in range; division and modulo never. */
function isTracked(op: number, src: Reg, alu32: boolean): boolean {
  switch (op) {
    case OP_ADD:
    case OP_SUB:
    case OP_NEG:
    case OP_AND:
    case OP_XOR:
    case OP_OR:
    case OP_MUL:
      return true;
    case OP_LSH:
    case OP_RSH:
    case OP_ARSH: {
      const known = alu32
        ? src.ml === 0 && src.s32min === src.s32max && src.u32min === src.u32max
        : (src.mh | src.ml) === 0 && src.sminl === src.smaxl && src.sminh === src.smaxh && src.uminh === src.umaxh;
      return known && src.umaxh === 0 && src.umaxl >>> 0 < (alu32 ? 32 : 64);
    }
    default:
      return false;
  }
}

/** `dst = dst op src`, of 64 bits or of 32 with zero extension. `src` must not be `dst` itself. */
export function scalarAlu(dst: Reg, src: Reg, op: number, alu32: boolean, imprecise: boolean): void {
  if (!isTracked(op, src, alu32)) {
    markUnknown(dst, !imprecise);
    return;
  }
  switch (op) {
    case OP_ADD:
      addScalar(dst, src);
      break;
    case OP_SUB:
      subtractScalar(dst, src);
      break;
    case OP_NEG:
      negate(dst);
      break;
    case OP_MUL:
      multiply(dst, src);
      break;
    case OP_AND:
      and(dst, src);
      break;
    case OP_OR:
      or(dst, src);
      break;
    case OP_XOR:
      xor(dst, src);
      break;
    case OP_LSH:
      if (alu32) shiftLeft32(dst, src);
      else shiftLeft(dst, src);
      break;
    case OP_RSH:
      if (alu32) shiftRight32(dst, src);
      else shiftRight(dst, src);
      break;
    default:
      if (alu32) shiftArithmetic32(dst, src);
      else shiftArithmetic(dst, src);
      break;
  }
  if (alu32) zeroExtend32(dst);
  syncBounds(dst);
}

/** Bounds and known bits of a sum; also of a pointer's variable offset. */
export function addScalar(dst: Reg, src: Reg): void {
  add32(dst, src);
  add64(dst, src);
  tnumAdd(dst, dst, src);
}

function add32(dst: Reg, src: Reg): void {
  const min = dst.s32min + src.s32min;
  const max = dst.s32max + src.s32max;
  const overflows = min < S32_MIN || min > S32_MAX || max < S32_MIN || max > S32_MAX;
  dst.s32min = overflows ? S32_MIN : min;
  dst.s32max = overflows ? S32_MAX : max;
  const umin = (dst.u32min >>> 0) + (src.u32min >>> 0);
  const umax = (dst.u32max >>> 0) + (src.u32max >>> 0);
  const wraps = umin <= 0xffffffff && umax > 0xffffffff;
  dst.u32min = wraps ? 0 : umin | 0;
  dst.u32max = wraps ? -1 : umax | 0;
}

export function add64(dst: Reg, src: Reg): void {
  let l = (dst.sminl + src.sminl) | 0;
  let h = (dst.sminh + src.sminh + (l >>> 0 < dst.sminl >>> 0 ? 1 : 0)) | 0;
  let l2 = (dst.smaxl + src.smaxl) | 0;
  let h2 = (dst.smaxh + src.smaxh + (l2 >>> 0 < dst.smaxl >>> 0 ? 1 : 0)) | 0;
  const overflows = ((h ^ dst.sminh) & (h ^ src.sminh)) < 0 || ((h2 ^ dst.smaxh) & (h2 ^ src.smaxh)) < 0;
  setSigned(dst, overflows, h, l, h2, l2);
  l = (dst.uminl + src.uminl) | 0;
  h = (dst.uminh + src.uminh + (l >>> 0 < dst.uminl >>> 0 ? 1 : 0)) | 0;
  const minWraps = ult(h, l, dst.uminh, dst.uminl);
  l2 = (dst.umaxl + src.umaxl) | 0;
  h2 = (dst.umaxh + src.umaxh + (l2 >>> 0 < dst.umaxl >>> 0 ? 1 : 0)) | 0;
  const maxWraps = ult(h2, l2, dst.umaxh, dst.umaxl);
  setUnsigned(dst, !minWraps && maxWraps, h, l, h2, l2);
}

function setSigned(dst: Reg, unknown: boolean, minh: number, minl: number, maxh: number, maxl: number): void {
  dst.sminh = unknown ? S32_MIN : minh;
  dst.sminl = unknown ? 0 : minl;
  dst.smaxh = unknown ? S32_MAX : maxh;
  dst.smaxl = unknown ? -1 : maxl;
}

function setUnsigned(dst: Reg, unknown: boolean, minh: number, minl: number, maxh: number, maxl: number): void {
  dst.uminh = unknown ? 0 : minh;
  dst.uminl = unknown ? 0 : minl;
  dst.umaxh = unknown ? -1 : maxh;
  dst.umaxl = unknown ? -1 : maxl;
}

/** Bounds and known bits of a difference. */
export function subtractScalar(dst: Reg, src: Reg): void {
  sub32(dst, src);
  sub64(dst, src);
  tnumSub(dst, dst, src);
}

function sub32(dst: Reg, src: Reg): void {
  const min = dst.s32min - src.s32max;
  const max = dst.s32max - src.s32min;
  const overflows = min < S32_MIN || min > S32_MAX || max < S32_MIN || max > S32_MAX;
  dst.s32min = overflows ? S32_MIN : min;
  dst.s32max = overflows ? S32_MAX : max;
  const umin = (dst.u32min >>> 0) - (src.u32max >>> 0);
  const umax = (dst.u32max >>> 0) - (src.u32min >>> 0);
  const wraps = umin < 0 && umax >= 0;
  dst.u32min = wraps ? 0 : umin | 0;
  dst.u32max = wraps ? -1 : umax | 0;
}

export function sub64(dst: Reg, src: Reg): void {
  let l = (dst.sminl - src.smaxl) | 0;
  let h = (dst.sminh - src.smaxh - (dst.sminl >>> 0 < src.smaxl >>> 0 ? 1 : 0)) | 0;
  let l2 = (dst.smaxl - src.sminl) | 0;
  let h2 = (dst.smaxh - src.sminh - (dst.smaxl >>> 0 < src.sminl >>> 0 ? 1 : 0)) | 0;
  const overflows = ((dst.sminh ^ src.smaxh) & (dst.sminh ^ h)) < 0 || ((dst.smaxh ^ src.sminh) & (dst.smaxh ^ h2)) < 0;
  setSigned(dst, overflows, h, l, h2, l2);
  l = (dst.uminl - src.umaxl) | 0;
  h = (dst.uminh - src.umaxh - (dst.uminl >>> 0 < src.umaxl >>> 0 ? 1 : 0)) | 0;
  const minWraps = ult(dst.uminh, dst.uminl, src.umaxh, src.umaxl);
  l2 = (dst.umaxl - src.uminl) | 0;
  h2 = (dst.umaxh - src.uminh - (dst.umaxl >>> 0 < src.uminl >>> 0 ? 1 : 0)) | 0;
  const maxWraps = ult(dst.umaxh, dst.umaxl, src.uminh, src.uminl);
  setUnsigned(dst, minWraps && !maxWraps, h, l, h2, l2);
}

function negate(dst: Reg): void {
  const was = new Reg();
  copyReg(was, dst);
  markKnown(dst, 0, 0);
  subtractScalar(dst, was);
}

function multiply(dst: Reg, src: Reg): void {
  tnumMul(dst, dst, src);
  multiply32(dst, src);
  if (isSmall(dst) && isSmall(src)) multiplySmall(dst, src);
  else multiplyLarge(dst, src);
}

/** All four 64-bit bounds lie within [0, 2^26): products are exact doubles. */
const isSmall = (reg: Reg): boolean =>
  (reg.uminh | reg.umaxh | reg.sminh | reg.smaxh) === 0 && ((reg.umaxl | reg.smaxl | reg.sminl | reg.uminl) & ~0x3ffffff) === 0;

function multiplySmall(dst: Reg, src: Reg): void {
  const umin = dst.uminl * src.uminl;
  const umax = dst.umaxl * src.umaxl;
  const smin = dst.sminl * src.sminl;
  const smax = dst.smaxl * src.smaxl;
  setUnsigned(dst, false, (umin / 4294967296) | 0, umin | 0, (umax / 4294967296) | 0, umax | 0);
  setSigned(dst, false, (smin / 4294967296) | 0, smin | 0, (smax / 4294967296) | 0, smax | 0);
}

function multiplyLarge(dst: Reg, src: Reg): void {
  const umax = toUnsignedBigInt(dst.umaxh, dst.umaxl) * toUnsignedBigInt(src.umaxh, src.umaxl);
  const umin = toUnsignedBigInt(dst.uminh, dst.uminl) * toUnsignedBigInt(src.uminh, src.uminl);
  setUnsigned(dst, umax >> 64n !== 0n || umin >> 64n !== 0n, highOf(umin), lowOf(umin), highOf(umax), lowOf(umax));
  const a = [toBigInt(dst.sminh, dst.sminl), toBigInt(dst.smaxh, dst.smaxl)];
  const b = [toBigInt(src.sminh, src.sminl), toBigInt(src.smaxh, src.smaxl)];
  const products = a.flatMap((x) => b.map((y) => x * y));
  const overflows = products.some((p) => BigInt.asIntN(64, p) !== p);
  const min = products.reduce((x, y) => (y < x ? y : x));
  const max = products.reduce((x, y) => (y > x ? y : x));
  setSigned(dst, overflows, highOf(min), lowOf(min), highOf(max), lowOf(max));
}

function multiply32(dst: Reg, src: Reg): void {
  const umaxProduct = BigInt(dst.u32max >>> 0) * BigInt(src.u32max >>> 0);
  const uminProduct = BigInt(dst.u32min >>> 0) * BigInt(src.u32min >>> 0);
  const wraps = umaxProduct >> 32n !== 0n || uminProduct >> 32n !== 0n;
  dst.u32min = wraps ? 0 : lowOf(uminProduct);
  dst.u32max = wraps ? -1 : lowOf(umaxProduct);
  // Products of two 32-bit numbers below 2^63: as doubles they may round, but not across the 32-bit limits.
  const products = [dst.s32min * src.s32min, dst.s32min * src.s32max, dst.s32max * src.s32min, dst.s32max * src.s32max];
  const min = Math.min(...products);
  const max = Math.max(...products);
  const overflows = min < S32_MIN || max > S32_MAX;
  dst.s32min = overflows ? S32_MIN : min | 0;
  dst.s32max = overflows ? S32_MAX : max | 0;
}

/** Signed bounds are the unsigned ones where those do not cross the sign boundary. */
function signedFromUnsigned32(dst: Reg): void {
  const proper = dst.u32min <= dst.u32max;
  dst.s32min = proper ? dst.u32min : S32_MIN;
  dst.s32max = proper ? dst.u32max : S32_MAX;
}

function signedFromUnsigned64(dst: Reg): void {
  const crosses = slt(dst.umaxh, dst.umaxl, dst.uminh, dst.uminl);
  setSigned(dst, crosses, dst.uminh, dst.uminl, dst.umaxh, dst.umaxl);
}

function and(dst: Reg, src: Reg): void {
  tnumAnd(dst, dst, src);
  const known32 = dst.ml === 0 && src.ml === 0;
  const known64 = known32 && (dst.mh | src.mh) === 0;
  if (known32) {
    setKnown32(dst);
  } else {
    dst.u32min = dst.vl;
    if (ult32(src.u32max, dst.u32max)) dst.u32max = src.u32max;
    signedFromUnsigned32(dst);
  }
  if (known64) return markKnown(dst, dst.vh, dst.vl);
  dst.uminh = dst.vh;
  dst.uminl = dst.vl;
  if (ult(src.umaxh, src.umaxl, dst.umaxh, dst.umaxl)) {
    dst.umaxh = src.umaxh;
    dst.umaxl = src.umaxl;
  }
  signedFromUnsigned64(dst);
  updateBounds(dst);
}

function setKnown32(dst: Reg): void {
  dst.ml = 0;
  dst.s32min = dst.s32max = dst.u32min = dst.u32max = dst.vl;
}

function or(dst: Reg, src: Reg): void {
  tnumOr(dst, dst, src);
  const known32 = dst.ml === 0 && src.ml === 0;
  const known64 = known32 && (dst.mh | src.mh) === 0;
  if (known32) {
    setKnown32(dst);
  } else {
    if (ult32(dst.u32min, src.u32min)) dst.u32min = src.u32min;
    dst.u32max = dst.vl | dst.ml;
    signedFromUnsigned32(dst);
  }
  if (known64) return markKnown(dst, dst.vh, dst.vl);
  if (ult(dst.uminh, dst.uminl, src.uminh, src.uminl)) {
    dst.uminh = src.uminh;
    dst.uminl = src.uminl;
  }
  dst.umaxh = dst.vh | dst.mh;
  dst.umaxl = dst.vl | dst.ml;
  signedFromUnsigned64(dst);
  updateBounds(dst);
}

function xor(dst: Reg, src: Reg): void {
  tnumXor(dst, dst, src);
  const known32 = dst.ml === 0 && src.ml === 0;
  const known64 = known32 && (dst.mh | src.mh) === 0;
  if (known32) {
    setKnown32(dst);
  } else {
    dst.u32min = dst.vl;
    dst.u32max = dst.vl | dst.ml;
    signedFromUnsigned32(dst);
  }
  if (known64) return markKnown(dst, dst.vh, dst.vl);
  dst.uminh = dst.vh;
  dst.uminl = dst.vl;
  dst.umaxh = dst.vh | dst.mh;
  dst.umaxl = dst.vl | dst.ml;
  signedFromUnsigned64(dst);
  updateBounds(dst);
}

/** Unsigned 32-bit bounds of a left shift: kept where no set bit leaves. */
function boundsShiftLeft32(dst: Reg, shift: number): void {
  dst.s32min = S32_MIN;
  dst.s32max = S32_MAX;
  if (shift > 31 || dst.u32max >>> 0 > 2 ** (31 - shift)) {
    dst.u32min = 0;
    dst.u32max = -1;
  } else {
    dst.u32min <<= shift;
    dst.u32max <<= shift;
  }
}

function shiftLeft32(dst: Reg, src: Reg): void {
  const shift = src.u32min >>> 0;
  boundsShiftLeft32(dst, src.u32max >>> 0);
  tnumLshift(dst, dst, shift);
  dst.vh = dst.mh = 0;
  setUnbounded64(dst);
  update32(dst);
}

function shiftLeft(dst: Reg, src: Reg): void {
  const shift = src.uminl >>> 0;
  if (shift === 32) {
    // A common way to sign-extend is << 32, s>> 32: the 32-bit bounds survive the first half.
    dst.sminh = dst.s32min;
    dst.smaxh = dst.s32max;
    dst.sminl = dst.smaxl = 0;
  } else {
    setSigned(dst, true, 0, 0, 0, 0);
  }
  if (exceedsShift(dst, shift)) {
    setUnsigned(dst, true, 0, 0, 0, 0);
  } else {
    shiftUnsignedLeft(dst, shift);
  }
  boundsShiftLeft32(dst, shift);
  tnumLshift(dst, dst, shift);
  updateBounds(dst);
}

/** umax > 1 << (63 − shift). */
function exceedsShift(dst: Reg, shift: number): boolean {
  const bit = 63 - shift;
  return bit >= 32 ? ult(1 << (bit - 32), 0, dst.umaxh, dst.umaxl) : ult(0, 1 << bit, dst.umaxh, dst.umaxl);
}

function shiftUnsignedLeft(dst: Reg, shift: number): void {
  if (shift === 0) return;
  if (shift >= 32) {
    dst.uminh = dst.uminl << (shift - 32);
    dst.umaxh = dst.umaxl << (shift - 32);
    dst.uminl = dst.umaxl = 0;
    return;
  }
  dst.uminh = (dst.uminh << shift) | (dst.uminl >>> (32 - shift));
  dst.umaxh = (dst.umaxh << shift) | (dst.umaxl >>> (32 - shift));
  dst.uminl <<= shift;
  dst.umaxl <<= shift;
}

function shiftRight32(dst: Reg, src: Reg): void {
  const shift = src.u32min >>> 0;
  dst.s32min = S32_MIN;
  dst.s32max = S32_MAX;
  dst.vh = dst.mh = 0;
  tnumRshift(dst, dst, shift);
  dst.u32min = (dst.u32min >>> shift) | 0;
  dst.u32max = (dst.u32max >>> shift) | 0;
  setUnbounded64(dst);
  update32(dst);
}

function shiftRight(dst: Reg, src: Reg): void {
  const shift = src.uminl >>> 0;
  setSigned(dst, true, 0, 0, 0, 0);
  tnumRshift(dst, dst, shift);
  if (shift >= 32) {
    dst.uminl = (dst.uminh >>> (shift - 32)) | 0;
    dst.umaxl = (dst.umaxh >>> (shift - 32)) | 0;
    dst.uminh = dst.umaxh = 0;
  } else if (shift > 0) {
    dst.uminl = (dst.uminl >>> shift) | (dst.uminh << (32 - shift));
    dst.umaxl = (dst.umaxl >>> shift) | (dst.umaxh << (32 - shift));
    dst.uminh = (dst.uminh >>> shift) | 0;
    dst.umaxh = (dst.umaxh >>> shift) | 0;
  }
  setUnbounded32(dst);
  updateBounds(dst);
}

function shiftArithmetic32(dst: Reg, src: Reg): void {
  const shift = src.u32min >>> 0;
  dst.s32min >>= shift;
  dst.s32max >>= shift;
  tnumArshift(dst, dst, shift, 32);
  dst.u32min = 0;
  dst.u32max = -1;
  setUnbounded64(dst);
  update32(dst);
}

function shiftArithmetic(dst: Reg, src: Reg): void {
  const shift = src.uminl >>> 0;
  if (shift >= 32) {
    dst.sminl = dst.sminh >> (shift - 32);
    dst.smaxl = dst.smaxh >> (shift - 32);
    dst.sminh >>= 31;
    dst.smaxh >>= 31;
  } else if (shift > 0) {
    dst.sminl = (dst.sminl >>> shift) | (dst.sminh << (32 - shift));
    dst.smaxl = (dst.smaxl >>> shift) | (dst.smaxh << (32 - shift));
    dst.sminh >>= shift;
    dst.smaxh >>= shift;
  }
  tnumArshift(dst, dst, shift, 64);
  setUnsigned(dst, true, 0, 0, 0, 0);
  setUnbounded32(dst);
  updateBounds(dst);
}
