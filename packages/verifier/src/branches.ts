/** Conditional jumps: decided ones are followed, others split the path (`check_cond_jmp_op`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { branchTaken, JEQ, JNE } from './branch-taken.ts';
import { BPF_COMPLEXITY_LIMIT_JMP_SEQ, type Env } from './env.ts';
import { recordLinked, recordOperands } from './history.ts';
import { collectLinked, type LinkedReg, syncLinked } from './linked.ts';
import { logState } from './log-state.ts';
import { markNotNull, markNullOrNot } from './null-check.ts';
import { checkSrc } from './operands.ts';
import { matchPacketPointers } from './packet-range.ts';
import { markChainPrecision } from './precision.ts';
import { cloneReg, copyReg, type Reg } from './register.ts';
import * as T from './regtype.ts';
import { refineBranch } from './refine.ts';
import { cloneState, isSpilled, slotReg, type VerifierState } from './state.ts';

/** Sets a copy of the current state aside, to be explored from `insn` later; `full` is the errno where too many wait already. */
export function pushBranch(env: Env, insn: number, from: number, errno: 'EFAULT' | 'ENOMEM' = 'EFAULT'): VerifierState {
  const state = cloneState(env.cur, true, env.framePool);
  pushState(env, state, insn, from, errno);
  if (state.parent) state.parent.branches++;
  return state;
}

/** Sets a state aside, to be explored from `insn`. */
export function pushState(
  env: Env,
  state: VerifierState,
  insn: number,
  from: number,
  errno: 'EFAULT' | 'ENOMEM' = 'EFAULT',
): void {
  if (env.pending.length >= BPF_COMPLEXITY_LIMIT_JMP_SEQ) {
    env.refuse(errno, `The sequence of ${env.pending.length + 1} jumps is too complex.`);
  }
  env.pending.push({ state, insnIdx: insn, prevInsnIdx: from, logPosition: env.log.end });
  if (env.request.trace) env.trace.push({ kind: 'branch', insn, from, text: env.text(from) });
}

/** The path that a processor might follow although the jump is decided; what was compared may be anything there. */
function pushSpeculative(env: Env, insn: BpfInsn, next: number): void {
  if (env.bypassSpec) return;
  const state = pushBranch(env, next, env.insnIdx);
  state.speculative = true;
  env.markUnknown(state.frame.regs[insn.dst_reg]!);
  if (insn.code & 8) env.markUnknown(state.frame.regs[insn.src_reg]!);
}

/** Follows a conditional jump from `env.insnIdx`, moving it on. */
export function checkConditionalJump(env: Env, insn: BpfInsn): void {
  const { code, dst_reg, src_reg, off, imm } = insn;
  const op = code & 0xf0;
  const jmp32 = (code & 7) === 6;
  const register = (code & 8) !== 0;
  if (op === 0xe0) return checkMayGoto(env, insn);
  if (op > 0xd0 || op === 0) env.refuse('EINVAL', `invalid BPF_JMP/JMP32 opcode ${op.toString(16)}`);
  checkSrc(env, dst_reg);
  const dst = env.reg(dst_reg);
  let src: Reg;
  if (register) {
    if (imm !== 0) env.refuse('EINVAL', 'BPF_JMP/JMP32 uses reserved fields');
    checkSrc(env, src_reg);
    src = env.reg(src_reg);
    const packets = T.isPacketPointerAny(dst.type) && T.isPacketPointerAny(src.type);
    if (!packets && !env.allowPtrLeaks && src.type !== T.SCALAR_VALUE) {
      env.refuse('EACCES', `R${src_reg} pointer comparison prohibited`);
    }
    const dstStack = dst.type === T.PTR_TO_STACK;
    const srcStack = src.type === T.PTR_TO_STACK;
    if (dstStack || srcStack) recordOperands(env, dstStack, srcStack);
  } else {
    if (src_reg !== 0) env.refuse('EINVAL', 'BPF_JMP/JMP32 uses reserved fields');
    src = env.constant(imm);
  }
  const taken = branchTaken(env, dst, src, op, jmp32);
  if (taken >= 0) {
    if (dst.type === T.SCALAR_VALUE) markChainPrecision(env, dst_reg);
    if (register && src.type === T.SCALAR_VALUE) markChainPrecision(env, src_reg);
    pushSpeculative(env, insn, env.insnIdx + 1 + (taken === 1 ? 0 : off));
    if (env.log.on) logState(env);
    env.insnIdx += taken === 1 ? off + 1 : 1;
    return;
  }
  split(env, insn, op, jmp32, register, dst, src);
  if (env.log.on) logState(env);
  env.insnIdx++;
}

