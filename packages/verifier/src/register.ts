/** The state of one register or spilled slot (`struct bpf_reg_state`): one mutable class, copied field by field. */

import { S32_MAX, S32_MIN } from './int64.ts';
import { NOT_INIT, SCALAR_VALUE } from './regtype.ts';
import type { VerifierBtf, VerifierMap } from './types.ts';

/** Set in `id` of a scalar that equals its linked scalar plus `off`. */
export const BPF_ADD_CONST: number = 1 << 30;
/** Range of a packet pointer that is compared to data_end: beyond it, or at it. */
export const AT_PKT_END = -1;
export const BEYOND_PKT_END = -2;

export const BPF_ITER_STATE_ACTIVE = 1;
export const BPF_ITER_STATE_DRAINED = 2;

export class Reg {
  type: number = NOT_INIT;
  /** Constant part of a pointer's offset; for a linked scalar its distance. */
  off = 0;
  // Known bits (a Tnum) and the four kinds of bounds, 64-bit ones as halves.
  vh = 0;
  vl = 0;
  mh = 0;
  ml = 0;
  sminh = 0;
  sminl = 0;
  smaxh = 0;
  smaxl = 0;
  uminh = 0;
  uminl = 0;
  umaxh = 0;
  umaxl = 0;
  s32min = 0;
  s32max = 0;
  u32min = 0;
  u32max = 0;
  /** Same id: same value, same null-ness, or same variable part of a packet pointer, by type. */
  id = 0;
  refObjId = 0;
  /** Frame that a stack pointer points into. */
  frameno = 0;
  /** Packet pointers: bytes proven readable from the id's base. */
  range = 0;
  memSize = 0;
  /** Distinguishes map values of inner maps looked up separately. */
  mapUid = 0;
  map: VerifierMap | undefined = undefined;
  btf: VerifierBtf | undefined = undefined;
  btfId = 0;
  subprogno = 0;
  /** Dynptrs: their type flag, whether this slot is the first of two, and the id that slices of it carry. */
  dynType = 0;
  dynFirst = false;
  dynptrId = 0;
  iterState = 0;
  iterDepth = 0;
  precise = false;
  /** More than one frame holds this object (spilled registers only): it must not be changed any more, only replaced. */
  shared = false;
}

export function copyReg(to: Reg, from: Reg): void {
  to.type = from.type;
  to.off = from.off;
  copyScalar(to, from);
  to.id = from.id;
  to.refObjId = from.refObjId;
  to.frameno = from.frameno;
  to.range = from.range;
  to.memSize = from.memSize;
  to.mapUid = from.mapUid;
  to.map = from.map;
  to.btf = from.btf;
  to.btfId = from.btfId;
  to.subprogno = from.subprogno;
  to.dynType = from.dynType;
  to.dynFirst = from.dynFirst;
  to.dynptrId = from.dynptrId;
  to.iterState = from.iterState;
  to.iterDepth = from.iterDepth;
  to.precise = from.precise;
}

export function cloneReg(from: Reg): Reg {
  const reg = new Reg();
  copyReg(reg, from);
  return reg;
}

/** Copies known bits and bounds only. */
export function copyScalar(to: Reg, from: Reg): void {
  to.vh = from.vh;
  to.vl = from.vl;
  to.mh = from.mh;
  to.ml = from.ml;
  to.sminh = from.sminh;
  to.sminl = from.sminl;
  to.smaxh = from.smaxh;
  to.smaxl = from.smaxl;
  to.uminh = from.uminh;
  to.uminl = from.uminl;
  to.umaxh = from.umaxh;
  to.umaxl = from.umaxl;
  to.s32min = from.s32min;
  to.s32max = from.s32max;
  to.u32min = from.u32min;
  to.u32max = from.u32max;
}

