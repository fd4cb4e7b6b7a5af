/** The functions of a program that nobody has verified. */

import { BPF_PSEUDO_FUNC, IsaError, opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';

import type { Subprogram } from './program.ts';

/** Subprograms by their first instruction: 0, and every target of a bpf2bpf call or of a function pointer. */
export function subprogramsOf(insns: readonly BpfInsn[]): Subprogram[] {
  const starts = new Set([0]);
  const taken = new Set<number>();
  for (let index = 0; index < insns.length; index++) {
    const insn = insns[index]!;
    const opcode = opcodeOf(insn);
    if (opcode?.kind === 'call' && opcode.target === 'subprogram') starts.add(index + 1 + insn.imm);
    if (opcode?.kind !== 'ld_imm64') continue;
    if (insn.src_reg === BPF_PSEUDO_FUNC) {
      starts.add(index + 1 + insn.imm);
      taken.add(index + 1 + insn.imm);
    }
    index++;
  }
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.map((start, index) => ({
    start,
    end: sorted[index + 1] ?? insns.length,
    ...(taken.has(start) ? { addressTaken: true } : {}),
  }));
}

/** Throws IsaError where control leaves a function other than by a call or an exit. */
export function checkSubprograms(insns: readonly BpfInsn[]): void {
  for (const { start, end } of subprogramsOf(insns)) {
    let last = start;
    for (let index = start; index < end; index++) {
      const insn = insns[index]!;
      const opcode = opcodeOf(insn)!;
      last = index;
      if (opcode.kind === 'ld_imm64') index++;
      if (opcode.kind !== 'jump' && opcode.kind !== 'goto' && opcode.kind !== 'may_goto') continue;
      const field = opcode.kind === 'goto' && opcode.far ? 'imm' : 'off';
      const to = last + 1 + insn[field];
      if (to < start || to >= end) throw new IsaError('jump', `jump out of its function to insn ${to}`, last, field);
    }
    const kind = opcodeOf(insns[last]!)!.kind;
    if (kind !== 'exit' && kind !== 'goto')
      throw new IsaError('exit', 'last insn of a function is not an exit or jmp', last, 'code');
  }
}
