/** Stack of all frames that can be active at once: 512 bytes, unless every frame has its own (`check_max_stack_depth`). */

import type { Env } from './env.ts';
import { isPseudoCall, isPseudoFunc } from './subprograms.ts';
import { MAX_CALL_FRAMES } from './state.ts';

const MAX_BPF_STACK = 512;
const PRIVATE_MINIMUM = 64;
const TAIL_CALL_LIMIT = 256;

const rounded = (depth: number): number => (depth + 15) & ~15;

export function checkStackDepth(env: Env): void {
  const noTailCalls = env.subprogs.every((subprog) => !subprog.hasTailCall);
  const isPrivate = env.ops.privateStack === true && noTailCalls;
  env.subprogs.forEach((subprog, number) => {
    if (subprog.isExceptionCallback && subprog.hasTailCall) env.refuse('EINVAL', 'cannot tail call within exception cb');
    if (number === 0) walk(env, 0, [], isPrivate);
    else if (subprog.isAsyncCallback || subprog.isExceptionCallback) walk(env, number, [], false);
  });
  env.privateStack = isPrivate;
}

interface Caller {
  readonly number: number;
  readonly depth: number;
  readonly tailCallReachable: boolean;
}

function walk(env: Env, number: number, callers: readonly Caller[], isPrivate: boolean): void {
  const subprog = env.subprogs[number]!;
  const own = rounded(subprog.stackDepth);
  const before = callers.length > 0 ? callers[callers.length - 1]!.depth : 0;
  if (callers.length > 0 && before >= TAIL_CALL_LIMIT && subprog.hasTailCall) {
    env.refuse('EACCES', `tail_calls are not allowed when call stack of previous frames is ${before} bytes. Too large`);
  }
  if (callers.length >= MAX_CALL_FRAMES) env.refuse('E2BIG', `the call stack of ${callers.length + 1} frames is too deep !`);
  const apart = isPrivate && own >= PRIVATE_MINIMUM;
  const depth = apart ? before : before + own;
  if (apart && own > MAX_BPF_STACK) env.refuse('EACCES', `stack size of subprog ${number} is ${own}. Too large`);
  if (!apart && depth > MAX_BPF_STACK) {
    env.refuse('EACCES', `combined stack size of ${callers.length + 1} calls is ${depth}. Too large`);
  }
  const chain = [...callers, { number, depth, tailCallReachable: subprog.hasTailCall }];
  for (let i = subprog.start; i < subprog.end; i++) {
    const { code, src_reg, imm } = env.insns[i]!;
    if (isThrow(env, i)) refuseThrowInCallback(env, i, chain);
    if (!env.seen[i]) continue;
    if (!isPseudoCall(code, src_reg) && !isPseudoFunc(code, src_reg)) continue;
    const callee = env.subprogOf[i + imm + 1]!;
    if (env.subprogs[callee]!.isExceptionCallback) refuseDirectCall(env, i);
    if (env.subprogs[callee]!.isAsyncCallback) {
      if (env.subprogs[callee]!.hasTailCall) env.refuse('EFAULT', 'async callback with a tail call');
      continue;
    }
    if (chain.some((caller) => caller.number === callee)) {
      env.refuse(
        'EINVAL',
        `recursive call from ${subprog.name || `func#${number}`}() to ${env.subprogs[callee]!.name || `func#${callee}`}()`,
      );
    }
    walk(env, callee, chain, isPrivate);
  }
}

const isThrow = (env: Env, i: number): boolean => {
  const { code, src_reg, imm, off } = env.insns[i]!;
  return code === 0x85 && src_reg === 2 && off === 0 && env.kernelBtf?.type(imm)?.name === 'bpf_throw';
};

/** What is thrown leaves the program, but not through a helper that called back. */
function refuseThrowInCallback(env: Env, i: number, chain: readonly Caller[]): void {
  const isCallback = (number: number): boolean => {
    const { isCallback: called, isAsyncCallback, isExceptionCallback } = env.subprogs[number]!;
    return called || isAsyncCallback || isExceptionCallback;
  };
  if (!chain.some((caller) => isCallback(caller.number))) return;
  env.refuse('EINVAL', `bpf_throw kfunc (insn ${i}) cannot be called from callback subprog ${chain.at(-1)!.number}`);
}

function refuseDirectCall(env: Env, i: number): never {
  env.log.reason(`insn ${i} cannot call exception cb directly`, false);
  return env.refuse('EINVAL', '');
}
