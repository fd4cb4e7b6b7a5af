/** Keeps what is known of a scalar in step: known bits, 64-bit and 32-bit bounds, signed and unsigned (`reg_bounds_sync`). */

import { S32_MAX, S32_MIN, slt, ult, ult32 } from './int64.ts';
import { type Reg, setUnbounded } from './register.ts';
import { tnumRange } from './tnum.ts';

function raiseSmin(reg: Reg, h: number, l: number): void {
  if (slt(reg.sminh, reg.sminl, h, l)) {
    reg.sminh = h;
    reg.sminl = l;
  }
}

function lowerSmax(reg: Reg, h: number, l: number): void {
  if (slt(h, l, reg.smaxh, reg.smaxl)) {
    reg.smaxh = h;
    reg.smaxl = l;
  }
}

function raiseUmin(reg: Reg, h: number, l: number): void {
  if (ult(reg.uminh, reg.uminl, h, l)) {
    reg.uminh = h;
    reg.uminl = l;
  }
}

function lowerUmax(reg: Reg, h: number, l: number): void {
  if (ult(h, l, reg.umaxh, reg.umaxl)) {
    reg.umaxh = h;
    reg.umaxl = l;
  }
}

function narrowS32(reg: Reg, min: number, max: number): void {
  if (min > reg.s32min) reg.s32min = min;
  if (max < reg.s32max) reg.s32max = max;
}

function narrowU32(reg: Reg, min: number, max: number): void {
  if (ult32(reg.u32min, min)) reg.u32min = min;
  if (ult32(max, reg.u32max)) reg.u32max = max;
}

/** 32-bit bounds from the known bits. */
export function update32(reg: Reg): void {
  narrowS32(reg, reg.vl | (reg.ml & S32_MIN), reg.vl | (reg.ml & S32_MAX));
  narrowU32(reg, reg.vl, reg.vl | reg.ml);
}

/** 64-bit bounds from the known bits. */
export function update64(reg: Reg): void {
  raiseSmin(reg, reg.vh | (reg.mh & S32_MIN), reg.vl);
  lowerSmax(reg, reg.vh | (reg.mh & S32_MAX), reg.vl | reg.ml);
  raiseUmin(reg, reg.vh, reg.vl);
  lowerUmax(reg, reg.vh | reg.mh, reg.vl | reg.ml);
}

export function updateBounds(reg: Reg): void {
  update32(reg);
  update64(reg);
}

/** 32-bit bounds from 64-bit ones whose high halves agree or are neighbours, and from each other. */
function deduce32(reg: Reg): void {
  const { uminh, uminl, umaxh, umaxl, sminh, sminl, smaxh, smaxl } = reg;
  if (uminh === umaxh) {
    narrowU32(reg, uminl, umaxl);
    if (uminl <= umaxl) narrowS32(reg, uminl, umaxl);
  }
  if (sminh === smaxh) {
    if (sminl >>> 0 <= smaxl >>> 0) narrowU32(reg, sminl, smaxl);
    if (sminl <= smaxl) narrowS32(reg, sminl, smaxl);
  }
  if (((uminh + 1) | 0) === umaxh && uminl < 0 && umaxl >= 0) narrowS32(reg, uminl, umaxl);
  if (((sminh + 1) | 0) === smaxh && sminl < 0 && smaxl >= 0) narrowS32(reg, sminl, smaxl);
  if (reg.u32min <= reg.u32max) narrowS32(reg, reg.u32min, reg.u32max);
  if (reg.s32min >>> 0 <= reg.s32max >>> 0) narrowU32(reg, reg.s32min, reg.s32max);
}

/** 64-bit signed bounds from unsigned ones and back. */
function deduce64(reg: Reg): void {
  if (!slt(reg.umaxh, reg.umaxl, reg.uminh, reg.uminl)) {
    raiseSmin(reg, reg.uminh, reg.uminl);
    lowerSmax(reg, reg.umaxh, reg.umaxl);
  }
  if (!ult(reg.smaxh, reg.smaxl, reg.sminh, reg.sminl)) {
    raiseUmin(reg, reg.sminh, reg.sminl);
    lowerUmax(reg, reg.smaxh, reg.smaxl);
    return;
  }
  // The signed range crosses the sign boundary: the unsigned one may touch only one end of it.
  if (ult(reg.umaxh, reg.umaxl, reg.sminh, reg.sminl)) {
    reg.sminh = reg.uminh;
    reg.sminl = reg.uminl;
    lowerUmax(reg, reg.smaxh, reg.smaxl);
  } else if (ult(reg.smaxh, reg.smaxl, reg.uminh, reg.uminl)) {
    reg.smaxh = reg.umaxh;
    reg.smaxl = reg.umaxl;
    raiseUmin(reg, reg.sminh, reg.sminl);
  }
}

