import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isElfError,
  parseElf,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  STB_GLOBAL,
  STT_FUNC,
} from '@libbpf-ts/elf';
import { buildElf, symbolTable } from './build.ts';

const RUNS = process.env['LIBBPF_TS_LONG'] ? 10_000 : 1_000;

function sample(): Uint8Array {
  const rel = new Uint8Array(16);
  new DataView(rel.buffer).setBigUint64(0, 8n, true);
  new DataView(rel.buffer).setUint32(8, 1, true);
  new DataView(rel.buffer).setUint32(12, 1, true);
  const rela = new Uint8Array(24);
  rela.set(rel);
  new DataView(rela.buffer).setBigInt64(16, -8n, true);
  return buildElf([
    { name: 'xdp', type: SHT_PROGBITS, flags: 6, data: new Uint8Array(16).fill(0x95) },
    { name: '.strtab', type: SHT_STRTAB, data: new TextEncoder().encode('\0main\0') },
    {
      name: '.symtab',
      type: SHT_SYMTAB,
      link: 2,
      data: symbolTable([
        { name: 0 },
        { name: 1, value: 0, size: 16, info: (STB_GLOBAL << 4) | STT_FUNC, section: 1 },
        { name: 99 },
      ]),
    },
    { name: '.relxdp', type: SHT_REL, link: 3, info: 1, data: rel },
    { name: '.relaxdp', type: SHT_RELA, link: 3, info: 1, data: rela },
    { name: '.bss', type: SHT_NOBITS, size: 4096 },
  ]);
}

describe('a small object', () => {
  const elf = parseElf(sample());
  test('has sections, symbols and relocations', () => {
    expect(elf.sections.map(({ name }) => name)).toEqual([
      '',
      'xdp',
      '.strtab',
      '.symtab',
      '.relxdp',
      '.relaxdp',
      '.bss',
      '.shstrtab',
    ]);
    expect(elf.symbols[1]).toMatchObject({ name: 'main', size: 16, binding: STB_GLOBAL, type: STT_FUNC, section: 1 });
    expect(elf.relocations.map(({ name, target, entries }) => ({ name, target, entries }))).toEqual([
      { name: '.relxdp', target: 1, entries: [{ offset: 8, type: 1, symbol: 1, addend: undefined }] },
      { name: '.relaxdp', target: 1, entries: [{ offset: 8, type: 1, symbol: 1, addend: -8n }] },
    ]);
  });
  test('leaves names that cannot be read to who needs them', () => expect(elf.symbols[2]!.name).toBeUndefined());
  test('keeps no bytes for .bss', () => expect(elf.sections[6]).toMatchObject({ size: 4096, data: new Uint8Array(0) }));
});

const patched = (at: number, ...values: number[]): Uint8Array => {
  const bytes = sample();
  bytes.set(values, at);
  return bytes;
};

test.each<[string, () => Uint8Array, string, RegExp]>([
  ['text', () => new TextEncoder().encode('#!/bin/sh\n'), 'ELF_NOT_ELF', /at byte 0/],
  ['nothing', () => new Uint8Array(0), 'ELF_NOT_ELF', /at byte 0/],
  ['half a header', () => sample().slice(0, 40), 'ELF_TRUNCATED', /ELF header/],
  ['a 32-bit file', () => patched(4, 1), 'ELF_BAD_CLASS', /at byte 4/],
  ['a big-endian program', () => buildElf([], { little: false }), 'ELF_BAD_ENDIAN', /big-endian.*bpfel/],
  ['an x86 object', () => buildElf([], { machine: 62 }), 'ELF_BAD_MACHINE', /machine 62.*-target bpf/],
  ['a linked file', () => buildElf([], { type: 2 }), 'ELF_BAD_TYPE', /at byte 16/],
  ['a file cut in its section headers', () => sample().slice(0, -10), 'ELF_TRUNCATED', /section headers/],
  [
    'a section beyond the file',
    () => patched(sample().length - 64 * 7 + 24, 0xff, 0xff, 0xff, 0x7f),
    'ELF_TRUNCATED',
    /section xdp/,
  ],
  ['a section name beyond its table', () => patched(sample().length - 64 * 7, 0xff, 0xff), 'ELF_BAD_STRING', /number 1/],
  ['a symbol table without strings', () => patched(sample().length - 64 * 5 + 40, 9), 'ELF_BAD_SECTION', /\.symtab/],
])('refuses %s', (_, make, code, message) => {
  const refused = expect(() => parseElf(make()));
  refused.toThrowError(expect.objectContaining({ name: 'ElfError', code, message: expect.stringMatching(message) }));
});

test('reads big-endian files where it is told to', () => {
  expect(
    parseElf(buildElf([{ name: 'a', type: 1, data: new Uint8Array(3) }], { little: false }), { allowBigEndian: true })
      .sections[1],
  ).toMatchObject({ name: 'a', size: 3 });
});

test('throws nothing but ElfError for mutated files', () => {
  const original = sample();
  const edits = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(edits, fc.option(fc.nat(original.length)), (list, cut) => {
      const bytes = sample();
      list.forEach(([at, value]) => {
        bytes[at] = value;
      });
      try {
        parseElf(cut === null ? bytes : bytes.slice(0, cut));
      } catch (error) {
        if (!isElfError(error)) throw error;
      }
    }),
    { numRuns: RUNS },
  );
});
