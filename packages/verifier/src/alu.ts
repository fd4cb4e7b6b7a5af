/** ALU instructions: operands, reserved fields, moves and byte swaps; arithmetic on scalars and pointers (`check_alu_op`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { coerceLowToSizeSigned, coerceToSizeSigned, repairInvalid, syncBounds, zeroExtend32 } from './bounds.ts';
import type { Env } from './env.ts';
import { ult } from './int64.ts';
import { checkDst, checkSrc } from './operands.ts';
import { ALU_TEXT, pointerAlu } from './pointer-alu.ts';
import { markChainPrecision } from './precision.ts';
import { BPF_ADD_CONST, copyReg, markConstScalar, type Reg } from './register.ts';
import { PTR_TO_ARENA, SCALAR_VALUE } from './regtype.ts';
import { swapBytes } from './byte-swap.ts';
import { OP_ADD, OP_ARSH, OP_DIV, OP_END, OP_LSH, OP_MOD, OP_MOV, OP_NEG, OP_RSH, OP_SUB, scalarAlu } from './scalar-alu.ts';
import { assignScalarId, regWidth } from './stack.ts';

export function checkAlu(env: Env, insn: BpfInsn): void {
  const op = insn.code & 0xf0;
  const alu64 = (insn.code & 7) === 7;
  if (op === OP_END || op === OP_NEG) unary(env, insn, op, alu64);
  else if (op === OP_MOV) move(env, insn, alu64);
  else if (op > OP_END) env.refuse('EINVAL', `invalid BPF_ALU opcode ${op.toString(16)}`);
  else binary(env, insn, op, alu64);
  repairInvalid(env.reg(insn.dst_reg));
}

const isPointerValue = (env: Env, regno: number): boolean => !env.allowPtrLeaks && env.reg(regno).type !== SCALAR_VALUE;

function unary(env: Env, insn: BpfInsn, op: number, alu64: boolean): void {
  const { dst_reg, src_reg, off, imm, code } = insn;
  if (op === OP_NEG) {
    if (code & 8 || src_reg !== 0 || off !== 0 || imm !== 0) env.refuse('EINVAL', 'BPF_NEG uses reserved fields');
  } else if (src_reg !== 0 || off !== 0 || (imm !== 16 && imm !== 32 && imm !== 64) || (alu64 && (code & 8) !== 0)) {
    env.refuse('EINVAL', 'BPF_END uses reserved fields');
  }
  checkSrc(env, dst_reg);
  if (isPointerValue(env, dst_reg)) env.refuse('EACCES', `R${dst_reg} pointer arithmetic prohibited`);
  checkDst(env, dst_reg);
  const dst = env.reg(dst_reg);
  if (dst.type !== SCALAR_VALUE) {
    env.markUnknown(dst);
  } else if (op === OP_NEG) {
    scalarAlu(dst, dst, OP_NEG, !alu64, env.bpfCapable);
  } else {
    swapBytes(dst, imm, alu64 || (code & 8) !== 0);
  }
  dst.id = 0;
}

function move(env: Env, insn: BpfInsn, alu64: boolean): void {
  const { dst_reg, src_reg, off, imm, code } = insn;
  const register = (code & 8) !== 0;
  if (register) {
    if (alu64 && off === 1) return castAddressSpace(env, insn);
    const widths = alu64 ? [0, 8, 16, 32] : [0, 8, 16];
    if (imm !== 0 || !widths.includes(off)) env.refuse('EINVAL', 'BPF_MOV uses reserved fields');
    checkSrc(env, src_reg);
  } else if (src_reg !== 0 || off !== 0) {
    env.refuse('EINVAL', 'BPF_MOV uses reserved fields');
  }
  checkDst(env, dst_reg);
  const dst = env.reg(dst_reg);
  if (!register) {
    // The value of a plain move stays imprecise until someone depends on it.
    env.markUnknown(dst);
    const { precise } = dst;
    markConstScalar(dst, alu64 ? imm >> 31 : 0, imm);
    dst.precise = precise;
    return;
  }
  const src = env.reg(src_reg);
  if (alu64 && off === 0) {
    assignScalarId(env, src);
    if (dst !== src) copyReg(dst, src);
  } else if (alu64) {
    moveSigned64(env, dst, src, src_reg, off);
  } else {
    move32(env, dst, src, src_reg, off);
  }
}

/** umax < 1 << (bits − 1): sign extension changes nothing. */
const keepsValue = (reg: Reg, bits: number): boolean => ult(reg.umaxh, reg.umaxl, 0, 1 << (bits - 1));

function moveSigned64(env: Env, dst: Reg, src: Reg, srcno: number, bits: number): void {
  if (isPointerValue(env, srcno)) env.refuse('EACCES', `R${srcno} sign-extension part of pointer`);
  if (src.type !== SCALAR_VALUE) return env.markUnknown(dst);
  const same = keepsValue(src, bits);
  if (same) assignScalarId(env, src);
  copyReg(dst, src);
  if (!same) dst.id = 0;
  coerceToSizeSigned(dst, bits >> 3);
}

