/** Calls of kernel functions (`check_kfunc_call`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import type { Env } from './env.ts';
import { kfuncRow } from './kfunc-meta.ts';

export function checkKfuncCall(env: Env, insn: BpfInsn): void {
  const row = kfuncRow(env, insn.imm, insn.off);
  const name = env.kernelBtf?.type(insn.imm)?.name;
  if (!row) return env.refuse('EACCES', `calling kernel function ${name ?? `#${insn.imm}`} is not allowed`);
  return env.unsupported(`calls of the kernel function ${row.name}`);
}
