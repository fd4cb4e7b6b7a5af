/** Is the object behind a pointer of this kernel struct, or one that begins with it? (`btf_struct_ids_match`) */

import { skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import type { Reg } from './register.ts';
import type { VerifierBtf } from './types.ts';

/** As `isSubtype`, for a type by its id: local types of two BTFs are never the same (`btf_struct_ids_match`). */
export function structsMatch(reg: Reg, btf: VerifierBtf, id: number, strict: boolean): boolean {
  if (!reg.btf || reg.btf.kernel !== btf.kernel || (!btf.kernel && reg.btf !== btf)) return false;
  return holds(reg.btf, reg.btfId, reg.off, id, strict);
}

function holds(btf: VerifierBtf, id: number, off: number, wanted: number, strict: boolean): boolean {
  const { type, id: plain } = skipModifiers(btf, id);
  if (off === 0 && plain === wanted) return true;
  if (strict || type?.kind !== 'STRUCT') return false;
  return type.members.some((member) => {
    const begin = member.bitOffset >> 3;
    const inner = skipModifiers(btf, member.type);
    if (begin > off || inner.type?.kind !== 'STRUCT' || off >= begin + inner.type.size) return false;
    return holds(btf, inner.id, off - begin, wanted, false);
  });
}

/** `strict`: the type itself, not the first member's. */
export function isSubtype(env: Env, reg: Reg, name: string, strict: boolean): boolean {
  if (!reg.btf || name === '') return false;
  return embeds(reg.btf, reg.btfId, reg.off, name, strict);
}

function embeds(btf: VerifierBtf, id: number, off: number, name: string, strict: boolean): boolean {
  const { type, id: plain } = skipModifiers(btf, id);
  if (!type) return false;
  if (off === 0 && type.name === name) return true;
  if (strict || type.kind !== 'STRUCT') return false;
  for (const member of type.members) {
    const begin = member.bitOffset >> 3;
    if (begin > off) break;
    const inner = skipModifiers(btf, member.type);
    if (inner.type?.kind !== 'STRUCT' || off >= begin + inner.type.size || inner.id === plain) continue;
    if (embeds(btf, inner.id, off - begin, name, false)) return true;
  }
  return false;
}
