/** Loads from and stores to the context: the program type says what lies where (`check_ctx_access`). */

import { BPF_PROG_TYPE_EXT } from '@libbpf-ts/uapi';
import { btfContextAccess } from './btf-context.ts';
import type { Env } from './env.ts';
import type { CtxAccess } from './ops.ts';
import { markPointer } from './register.ts';
import * as T from './regtype.ts';

function refuseAccess(env: Env, off: number, size: number): never {
  env.logLine(env.insnIdx, '; ');
  return env.refuse('EACCES', `invalid bpf_context access off=${off} size=${size}`);
}

function accessOf(env: Env, off: number, size: number, write: boolean): CtxAccess {
  if (env.facts.prog_type === BPF_PROG_TYPE_EXT) env.unsupported('programs of type ext');
  const access = env.ops.isValidAccess(off, size, write, env.facts);
  if (!access) return refuseAccess(env, off, size);
  env.maxCtxOffset = Math.max(env.maxCtxOffset, off + size);
  return access;
}

export function writeContext(env: Env, off: number, size: number): void {
  if (env.ops.btfContext) refuseAccess(env, off, size);
  accessOf(env, off, size, true);
}

/** Bits of a pointer type, from names. */
export function flagBits(names: readonly string[] | undefined): number {
  let bits = 0;
  for (const name of names ?? []) bits |= T.FLAG_BITS[name] ?? 0;
  return bits;
}

/** Loads a field into register `value` (−1: nowhere). */
export function readContext(env: Env, off: number, size: number, value: number, signed: boolean): void {
  if (env.ops.btfContext) return btfContextAccess(env, off, size, value);
  const access = accessOf(env, off, size, false);
  if (value < 0) return;
  const reg = env.reg(value);
  const base = T.BASE_BY_NAME[access.reg ?? 'SCALAR_VALUE']!;
  if (base === T.SCALAR_VALUE) return env.markUnknown(reg);
  if (signed || access.is_ldsx === true) refuseAccess(env, off, size);
  markPointer(reg, base | flagBits(access.flags));
  if (T.mayBeNull(reg.type)) reg.id = env.nextId();
  if (access.mem_size !== undefined) reg.memSize = access.mem_size;
  if (base !== T.PTR_TO_BTF_ID) return;
  reg.btf = env.kernelBtf;
  reg.btfId = access.btf_id ?? (access.btfStruct ? env.kernelBtf?.find(access.btfStruct, 'STRUCT') : undefined) ?? 0;
  if (!reg.btf || reg.btfId === 0) env.unsupported(`the kernel type ${access.btfStruct ?? access.btf_id} without kernel BTF`);
}
