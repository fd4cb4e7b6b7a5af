import fc from 'fast-check';
import { expect, test } from 'vitest';

import { assemble } from '../src/assemble.ts';
import { decode, encode } from '../src/codec.ts';
import { disassembleProgram } from '../src/disassemble.ts';
import { OPCODES } from '../src/table.ts';
import { randomProgram } from './programs.ts';

test('assemble(disassemble(program)) is the program', () => {
  fc.assert(
    fc.property(randomProgram, (program) => {
      expect(assemble(disassembleProgram(program))).toEqual(program);
    }),
    { numRuns: 1000 },
  );
});

test('decode(encode(program)) is the program', () => {
  fc.assert(fc.property(randomProgram, (program) => void expect(decode(encode(program))).toEqual(program)));
});

/** Bytes and text as a Linux 6.18 verifier log has them. */
test.each<[bytes: string, text: string]>([
  ['b700000005000000', 'r0 = 5'],
  ['b7010000fbffffff', 'r1 = -5'],
  ['b402000007000000', 'w2 = 7'],
  ['bf03000000000000', 'r3 = r0'],
  ['bc03000000000000', 'w3 = w0'],
  ['bf03080000000000', 'r3 = (s8)r0'],
  ['bf03200000000000', 'r3 = (s32)r0'],
  ['bc03100000000000', 'w3 = (s16)w0'],
  ['07030000fdffffff', 'r3 += -3'],
  ['3703010003000000', 'r3 s/= 3'],
  ['3f03010000000000', 'r3 s/= r0'],
  ['9c03010000000000', 'w3 s%= w0'],
  ['8703000000000000', 'r3 = -r3'],
  ['8403000000000000', 'w3 = -w3'],
  ['c703000004000000', 'r3 s>>= 4'],
  ['dc03000010000000', 'r3 = be16 r3'],
  ['d403000040000000', 'r3 = le64 r3'],
  ['d703000020000000', 'r3 = bswap32 r3'],
  ['7b0af8ff00000000', '*(u64 *)(r10 -8) = r0'],
  ['7a0af0fff9ffffff', '*(u64 *)(r10 -16) = -7'],
  ['79a4f8ff00000000', 'r4 = *(u64 *)(r10 -8)'],
  ['91a4f8ff00000000', 'r4 = *(s8 *)(r10 -8)'],
  ['6110040000000000', 'r0 = *(u32 *)(r1 +4)'],
  ['db0af8ff00000000', 'lock *(u64 *)(r10 -8) += r0'],
  ['c30af8ff40000000', 'lock *(u32 *)(r10 -8) |= r0'],
  ['db0af8ff01000000', 'r0 = atomic64_fetch_add((u64 *)(r10 -8), r0)'],
  ['db0af8ffe1000000', 'r0 = atomic64_xchg((u64 *)(r10 -8), r0)'],
  ['c30af8fff1000000', 'r0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r0)'],
  ['c30af8ffa1000000', 'r0 = atomic_fetch_xor((u32 *)(r10 -8), r0)'],
  ['d3a4f8ff00010000', 'r4 = load_acquire((u8 *)(r10 -8))'],
  ['cb0af8ff10010000', 'store_release((u16 *)(r10 -8), r0)'],
  ['18040000050000000000000001000000', 'r4 = 0x100000005'],
  ['1504000005000000', 'if r4 == 0x5 goto pc+0'],
  ['16040000fbffffff', 'if w4 == 0xfffffffb goto pc+0'],
  ['6d04fdff00000000', 'if r4 s> r0 goto pc-3'],
  ['4504000008000000', 'if r4 & 0x8 goto pc+0'],
  ['0500000000000000', 'goto pc+0'],
  ['0600000005000000', 'gotol pc+5'],
  ['e500000000000000', 'may_goto pc+0'],
  ['8500000005000000', 'call unknown#5'],
  ['8510000001000000', 'call pc+1'],
  ['9500000000000000', 'exit'],
  ['3000000017000000', 'r0 = *(u8 *)skb[23]'],
  ['482000000e000000', 'r0 = *(u16 *)skb[r2 + 14]'],
  ['bf12010001000000', 'r2 = addr_space_cast(r1, 0, 1)'],
  ['1821000063000000000000000c000000', 'r1 = map[fd:99][0]+12'],
])('%s is %s', (bytes, text) => {
  const program = decode(Uint8Array.from(bytes.match(/../g)!, (byte) => Number.parseInt(byte, 16)));
  expect(disassembleProgram(program)).toBe(text);
  expect(assemble(text)).toEqual(program);
});

test('names of helpers and kfuncs come from the caller', () => {
  const program = assemble('call 1\ncall kernel-function#77 off=2');
  const names = { helperName: () => 'bpf_map_lookup_elem', kfuncName: () => 'bpf_obj_new_impl' };
  expect(disassembleProgram(program, names)).toBe('call bpf_map_lookup_elem#1\ncall bpf_obj_new_impl#77 kfunc off=2');
  expect(assemble(disassembleProgram(program, names))).toEqual(program);
  expect(assemble('call bpf_map_lookup_elem', { helperId: () => 1 })).toEqual(assemble('call 1'));
});

test('log lines, labels and comments are read as they are', () => {
  expect(
    assemble(
      '0: (b7) r0 = 5   ; R0=5\nloop: r0 += -1\n  if r0 != 0x0 goto loop // again\ncall fn\nexit\nfn: exit'.replace(
        'call fn',
        'goto fn',
      ),
    ),
  ).toEqual(assemble('r0 = 5\nr0 += -1\nif r0 != 0 goto pc-2\ngoto pc+1\nexit\nexit'));
});

test.each([
  ['r0 = r1 + 5', 'not an instruction'],
  ['r0 += w1', 'r and w registers'],
  ['r16 = 1', 'no such register'],
  ['goto nowhere', 'no label'],
  ['r0 += 0x1ffffffff', 'does not fit'],
  ['r0 = atomic_fetch_nand((u32 *)(r1 +0), r0)', 'no atomic'],
  ['lock *(u32 *)(r1 +0) -= r0', 'no atomic'],
  ['call nothing', 'no helper'],
  ['r1 = be16 r2', 'one register'],
])('refuses %s', (text, message) => {
  expect(() => assemble(`exit\n${text}`)).toThrow(
    expect.objectContaining({ code: 'text', insn: 2, message: expect.stringContaining(message) }),
  );
});

test('every code byte of the table disassembles, no other does', () => {
  const program = Array.from({ length: 256 }, (_, code) => ({ code, dst_reg: 0, src_reg: 0, off: 0, imm: 16 }));
  const known = program.filter(({ code }) => OPCODES[code]);
  expect(known.length).toBe(OPCODES.filter(Boolean).length);
  expect(disassembleProgram([{ code: 0xff, dst_reg: 0, src_reg: 0, off: 0, imm: 0 }])).toBe('BUG_ff');
});
