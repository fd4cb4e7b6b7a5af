/** Functions with global linkage: their BTF says what they take, and they are verified for all of it (`btf_prepare_func_args`). */

import { sizeOf, skipModifiers } from './btf-access.ts';
import { type Env, Refusal } from './env.ts';
import { checkHelperMem } from './helper-args.ts';
import { checkUnmodified } from './memory.ts';
import { type FuncState } from './state.ts';
import { markPointer } from './register.ts';
import * as T from './regtype.ts';
import { isZero } from './stack.ts';
import { checkSrc } from './operands.ts';

/** What one argument of a global function is. */
export type GlobalArg =
  | { readonly kind: 'scalar' }
  | { readonly kind: 'ctx' }
  | { readonly kind: 'mem'; readonly size: number; readonly nonnull: boolean };

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

/** Arguments of a global function; refuses types that cannot be one. */
export function globalArgs(env: Env, number: number): readonly GlobalArg[] {
  const { btf } = env.request;
  const subprog = env.subprogs[number]!;
  const func = btf!.type(subprog.btfTypeId)!;
  const proto = btf!.type(func.type)!;
  if (proto.params.length > 5) {
    env.refuse('EINVAL', `Global function ${subprog.name}() with ${proto.params.length} > 5 args. Buggy compiler.`);
  }
  const returned = skipModifiers(btf!, proto.type).type;
  if (returned?.kind !== 'INT' && returned?.kind !== 'ENUM' && returned?.kind !== 'ENUM64') {
    env.refuse('EINVAL', `Global function ${subprog.name}() doesn't return scalar. Only those are supported.`);
  }
  return proto.params.map((param, i) => globalArg(env, number, param.type, i));
}

function globalArg(env: Env, number: number, typeId: number, index: number): GlobalArg {
  const btf = env.request.btf!;
  const subprog = env.subprogs[number]!;
  const tags = btf
    .declTags(subprog.btfTypeId)
    .filter((tag) => tag.componentIdx === index)
    .map((tag) => tag.name);
  const unknown = tags.filter((tag) => tag.startsWith('arg:') && tag !== 'arg:ctx' && tag !== 'arg:nonnull');
  if (unknown.length > 0) return env.unsupported(`arguments of global functions with the tag ${unknown[0]}`);
  const { type } = skipModifiers(btf, typeId);
  if (tags.includes('arg:ctx')) return { kind: 'ctx' };
  if (type?.kind === 'INT' || type?.kind === 'ENUM' || type?.kind === 'ENUM64') return { kind: 'scalar' };
  if (type?.kind !== 'PTR') {
    return env.refuse('EINVAL', `Arg#${index} type ${type?.kind ?? 'UNKN'} in ${subprog.name}() is not supported yet.`);
  }
  const target = skipModifiers(btf, type.type);
  if (target.type?.kind === 'STRUCT' && target.type.name === env.ops.contextStruct) return { kind: 'ctx' };
  if (target.type?.kind === 'STRUCT' && target.type.name === 'bpf_dynptr')
    return env.unsupported('dynptr arguments of global functions');
  const size = sizeOf(btf, type.type);
  if (size === 0) {
    return env.refuse(
      'EINVAL',
      `arg#${index} reference type('${target.type?.kind ?? 'UNKNOWN'} ${target.type?.name ?? ''}') size cannot be determined: -22`,
    );
  }
  return { kind: 'mem', size, nonnull: tags.includes('arg:nonnull') };
}

/** The frame that a global function starts with. */
export function enterGlobal(env: Env, frame: FuncState, number: number): void {
  globalArgs(env, number).forEach((arg, i) => {
    const reg = frame.regs[i + 1]!;
    if (arg.kind === 'scalar') {
      env.markUnknown(reg);
    } else if (arg.kind === 'ctx') {
      markPointer(reg, T.PTR_TO_CTX);
    } else {
      markPointer(reg, arg.nonnull ? T.PTR_TO_MEM : T.PTR_TO_MEM | T.PTR_MAYBE_NULL);
      reg.memSize = arg.size;
      if (!arg.nonnull) reg.id = env.nextId();
    }
  });
}

/** Does a call pass what the global function takes? */
export function checkGlobalCallArgs(env: Env, number: number): void {
  try {
    checkArgs(env, globalArgs(env, number));
  } catch (error) {
    if (!(error instanceof Refusal) || error.errno === 'EOPNOTSUPP') throw error;
    env.refuse('EINVAL', `Caller passes invalid args into func#${number} ('${env.subprogs[number]!.name}')`);
  }
}

function checkArgs(env: Env, args: readonly GlobalArg[]): void {
  args.forEach((arg, i) => {
    const regno = i + 1;
    checkSrc(env, regno);
    const reg = env.reg(regno);
    const fail = (): never => env.refuse('EINVAL', '');
    if (arg.kind === 'scalar') {
      if (reg.type !== T.SCALAR_VALUE) {
        env.log.reason(`R${regno} is not a scalar`);
        fail();
      }
    } else if (arg.kind === 'ctx') {
      if (reg.type !== T.PTR_TO_CTX) {
        env.log.reason(`arg#${i} expects pointer to ctx`);
        fail();
      }
      checkUnmodified(env, reg, regno, false);
    } else {
      checkMemArg(env, regno, arg.size, arg.nonnull);
    }
  });
}

function checkMemArg(env: Env, regno: number, size: number, nonnull: boolean): void {
  const reg = env.reg(regno);
  if (isZero(reg) && !nonnull) return;
  const saved = reg.type;
  if (T.mayBeNull(saved) && nonnull) env.refuse('EINVAL', `arg#${regno - 1} is expected to be non-NULL`);
  // The function reads and writes it, and is told whether it is there.
  reg.type &= ~T.PTR_MAYBE_NULL;
  checkHelperMem(env, regno, size, false, true, undefined);
  checkHelperMem(env, regno, size, true, true, undefined);
  reg.type = saved;
}
