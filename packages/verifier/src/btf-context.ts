/** The context of programs attached to a typed function or tracepoint: an array of its arguments (`btf_ctx_access`). */

import { skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import { markPointer } from './register.ts';
import * as T from './regtype.ts';

/** Loads argument `off / 8` into register `value`. */
export function btfContextAccess(env: Env, off: number, size: number, value: number): void {
  const { kernelBtf, request } = env;
  if (!kernelBtf || !request.attach_btf_id) return env.unsupported('a typed context without kernel BTF and attach_btf_id');
  if (off < 0 || off % 8 !== 0) env.refuse('EACCES', `func '${env.facts.attachName ?? ''}' offset ${off} is not multiple of 8`);
  const proto = prototypeOf(env, request.attach_btf_id);
  const index = off / 8 + (proto.skipFirst ? 1 : 0);
  const param = proto.params[index];
  if (!param) {
    env.logLine(env.insnIdx, '; ');
    env.log.reason(`func '${env.facts.attachName ?? ''}' doesn't have ${off / 8 + 1}-th argument`);
    return env.refuse('EACCES', `invalid bpf_context access off=${off} size=${size}`);
  }
  if (value < 0) return;
  const reg = env.reg(value);
  const { type } = skipModifiers(kernelBtf, param.type);
  if (type?.kind !== 'PTR') return env.markUnknown(reg);
  const target = skipModifiers(kernelBtf, type.type);
  if (size !== 8) env.refuse('EACCES', `func '${env.facts.attachName ?? ''}' size ${size} must be 8`);
  if (target.type?.kind !== 'STRUCT') return env.markUnknown(reg);
  markPointer(reg, T.PTR_TO_BTF_ID | T.PTR_TRUSTED);
  reg.btf = kernelBtf;
  reg.btfId = target.id;
}

function prototypeOf(env: Env, id: number): { readonly params: readonly { readonly type: number }[]; readonly skipFirst: boolean } {
  const { kernelBtf } = env;
  const type = kernelBtf!.type(id);
  if (type?.kind === 'FUNC') return { params: kernelBtf!.type(type.type)?.params ?? [], skipFirst: false };
  if (type?.kind === 'TYPEDEF') {
    // btf_trace_NAME is a pointer to the tracepoint's prototype, whose first argument is internal.
    const pointer = kernelBtf!.type(type.type);
    const proto = pointer && kernelBtf!.type(pointer.type);
    return { params: proto?.params ?? [], skipFirst: true };
  }
  return env.unsupported(`a context typed by a ${type?.kind ?? 'missing type'}`);
}