/** 64-bit bounds from 32-bit ones. */
function deduceMixed(reg: Reg): void {
  raiseUmin(reg, reg.uminh, reg.u32min);
  lowerUmax(reg, reg.umaxh, reg.u32max);
  raiseSmin(reg, reg.sminh, reg.u32min);
  lowerSmax(reg, reg.smaxh, reg.u32max);
  const fits = !slt(reg.sminh, reg.sminl, -1, S32_MIN) && !slt(0, S32_MAX, reg.smaxh, reg.smaxl);
  if (reg.s32min < 0 || !fits) return;
  reg.sminh = reg.smaxh = reg.uminh = reg.umaxh = 0;
  reg.sminl = reg.uminl = reg.s32min;
  reg.smaxl = reg.umaxl = reg.s32max;
  intersectRange(reg, reg.sminh, reg.sminl, reg.smaxh, reg.smaxl);
}

/** Known bits of [0, max] with only low halves. */
function lowMask(bits: number): number {
  return bits === 0 ? 0 : -1 >>> Math.clz32(bits);
}

/** Intersects the known bits with those of a range of 64-bit numbers. */
function intersectRange(reg: Reg, minh: number, minl: number, maxh: number, maxl: number): void {
  const ch = minh ^ maxh;
  const dh = lowMask(ch) | 0;
  const dl = ch !== 0 ? -1 : lowMask(minl ^ maxl) | 0;
  const mh = reg.mh & dh;
  const ml = reg.ml & dl;
  reg.vh = (reg.vh | (minh & ~dh)) & ~mh;
  reg.vl = (reg.vl | (minl & ~dl)) & ~ml;
  reg.mh = mh;
  reg.ml = ml;
}

/** Known bits from the bounds. */
function boundOffset(reg: Reg): void {
  intersectRange(reg, reg.uminh, reg.uminl, reg.umaxh, reg.umaxl);
  const unknown = lowMask(reg.u32min ^ reg.u32max) | 0;
  const ml = reg.ml & unknown;
  reg.vl = (reg.vl | (reg.u32min & ~unknown)) & ~ml;
  reg.ml = ml;
}

function deduce(reg: Reg): void {
  deduce32(reg);
  deduce64(reg);
  deduceMixed(reg);
}

/** All of it, in the kernel's order and as often. */
export function syncBounds(reg: Reg): void {
  if ((reg.mh | reg.ml) === 0 && isSettled(reg)) return;
  updateBounds(reg);
  // A round that changes nothing makes the next one needless.
  for (let round = 0; round < 3; round++) {
    const { sminl, smaxl, uminl, umaxl, s32min, s32max, u32min, u32max, sminh, smaxh, uminh, umaxh } = reg;
    deduce(reg);
    const same =
      sminl === reg.sminl &&
      smaxl === reg.smaxl &&
      uminl === reg.uminl &&
      umaxl === reg.umaxl &&
      s32min === reg.s32min &&
      s32max === reg.s32max &&
      u32min === reg.u32min &&
      u32max === reg.u32max &&
      sminh === reg.sminh &&
      smaxh === reg.smaxh &&
      uminh === reg.uminh &&
      umaxh === reg.umaxh;
    if (same) break;
  }
  boundOffset(reg);
  updateBounds(reg);
}

/** Every bound of a known value is that value. */
function isSettled(reg: Reg): boolean {
  const { vh, vl } = reg;
  return (
    reg.sminl === vl &&
    reg.smaxl === vl &&
    reg.uminl === vl &&
    reg.umaxl === vl &&
    reg.s32min === vl &&
    reg.s32max === vl &&
    reg.u32min === vl &&
    reg.u32max === vl &&
    reg.sminh === vh &&
    reg.smaxh === vh &&
    reg.uminh === vh &&
    reg.umaxh === vh
  );
}

