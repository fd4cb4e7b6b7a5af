import { describe, expect, test } from 'vitest';
import { BTF_INT_SIGNED, BtfBuilder, declare, dumpC, isBtfError, parseBtf, type Btf } from '@libbpf-ts/btf';

interface Ids {
  readonly int: number;
  readonly u8: number;
  readonly u64: number;
}

function make(add: (b: BtfBuilder, ids: Ids) => number): { btf: Btf; id: number } {
  const b = new BtfBuilder();
  const id = add(b, {
    int: b.int('int', 4, BTF_INT_SIGNED),
    u8: b.int('unsigned char', 1),
    u64: b.int('unsigned long long', 8),
  });
  return { btf: parseBtf(b.encode()), id };
}

describe('C declarations', () => {
  test.each<[string, (b: BtfBuilder, ids: Ids) => number, string]>([
    ['a pointer to a constant', (b, { int }) => b.ptr(b.modifier('CONST', int)), 'const int *x'],
    ['a constant pointer', (b, { int }) => b.modifier('CONST', b.ptr(int)), 'int *const x'],
    ['an array of pointers', (b, { int }) => b.array(b.ptr(int), 3, int), 'int *x[3]'],
    ['a pointer to an array', (b, { int }) => b.ptr(b.array(int, 3, int)), 'int (*x)[3]'],
    [
      'a pointer to a function',
      (b, { int }) =>
        b.ptr(
          b.funcProto(int, [
            { name: 'a', type: int },
            { name: '', type: 0 },
          ]),
        ),
      'int (*x)(int a, ...)',
    ],
    ['a function without parameters', (b) => b.ptr(b.funcProto(0, [])), 'void (*x)(void)'],
    ['a matrix', (b, { int }) => b.array(b.array(int, 2, int), 3, int), 'int x[3][2]'],
    ['a typedef', (b, { int }) => b.typedef('pid_t', int), 'pid_t x'],
    ['an enum', (b) => b.enum('mode', { OFF: 0 }), 'enum mode x'],
  ])('%s', (_, add, expected) => {
    const { btf, id } = make(add);
    expect(declare(btf, id, 'x')).toBe(expected);
  });

  test.each<[string, (b: BtfBuilder, ids: Ids) => number, string]>([
    [
      'a list that points to itself',
      (b, { int }) =>
        b.struct('node', 16, [
          { name: 'next', type: b.ptr(b.nextId + 1), bit_offset: 0 },
          { name: 'value', type: int, bit_offset: 64 },
        ]),
      'struct node;\n\nstruct node {\n\tstruct node *next;\n\tint value;\n};\n',
    ],
    [
      'bit fields with a gap',
      (b, { int }) =>
        b.struct('flags', 4, [
          { name: 'a', type: int, bit_offset: 0, bitfield_size: 3 },
          { name: 'b', type: int, bit_offset: 8, bitfield_size: 4 },
        ]),
      'struct flags {\n\tint a: 3;\n\tchar: 5;\n\tint b: 4;\n};\n',
    ],
    [
      'a packed structure',
      (b, { int, u8 }) =>
        b.struct('wire', 5, [
          { name: 'kind', type: u8, bit_offset: 0 },
          { name: 'length', type: int, bit_offset: 8 },
        ]),
      'struct wire {\n\tunsigned char kind;\n\tint length;\n} __attribute__((packed));\n',
    ],
    [
      'an anonymous union',
      (b, { int, u64 }) =>
        b.struct('outer', 8, [
          {
            name: '',
            type: b.union('', 8, [
              { name: 'a', type: int, bit_offset: 0 },
              { name: 'b', type: u64, bit_offset: 0 },
            ]),
            bit_offset: 0,
          },
        ]),
      'struct outer {\n\tunion {\n\t\tint a;\n\t\tunsigned long long b;\n\t};\n};\n',
    ],
    ['a wide enum', (b) => b.enum64('big', { HUGE: 1n << 40n }), 'enum big {\n\tHUGE = 1099511627776ULL,\n};\n'],
    [
      'a typedef of a structure that points back',
      (b) => {
        const struct = b.nextId + 2;
        const alias = b.typedef('list', struct);
        const pointer = b.ptr(alias);
        return b.struct('list', 8, [{ name: 'next', type: pointer, bit_offset: 0 }]);
      },
      'struct list;\n\ntypedef struct list list;\n\nstruct list {\n\tlist *next;\n};\n',
    ],
  ])('%s', (_, add, expected) => {
    const { btf, id } = make(add);
    expect(dumpC(btf, [id])).toBe(expected);
  });
});

test('types without an end are refused', () => {
  const { btf, id } = make((b) => b.array(b.nextId, 1, 1));
  try {
    dumpC(btf, [id]);
  } catch (error) {
    expect(isBtfError(error)).toBe(true);
  }
});
