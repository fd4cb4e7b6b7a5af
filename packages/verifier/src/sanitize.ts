/**
 * Pointer arithmetic of programs without CAP_PERFMON: the kernel masks it against speculation, so it must be of a kind that can be
 * masked, in the same way on every path (`sanitize_ptr_alu`, `sanitize_check_bounds`). An error on a speculative path is no refusal: a
 * barrier ends the path there.
 */

import { Refusal } from './env.ts';
import type { Env } from './env.ts';
import { pushBranch } from './branches.ts';
import { checkMapValue } from './memory.ts';
import { copyReg, type Reg, smin, umax } from './register.ts';
import * as T from './regtype.ts';
import { isConstOffset, MAX_BPF_STACK, tnumText } from './stack.ts';

const WHY = 'pointer arithmetic with it prohibited for !root';

/** One `ptr += scalar` or `ptr -= scalar` with its registers. */
export interface PointerMove {
  readonly adds: boolean;
  readonly dstno: number;
  readonly srcno: number;
  /** The scalar is the destination: `scalar += ptr`. */
  readonly scalarIsDst: boolean;
}

/** What the mask of an instruction depends on. */
interface Window {
  readonly state: string;
  readonly limit: number;
  readonly toLeft: boolean;
}

/**
 * Before the operation: can it be masked at all? Where the offset is not constant, also walks the path on which the mask made it zero.
 * On a speculative path only the latter.
 */
export function beforeMove(env: Env, move: PointerMove, ptr: Reg, offset: Reg): Window | undefined {
  const known = isConstOffset(offset);
  if (env.cur.speculative) {
    if (!known) simulate(env, move, ptr);
    return undefined;
  }
  if (!known && offset.sminh < 0 !== offset.smaxh < 0) {
    const blamed = move.scalarIsDst ? move.dstno : move.srcno;
    return env.refuse('EACCES', `R${blamed} has unknown scalar with mixed signed bounds, ${WHY}`);
  }
  const negative = offset.sminh < 0;
  const toLeft = move.adds === negative;
  const limit = limitOf(env, move, ptr, toLeft);
  if (!known) env.exploreAluLimits = true;
  const state = `${negative ? 'neg' : ''}${known ? 'imm' : ''}${move.scalarIsDst ? 'dst' : 'src'}`;
  if (!known) simulate(env, move, ptr);
  return { state, limit, toLeft };
}

/** The pointer as it was, on a path that goes on behind the instruction. */
function simulate(env: Env, move: PointerMove, ptr: Reg): void {
  const state = pushBranch(env, env.insnIdx + 1, env.insnIdx);
  state.speculative = true;
  copyReg(state.frame.regs[move.dstno]!, ptr);
}

/** After it: the result stays inside its object, and every path gives the same mask. */
export function afterMove(env: Env, move: PointerMove, dst: Reg, window: Window): void {
  checkResult(env, move.dstno, dst);
  const limit = Math.abs(window.limit - limitOf(env, move, dst, window.toLeft));
  keep(env, move, window.state, limit);
}

function keep(env: Env, move: PointerMove, state: string, limit: number): void {
  const now = `${state}:${limit}`;
  const known = env.aluStates.get(env.insnIdx);
  if (known !== undefined && known !== now) {
    const op = move.adds ? 'add' : 'sub';
    env.refuse('EACCES', `R${move.dstno} tried to ${op} from different maps, paths or scalars, ${WHY}`);
  }
  env.aluStates.set(env.insnIdx, now);
}

function limitOf(env: Env, move: PointerMove, ptr: Reg, toLeft: boolean): number {
  let limit: number;
  let max: number;
  if (ptr.type === T.PTR_TO_STACK) {
    max = MAX_BPF_STACK + (toLeft ? 1 : 0);
    limit = -(ptr.vl + ptr.off);
  } else if (ptr.type === T.PTR_TO_MAP_VALUE) {
    max = ptr.map!.value_size;
    limit = (toLeft ? smin(ptr) : umax(ptr)) + ptr.off;
  } else {
    const blamed = move.scalarIsDst ? move.srcno : move.dstno;
    return env.refuse('EACCES', `R${blamed} has pointer with unsupported alu operation, ${WHY}`);
  }
  if (limit >= max || limit < 0) {
    env.refuse('EACCES', `R${move.dstno} tried to ${move.adds ? 'add' : 'sub'} beyond pointer bounds, ${WHY}`);
  }
  return limit;
}

/** The result must be an address inside the frame or the map value (`sanitize_check_bounds`). */
export function checkResult(env: Env, dstno: number, dst: Reg): void {
  if (dst.type === T.PTR_TO_STACK) {
    const off = dst.off + dst.vl;
    if (!isConstOffset(dst)) {
      env.refuse('EACCES', `R${dstno} variable stack access prohibited for !root, var_off=${tnumText(dst)} off=${off}`);
    }
    if (off >= 0 || off < -MAX_BPF_STACK) {
      env.refuse('EACCES', `R${dstno} stack pointer arithmetic goes out of range, prohibited for !root; off=${off}`);
    }
  } else if (dst.type === T.PTR_TO_MAP_VALUE) {
    try {
      checkMapValue(env, dstno, dst, dst.off, 1, false, false);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      env.refuse('EACCES', `R${dstno} pointer arithmetic of map value goes out of range, prohibited for !root`);
    }
  }
}
