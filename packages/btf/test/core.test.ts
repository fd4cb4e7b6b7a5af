import { describe, expect, test } from 'vitest';
import {
  BTF_INT_SIGNED,
  BtfBuilder,
  CORE_KINDS,
  CORE_POISON_BASE,
  CoreResolver,
  coreSpecText,
  parseBtf,
  patchCore,
  type Btf,
  type CoreInsn,
  type CoreKind,
} from '@libbpf-ts/btf';

interface Shape {
  /** Bytes before `pid`. */
  readonly lead: number;
  readonly pidSize?: 4 | 8;
  readonly nested?: boolean;
  readonly flavour?: string;
  readonly values?: Record<string, number>;
  readonly bit?: number;
  readonly signed?: boolean;
}

/** `struct task { …; int pid; char comm[16]; unsigned flag : 3 }`, `enum state`, laid out as a kernel might. */
function kernel(...shapes: Shape[]): Btf {
  const b = new BtfBuilder();
  for (const shape of shapes) {
    const size = shape.pidSize ?? 4;
    const int = b.int(size === 8 ? 'long' : 'int', size, shape.signed === false ? 0 : BTF_INT_SIGNED);
    const u32 = b.int('unsigned int', 4);
    const comm = b.array(b.int('char', 1, BTF_INT_SIGNED), 16, u32);
    const base = shape.lead * 8;
    const members = [
      { name: 'pid', type: int, bit_offset: base, bitfield_size: 0 },
      { name: 'comm', type: comm, bit_offset: base + size * 8, bitfield_size: 0 },
      { name: 'flag', type: u32, bit_offset: base + size * 8 + 128 + (shape.bit ?? 0), bitfield_size: 3 },
    ];
    const inner = shape.nested ? b.struct('', shape.lead + size + 20, members) : 0;
    b.struct(
      `task${shape.flavour ?? ''}`,
      shape.lead + size + 20,
      shape.nested ? [{ name: '', type: inner, bit_offset: 0 }] : members,
    );
    b.enum('state', shape.values ?? { RUNNING: 0, STOPPED: 4 });
  }
  return parseBtf(b.encode());
}

const local = kernel({ lead: 0 });

function relocate(target: Btf, kind: CoreKind, access = '0:0', type = 'task'): string {
  const resolver = new CoreResolver(local, [target]);
  const result = resolver.resolve({ type_id: local.find(type)!.id, access, kind: CORE_KINDS.indexOf(kind) });
  return result.poison ? 'poison' : `${result.original} -> ${result.value}`;
}

