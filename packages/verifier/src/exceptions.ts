/** bpf_throw and the function that it ends in (`bpf_find_exception_callback_insn_off`, `check_kfunc_call`). */

import { skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import { checkReturnCode } from './return-code.ts';
import { checkResources } from './references.ts';

const TAG = 'exception_callback:';

/** Start of the function that the main program names as its exception callback; 0 where it names none. */
export function exceptionCallbackStart(env: Env): number {
  const { btf, func_info } = env.request;
  const main = func_info?.[0];
  if (!btf || !main) return 0;
  const names = btf
    .declTags(main.type_id)
    .filter((tag) => tag.componentIdx === -1 && tag.name.startsWith(TAG))
    .map((tag) => tag.name.slice(TAG.length));
  if (names.length === 0) return 0;
  if (names.length > 1) env.refuse('EEXIST', 'multiple exception callback tags for main subprog');
  const name = names[0]!;
  const id = btf.find(name, 'FUNC');
  if (id === 0) env.refuse('ENOENT', `exception callback '${name}' could not be found in BTF`);
  if (btf.type(id)!.linkage !== 1) env.refuse('EINVAL', `exception callback '${name}' must have global linkage`);
  const info = func_info.find((row) => row.type_id === id);
  if (!info) return env.refuse('EINVAL', 'exception callback type id not found in func_info');
  if (info.insn_off === 0) env.refuse('EINVAL', 'invalid exception callback insn_off in func_info: 0');
  return info.insn_off;
}

/** The signature that the callback must have. */
export function checkExceptionCallback(env: Env, number: number): void {
  const btf = env.request.btf!;
  const proto = btf.type(btf.type(env.subprogs[number]!.btfTypeId)!.type)!;
  const kindOf = (id: number): string => skipModifiers(btf, id).type?.kind ?? 'UNKN';
  if (kindOf(proto.type) === 'UNKN') env.refuse('EINVAL', 'exception cb cannot return void');
  const isNumber = ['INT', 'ENUM', 'ENUM64'].includes(kindOf(proto.params[0]?.type ?? 0));
  if (proto.params.length !== 1 || !isNumber) {
    env.refuse('EINVAL', 'exception cb only supports single integer argument');
  }
}

/** A throw: what is held must be none, and without a callback the cookie is what the program returns. */
export function checkThrow(env: Env): void {
  if (env.exceptionCallback === 0) checkReturnCode(env, 1);
}

/** What is held when the throw leaves the program. */
export function checkThrowLeaks(env: Env): void {
  checkResources(env, true, true, 'bpf_throw');
}
