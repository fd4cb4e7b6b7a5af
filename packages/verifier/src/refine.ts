/** What a branch teaches of the two scalars compared (`reg_set_min_max`). */

import { repairInvalid, syncBounds } from './bounds.ts';
import { FLIPPED, isConstReg, JEQ, JGE, JGT, JLE, JLT, JNE, JSET, JSGE, JSGT, JSLE, JSLT } from './branch-taken.ts';
import { slt, ult, ult32 } from './int64.ts';
import { type Reg, setUnbounded } from './register.ts';
import { SCALAR_VALUE } from './regtype.ts';
import { tnumIntersect } from './tnum.ts';

/** The condition that holds where the jump is not taken; JSET's has a number of its own. */
const NOT_SET = 0x48;
const OPPOSITE: Readonly<Record<number, number>> = {
  [JEQ]: JNE,
  [JNE]: JEQ,
  [JSET]: NOT_SET,
  [JGE]: JLT,
  [JGT]: JLE,
  [JLE]: JGT,
  [JLT]: JGE,
  [JSGE]: JSLT,
  [JSGT]: JSLE,
  [JSLE]: JSGT,
  [JSLT]: JSGE,
};

/** Refines both copies of both operands: those of the path that jumps, and those of the path that does not. */
export function refineBranch(jumpA: Reg, jumpB: Reg, stayA: Reg, stayB: Reg, op: number, jmp32: boolean): void {
  if (stayA.type !== SCALAR_VALUE || stayB.type !== SCALAR_VALUE) return;
  refine(stayA, stayB, OPPOSITE[op]!, jmp32);
  syncBounds(stayA);
  syncBounds(stayB);
  refine(jumpA, jumpB, op, jmp32);
  syncBounds(jumpA);
  syncBounds(jumpB);
  repairInvalid(jumpA);
  repairInvalid(jumpB);
  repairInvalid(stayA);
  repairInvalid(stayB);
}

function refine(a: Reg, b: Reg, op: number, jmp32: boolean): void {
  switch (op) {
    case JEQ:
      return jmp32 ? equal32(a, b) : equal64(a, b);
    case JNE:
    case JSET:
    case NOT_SET: {
      const constant = isConstReg(b, jmp32) ? b : a;
      const value = constant === b ? a : b;
      if (!isConstReg(constant, jmp32)) return;
      if (op === JNE) notEqual(value, constant, jmp32);
      else if (op === JSET) bitSet(value, constant, jmp32);
      else bitsClear(value, constant, jmp32);
      return;
    }
    case JLE:
      return jmp32 ? unsignedLess32(a, b, 0) : unsignedLess(a, b, false);
    case JLT:
      return jmp32 ? unsignedLess32(a, b, 1) : unsignedLess(a, b, true);
    case JSLE:
      return jmp32 ? signedLess32(a, b, 0) : signedLess(a, b, false);
    case JSLT:
      return jmp32 ? signedLess32(a, b, 1) : signedLess(a, b, true);
    default:
      return refine(b, a, FLIPPED[op]!, jmp32);
  }
}

function equal32(a: Reg, b: Reg): void {
  if (ult32(a.u32min, b.u32min)) a.u32min = b.u32min;
  if (ult32(b.u32max, a.u32max)) a.u32max = b.u32max;
  a.s32min = Math.max(a.s32min, b.s32min);
  a.s32max = Math.min(a.s32max, b.s32max);
  const mask = a.ml & b.ml;
  const value = (a.vl | b.vl) & ~mask;
  for (const reg of [a, b]) {
    reg.u32min = a.u32min;
    reg.u32max = a.u32max;
    reg.s32min = a.s32min;
    reg.s32max = a.s32max;
    reg.vl = value;
    reg.ml = mask;
  }
}

function equal64(a: Reg, b: Reg): void {
  if (ult(a.uminh, a.uminl, b.uminh, b.uminl)) setUmin(a, b.uminh, b.uminl);
  if (ult(b.umaxh, b.umaxl, a.umaxh, a.umaxl)) setUmax(a, b.umaxh, b.umaxl);
  if (slt(a.sminh, a.sminl, b.sminh, b.sminl)) setSmin(a, b.sminh, b.sminl);
  if (slt(b.smaxh, b.smaxl, a.smaxh, a.smaxl)) setSmax(a, b.smaxh, b.smaxl);
  setUmin(b, a.uminh, a.uminl);
  setUmax(b, a.umaxh, a.umaxl);
  setSmin(b, a.sminh, a.sminl);
  setSmax(b, a.smaxh, a.smaxl);
  tnumIntersect(a, a, b);
  b.vh = a.vh;
  b.vl = a.vl;
  b.mh = a.mh;
  b.ml = a.ml;
}

