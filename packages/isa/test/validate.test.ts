import fc from 'fast-check';
import { expect, test } from 'vitest';

import { assemble } from '../src/assemble.ts';
import { decode } from '../src/codec.ts';
import type { BpfInsn } from '../src/insn.ts';
import { validate } from '../src/validate.ts';
import { randomProgram } from './programs.ts';

const insn = (code: number, fields: Partial<BpfInsn> = {}): BpfInsn => ({
  code,
  dst_reg: 0,
  src_reg: 0,
  off: 0,
  imm: 0,
  ...fields,
});
const exit = insn(0x95);

test.each<
  [rule: string, program: readonly BpfInsn[], error: { code: string; insn?: number | undefined; field?: string | undefined }]
>([
  ['nothing', [], { code: 'empty' }],
  ['an unknown opcode', [insn(0xff), exit], { code: 'opcode', insn: 0, field: 'code' }],
  ['the second half of ld_imm64 alone', [exit, insn(0), exit], { code: 'opcode', insn: 1, field: 'code' }],
  ['an atomic operation that is none', [insn(0xdb, { imm: 7 }), exit], { code: 'opcode', insn: 0, field: 'imm' }],
  ['a division variant that is none', [insn(0x37, { off: 2, imm: 1 }), exit], { code: 'opcode', insn: 0, field: 'off' }],
  ['a byte swap of 8 bits', [insn(0xdc, { imm: 8 }), exit], { code: 'opcode', insn: 0, field: 'imm' }],
  ['register 11 written', [insn(0xb7, { dst_reg: 11 }), exit], { code: 'register', insn: 0, field: 'dst_reg' }],
  ['register 15 read', [exit, insn(0xbf, { src_reg: 15 }), exit], { code: 'register', insn: 1, field: 'src_reg' }],
  ['the frame pointer written', [insn(0xb7, { dst_reg: 10 }), exit], { code: 'register', insn: 0, field: 'dst_reg' }],
  ['a reserved source register', [insn(0xb7, { src_reg: 1 }), exit], { code: 'reserved', insn: 0, field: 'src_reg' }],
  ['a reserved offset', [insn(0x07, { off: 1 }), exit], { code: 'reserved', insn: 0, field: 'off' }],
  ['a reserved immediate', [insn(0xbf, { imm: 1 }), exit], { code: 'reserved', insn: 0, field: 'imm' }],
  ['an exit with fields', [insn(0x95, { imm: 1 })], { code: 'reserved', insn: 0, field: 'imm' }],
  ['a shift by the width', [insn(0x64, { imm: 32 }), exit], { code: 'immediate', insn: 0, field: 'imm' }],
  ['a division by the constant 0', [insn(0x97), exit], { code: 'immediate', insn: 0, field: 'imm' }],
  ['a jump before the start', [insn(0x05, { off: -2 }), exit], { code: 'jump', insn: 0, field: 'off' }],
  ['a jump behind the end', [insn(0x05, { off: 1 }), exit], { code: 'jump', insn: 0, field: 'off' }],
  ['a far jump behind the end', [insn(0x06, { imm: 70_000 }), exit], { code: 'jump', insn: 0, field: 'imm' }],
  ['a call behind the end', [insn(0x85, { src_reg: 1, imm: 5 }), exit], { code: 'jump', insn: 0, field: 'imm' }],
  ['a jump into ld_imm64', [insn(0x05, { off: 1 }), ...assemble('r1 = 0x5'), exit], { code: 'jump', insn: 0, field: 'off' }],
  ['a ld_imm64 cut in half', [insn(0x18)], { code: 'ld_imm64', insn: 0, field: 'code' }],
  ['a ld_imm64 with another second half', [insn(0x18), exit, exit], { code: 'ld_imm64', insn: 0, field: 'code' }],
  [
    'a second half with a register',
    [insn(0x18), insn(0, { dst_reg: 1 }), exit],
    { code: 'ld_imm64', insn: 1, field: 'dst_reg' },
  ],
  [
    'a ld_imm64 form that is none',
    [insn(0x18, { src_reg: 7 }), insn(0), exit],
    { code: 'reserved', insn: 0, field: 'src_reg' },
  ],
  [
    'an exchange with the frame pointer',
    [insn(0xdb, { dst_reg: 1, src_reg: 10, imm: 0xe1 }), exit],
    { code: 'register', insn: 0, field: 'src_reg' },
  ],
  [
    'a fetch into the frame pointer',
    [insn(0xdb, { dst_reg: 1, src_reg: 10, imm: 1 }), exit],
    { code: 'register', insn: 0, field: 'src_reg' },
  ],
  ['a missing exit', [insn(0xb7)], { code: 'exit', insn: 0, field: 'code' }],
])('refuses %s', (_, program, error) => {
  expect(() => validate(program)).toThrow(expect.objectContaining({ name: 'IsaError', ...error }));
});

test('refuses a program that is too long, and bytes that are no whole number of instructions', () => {
  expect(() => validate([exit, exit], { maxInsns: 1 })).toThrow(expect.objectContaining({ code: 'too-long', insn: 1 }));
  expect(() => decode(new Uint8Array(12))).toThrow(expect.objectContaining({ code: 'length', insn: 1 }));
});

test('unverified programs may shift by too much', () => {
  expect(() => validate([insn(0x64, { imm: 32 }), exit], { unverified: true })).not.toThrow();
});

test('any bytes are a program or an IsaError', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 256 }).map((bytes) => () => decode(bytes)),
        randomProgram.map((program) => () => program),
      ),
      (make) => {
        try {
          validate(make());
        } catch (error) {
          expect(error).toMatchObject({ name: 'IsaError' });
        }
      },
    ),
    { numRuns: 2000 },
  );
});