/** No value is left in the ranges: only a branch that is never taken gets there. */
export function isInvalid(reg: Reg): boolean {
  if (ult(reg.umaxh, reg.umaxl, reg.uminh, reg.uminl) || slt(reg.smaxh, reg.smaxl, reg.sminh, reg.sminl)) return true;
  if (ult32(reg.u32max, reg.u32min) || reg.s32max < reg.s32min) return true;
  if ((reg.mh | reg.ml) === 0) {
    const { vh, vl } = reg;
    if (reg.uminh !== vh || reg.uminl !== vl || reg.umaxh !== vh || reg.umaxl !== vl) return true;
    if (reg.sminh !== vh || reg.sminl !== vl || reg.smaxh !== vh || reg.smaxl !== vl) return true;
  }
  return reg.ml === 0 && (reg.u32min !== reg.vl || reg.u32max !== reg.vl || reg.s32min !== reg.vl || reg.s32max !== reg.vl);
}

/** `reg_bounds_sanity_check`: where a dead branch made the ranges contradict, the kernel forgets them and keeps the known bits. */
export function repairInvalid(reg: Reg): void {
  if (isInvalid(reg)) setUnbounded(reg);
}

/** The low 32 bits become the whole value (`zext_32_to_64`). */
export function zeroExtend32(reg: Reg): void {
  reg.vh = reg.mh = 0;
  reg.uminh = reg.umaxh = 0;
  reg.uminl = reg.u32min;
  reg.umaxl = reg.u32max;
  reg.sminh = reg.smaxh = 0;
  if (reg.s32min >= 0 && reg.s32max >= 0) {
    reg.sminl = reg.s32min;
    reg.smaxl = reg.s32max;
  } else {
    reg.sminl = 0;
    reg.smaxl = -1;
  }
}

/** Truncates to `size` bytes, zero-extended (`coerce_reg_to_size`). */
export function coerceToSize(reg: Reg, size: number): void {
  if (size >= 8) return;
  const mask = size === 4 ? -1 : (1 << (size * 8)) - 1;
  const sameHigh = reg.uminh === reg.umaxh && (reg.uminl & ~mask) === (reg.umaxl & ~mask);
  reg.vh = reg.mh = 0;
  reg.vl &= mask;
  reg.ml &= mask;
  if (sameHigh) {
    reg.uminl &= mask;
    reg.umaxl &= mask;
  } else {
    reg.uminl = 0;
    reg.umaxl = mask;
  }
  reg.uminh = reg.umaxh = 0;
  reg.sminh = reg.smaxh = 0;
  reg.sminl = reg.uminl;
  reg.smaxl = reg.umaxl;
  // Of four bytes the 32-bit bounds still hold; of fewer they must be learnt anew.
  if (size < 4) {
    reg.s32min = S32_MIN;
    reg.s32max = S32_MAX;
    reg.u32min = 0;
    reg.u32max = -1;
  }
  syncBounds(reg);
}

/** Sign-extends from `size` bytes to 64 bits (`coerce_reg_to_size_sx`). */
export function coerceToSizeSigned(reg: Reg, size: number): void {
  const bits = size * 8;
  if ((reg.mh | reg.ml) === 0) {
    const low = size === 4 ? reg.vl : (reg.vl << (32 - bits)) >> (32 - bits);
    setBoth(reg, low);
    return;
  }
  const top = (h: number, l: number): string => (size === 4 ? `${h}` : `${h},${l >> bits}`);
  if (top(reg.smaxh, reg.smaxl) === top(reg.sminh, reg.sminl)) {
    const low = size === 4 ? reg.sminl : (reg.sminl << (32 - bits)) >> (32 - bits);
    const high = size === 4 ? reg.smaxl : (reg.smaxl << (32 - bits)) >> (32 - bits);
    // Both ends must keep their order when extended (they share every bit above).
    const init = size === 4 ? [reg.sminl, reg.smaxl] : [low, high];
    const min = Math.min(init[0]!, init[1]!);
    const max = Math.max(init[0]!, init[1]!);
    if (min >= 0 === max >= 0) {
      setSignedRange(reg, min, max);
      return;
    }
  }
  setSignedUnknown(reg, size);
}

