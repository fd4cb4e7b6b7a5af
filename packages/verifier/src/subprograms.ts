/** Finds the functions of a program, and checks that no jump or fall-through leaves one (`add_subprog_and_kfunc`, `check_subprogs`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { BPF_FUNC_tail_call } from '@libbpf-ts/uapi';
import { type Env, SubprogInfo } from './env.ts';
import { kfuncRow } from './kfunc-meta.ts';
import { exceptionCallbackStart } from './exceptions.ts';

/** A call of another function of the program. */
export const isPseudoCall = (code: number, src: number): boolean => code === 0x85 && src === 1;
export const isHelperCall = (code: number, src: number): boolean => code === 0x85 && src === 0;
/** `call bpf_tail_call`. */
export const isTailCall = ({ code, src_reg, imm }: BpfInsn): boolean =>
  code === 0x85 && src_reg === 0 && imm === BPF_FUNC_tail_call;
export const isKfuncCall = (code: number, src: number): boolean => code === 0x85 && src === 2;
export const isPseudoFunc = (code: number, src: number): boolean => code === 0x18 && src === 4;

/** The id must be a function's; a module's BTF comes by fd_array, and no module is here. An id of 0 is judged where it is reached. */
function checkKfuncId(env: Env, id: number, off: number): void {
  if (id === 0 && off === 0) return;
  if (off !== 0) env.refuse(off < 0 ? 'EINVAL' : 'EPROTO', 'failed to find BTF for kernel function');
  if (env.kernelBtf && env.kernelBtf.type(id)?.kind !== 'FUNC') env.refuse('EINVAL', `kernel btf_id ${id} is not a function`);
}

/** Makes `env.subprogs`, sorted by start, with their ends. */
export function findSubprograms(env: Env): void {
  const { insns } = env;
  const starts = new Set<number>([0]);
  for (let i = 0; i < insns.length; i++) {
    const { code, src_reg, imm } = insns[i]!;
    const isFunction = isPseudoFunc(code, src_reg) || isPseudoCall(code, src_reg);
    if (!isFunction && !isKfuncCall(code, src_reg)) continue;
    if (!env.bpfCapable) {
      env.refuse('EPERM', 'loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN');
    }
    if (!isFunction) {
      if (!env.facts.gplCompatible) env.refuse('EINVAL', 'cannot call kernel function from non-GPL compatible program');
      checkKfuncId(env, imm, insns[i]!.off);
      const kfunc = kfuncRow(env, imm, insns[i]!.off);
      // No device here takes programs of its own.
      if (kfunc && kfunc.name.startsWith('bpf_xdp_metadata_'))
        env.refuse('EINVAL', 'metadata kfuncs require device-bound program');
      continue;
    }
    const start = i + imm + 1;
    if (start < 0 || start >= insns.length) env.refuse('EINVAL', `call to invalid destination`);
    starts.add(start);
  }
  const thrown = exceptionCallbackStart(env);
  if (thrown > 0 && thrown < insns.length) starts.add(thrown);
  for (const start of [...starts].sort((a, b) => a - b)) env.subprogs.push(new SubprogInfo(start));
  env.subprogs.forEach((subprog, number) => {
    subprog.end = env.subprogs[number + 1]?.start ?? insns.length;
    env.subprogOf.fill(number, subprog.start, subprog.end);
    if (thrown > 0 && subprog.start === thrown) {
      env.exceptionCallback = number;
      subprog.isExceptionCallback = true;
      subprog.called = true;
    }
    if (env.log.verbose) env.log.write(`func#${number} @${subprog.start}\n`);
  });
}

/** Number of the subprogram that starts at an instruction; −1 where none does. */
export function findSubprog(env: Env, start: number): number {
  const number = start >= 0 && start < env.insns.length ? env.subprogOf[start]! : -1;
  return number >= 0 && env.subprogs[number]!.start === start ? number : -1;
}

export function checkSubprograms(env: Env): void {
  for (const subprog of env.subprogs) {
    for (let i = subprog.start; i < subprog.end; i++) checkInsn(env, subprog, i);
  }
}

function checkInsn(env: Env, subprog: SubprogInfo, i: number): void {
  const { code, src_reg, imm, off } = env.insns[i]!;
  const kind = code & 7;
  if (code === 0x85 && src_reg === 0 && imm === BPF_FUNC_tail_call) subprog.hasTailCall = true;
  if (kind === 0 && ((code & 0xe0) === 0x20 || (code & 0xe0) === 0x40)) subprog.hasLdAbs = true;
  const op = code & 0xf0;
  if ((kind === 5 || kind === 6) && op !== 0x80 && op !== 0x90) {
    const target = i + 1 + (code === 0x06 ? imm : off);
    if (target < subprog.start || target >= subprog.end) {
      env.refuse('EINVAL', `jump out of range from insn ${i} to ${target}`);
    }
  }
  if (i === subprog.end - 1 && code !== 0x95 && code !== 0x05 && code !== 0x06) {
    env.refuse('EINVAL', 'last insn is not an exit or jmp');
  }
}
