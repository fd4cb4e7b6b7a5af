/** Calls of the program's own functions, and returns from them (`check_func_call`, `prepare_func_exit`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { previousCheckpoint, pushBranch, widen } from './branches.ts';
import type { Env } from './env.ts';
import { checkGlobalCallArgs } from './global-functions.ts';
import { clearPacketPointers, mayThisSleep } from './helper-calls.ts';
import { markChainPrecision } from './precision.ts';
import { stateText } from './print-state.ts';
import { copyReg, markNotInit, markPointer } from './register.ts';
import * as T from './regtype.ts';
import { checkRange } from './return-code.ts';
import { MAX_CALL_FRAMES, newFrame } from './state.ts';

export function checkSubprogCall(env: Env, insn: BpfInsn): void {
  const target = env.insnIdx + insn.imm + 1;
  const number = env.subprogOf[target]!;
  const subprog = env.subprogs[number]!;
  if (subprog.isGlobal) return callGlobal(env, number);
  const { cur } = env;
  const caller = cur.frame;
  if (cur.curframe + 1 >= MAX_CALL_FRAMES) env.refuse('E2BIG', `the call stack of ${cur.curframe + 2} frames is too deep`);
  const callee = newFrame(env.insnIdx, cur.curframe + 1, number);
  for (let i = 1; i <= 5; i++) copyReg(callee.regs[i]!, caller.regs[i]!);
  markPointer(callee.regs[10]!, T.PTR_TO_STACK);
  callee.regs[10]!.frameno = callee.frameno;
  clearCallerSaved(env);
  cur.frames.push(callee);
  cur.curframe++;
  env.liveness.forgetChain();
  env.insnIdx = subprog.start;
  if (env.log.on) {
    env.log.write(
      `caller:\n${stateText(cur, caller.frameno, undefined)}\ncallee:\n${stateText(cur, cur.curframe, undefined)}\n`,
    );
    env.touchAll();
  }
}

export function clearCallerSaved(env: Env): void {
  for (let i = 0; i <= 5; i++) {
    markNotInit(env.reg(i));
    env.touch(i);
  }
}

/** A global function is verified on its own: only its arguments are looked at here. */
function callGlobal(env: Env, number: number): void {
  const subprog = env.subprogs[number]!;
  const { cur } = env;
  if (cur.activeLocks) {
    env.refuse('EINVAL', 'global function calls are not allowed while holding a lock,\nuse static function instead');
  }
  const confined = cur.activeRcuLocks || cur.activePreemptLocks || cur.activeIrqId || !mayThisSleep(env);
  if (subprog.mightSleep && confined) {
    env.refuse(
      'EINVAL',
      'global functions that may sleep are not allowed in non-sleepable context,\n' +
        'i.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context',
    );
  }
  checkGlobalCallArgs(env, number);
  if (env.log.on) env.log.write(`Func#${number} ('${subprog.name}') is global and assumed valid.\n`);
  if (subprog.changesPacketData) clearPacketPointers(env);
  subprog.called = true;
  clearCallerSaved(env);
  env.markUnknown(env.reg(0));
  env.insnIdx++;
}

/** A tail call in an inner function: the caller goes on behind the call with whatever the other program left. */
export function followTailCall(env: Env): void {
  pushBranch(env, env.insnIdx + 1, env.insnIdx);
  clearPacketPointers(env);
  env.markUnknown(env.reg(0));
  env.touch(0);
  returnFromCallee(env);
}

/** The return from an inner function or callback. */
export function returnFromCallee(env: Env): void {
  const { cur } = env;
  const callee = cur.frame;
  const r0 = callee.regs[0]!;
  if (r0.type === T.PTR_TO_STACK) env.refuse('EINVAL', 'cannot return stack pointer to the caller');
  const caller = cur.frames[cur.curframe - 1]!;
  if (callee.inCallback) {
    if (r0.type !== T.SCALAR_VALUE) env.refuse('EACCES', 'R0 not a scalar value');
    markChainPrecision(env, 0);
    checkRange(env, r0, callee.callbackRange!, 'At callback return', false);
  } else {
    copyReg(caller.regs[0]!, r0);
  }
  env.liveness.update();
  const next = callee.inCallback ? callee.callsite : callee.callsite + 1;
  if (env.log.on) {
    env.log.write(`returning from callee:\n${stateText(cur, callee.frameno, undefined)}\n`);
    env.log.write(`to caller at ${next}:\n${stateText(cur, caller.frameno, undefined)}\n`);
    env.clean();
  }
  const { inCallback } = callee;
  env.framePool.push(cur.frames.pop()!);
  cur.curframe--;
  env.liveness.forgetChain();
  env.insnIdx = next;
  if (!inCallback) return;
  const before = previousCheckpoint(cur, next);
  if (before) widen(env, before, cur);
}
