/** Functions with global linkage: their BTF says what they take, and they are verified for all of it (`btf_prepare_func_args`). */

import type { ArgSpec } from './arg-types.ts';
import { skipModifiers } from './btf-access.ts';
import { processDynptrArg } from './dynptr-args.ts';
import { type Env, Refusal } from './env.ts';
import { globalArgs, type GlobalArg } from './global-args.ts';
import { CallMeta, checkArgOffset, checkArgType, checkHelperMem } from './helper-args.ts';
import { type FuncState } from './state.ts';
import { markPointer } from './register.ts';
import * as T from './regtype.ts';
import { isZero } from './stack.ts';

const FUNC_GLOBAL = 1;

/** Names subprograms and finds which are global, from func_info. */
export function readFunctionInfo(env: Env): void {
  const { btf, func_info } = env.request;
  if (!btf || !func_info || func_info.length === 0) {
    refuseWithoutBtf(env);
    return;
  }
  if (func_info.length !== env.subprogs.length) {
    env.refuse('EINVAL', "number of funcs in func_info doesn't match number of subprogs");
  }
  env.subprogs.forEach((subprog, number) => {
    const info = func_info[number]!;
    if (info.insn_off !== subprog.start)
      env.refuse('EINVAL', "func_info BTF section doesn't match subprog layout in BPF program");
    const type = btf.type(info.type_id);
    if (type?.kind !== 'FUNC') return env.refuse('EINVAL', `invalid type id ${info.type_id} in func info`);
    subprog.name = type.name;
    subprog.btfTypeId = info.type_id;
    subprog.isGlobal = number > 0 && type.linkage === FUNC_GLOBAL;
    if (number === 0) return;
    const returned = skipModifiers(btf, btf.type(type.type)?.type ?? 0).type;
    const isInt = returned?.kind === 'INT' || returned?.kind === 'ENUM' || returned?.kind === 'ENUM64';
    if (!isInt && subprog.hasLdAbs) env.refuse('EINVAL', "LD_ABS is only allowed in functions that return 'int'.");
    if (!isInt && subprog.hasTailCall) env.refuse('EINVAL', "tail_call is only allowed in functions that return 'int'.");
  });
}

function refuseWithoutBtf(env: Env): void {
  env.subprogs.forEach((subprog, number) => {
    if (number === 0) return;
    if (subprog.hasLdAbs) env.refuse('EINVAL', 'LD_ABS is not allowed in subprogs without BTF');
    if (subprog.hasTailCall) env.refuse('EINVAL', 'tail_call is not allowed in subprogs without BTF');
  });
}

/** The frame that a global function starts with. */
export function enterGlobal(env: Env, frame: FuncState, number: number): void {
  globalArgs(env, number).forEach((arg, i) => {
    const reg = frame.regs[i + 1]!;
    switch (arg.kind) {
      case 'scalar':
      case 'arena':
        return env.markUnknown(reg);
      case 'ctx':
        return markPointer(reg, T.PTR_TO_CTX);
      case 'dynptr':
        markPointer(reg, T.CONST_PTR_TO_DYNPTR);
        reg.id = env.nextId();
        reg.dynType = T.DYNPTR_TYPE_LOCAL;
        reg.dynFirst = true;
        return undefined;
      case 'mem':
        markPointer(reg, T.PTR_TO_MEM | arg.flags);
        reg.memSize = arg.size;
        if (arg.flags & T.PTR_MAYBE_NULL) reg.id = env.nextId();
        return undefined;
      default:
        markPointer(reg, T.PTR_TO_BTF_ID | arg.flags);
        reg.btf = env.kernelBtf;
        reg.btfId = arg.btfId;
        reg.id = env.nextId();
        return undefined;
    }
  });
}

/** What BTF says of the entry function is only looked at: where it cannot be verified by it, the log says why. */
export function lookAtMain(env: Env): void {
  if (env.subprogs[0]!.btfTypeId === 0 || !env.log.on) return;
  try {
    globalArgs(env, 0);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    env.log.reasons.pop();
  }
}

/** Does a call pass what the global function takes? (`btf_check_func_arg_match`) */
export function checkGlobalCallArgs(env: Env, number: number): void {
  try {
    globalArgs(env, number).forEach((arg, i) => checkArg(env, arg, i + 1));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    env.refuse(error.errno, `Caller passes invalid args into func#${number} ('${env.subprogs[number]!.name}')`);
  }
}

function checkArg(env: Env, arg: GlobalArg, regno: number): void {
  const reg = env.reg(regno);
  switch (arg.kind) {
    case 'scalar':
      if (reg.type !== T.SCALAR_VALUE) env.refuse('EINVAL', `R${regno} is not a scalar`);
      return;
    case 'ctx':
      checkArgOffset(env, regno, reg, DONT_CARE);
      if (reg.type !== T.PTR_TO_CTX) env.refuse('EINVAL', `arg#${regno - 1} expects pointer to ctx`);
      return;
    case 'arena':
      if (reg.type !== T.PTR_TO_ARENA && reg.type !== T.SCALAR_VALUE) {
        env.refuse('EINVAL', `R${regno} is not a pointer to arena or scalar.`);
      }
      return;
    case 'dynptr':
      checkArgOffset(env, regno, reg, { ...DONT_CARE, base: 'ARG_PTR_TO_DYNPTR', flags: T.MEM_RDONLY });
      processDynptrArg(env, regno, T.MEM_RDONLY, new CallMeta(0, false));
      return;
    case 'mem':
      if (!(arg.flags & T.PTR_UNTRUSTED)) checkMemArg(env, regno, arg);
      return;
    default:
      if (!(arg.flags & T.PTR_UNTRUSTED)) checkObjectArg(env, regno, arg);
  }
}

const DONT_CARE: ArgSpec = { base: 'ARG_DONTCARE', flags: 0, size: 0, btf: undefined };

/** The function reads and writes the memory, and is told whether it is there. */
function checkMemArg(env: Env, regno: number, { size, flags }: GlobalArg & { kind: 'mem' }): void {
  const reg = env.reg(regno);
  checkArgOffset(env, regno, reg, DONT_CARE);
  if (isZero(reg)) return;
  const saved = reg.type;
  reg.type &= ~T.PTR_MAYBE_NULL;
  try {
    checkHelperMem(env, regno, size, false, true, undefined);
    checkHelperMem(env, regno, size, true, true, undefined);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    env.refuse('EINVAL', '');
  }
  reg.type = saved;
  if (T.mayBeNull(saved) && !(flags & T.PTR_MAYBE_NULL)) {
    env.refuse('EINVAL', `arg#${regno - 1} is expected to be non-NULL`);
  }
}

function checkObjectArg(env: Env, regno: number, { btfId, flags }: GlobalArg & { kind: 'object' }): void {
  const reg = env.reg(regno);
  if (isZero(reg) && flags & T.PTR_MAYBE_NULL) return;
  const btf = env.kernelBtf!.type(btfId)!.name;
  const arg: ArgSpec = { base: 'ARG_PTR_TO_BTF_ID', flags, size: 0, btf };
  checkArgType(env, regno, reg, arg, new CallMeta(0, false));
  checkArgOffset(env, regno, reg, arg);
}