/** Clears what belongs to one kind of pointer only. */
function clearKind(reg: Reg): void {
  reg.frameno = 0;
  reg.range = 0;
  reg.memSize = 0;
  reg.mapUid = 0;
  reg.map = undefined;
  reg.btf = undefined;
  reg.btfId = 0;
  reg.subprogno = 0;
  reg.dynType = 0;
  reg.dynFirst = false;
  reg.dynptrId = 0;
  reg.iterState = 0;
  reg.iterDepth = 0;
}

/** Sets known bits and all bounds to one 64-bit value, leaving the rest (a pointer's variable offset of 0, say). */
export function setValue(reg: Reg, h: number, l: number): void {
  reg.vh = h;
  reg.vl = l;
  reg.mh = 0;
  reg.ml = 0;
  reg.sminh = reg.smaxh = reg.uminh = reg.umaxh = h;
  reg.sminl = reg.smaxl = reg.uminl = reg.umaxl = l;
  reg.s32min = reg.s32max = reg.u32min = reg.u32max = l;
}

export function setKnownZero(reg: Reg): void {
  setValue(reg, 0, 0);
}

/** `__mark_reg_known`: a value of 64 bits; id and offset are forgotten, type and kind stay the caller's business. */
export function markKnown(reg: Reg, h: number, l: number): void {
  reg.off = 0;
  reg.id = 0;
  reg.refObjId = 0;
  clearKind(reg);
  setValue(reg, h, l);
}

/** A scalar of one known value (imprecise: nobody depends on it yet). */
export function markConstScalar(reg: Reg, h: number, l: number): void {
  markKnown(reg, h, l);
  reg.type = SCALAR_VALUE;
  reg.precise = false;
}

/** `__mark_reg_const_zero`. */
export function markConstZero(reg: Reg, precise: boolean): void {
  markConstScalar(reg, 0, 0);
  reg.precise = precise;
}

export function setUnbounded64(reg: Reg): void {
  reg.sminh = S32_MIN;
  reg.sminl = 0;
  reg.smaxh = S32_MAX;
  reg.smaxl = -1;
  reg.uminh = reg.uminl = 0;
  reg.umaxh = reg.umaxl = -1;
}

export function setUnbounded32(reg: Reg): void {
  reg.s32min = S32_MIN;
  reg.s32max = S32_MAX;
  reg.u32min = 0;
  reg.u32max = -1;
}

export function setUnbounded(reg: Reg): void {
  setUnbounded64(reg);
  setUnbounded32(reg);
}

/** A scalar of which nothing is known; precise where precision is not tracked. */
export function markUnknown(reg: Reg, precise: boolean): void {
  reg.type = SCALAR_VALUE;
  reg.off = 0;
  reg.id = 0;
  reg.refObjId = 0;
  clearKind(reg);
  reg.vh = reg.vl = 0;
  reg.mh = reg.ml = -1;
  reg.precise = precise;
  setUnbounded(reg);
}

export function markNotInit(reg: Reg): void {
  markUnknown(reg, false);
  reg.type = NOT_INIT;
}

/** A pointer of the given type at offset 0. */
export function markPointer(reg: Reg, type: number): void {
  markKnown(reg, 0, 0);
  reg.type = type;
  reg.precise = false;
}

/** Signed minimum and maximum as doubles; exact within ±2^53, else only sign and size. */
export const smin = (reg: Reg): number => reg.sminh * 4294967296 + (reg.sminl >>> 0);
export const smax = (reg: Reg): number => reg.smaxh * 4294967296 + (reg.smaxl >>> 0);
export const umin = (reg: Reg): number => (reg.uminh >>> 0) * 4294967296 + (reg.uminl >>> 0);
export const umax = (reg: Reg): number => (reg.umaxh >>> 0) * 4294967296 + (reg.umaxl >>> 0);
/** The known part of a variable offset as a signed double. */
export const varValue = (reg: Reg): number => reg.vh * 4294967296 + (reg.vl >>> 0);
