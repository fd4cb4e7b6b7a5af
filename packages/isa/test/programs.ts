/** Random well-formed programs over every row of the table. */

import fc from 'fast-check';

import { OPCODES } from '../src/table.ts';
import type { Opcode, OpcodeVariant } from '../src/table.ts';
import type { BpfInsn } from '../src/insn.ts';

const register = fc.integer({ min: 0, max: 9 });
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const int16 = fc.integer({ min: -0x8000, max: 0x7fff });

const rows: readonly { code: number; variant: OpcodeVariant }[] = OPCODES.flatMap((row) =>
  row ? row.variants.map((variant) => ({ code: row.code, variant })) : [],
);

function fieldsOf(opcode: Opcode): fc.Arbitrary<Partial<BpfInsn>> {
  switch (opcode.kind) {
    case 'alu':
      if (opcode.op === 'neg') return fc.record({ dst_reg: register });
      if (opcode.op === 'addr_space_cast')
        return fc.record({ dst_reg: register, src_reg: register, imm: fc.constantFrom(1, 0x10000) });
      return opcode.source === 'x'
        ? fc.record({ dst_reg: register, src_reg: register })
        : fc.record({ dst_reg: register, imm: int32 });
    case 'end':
      return fc.record({ dst_reg: register });
    case 'jump':
      return opcode.source === 'x'
        ? fc.record({ dst_reg: register, off: int16, src_reg: register })
        : fc.record({ dst_reg: register, off: int16, imm: int32 });
    case 'goto':
      return opcode.far ? fc.record({ imm: int32 }) : fc.record({ off: int16 });
    case 'may_goto':
      return fc.record({ off: int16 });
    case 'call':
      if (opcode.target === 'register') return fc.record({ dst_reg: register });
      return opcode.target === 'kfunc' ? fc.record({ imm: fc.nat(100_000), off: fc.nat(100) }) : fc.record({ imm: int32 });
    case 'exit':
      return fc.constant({});
    case 'store':
      return opcode.source === 'x'
        ? fc.record({ dst_reg: register, off: int16, src_reg: register })
        : fc.record({ dst_reg: register, off: int16, imm: int32 });
    case 'load':
    case 'atomic':
      return fc.record({ dst_reg: register, src_reg: register, off: int16 });
    case 'ld_imm64':
      return fc.record({ dst_reg: register, src_reg: fc.integer({ min: 0, max: 6 }), imm: int32 });
    case 'ld_packet':
      return opcode.mode === 'ind' ? fc.record({ src_reg: register, imm: int32 }) : fc.record({ imm: int32 });
  }
}

const insns: fc.Arbitrary<BpfInsn[]> = fc.constantFrom(...rows).chain(({ code, variant: { opcode, field, value } }) =>
  fc.tuple(fieldsOf(opcode), int32).map(([fields, upper]) => {
    const insn: BpfInsn = {
      code,
      dst_reg: 0,
      src_reg: 0,
      off: 0,
      imm: 0,
      ...fields,
      ...(field === 'none' ? {} : { [field]: value }),
    };
    if (opcode.kind !== 'ld_imm64') return [insn];
    const plain = insn.src_reg === 1 || insn.src_reg === 4 || insn.src_reg === 5;
    return [insn, { code: 0, dst_reg: 0, src_reg: 0, off: 0, imm: plain ? 0 : upper }];
  }),
);

/** Any instructions in any order; jumps go anywhere. */
export const randomProgram: fc.Arbitrary<BpfInsn[]> = fc.array(insns, { maxLength: 30 }).map((list) => list.flat());