function setUmin(reg: Reg, h: number, l: number): void {
  reg.uminh = h;
  reg.uminl = l;
}
function setUmax(reg: Reg, h: number, l: number): void {
  reg.umaxh = h;
  reg.umaxl = l;
}
function setSmin(reg: Reg, h: number, l: number): void {
  reg.sminh = h;
  reg.sminl = l;
}
function setSmax(reg: Reg, h: number, l: number): void {
  reg.smaxh = h;
  reg.smaxl = l;
}

/** h:l + 1 and − 1, into a pair of the register by its setter. */
function increment(set: (reg: Reg, h: number, l: number) => void, reg: Reg, h: number, l: number): void {
  const low = (l + 1) | 0;
  set(reg, low === 0 ? (h + 1) | 0 : h, low);
}
function decrement(set: (reg: Reg, h: number, l: number) => void, reg: Reg, h: number, l: number): void {
  set(reg, l === 0 ? (h - 1) | 0 : h, (l - 1) | 0);
}

/** A constant that is an end of the range takes that end off. */
function notEqual(reg: Reg, constant: Reg, jmp32: boolean): void {
  const { vh, vl } = constant;
  if (jmp32) {
    if (reg.u32min === vl) reg.u32min = (reg.u32min + 1) | 0;
    if (reg.u32max === vl) reg.u32max = (reg.u32max - 1) | 0;
    if (reg.s32min === vl) reg.s32min = (reg.s32min + 1) | 0;
    if (reg.s32max === vl) reg.s32max = (reg.s32max - 1) | 0;
    return;
  }
  if (reg.uminh === vh && reg.uminl === vl) increment(setUmin, reg, vh, vl);
  if (reg.umaxh === vh && reg.umaxl === vl) decrement(setUmax, reg, vh, vl);
  if (reg.sminh === vh && reg.sminl === vl) increment(setSmin, reg, vh, vl);
  if (reg.smaxh === vh && reg.smaxl === vl) decrement(setSmax, reg, vh, vl);
}

/** value & mask is not zero: of a single bit, that it is set. */
function bitSet(reg: Reg, constant: Reg, jmp32: boolean): void {
  const high = jmp32 ? 0 : constant.vh;
  const low = constant.vl;
  const one = high === 0 ? isPower(low) : low === 0 && isPower(high);
  if (!one) return;
  reg.vl |= low;
  reg.ml &= ~low;
  reg.vh |= high;
  reg.mh &= ~high;
}

const isPower = (bits: number): boolean => bits !== 0 && (bits & (bits - 1)) === 0;

/** value & mask is zero: every bit of it is clear. */
function bitsClear(reg: Reg, constant: Reg, jmp32: boolean): void {
  const high = jmp32 ? 0 : constant.vh;
  const low = constant.vl;
  setUnbounded(reg);
  reg.vl &= ~low;
  reg.ml &= ~low;
  reg.vh &= ~high;
  reg.mh &= ~high;
}

function unsignedLess32(a: Reg, b: Reg, strict: number): void {
  const max = (b.u32max - strict) | 0;
  const min = (a.u32min + strict) | 0;
  if (ult32(max, a.u32max)) a.u32max = max;
  if (ult32(b.u32min, min)) b.u32min = min;
}

function signedLess32(a: Reg, b: Reg, strict: number): void {
  const max = (b.s32max - strict) | 0;
  const min = (a.s32min + strict) | 0;
  if (max < a.s32max) a.s32max = max;
  if (min > b.s32min) b.s32min = min;
}

function unsignedLess(a: Reg, b: Reg, strict: boolean): void {
  const { uminh, uminl } = a;
  let maxh = b.umaxh;
  let maxl = b.umaxl;
  let minh = uminh;
  let minl = uminl;
  if (strict) {
    if (maxl === 0) maxh = (maxh - 1) | 0;
    maxl = (maxl - 1) | 0;
    minl = (minl + 1) | 0;
    if (minl === 0) minh = (minh + 1) | 0;
  }
  if (ult(maxh, maxl, a.umaxh, a.umaxl)) setUmax(a, maxh, maxl);
  if (ult(b.uminh, b.uminl, minh, minl)) setUmin(b, minh, minl);
}

function signedLess(a: Reg, b: Reg, strict: boolean): void {
  let maxh = b.smaxh;
  let maxl = b.smaxl;
  let minh = a.sminh;
  let minl = a.sminl;
  if (strict) {
    if (maxl === 0) maxh = (maxh - 1) | 0;
    maxl = (maxl - 1) | 0;
    minl = (minl + 1) | 0;
    if (minl === 0) minh = (minh + 1) | 0;
  }
  if (slt(maxh, maxl, a.smaxh, a.smaxl)) setSmax(a, maxh, maxl);
  if (slt(b.sminh, b.sminl, minh, minl)) setSmin(b, minh, minl);
}
