/** Adding to and subtracting from pointers (`adjust_ptr_min_max_vals`). */

import { isInvalid, syncBounds } from './bounds.ts';
import type { Env } from './env.ts';
import { S32_MIN, signedText, ult } from './int64.ts';
import { copyReg, Reg, setUnbounded32, smin } from './register.ts';
import * as T from './regtype.ts';
import { OP_ADD, OP_AND, OP_OR, OP_SUB, OP_XOR } from './scalar-alu.ts';
import { afterMove, beforeMove, checkResult } from './sanitize.ts';
import { BPF_MAX_VAR_OFF, isConstOffset } from './stack.ts';
import { tnumAdd, tnumSub } from './tnum.ts';

export const ALU_TEXT: Readonly<Record<number, string>> = {
  0x00: '+=',
  0x10: '-=',
  0x20: '*=',
  0x30: '/=',
  0x40: '|=',
  0x50: '&=',
  0x60: '<<=',
  0x70: '>>=',
  0x80: 'neg',
  0x90: '%=',
  0xa0: '^=',
  0xb0: '=',
  0xc0: 's>>=',
  0xd0: 'endian',
};

const MOVABLE: ReadonlySet<number> = new Set([
  T.PTR_TO_CTX,
  T.PTR_TO_MAP_VALUE,
  T.PTR_TO_MAP_KEY,
  T.PTR_TO_STACK,
  T.PTR_TO_PACKET_META,
  T.PTR_TO_PACKET,
  T.PTR_TO_TP_BUFFER,
  T.PTR_TO_BTF_ID,
  T.PTR_TO_MEM,
  T.PTR_TO_BUF,
  T.PTR_TO_FUNC,
  T.CONST_PTR_TO_DYNPTR,
]);

/** `dst = ptr op offset`; `dst` is the register of number `dstno` and may be either of the two; `srcno` is −1 for an immediate. */
export function pointerAlu(
  env: Env,
  op: number,
  alu64: boolean,
  dstno: number,
  dst: Reg,
  ptr: Reg,
  offset: Reg,
  srcno: number = -1,
): void {
  if (hasBadBounds(offset)) return env.markUnknown(dst);
  if (!alu64) {
    if (op === OP_SUB && env.allowPtrLeaks) return env.markUnknown(dst);
    env.refuse('EACCES', `R${dstno} 32-bit pointer arithmetic prohibited`);
  }
  const known = isConstOffset(offset);
  checkMovable(env, op, dstno, ptr, offset, known);
  if (T.baseType(ptr.type) === T.PTR_TO_MEM && ptr.type & T.PTR_UNTRUSTED) return copyReg(dst, ptr);
  checkSane(env, offset, ptr.type);
  checkSane(env, ptr, ptr.type);
  const from = dst === ptr ? ptr : cloneOf(ptr);
  const by = dst === offset ? cloneOf(offset) : offset;
  const subtractsFromScalar = op === OP_SUB && dst === offset;
  if (dst !== ptr) copyReg(dst, ptr);
  setUnbounded32(dst);
  const move = { adds: op === OP_ADD, dstno, srcno, scalarIsDst: by !== offset };
  const masks = !env.bypassSpec && srcno >= 0 && (op === OP_ADD || op === OP_SUB);
  const window = masks ? beforeMove(env, move, from, by) : undefined;
  if (op === OP_ADD) add(env, dst, from, by, known);
  else if (op === OP_SUB) subtract(env, dstno, dst, from, by, known, subtractsFromScalar);
  else if (op === OP_AND || op === OP_OR || op === OP_XOR) {
    env.refuse('EACCES', `R${dstno} bitwise operator ${ALU_TEXT[op]} on pointer prohibited`);
  } else {
    env.refuse('EACCES', `R${dstno} pointer arithmetic with ${ALU_TEXT[op]} operator prohibited`);
  }
  checkSane(env, dst, ptr.type);
  syncBounds(dst);
  if (window) afterMove(env, move, dst, window);
  else if (!env.bypassSpec) checkResult(env, dstno, dst);
}

function cloneOf(reg: Reg): Reg {
  const copy = new Reg();
  copyReg(copy, reg);
  return copy;
}

/** Bounds that contradict (only on a branch that is never taken). */
const hasBadBounds = (reg: Reg): boolean => isInvalid(reg);

function checkMovable(env: Env, op: number, dstno: number, ptr: Reg, offset: Reg, known: boolean): void {
  const name = T.typeText(ptr.type);
  if (T.mayBeNull(ptr.type)) {
    env.refuse('EACCES', `R${dstno} pointer arithmetic on ${name} prohibited, null-check it first`);
  }
  const base = T.baseType(ptr.type);
  if (MOVABLE.has(base) || (base === T.PTR_TO_FLOW_KEYS && known)) return;
  const addsZero = known && (offset.vh | offset.vl) === 0 && op === OP_ADD;
  if ((base === T.CONST_PTR_TO_MAP || base === T.PTR_TO_FLOW_KEYS) && addsZero) return;
  env.refuse('EACCES', `R${dstno} pointer arithmetic on ${name} prohibited`);
}

