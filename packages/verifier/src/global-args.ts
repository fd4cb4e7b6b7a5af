/** What a global function takes, by its BTF and the `arg:` tags of its parameters (`btf_prepare_func_args`). */

import {
  BPF_MODIFY_RETURN,
  BPF_PROG_TYPE_EXT,
  BPF_PROG_TYPE_KPROBE,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_PERF_EVENT,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_STRUCT_OPS,
  BPF_PROG_TYPE_SYSCALL,
  BPF_PROG_TYPE_TRACEPOINT,
  BPF_PROG_TYPE_TRACING,
  BPF_TRACE_FENTRY,
  BPF_TRACE_FEXIT,
  BPF_TRACE_ITER,
  BPF_TRACE_RAW_TP,
} from '@libbpf-ts/uapi';
import { sizeOf, skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import * as T from './regtype.ts';
import type { BtfTypeView, VerifierBtf } from './types.ts';

/** What one argument of a global function is. */
export type GlobalArg =
  | { readonly kind: 'scalar' | 'ctx' | 'dynptr' | 'arena' }
  /** Memory of a size; `flags` are those of the register that the function starts with. */
  | { readonly kind: 'mem'; readonly size: number; readonly flags: number }
  /** A kernel object. */
  | { readonly kind: 'object'; readonly btfId: number; readonly flags: number };

const TAGS = ['ctx', 'trusted', 'untrusted', 'nonnull', 'nullable', 'arena'];

/** Arguments of a global function; refuses types that cannot be one. */
export function globalArgs(env: Env, number: number): readonly GlobalArg[] {
  const { btf } = env.request;
  const subprog = env.subprogs[number]!;
  const func = btf!.type(subprog.btfTypeId)!;
  const proto = btf!.type(func.type)!;
  if (proto.params.length > 5) {
    env.refuse('EINVAL', `Global function ${subprog.name}() with ${proto.params.length} > 5 args. Buggy compiler.`);
  }
  if (!isNumber(skipModifiers(btf!, proto.type).type)) {
    env.refuse('EINVAL', `Global function ${subprog.name}() doesn't return scalar. Only those are supported.`);
  }
  return proto.params.map((param, i) => globalArg(env, number, param.type, i));
}

const isNumber = (type: BtfTypeView | undefined): boolean =>
  type?.kind === 'INT' || type?.kind === 'ENUM' || type?.kind === 'ENUM64';

/** Names behind `arg:` on one parameter. */
function tagsOf(env: Env, btf: VerifierBtf, func: number, index: number): readonly string[] {
  const tags = btf
    .declTags(func)
    .filter((tag) => tag.componentIdx === index && tag.name.startsWith('arg:'))
    .map((tag) => tag.name.slice('arg:'.length));
  if (tags.some((tag) => !TAGS.includes(tag))) env.refuse('EOPNOTSUPP', `arg#${index} has unsupported set of tags`);
  return tags;
}

function globalArg(env: Env, number: number, typeId: number, index: number): GlobalArg {
  const btf = env.request.btf!;
  const subprog = env.subprogs[number]!;
  const tags = tagsOf(env, btf, subprog.btfTypeId, index);
  const { type } = skipModifiers(btf, typeId);
  if (type?.kind === 'PTR') return pointerArg(env, btf, type, tags, index);
  if (tags.length > 0) env.refuse('EINVAL', `arg#${index} has pointer tag, but is not a pointer type`);
  if (isNumber(type)) return { kind: 'scalar' };
  return env.refuse('EINVAL', `Arg#${index} type ${type?.kind ?? 'UNKN'} in ${subprog.name}() is not supported yet.`);
}

function pointerArg(env: Env, btf: VerifierBtf, pointer: BtfTypeView, tags: readonly string[], index: number): GlobalArg {
  const has = (tag: string): boolean => tags.includes(tag);
  const refuseUnless = (fine: boolean): void => {
    if (!fine) env.refuse('EINVAL', `arg#${index} has invalid combination of tags`);
  };
  const only = (tag: string): boolean => tags.every((other) => other === tag);
  const target = skipModifiers(btf, pointer.type);
  if (has('ctx') || isContext(env, btf, pointer.type)) {
    refuseUnless(only('ctx'));
    if (has('ctx')) validateContext(env, btf, pointer.type, index);
    return { kind: 'ctx' };
  }
  if (target.type?.kind === 'STRUCT' && target.type.name === 'bpf_dynptr') {
    refuseUnless(tags.length === 0);
    return { kind: 'dynptr' };
  }
  if (has('trusted')) {
    refuseUnless(!has('nonnull'));
    const flags = T.PTR_TRUSTED | (has('nullable') ? T.PTR_MAYBE_NULL : 0);
    return { kind: 'object', btfId: kernelType(env, target.type, index), flags };
  }
  if (has('untrusted')) {
    if (!only('untrusted')) env.refuse('EINVAL', `arg#${index} untrusted cannot be combined with any other tags`);
    if (target.type === undefined || target.type.kind === 'UNKN' || isNumber(target.type) || target.type.kind === 'FLOAT') {
      return { kind: 'mem', size: 0, flags: T.MEM_RDONLY | T.PTR_UNTRUSTED };
    }
    const btfId = kernelType(env, target.type, index);
    if (target.type.kind !== 'STRUCT' && target.type.kind !== 'UNION') {
      const { kind, name } = target.type;
      env.refuse('EINVAL', `arg#${index} has type ${kind} '${name}', but only struct or primitive types are allowed`);
    }
    return { kind: 'object', btfId, flags: T.PTR_UNTRUSTED };
  }
  if (has('arena')) {
    refuseUnless(only('arena'));
    return { kind: 'arena' };
  }
  refuseUnless(!has('nullable'));
  return memory(env, btf, pointer, has('nonnull'), index);
}

function memory(env: Env, btf: VerifierBtf, pointer: BtfTypeView, nonnull: boolean, index: number): GlobalArg {
  const size = sizeOf(btf, pointer.type);
  const { type } = skipModifiers(btf, pointer.type);
  const isEmpty = type?.kind === 'STRUCT' || type?.kind === 'UNION';
  if (size !== 0 || isEmpty) return { kind: 'mem', size, flags: nonnull ? 0 : T.PTR_MAYBE_NULL };
  return env.refuse('EINVAL', `arg#${index} reference type('${kindText(type)}') size cannot be determined: -22`);
}

/** Void has no kind of its own. */
const kindText = (type: BtfTypeView | undefined): string =>
  !type || type.kind === 'UNKN' ? 'UNKNOWN ' : `${type.kind} ${type.name}`;

/** The kernel's type of this name and kind. */
function kernelType(env: Env, type: BtfTypeView | undefined, index: number): number {
  const name = (type?.name ?? '').replace(/___[^_].*$/, '');
  if (!type || name === '') {
    return env.refuse('EINVAL', `arg#${index} reference type('${type?.kind ?? 'UNKN'} (anon)') candidate matching error: -22`);
  }
  const id = env.kernelBtf?.find(name, type.kind) ?? 0;
  if (id > 0) return id;
  return env.refuse('ENOENT', `arg#${index} reference type('${type.kind} ${type.name}') has no matches`);
}

/** The names on the way from a pointer to its target: of typedefs passed, and of what is there. */
function namesOf(
  btf: VerifierBtf,
  id: number,
): { readonly typedefs: readonly string[]; readonly target: BtfTypeView | undefined } {
  const typedefs: string[] = [];
  let type = btf.type(id);
  while (type && ['TYPEDEF', 'CONST', 'VOLATILE', 'RESTRICT', 'TYPE_TAG'].includes(type.kind)) {
    if (type.kind === 'TYPEDEF') typedefs.push(type.name);
    type = btf.type(type.type);
  }
  return { typedefs, target: type };
}

/** Is it the context by its type alone? (`btf_is_prog_ctx_type`) */
function isContext(env: Env, btf: VerifierBtf, id: number): boolean {
  const { typedefs, target } = namesOf(btf, id);
  if (env.facts.prog_type === BPF_PROG_TYPE_KPROBE && typedefs[0] === 'bpf_user_pt_regs_t') return true;
  return target?.kind === 'STRUCT' && target.name !== '' && target.name === env.ops.contextStruct;
}

/** Types that an argument tagged as the context may point to (`btf_validate_prog_ctx_type`). */
function validateContext(env: Env, btf: VerifierBtf, id: number, index: number): void {
  const { typedefs, target } = namesOf(btf, id);
  if (target === undefined || target.kind === 'UNKN') return;
  const { prog_type } = env.facts;
  const byRegs = prog_type === BPF_PROG_TYPE_KPROBE || prog_type === BPF_PROG_TYPE_PERF_EVENT;
  if (byRegs && typedefs[0] === 'bpf_user_pt_regs_t') return;
  if (target.name === '') env.refuse('EINVAL', `arg#${index} type doesn't have a name`);
  const isStruct = target.kind === 'STRUCT';
  if (byRegs && isStruct && target.name === 'pt_regs') return;
  if (contextAllowed(env, target)) return;
  const { contextStruct } = env.ops;
  if (contextStruct === undefined) return env.refuse('EINVAL', `arg#${index} should be void pointer`);
  if (!isStruct || target.name !== contextStruct) env.refuse('EINVAL', `arg#${index} should be \`struct ${contextStruct} *\``);
}

const ARGUMENT_TYPES: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_STRUCT_OPS,
]);
const ANY_TYPE: ReadonlySet<number> = new Set([BPF_PROG_TYPE_TRACEPOINT, BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_EXT]);

/** Program types whose context goes by other names too: an array of 64-bit arguments, or a struct per iterator. */
function contextAllowed(env: Env, target: BtfTypeView): boolean {
  const { prog_type, expected_attach_type } = env.facts;
  const isU64 = target.kind === 'INT' && target.size === 8;
  if (ANY_TYPE.has(prog_type)) return true;
  if (ARGUMENT_TYPES.has(prog_type)) return isU64;
  if (prog_type !== BPF_PROG_TYPE_TRACING) return false;
  switch (expected_attach_type) {
    case BPF_TRACE_RAW_TP:
      return isU64 || (target.kind === 'STRUCT' && target.name === 'bpf_raw_tracepoint_args');
    case BPF_TRACE_ITER:
      return target.kind === 'STRUCT' && target.name.startsWith('bpf_iter__');
    case BPF_TRACE_FENTRY:
    case BPF_TRACE_FEXIT:
    case BPF_MODIFY_RETURN:
      return isU64;
    default:
      return false;
  }
}
