/** A format string: NUL-terminated text in a read-only map (`check_reg_const_str`). */

import type { Env } from './env.ts';
import type { Reg } from './register.ts';
import { PTR_TO_MAP_VALUE } from './regtype.ts';
import { isConstOffset } from './stack.ts';
import { canWriteMap } from './memory.ts';

export function checkConstString(env: Env, regno: number, reg: Reg): void {
  if (reg.type !== PTR_TO_MAP_VALUE) return env.refuse('EINVAL', '');
  const map = reg.map!;
  const constant = !canWriteMap(map) && map.frozenValue !== undefined;
  if (!constant) env.refuse('EACCES', `R${regno} does not point to a readonly map'`);
  if (!isConstOffset(reg)) env.refuse('EACCES', `R${regno} is not a constant address'`);
  if (!map.valueAddress) env.refuse('EACCES', 'no direct value access support for this map type');
  for (let at = reg.off + reg.vl; at < map.value_size; at++) {
    if (map.frozenValue?.(at, 1)?.low === 0) return;
  }
  env.refuse('EINVAL', 'string is not zero-terminated');
}

/** The text itself; undefined where its bytes are not known. */
export function readConstString(reg: Reg): string | undefined {
  let text = '';
  for (let at = reg.off + reg.vl; at < (reg.map?.value_size ?? 0); at++) {
    const byte = reg.map!.frozenValue?.(at, 1)?.low;
    if (byte === undefined) return undefined;
    if (byte === 0) return text;
    text += String.fromCharCode(byte);
  }
  return undefined;
}