/** No part of a pointer's offset may come near 2^29 (`check_reg_sane_offset`). */
function checkSane(env: Env, reg: Reg, type: number): void {
  const name = T.typeText(type);
  const least = smin(reg);
  if (isConstOffset(reg) && (least >= BPF_MAX_VAR_OFF || least <= -BPF_MAX_VAR_OFF)) {
    env.refuse('EINVAL', `math between ${name} pointer and ${signedText(reg.vh, reg.vl)} is not allowed`);
  }
  if (reg.type !== T.SCALAR_VALUE && (reg.off >= BPF_MAX_VAR_OFF || reg.off <= -BPF_MAX_VAR_OFF)) {
    env.refuse('EINVAL', `${name} pointer offset ${reg.off} is not allowed`);
  }
  if (reg.sminh === S32_MIN && reg.sminl === 0) {
    env.refuse('EINVAL', `math between ${name} pointer and register with unbounded min value is not allowed`);
  }
  if (least >= BPF_MAX_VAR_OFF || least <= -BPF_MAX_VAR_OFF) {
    env.refuse('EINVAL', `value ${signedText(reg.sminh, reg.sminl)} makes ${name} pointer be out of bounds`);
  }
}

function add(env: Env, dst: Reg, ptr: Reg, by: Reg, known: boolean): void {
  const sum = ptr.off + smin(by);
  if (known && sum === (sum | 0)) {
    dst.off = sum;
    return;
  }
  const minl = (ptr.sminl + by.sminl) | 0;
  const minh = (ptr.sminh + by.sminh + (minl >>> 0 < ptr.sminl >>> 0 ? 1 : 0)) | 0;
  const maxl = (ptr.smaxl + by.smaxl) | 0;
  const maxh = (ptr.smaxh + by.smaxh + (maxl >>> 0 < ptr.smaxl >>> 0 ? 1 : 0)) | 0;
  const signedWraps = ((minh ^ ptr.sminh) & (minh ^ by.sminh)) < 0 || ((maxh ^ ptr.smaxh) & (maxh ^ by.smaxh)) < 0;
  const uminl = (ptr.uminl + by.uminl) | 0;
  const uminh = (ptr.uminh + by.uminh + (uminl >>> 0 < ptr.uminl >>> 0 ? 1 : 0)) | 0;
  const umaxl = (ptr.umaxl + by.umaxl) | 0;
  const umaxh = (ptr.umaxh + by.umaxh + (umaxl >>> 0 < ptr.umaxl >>> 0 ? 1 : 0)) | 0;
  const unsignedWraps = ult(uminh, uminl, ptr.uminh, ptr.uminl) || ult(umaxh, umaxl, ptr.umaxh, ptr.umaxl);
  setBounds(dst, signedWraps, minh, minl, maxh, maxl, unsignedWraps, uminh, uminl, umaxh, umaxl);
  tnumAdd(dst, ptr, by);
  if (T.isPacketPointer(ptr.type)) {
    dst.id = env.nextId();
    dst.range = 0;
  }
}

function setBounds(
  dst: Reg,
  noSigned: boolean,
  minh: number,
  minl: number,
  maxh: number,
  maxl: number,
  noUnsigned: boolean,
  uminh: number,
  uminl: number,
  umaxh: number,
  umaxl: number,
): void {
  dst.sminh = noSigned ? S32_MIN : minh;
  dst.sminl = noSigned ? 0 : minl;
  dst.smaxh = noSigned ? 0x7fffffff : maxh;
  dst.smaxl = noSigned ? -1 : maxl;
  dst.uminh = noUnsigned ? 0 : uminh;
  dst.uminl = noUnsigned ? 0 : uminl;
  dst.umaxh = noUnsigned ? -1 : umaxh;
  dst.umaxl = noUnsigned ? -1 : umaxl;
}

function subtract(env: Env, dstno: number, dst: Reg, ptr: Reg, by: Reg, known: boolean, fromScalar: boolean): void {
  if (fromScalar) env.refuse('EACCES', `R${dstno} tried to subtract pointer from scalar`);
  if (T.baseType(ptr.type) === T.PTR_TO_STACK) env.refuse('EACCES', `R${dstno} subtraction from stack pointer prohibited`);
  const difference = ptr.off - smin(by);
  if (known && difference === (difference | 0)) {
    dst.off = difference;
    return;
  }
  const minl = (ptr.sminl - by.smaxl) | 0;
  const minh = (ptr.sminh - by.smaxh - (ptr.sminl >>> 0 < by.smaxl >>> 0 ? 1 : 0)) | 0;
  const maxl = (ptr.smaxl - by.sminl) | 0;
  const maxh = (ptr.smaxh - by.sminh - (ptr.smaxl >>> 0 < by.sminl >>> 0 ? 1 : 0)) | 0;
  const signedWraps = ((ptr.sminh ^ by.smaxh) & (ptr.sminh ^ minh)) < 0 || ((ptr.smaxh ^ by.sminh) & (ptr.smaxh ^ maxh)) < 0;
  const unsignedWraps = ult(ptr.uminh, ptr.uminl, by.umaxh, by.umaxl);
  const uminl = (ptr.uminl - by.umaxl) | 0;
  const uminh = (ptr.uminh - by.umaxh - (ptr.uminl >>> 0 < by.umaxl >>> 0 ? 1 : 0)) | 0;
  const umaxl = (ptr.umaxl - by.uminl) | 0;
  const umaxh = (ptr.umaxh - by.uminh - (ptr.umaxl >>> 0 < by.uminl >>> 0 ? 1 : 0)) | 0;
  const negative = by.sminh < 0;
  setBounds(dst, signedWraps, minh, minl, maxh, maxl, unsignedWraps, uminh, uminl, umaxh, umaxl);
  tnumSub(dst, ptr, by);
  if (T.isPacketPointer(ptr.type)) {
    dst.id = env.nextId();
    if (negative) dst.range = 0;
  }
}
