/** Is a conditional jump decided by what is known already? (`is_branch_taken`) 1: always, 0: never, −1: either. */

import type { Env } from './env.ts';
import { slt, ult, ult32 } from './int64.ts';
import { AT_PKT_END, BEYOND_PKT_END, type Reg } from './register.ts';
import * as T from './regtype.ts';
import { tnumOverlap } from './tnum.ts';

export const JEQ = 0x10;
export const JGT = 0x20;
export const JGE = 0x30;
export const JSET = 0x40;
export const JNE = 0x50;
export const JSGT = 0x60;
export const JSGE = 0x70;
export const JLT = 0xa0;
export const JLE = 0xb0;
export const JSLT = 0xc0;
export const JSLE = 0xd0;

/** The comparison with its operands swapped. */
export const FLIPPED: Readonly<Record<number, number>> = {
  [JEQ]: JEQ,
  [JNE]: JNE,
  [JSET]: JSET,
  [JGE]: JLE,
  [JGT]: JLT,
  [JLE]: JGE,
  [JLT]: JGT,
  [JSGE]: JSLE,
  [JSGT]: JSLT,
  [JSLE]: JSGE,
  [JSLT]: JSGT,
};

export const isConstReg = (reg: Reg, jmp32: boolean): boolean =>
  reg.type === T.SCALAR_VALUE && (jmp32 ? reg.ml === 0 : (reg.mh | reg.ml) === 0);

export function branchTaken(env: Env, a: Reg, b: Reg, op: number, jmp32: boolean): number {
  if (T.isPacketPointerAny(a.type) && T.isPacketPointerAny(b.type) && !jmp32) return packetTaken(a, b, op);
  if (a.type === T.SCALAR_VALUE && b.type === T.SCALAR_VALUE) return scalarTaken(a, b, op, jmp32);
  let pointer = a;
  let other = b;
  if (!isConstReg(other, jmp32)) {
    pointer = b;
    other = a;
    op = FLIPPED[op]!;
  }
  if (!isConstReg(other, jmp32) || !isNotNull(env, pointer)) return -1;
  if (other.vl !== 0 || (!jmp32 && other.vh !== 0)) return -1;
  return op === JEQ ? 0 : op === JNE ? 1 : -1;
}

/** A pointer that cannot be zero (`reg_not_null`). */
export function isNotNull(env: Env, reg: Reg): boolean {
  if (T.mayBeNull(reg.type)) return false;
  switch (T.baseType(reg.type)) {
    case T.PTR_TO_SOCKET:
    case T.PTR_TO_TCP_SOCK:
    case T.PTR_TO_MAP_VALUE:
    case T.PTR_TO_MAP_KEY:
    case T.PTR_TO_SOCK_COMMON:
    case T.CONST_PTR_TO_MAP:
      return true;
    case T.PTR_TO_BTF_ID:
      return (reg.type & (T.PTR_TRUSTED | T.MEM_ALLOC | T.MEM_RCU | T.NON_OWN_REF)) !== 0 && !(reg.type & T.PTR_UNTRUSTED);
    case T.PTR_TO_MEM:
      return !(reg.type & T.PTR_UNTRUSTED);
    default:
      return false;
  }
}

function packetTaken(a: Reg, b: Reg, op: number): number {
  let packet: Reg;
  if (a.type === T.PTR_TO_PACKET_END) {
    packet = b;
    op = FLIPPED[op]!;
  } else if (b.type === T.PTR_TO_PACKET_END) {
    packet = a;
  } else {
    return -1;
  }
  if (packet.range >= 0) return -1;
  switch (op) {
    case JLE:
      if (packet.range === BEYOND_PKT_END) return 0;
      return -1;
    case JGT:
      if (packet.range === BEYOND_PKT_END) return 1;
      return -1;
    case JLT:
      if (packet.range === BEYOND_PKT_END || packet.range === AT_PKT_END) return 0;
      return -1;
    case JGE:
      if (packet.range === BEYOND_PKT_END || packet.range === AT_PKT_END) return 1;
      return -1;
    default:
      return -1;
  }
}

