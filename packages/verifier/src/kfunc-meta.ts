/** Which kfunc a call names, and the row that describes it. */

import type { Env } from './env.ts';
import type { KfuncRow } from './types.ts';

/** The row of the kfunc with this id in kernel BTF; undefined where the program type has none of that name. */
export function kfuncRow(env: Env, btfId: number, off: number): KfuncRow | undefined {
  if (off !== 0) return undefined;
  const type = env.kernelBtf?.type(btfId);
  if (!type || type.kind !== 'FUNC') return undefined;
  if (env.ops.kfuncFilter?.(type.name, env.facts)) return undefined;
  return env.ops.kfuncs?.get(type.name);
}