function move32(env: Env, dst: Reg, src: Reg, srcno: number, bits: number): void {
  if (isPointerValue(env, srcno)) env.refuse('EACCES', `R${srcno} partial copy of pointer`);
  if (src.type !== SCALAR_VALUE) {
    env.markUnknown(dst);
  } else if (bits === 0) {
    const narrow = regWidth(src) <= 32;
    if (narrow) assignScalarId(env, src);
    copyReg(dst, src);
    if (!narrow) dst.id = 0;
  } else {
    const same = keepsValue(src, bits);
    if (same) assignScalarId(env, src);
    copyReg(dst, src);
    if (!same) dst.id = 0;
    coerceLowToSizeSigned(dst, bits >> 3);
  }
  zeroExtend32(dst);
  syncBounds(dst);
}

function castAddressSpace(env: Env, insn: BpfInsn): void {
  checkSrc(env, insn.src_reg);
  if (!env.usedMaps.some((map) => map.map_type === 33))
    env.refuse('EINVAL', 'addr_space_cast insn can only be used in a program that has an associated arena');
  checkDst(env, insn.dst_reg);
  const dst = env.reg(insn.dst_reg);
  const toArena = insn.imm === 1;
  env.markUnknown(dst);
  if (toArena) dst.type = PTR_TO_ARENA;
}

function binary(env: Env, insn: BpfInsn, op: number, alu64: boolean): void {
  const { dst_reg, src_reg, off, imm, code } = insn;
  const register = (code & 8) !== 0;
  const signedDivision = off === 1 && (op === OP_DIV || op === OP_MOD);
  if ((off !== 0 && !signedDivision) || (register ? imm !== 0 : src_reg !== 0)) {
    env.refuse('EINVAL', 'BPF_ALU uses reserved fields');
  }
  if (register) checkSrc(env, src_reg);
  checkSrc(env, dst_reg);
  if ((op === OP_DIV || op === OP_MOD) && !register && imm === 0) env.refuse('EINVAL', 'div by zero');
  if ((op === OP_LSH || op === OP_RSH || op === OP_ARSH) && !register && (imm < 0 || imm >= (alu64 ? 64 : 32))) {
    env.refuse('EINVAL', `invalid shift ${imm}`);
  }
  checkDst(env, dst_reg);
  adjust(env, insn, op, alu64, register);
}

function adjust(env: Env, insn: BpfInsn, op: number, alu64: boolean, register: boolean): void {
  const dst = env.reg(insn.dst_reg);
  let src: Reg;
  if (register) {
    src = env.reg(insn.src_reg);
    if (src.type !== SCALAR_VALUE) return withPointerSource(env, insn, op, alu64, dst, src);
    if (dst.type !== SCALAR_VALUE) {
      markChainPrecision(env, insn.src_reg);
      return pointerAlu(env, op, alu64, insn.dst_reg, dst, dst, src, insn.src_reg);
    }
    if (dst.precise) markChainPrecision(env, insn.src_reg);
    if (src === dst) {
      src = env.fakeReg;
      copyReg(src, dst);
    }
  } else {
    src = env.constant(insn.imm);
    if (dst.type !== SCALAR_VALUE) return pointerAlu(env, op, alu64, insn.dst_reg, dst, dst, src);
  }
  const constantHigh = src.vh;
  const constantLow = src.vl;
  const isConst = (src.mh | src.ml) === 0;
  const { id } = dst;
  scalarAlu(dst, src, op, !alu64, env.bpfCapable);
  linkDistance(env, dst, id, op === OP_ADD && alu64 && isConst, constantHigh, constantLow);
}

/** After `dst += K` the two scalars still are a constant apart; any other operation ends the link. */
function linkDistance(env: Env, dst: Reg, id: number, adds: boolean, high: number, low: number): void {
  if (!env.bpfCapable || !adds || id === 0) {
    dst.id = 0;
    return;
  }
  if (id & BPF_ADD_CONST || high !== 0 || low < 0) {
    dst.off = 0;
    dst.id = 0;
  } else {
    dst.id = id | BPF_ADD_CONST;
    dst.off = low;
  }
}

function withPointerSource(env: Env, insn: BpfInsn, op: number, alu64: boolean, dst: Reg, src: Reg): void {
  if (dst.type !== SCALAR_VALUE) {
    if (op === OP_SUB && env.allowPtrLeaks) return env.markUnknown(dst);
    env.refuse('EACCES', `R${insn.dst_reg} pointer ${ALU_TEXT[op]} pointer prohibited`);
  }
  markChainPrecision(env, insn.dst_reg);
  pointerAlu(env, op, alu64, insn.dst_reg, dst, src, dst, insn.src_reg);
}
