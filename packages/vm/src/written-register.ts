/** What an instruction writes. */

import type { BpfInsn, Opcode } from '@libbpf-ts/isa';

/** The register that an instruction writes by its fields; -1 where it is none of them. */
export function writtenRegister(opcode: Opcode, { dst_reg, src_reg }: BpfInsn): number {
  switch (opcode.kind) {
    case 'alu':
    case 'end':
    case 'load':
    case 'ld_imm64':
      return dst_reg;
    case 'atomic':
      if (opcode.op === 'load_acquire') return dst_reg;
      return opcode.op === 'xchg' || opcode.op.startsWith('fetch_') ? src_reg : -1;
    default:
      return -1;
  }
}
