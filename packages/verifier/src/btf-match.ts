/** Is the object behind a pointer of this kernel struct, or one that begins with it? (`btf_struct_ids_match`) */

import { skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import type { Reg } from './register.ts';
import type { VerifierBtf } from './types.ts';

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
