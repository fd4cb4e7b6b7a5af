/** The old packet loads BPF_LD | BPF_ABS and BPF_IND, which end the program where the packet is too short (`check_ld_abs`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import type { Env } from './env.ts';
import { checkUnmodified } from './memory.ts';
import { checkSrc } from './operands.ts';
import { checkResources } from './references.ts';
import { PTR_TO_CTX } from './regtype.ts';
import { clearCallerSaved } from './subprog-calls.ts';

export function checkPacketLoad(env: Env, insn: BpfInsn): void {
  const { code, dst_reg, src_reg, off } = insn;
  const mode = code & 0xe0;
  if (mode !== 0x20 && mode !== 0x40) env.refuse('EINVAL', 'invalid BPF_LD mode');
  if (!env.ops.ldAbs) env.refuse('EINVAL', 'BPF_LD_[ABS|IND] instructions not allowed for this program type');
  if (dst_reg !== 0 || off !== 0 || (code & 0x18) === 0x18 || (mode === 0x20 && src_reg !== 0)) {
    env.refuse('EINVAL', 'BPF_LD_[ABS|IND] uses reserved fields');
  }
  checkSrc(env, 6);
  checkResources(env, false, true, 'BPF_LD_[ABS|IND]');
  if (env.reg(6).type !== PTR_TO_CTX) env.refuse('EINVAL', 'at the time of BPF_LD_ABS|IND R6 != pointer to skb');
  if (mode === 0x40) checkSrc(env, src_reg);
  checkUnmodified(env, env.reg(6), 6, false);
  clearCallerSaved(env);
  env.markUnknown(env.reg(0));
}
