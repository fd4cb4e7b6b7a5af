/** Which kfunc a call names, and the row that describes it. */

import type { Env } from './env.ts';
import type { KfuncRow } from './types.ts';

/** What is wrong with a call of a kernel function, before its program is looked at (`add_kfunc_call`). */
export function checkKfuncId(env: Env, btfId: number, off: number): void {
  // Functions of modules need a descriptor of their BTF; there are no modules here. Loaders leave 0 where a weak one is missing.
  if (off !== 0 || btfId === 0 || !env.kernelBtf) return;
  const type = env.kernelBtf.type(btfId);
  if (!type || type.kind !== 'FUNC') env.refuse('EINVAL', `kernel btf_id ${btfId} is not a function`);
}

/** The row of the kfunc with this id in kernel BTF; undefined where the program type has none of that name. */
export function kfuncRow(env: Env, btfId: number, off: number): KfuncRow | undefined {
  if (off !== 0) return undefined;
  const type = env.kernelBtf?.type(btfId);
  if (!type || type.kind !== 'FUNC') return undefined;
  if (env.ops.kfuncFilter?.(type.name, env.facts)) return undefined;
  return env.ops.kfuncs?.get(type.name);
}