function setBoth(reg: Reg, low: number): void {
  const high = low >> 31;
  reg.vh = reg.sminh = reg.smaxh = reg.uminh = reg.umaxh = high;
  reg.vl = reg.sminl = reg.smaxl = reg.uminl = reg.umaxl = low;
  reg.s32min = reg.s32max = reg.u32min = reg.u32max = low;
}

function setSignedRange(reg: Reg, min: number, max: number): void {
  reg.sminh = reg.uminh = min >> 31;
  reg.smaxh = reg.umaxh = max >> 31;
  reg.sminl = reg.uminl = reg.s32min = reg.u32min = min;
  reg.smaxl = reg.umaxl = reg.s32max = reg.u32max = max;
  tnumRange(reg, reg.sminh, reg.sminl, reg.smaxh, reg.smaxl);
}

function setSignedUnknown(reg: Reg, size: number): void {
  const min = size === 1 ? -0x80 : size === 2 ? -0x8000 : S32_MIN;
  const max = -1 - min;
  reg.sminh = -1;
  reg.sminl = reg.s32min = min;
  reg.smaxh = 0;
  reg.smaxl = reg.s32max = max;
  reg.uminh = reg.uminl = reg.u32min = 0;
  reg.umaxh = reg.umaxl = reg.u32max = -1;
  reg.vh = reg.vl = 0;
  reg.mh = reg.ml = -1;
}

/** Sign-extends from `size` bytes to 32 bits (`coerce_subreg_to_size_sx`); the caller zero-extends to 64. */
export function coerceLowToSizeSigned(reg: Reg, size: number): void {
  const shift = 32 - size * 8;
  if (reg.ml === 0) {
    const low = (reg.vl << shift) >> shift;
    reg.vl = reg.s32min = reg.s32max = reg.u32min = reg.u32max = low;
    reg.vh = reg.mh = 0;
    return;
  }
  if (reg.s32max >> (size * 8) === reg.s32min >> (size * 8)) {
    const a = (reg.s32min << shift) >> shift;
    const b = (reg.s32max << shift) >> shift;
    const min = Math.min(a, b);
    const max = Math.max(a, b);
    if (min >= 0 === max >= 0) {
      reg.s32min = reg.u32min = min;
      reg.s32max = reg.u32max = max;
      tnumRange(reg, 0, min, 0, max);
      reg.vh = reg.mh = 0;
      return;
    }
  }
  reg.s32min = size === 1 ? -0x80 : -0x8000;
  reg.s32max = -1 - reg.s32min;
  reg.u32min = 0;
  reg.u32max = -1;
  reg.vh = reg.mh = 0;
  reg.vl = 0;
  reg.ml = -1;
}

/** Does every value of `cur` lie within the bounds of `old`? */
export function rangeWithin(old: Reg, cur: Reg): boolean {
  return (
    !ult(cur.uminh, cur.uminl, old.uminh, old.uminl) &&
    !ult(old.umaxh, old.umaxl, cur.umaxh, cur.umaxl) &&
    !slt(cur.sminh, cur.sminl, old.sminh, old.sminl) &&
    !slt(old.smaxh, old.smaxl, cur.smaxh, cur.smaxl) &&
    !ult32(cur.u32min, old.u32min) &&
    !ult32(old.u32max, cur.u32max) &&
    cur.s32min >= old.s32min &&
    cur.s32max <= old.s32max
  );
}

/** Same known bits and bounds. */
export function sameScalar(a: Reg, b: Reg): boolean {
  return (
    a.vl === b.vl &&
    a.ml === b.ml &&
    a.vh === b.vh &&
    a.mh === b.mh &&
    a.sminh === b.sminh &&
    a.sminl === b.sminl &&
    a.smaxh === b.smaxh &&
    a.smaxl === b.smaxl &&
    a.uminh === b.uminh &&
    a.uminl === b.uminl &&
    a.umaxh === b.umaxh &&
    a.umaxl === b.umaxl &&
    a.s32min === b.s32min &&
    a.s32max === b.s32max &&
    a.u32min === b.u32min &&
    a.u32max === b.u32max
  );
}
