/** The context of programs attached to a typed function, tracepoint or member: an array of its arguments (`btf_ctx_access`). */

import { skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import type { CtxAccess } from './ops.ts';
import { markPointer } from './register.ts';
import * as T from './regtype.ts';
import type { BtfTypeView, VerifierBtf } from './types.ts';

/** What a program stands in for or is called with. */
interface Attached {
  readonly name: string;
  readonly params: readonly { readonly type: number }[];
  /** Type that it returns, 0 for void. */
  readonly returns: number;
}

/** Loads argument `off / 8` into register `value` (−1: nowhere). */
export function btfContextAccess(env: Env, off: number, size: number, value: number): void {
  const { kernelBtf, request } = env;
  if (!kernelBtf || !request.attach_btf_id) return env.unsupported('a typed context without kernel BTF and attach_btf_id');
  if (!env.ops.isValidAccess(off, size, false, env.facts)) return refuseAccess(env, off, size);
  const attached = attachedTo(env, kernelBtf, request.attach_btf_id);
  const because = (text: string): never => {
    env.log.reason(`func '${attached.name}' ${text}`);
    return refuseAccess(env, off, size);
  };
  if (off % 8 !== 0) return because(`offset ${off} is not multiple of 8`);
  const param = attached.params[off / 8];
  if (!param) return because(`doesn't have ${off / 8 + 1}-th argument`);
  env.maxCtxOffset = Math.max(env.maxCtxOffset, off + size);
  const { type } = skipModifiers(kernelBtf, param.type);
  if (type?.kind !== 'PTR') {
    if (value >= 0) env.markUnknown(env.reg(value));
    return undefined;
  }
  if (size !== 8) return because(`size ${size} must be 8`);
  const info = env.ops.ctxArgInfo?.(env.facts).find((row) => row.offset === off);
  if (info && info.reg !== 'PTR_TO_BTF_ID') return value < 0 ? undefined : setPointer(env, value, info, 0);
  const target = skipModifiers(kernelBtf, type.type);
  if (!info && (target.type === undefined || target.type.kind === 'UNKN' || target.type.kind === 'INT')) {
    if (value >= 0) env.markUnknown(env.reg(value));
    return undefined;
  }
  if (!info && target.type?.kind !== 'STRUCT' && target.type?.kind !== 'UNION') {
    return because(`arg${off / 8} type ${target.type?.kind ?? 'UNKN'} is not a struct`);
  }
  if (env.log.on && (!info || info.promoted)) {
    const { kind, name } = target.type ?? { kind: 'UNKN', name: '' };
    env.log.write(`func '${attached.name}' arg${off / 8} has btf_id ${target.id} type ${kind} '${name}'\n`);
  }
  if (value < 0) return undefined;
  const named = info?.btfStruct ? kernelBtf.find(info.btfStruct, 'STRUCT') : 0;
  return setPointer(env, value, info ?? { reg: 'PTR_TO_BTF_ID', flags: ['PTR_TRUSTED'] }, named || target.id);
}

/** True where the function that the program stands in for returns nothing: then any R0 will do, and none. */
export function returnsVoid(env: Env): boolean {
  const { kernelBtf, request } = env;
  if (!kernelBtf || !request.attach_btf_id || kernelBtf.type(request.attach_btf_id)?.kind !== 'STRUCT') return false;
  return attachedTo(env, kernelBtf, request.attach_btf_id).returns === 0;
}

/** The name that rules go by: of the function or tracepoint, or `struct.member`. */
export function attachedName(btf: VerifierBtf, id: number, member: number): string | undefined {
  const type = btf.type(id);
  if (type?.kind === 'STRUCT') return `${type.name}.${type.members[member]?.name ?? ''}`;
  return type?.name.replace(/^btf_trace_/, '');
}

function setPointer(env: Env, value: number, access: CtxAccess, btfId: number): void {
  const reg = env.reg(value);
  let bits = T.BASE_BY_NAME[access.reg ?? 'SCALAR_VALUE']!;
  for (const name of access.flags ?? []) bits |= T.FLAG_BITS[name] ?? 0;
  markPointer(reg, bits);
  if (T.mayBeNull(reg.type)) reg.id = env.nextId();
  if (btfId === 0) return;
  reg.btf = env.kernelBtf;
  reg.btfId = btfId;
}

function refuseAccess(env: Env, off: number, size: number): never {
  env.logLine(env.insnIdx, '; ');
  return env.refuse('EACCES', `invalid bpf_context access off=${off} size=${size}`);
}

function attachedTo(env: Env, btf: VerifierBtf, id: number): Attached {
  const type = btf.type(id);
  const name = (type?.name ?? '').replace(/^btf_trace_/, '');
  if (type?.kind === 'FUNC') return describe(name, btf.type(type.type), 0);
  // btf_trace_NAME is a pointer to the tracepoint's prototype, whose first argument is internal.
  if (type?.kind === 'TYPEDEF') return describe(name, pointedTo(btf, type.type), 1);
  if (type?.kind === 'STRUCT') {
    const member = type.members[env.request.expected_attach_type];
    return describe(member?.name ?? '', member && pointedTo(btf, member.type), 0);
  }
  return env.unsupported(`a context typed by a ${type?.kind ?? 'missing type'}`);
}

function pointedTo(btf: VerifierBtf, id: number): BtfTypeView | undefined {
  const { type } = skipModifiers(btf, id);
  return type?.kind === 'PTR' ? skipModifiers(btf, type.type).type : undefined;
}

function describe(name: string, proto: BtfTypeView | undefined, skip: number): Attached {
  return { name, params: proto?.params.slice(skip) ?? [], returns: proto?.type ?? 0 };
}