function split(env: Env, insn: BpfInsn, op: number, jmp32: boolean, register: boolean, dst: Reg, src: Reg): void {
  const { dst_reg, src_reg, off, imm } = insn;
  const stay = env.cur;
  const linked: LinkedReg[] = [];
  if (register && src.type === T.SCALAR_VALUE && src.id) collectLinked(stay, src.id, linked);
  if (dst.type === T.SCALAR_VALUE && dst.id) collectLinked(stay, dst.id, linked);
  if (linked.length > 1) recordLinked(env, stay, linked);
  const jump = pushBranch(env, env.insnIdx + off + 1, env.insnIdx);
  const jumpRegs = jump.frame.regs;
  const jumpDst = jumpRegs[dst_reg]!;
  if (register) {
    const same = dst_reg === src_reg;
    refineBranch(jumpDst, same ? cloneReg(jumpDst) : jumpRegs[src_reg]!, dst, same ? cloneReg(dst) : src, op, jmp32);
  } else {
    copyReg(env.fakeReg2, src);
    refineBranch(jumpDst, src, dst, env.fakeReg2, op, jmp32);
  }
  if (register && src.type === T.SCALAR_VALUE && src.id) {
    syncLinked(stay, src, linked);
    syncLinked(jump, jumpRegs[src_reg]!, linked);
  }
  if (dst.type === T.SCALAR_VALUE && dst.id) {
    syncLinked(stay, dst, linked);
    syncLinked(jump, jumpDst, linked);
  }
  if (!jmp32 && register) liftNull(op, jump, stay, dst_reg, src_reg);
  const nullCheck = !jmp32 && !register && imm === 0 && (op === JEQ || op === JNE) && T.mayBeNull(dst.type);
  if (nullCheck) {
    markNullOrNot(stay, dst_reg, op === JNE);
    markNullOrNot(jump, dst_reg, op === JEQ);
    return;
  }
  const matched = register && !jmp32 && matchPacketPointers(op, dst_reg, src_reg, jump, stay);
  if (!matched && !env.allowPtrLeaks && dst.type !== T.SCALAR_VALUE) {
    env.refuse('EACCES', `R${dst_reg} pointer comparison prohibited`);
  }
}

/** A pointer that may be NULL, equal to one that is not, is not NULL either. */
function liftNull(op: number, jump: VerifierState, stay: VerifierState, dstno: number, srcno: number): void {
  const equal = op === JEQ ? jump : op === JNE ? stay : undefined;
  if (!equal) return;
  const dst = equal.frame.regs[dstno]!;
  const src = equal.frame.regs[srcno]!;
  if (dst.type === T.SCALAR_VALUE || src.type === T.SCALAR_VALUE) return;
  if (T.mayBeNull(dst.type) === T.mayBeNull(src.type)) return;
  if (T.baseType(dst.type) === T.PTR_TO_BTF_ID || T.baseType(src.type) === T.PTR_TO_BTF_ID) return;
  markNotNull(T.mayBeNull(src.type) ? src : dst);
}

/** may_goto either jumps or goes on, at most so often that the program ends. */
function checkMayGoto(env: Env, insn: BpfInsn): void {
  if (insn.code !== 0xe5 || insn.src_reg !== 0 || insn.dst_reg || insn.imm) {
    env.refuse('EINVAL', `invalid may_goto imm ${insn.imm}`);
  }
  const { cur } = env;
  const queued = pushBranch(env, env.insnIdx + 1, env.insnIdx, 'ENOMEM');
  queued.mayGotoDepth++;
  const before = cur.parent && previousCheckpoint(cur.parent, env.insnIdx);
  if (before) widen(env, before, queued);
  env.insnIdx += insn.off + 1;
}

/** The latest saved ancestor of a state (not itself) at an instruction, in the same frames. */
export function previousCheckpoint(state: VerifierState, insn: number): VerifierState | undefined {
  for (let saved = state.parent; saved; saved = saved.parent) {
    if (saved.insnIdx === insn && saved.curframe === state.curframe && sameCallsites(saved, state)) return saved;
  }
  return undefined;
}

function sameCallsites(a: VerifierState, b: VerifierState): boolean {
  for (let f = a.curframe; f >= 0; f--) if (a.frames[f]!.callsite !== b.frames[f]!.callsite) return false;
  return true;
}

/** Scalars that the loop changes, and nobody needs exactly, are forgotten so that the loop converges (`widen_imprecise_scalars`). */
export function widen(env: Env, old: VerifierState, cur: VerifierState): void {
  for (let f = old.curframe; f >= 0; f--) {
    const a = old.frames[f]!;
    const b = cur.frames[f]!;
    for (let i = 0; i < 11; i++) maybeWiden(env, a.regs[i]!, b.regs[i]!);
    for (let spi = 0; spi < a.slots.length && spi < b.slots.length; spi++) {
      const x = a.spilled[spi];
      const y = b.spilled[spi];
      if (x && y && x !== y && isSpilled(a, spi) && isSpilled(b, spi)) maybeWiden(env, x, slotReg(b, spi));
    }
  }
}

function maybeWiden(env: Env, old: Reg, cur: Reg): void {
  if (old.type !== T.SCALAR_VALUE || cur.type !== T.SCALAR_VALUE) return;
  if (old.precise || cur.precise || sameValue(old, cur)) return;
  env.markUnknown(cur);
}

function sameValue(a: Reg, b: Reg): boolean {
  return (
    a.vl === b.vl &&
    a.vh === b.vh &&
    a.ml === b.ml &&
    a.mh === b.mh &&
    a.sminl === b.sminl &&
    a.sminh === b.sminh &&
    a.smaxl === b.smaxl &&
    a.smaxh === b.smaxh &&
    a.uminl === b.uminl &&
    a.uminh === b.uminh &&
    a.umaxl === b.umaxl &&
    a.umaxh === b.umaxh &&
    a.s32min === b.s32min &&
    a.s32max === b.s32max &&
    a.u32min === b.u32min &&
    a.u32max === b.u32max
  );
}
