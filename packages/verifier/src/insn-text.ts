/** One instruction in the log's syntax: opcode in hexadecimal, then as the disassembler spells it, pseudo loads resolved. */

import { type BpfInsn, disassemble } from '@libbpf-ts/isa';
import { BPF_FUNC_NAMES } from '@libbpf-ts/uapi';
import type { PseudoLoad } from './pseudo-loads.ts';
import type { VerifierRequest } from './types.ts';

const LD_IMM64 = 0x18;

/** Name of a helper with its prefix, `unknown` where there is none. */
export function helperName(id: number): string {
  const name = BPF_FUNC_NAMES.get(id);
  if (!name) return 'unknown';
  return name.replace(/^BPF_FUNC_/, 'bpf_');
}

/** `(b7) r1 = 0`. */
export function insnText(
  insns: readonly BpfInsn[],
  index: number,
  loads: ReadonlyMap<number, PseudoLoad>,
  request: VerifierRequest,
  showAddresses: boolean,
): string {
  const insn = insns[index]!;
  const code = insn.code.toString(16).padStart(2, '0');
  if (insn.code === LD_IMM64 && insn.src_reg !== 0) {
    const load = loads.get(index);
    if (insn.src_reg === 4)
      return `(18) r${insn.dst_reg} = 0x${((BigInt(insns[index + 1]!.imm >>> 0) << 32n) | BigInt(insn.imm >>> 0)).toString(16)}`;
    if (load) return `(18) r${insn.dst_reg} = 0x${(showAddresses ? load.address : 0n).toString(16)}`;
  }
  const text = disassemble(insn, insns[index + 1], {
    helperName,
    kfuncName: (id) => request.kernelBtf?.type(id)?.name,
  });
  // The disassembler says which call is one of a kernel function; the log does not.
  return `(${code}) ${text.replace(/ kfunc$/, '')}`;
}