describe('what a relocation means on a target', () => {
  test.each<[string, Btf, CoreKind, string, string]>([
    ['a field that moved', kernel({ lead: 24 }), 'byte_off', '0:0', '0 -> 24'],
    ['a field inside an anonymous structure', kernel({ lead: 8, nested: true }), 'byte_off', '0:0', '0 -> 8'],
    ['an element of an array', kernel({ lead: 8 }), 'byte_off', '0:1:3', '7 -> 15'],
    ['a field that grew', kernel({ lead: 0, pidSize: 8 }), 'byte_sz', '0:0', '4 -> 8'],
    ['a field that is there', kernel({ lead: 0 }), 'field_exists', '0:0', '1 -> 1'],
    ['a sign that changed', kernel({ lead: 0, signed: false }), 'signed', '0:0', '1 -> 0'],
    ['a bit field that moved: bytes', kernel({ lead: 0, bit: 5 }), 'byte_off', '0:2', '20 -> 20'],
    ['a bit field that moved: left shift', kernel({ lead: 0, bit: 5 }), 'lshift_u64', '0:2', '61 -> 56'],
    ['a bit field that moved: right shift', kernel({ lead: 0, bit: 5 }), 'rshift_u64', '0:2', '61 -> 61'],
    ['a flavour of the type', kernel({ lead: 12, flavour: '___new' }), 'byte_off', '0:0', '0 -> 12'],
    ['a type that is there', kernel({ lead: 4 }), 'type_exists', '0', '1 -> 1'],
    ['a type that grew', kernel({ lead: 4 }), 'type_size', '0', '24 -> 28'],
    ['a type that matches', kernel({ lead: 4 }), 'type_matches', '0', '1 -> 1'],
  ])('%s', (_, target, kind, access, expected) => expect(relocate(target, kind, access)).toBe(expected));

  test.each<[string, Btf, CoreKind, string, string]>([
    ['another value', kernel({ lead: 0, values: { RUNNING: 7, STOPPED: 9 } }), 'enumval_value', '1', '4 -> 9'],
    ['a value that is gone', kernel({ lead: 0, values: { RUNNING: 0 } }), 'enumval_value', '1', 'poison'],
    ['whether a value is there', kernel({ lead: 0, values: { RUNNING: 0 } }), 'enumval_exists', '1', '1 -> 0'],
  ])('an enum: %s', (_, target, kind, access, expected) => expect(relocate(target, kind, access, 'state')).toBe(expected));

  const empty = parseBtf(
    (() => {
      const b = new BtfBuilder();
      b.int('int', 4);
      return b.encode();
    })(),
  );
  test.each<[CoreKind, string]>([
    ['byte_off', 'poison'],
    ['byte_sz', 'poison'],
    ['field_exists', '1 -> 0'],
    ['type_exists', '1 -> 0'],
    ['type_size', '24 -> 0'],
    ['type_matches', '1 -> 0'],
  ])('%s of a type that the target lacks', (kind, expected) => {
    expect(relocate(empty, kind, kind.startsWith('type') ? '0' : '0:0')).toBe(expected);
  });

  test('candidates that disagree are refused', () => {
    expect(() => relocate(kernel({ lead: 4 }, { lead: 8 }), 'byte_off')).toThrowError(
      expect.objectContaining({ code: 'CORE_AMBIGUOUS' }),
    );
  });
  test('candidates that agree are one', () => expect(relocate(kernel({ lead: 4 }, { lead: 4 }), 'byte_off')).toBe('0 -> 4'));
  test.each(['1:', '0:9', '', 'x', '0:0:1'])('the access string %j is refused', (access) => {
    expect(() => relocate(local, 'byte_off', access)).toThrowError(expect.objectContaining({ code: 'CORE_BAD_SPEC' }));
  });
});

describe('patching', () => {
  const insn = (code: number, fields: Partial<CoreInsn> = {}): CoreInsn => ({
    code,
    dst_reg: 1,
    src_reg: 2,
    off: 0,
    imm: 0,
    ...fields,
  });
  const patch = (insns: CoreInsn[], target: Btf, access = '0:0', kind: CoreKind = 'byte_off'): CoreInsn[] => {
    const result = new CoreResolver(local, [target]).resolve({
      type_id: local.find('task')!.id,
      access,
      kind: CORE_KINDS.indexOf(kind),
    });
    patchCore(insns, 0, 5, result);
    return insns;
  };

  test('sets the constant of an addition', () =>
    expect(patch([insn(0x07)], kernel({ lead: 16 }))[0]).toMatchObject({ imm: 16 }));
  test('sets the offset of a load', () =>
    expect(patch([insn(0x61)], kernel({ lead: 16 }))[0]).toMatchObject({ code: 0x61, off: 16 }));
  test('sets both halves of a 64-bit constant', () => {
    expect(patch([insn(0x18, { src_reg: 0 }), insn(0)], kernel({ lead: 16 }))[0]).toMatchObject({ imm: 16 });
  });
  test('poisons a signed load of another size', () => {
    expect(patch([insn(0x61)], kernel({ lead: 0, pidSize: 8 }))[0]).toEqual({
      code: 0x85,
      dst_reg: 0,
      src_reg: 0,
      off: 0,
      imm: CORE_POISON_BASE + 5,
    });
  });
  test.each<[string, CoreInsn]>([
    ['another constant', insn(0x07, { imm: 3 })],
    ['a register operand', insn(0x0f)],
    ['a jump', insn(0x05)],
    ['half a constant', insn(0x18, { src_reg: 0 })],
  ])('refuses an instruction with %s', (_, bad) => {
    expect(() => patch([bad], kernel({ lead: 16 }))).toThrowError(expect.objectContaining({ code: 'CORE_UNEXPECTED_INSN' }));
  });
});

test('says a relocation as libbpf does', () => {
  const result = new CoreResolver(local, [local]).resolve({ type_id: local.find('task')!.id, access: '0:1:3', kind: 0 });
  expect(coreSpecText(result.local)).toBe(`<byte_off> [${local.find('task')!.id}] struct task.comm[3] (0:1:3 @ offset 7)`);
});
