/** What a program, global function or callback may return (`check_return_code`). */

import { BPF_PROG_TYPE_STRUCT_OPS } from '@libbpf-ts/uapi';
import { returnsVoid } from './btf-context.ts';
import type { Env } from './env.ts';
import { signedText, slt } from './int64.ts';
import { checkSrc } from './operands.ts';
import type { ReturnRange } from './ops.ts';
import { markChainPrecision } from './precision.ts';
import type { Reg } from './register.ts';
import * as T from './regtype.ts';

/** `regno`: R0, or R1 for what bpf_throw returns. */
export function checkReturnCode(env: Env, regno = 0): void {
  const frame = env.cur.frames[0]!;
  const isSubprog = frame.subprogno !== 0 && !frame.inExceptionCallback;
  if (!isSubprog && !frame.inAsyncCallback && env.facts.prog_type === BPF_PROG_TYPE_STRUCT_OPS && returnsVoid(env)) return;
  checkSrc(env, regno);
  const reg = env.reg(regno);
  if (!env.allowPtrLeaks && reg.type !== T.SCALAR_VALUE) env.refuse('EACCES', `R${regno} leaks addr as return value`);
  if (frame.inAsyncCallback) return enforce(env, regno, frame.callbackRange!, 'At async callback return');
  if (isSubprog) {
    if (reg.type !== T.SCALAR_VALUE) {
      env.refuse('EINVAL', `At subprogram exit the register R${regno} is not a scalar value (${T.typeText(reg.type)})`);
    }
    return;
  }
  const range = env.ops.returnRange?.(env.facts);
  if (range) enforce(env, regno, range, 'At program exit');
}

function enforce(env: Env, regno: number, range: ReturnRange, where: string): void {
  const reg = env.reg(regno);
  if (reg.type !== T.SCALAR_VALUE) {
    env.refuse('EINVAL', `${where} the register R${regno} is not a known value (${T.typeText(reg.type)})`);
  }
  markChainPrecision(env, regno);
  checkRange(env, reg, range, where, range.return32 === true, regno);
}

/** Refuses with the bounds that the register has. */
export function checkRange(env: Env, reg: Reg, range: ReturnRange, where: string, low: boolean, regno = 0): void {
  const within = low
    ? reg.s32min >= range.min && reg.s32max <= range.max
    : !slt(reg.sminh, reg.sminl, range.min >> 31, range.min | 0) && !slt(range.max >> 31, range.max | 0, reg.smaxh, reg.smaxl);
  if (within) return;
  let text = `${where} the register R${regno} has`;
  const hasMin = reg.sminh !== -0x80000000 || reg.sminl !== 0;
  const hasMax = reg.smaxh !== 0x7fffffff || reg.smaxl !== -1;
  if (hasMin) text += ` smin=${signedText(reg.sminh, reg.sminl)}`;
  if (hasMax) text += ` smax=${signedText(reg.smaxh, reg.smaxl)}`;
  if (!hasMin && !hasMax) text += ' unknown scalar value';
  env.refuse('EINVAL', `${text} should have been in [${range.min}, ${range.max}]`);
}