function scalarTaken(a: Reg, b: Reg, op: number, jmp32: boolean): number {
  switch (op) {
    case JEQ:
      return equalTaken(a, b, jmp32);
    case JNE: {
      const taken = equalTaken(a, b, jmp32);
      return taken < 0 ? -1 : 1 - taken;
    }
    case JSET:
      return testTaken(a, b, jmp32);
    case JGT:
      return jmp32 ? uLess32(b, a) : uLess(b, a);
    case JLT:
      return jmp32 ? uLess32(a, b) : uLess(a, b);
    case JGE:
      return invert(jmp32 ? uLess32(a, b) : uLess(a, b));
    case JLE:
      return invert(jmp32 ? uLess32(b, a) : uLess(b, a));
    case JSGT:
      return jmp32 ? sLess32(b, a) : sLess(b, a);
    case JSLT:
      return jmp32 ? sLess32(a, b) : sLess(a, b);
    case JSGE:
      return invert(jmp32 ? sLess32(a, b) : sLess(a, b));
    default:
      return invert(jmp32 ? sLess32(b, a) : sLess(b, a));
  }
}

const invert = (taken: number): number => (taken < 0 ? -1 : 1 - taken);

/** a < b for all values: 1, for none: 0. */
function uLess(a: Reg, b: Reg): number {
  if (ult(a.umaxh, a.umaxl, b.uminh, b.uminl)) return 1;
  return ult(a.uminh, a.uminl, b.umaxh, b.umaxl) ? -1 : 0;
}
function uLess32(a: Reg, b: Reg): number {
  if (ult32(a.u32max, b.u32min)) return 1;
  return ult32(a.u32min, b.u32max) ? -1 : 0;
}
function sLess(a: Reg, b: Reg): number {
  if (slt(a.smaxh, a.smaxl, b.sminh, b.sminl)) return 1;
  return slt(a.sminh, a.sminl, b.smaxh, b.smaxl) ? -1 : 0;
}
function sLess32(a: Reg, b: Reg): number {
  if (a.s32max < b.s32min) return 1;
  return a.s32min < b.s32max ? -1 : 0;
}

function equalTaken(a: Reg, b: Reg, jmp32: boolean): number {
  if (jmp32) {
    if ((a.ml | b.ml) === 0) return a.vl === b.vl ? 1 : 0;
    const known = ~(a.ml | b.ml);
    if ((a.vl & known) !== (b.vl & known)) return 0;
    return apart32(a, b) ? 0 : -1;
  }
  if ((a.mh | a.ml | b.mh | b.ml) === 0) return a.vh === b.vh && a.vl === b.vl ? 1 : 0;
  if (!tnumOverlap(a, b)) return 0;
  if (ult(b.umaxh, b.umaxl, a.uminh, a.uminl) || ult(a.umaxh, a.umaxl, b.uminh, b.uminl)) return 0;
  if (slt(b.smaxh, b.smaxl, a.sminh, a.sminl) || slt(a.smaxh, a.smaxl, b.sminh, b.sminl)) return 0;
  return apart32(a, b) ? 0 : -1;
}

const apart32 = (a: Reg, b: Reg): boolean =>
  ult32(b.u32max, a.u32min) || ult32(a.u32max, b.u32min) || a.s32min > b.s32max || a.s32max < b.s32min;

function testTaken(a: Reg, b: Reg, jmp32: boolean): number {
  const mask = isConstReg(b, jmp32) ? b : a;
  const value = mask === b ? a : b;
  if (!isConstReg(mask, jmp32)) return -1;
  const high = jmp32 ? 0 : mask.vh;
  if ((value.vl & ~value.ml & mask.vl) | (value.vh & ~value.mh & high)) return 1;
  if ((((value.vl | value.ml) & mask.vl) | ((value.vh | value.mh) & high)) === 0) return 0;
  return -1;
}
