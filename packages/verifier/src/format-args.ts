/** bpf_snprintf's format against its arguments (`check_bpf_snprintf_call`). */

import { readConstString } from './const-string.ts';
import type { Env } from './env.ts';
import { isConstOffset } from './stack.ts';

const SPECIFIER = /%(%|[-+ 0#]*\d*(?:l{0,2})(?:[diuxX]|p[kKsSbB]?|pi[46]|pI[46]|s|c))/g;

/** The data argument holds eight bytes a specifier; the format must be one that the kernel knows. */
export function checkBprintf(env: Env): void {
  const size = env.reg(5);
  if (!isConstOffset(size)) return;
  if (size.vl % 8 !== 0) env.refuse('EINVAL', '');
  const count = (size.vl >>> 0) / 8;
  const text = readConstString(env.reg(3));
  if (text === undefined) return env.unsupported('bpf_snprintf with a format whose bytes are not known');
  const used = [...text.matchAll(SPECIFIER)].filter((match) => match[1] !== '%').length;
  const stray = text.replace(SPECIFIER, '').includes('%');
  if (stray || used > count) env.refuse('EINVAL', 'Invalid format string');
}
