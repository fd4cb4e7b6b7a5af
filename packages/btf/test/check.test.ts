import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { BtfBuilder, checkBtf, dumpC, isBtfError, parseBtf, parseBtfExt, BTF_INT_SIGNED } from '@libbpf-ts/btf';

const RUNS = process.env['LIBBPF_TS_LONG'] ? 10_000 : 1_000;

function build(add: (b: BtfBuilder, ids: { int: number; u8: number; void: number }) => void): Uint8Array {
  const b = new BtfBuilder();
  add(b, { int: b.int('int', 4, BTF_INT_SIGNED), u8: b.int('u8', 1), void: 0 });
  return b.encode();
}

const header = (change: (view: DataView) => void): Uint8Array => {
  const bytes = build(() => undefined);
  change(new DataView(bytes.buffer));
  return bytes;
};

describe('the verdicts of BPF_BTF_LOAD', () => {
  test.each<[string, Uint8Array, string]>([
    ['a header cut short', new Uint8Array(4), 'EINVAL hdr_len not found'],
    ['a header longer than the data', header((v) => v.setUint32(4, 4096, true)), 'EINVAL btf_header not found'],
    ['a wrong magic', header((v) => v.setUint16(0, 7, true)), 'EINVAL Invalid magic'],
    ['a later version', header((v) => v.setUint8(2, 2)), 'ENOTSUPP Unsupported version'],
    ['flags', header((v) => v.setUint8(3, 1)), 'ENOTSUPP Unsupported flags'],
    ['a later header', header((v) => v.setUint32(4, 28, true)), 'E2BIG Unsupported btf_header'],
    ['a gap between sections', header((v) => v.setUint32(8, 4, true)), 'EINVAL Unsupported section found'],
    ['strings without an end', Object.assign(build(() => undefined), { [build(() => undefined).length - 1]: 65 }), 'EINVAL Invalid string section'],
    ['no types', new BtfBuilder().encode(), 'EINVAL No type found'],
    ['an int of too many bits', build((b) => b.int('x', 1, 0, 16)), 'EINVAL [3] nr_bits exceeds type_size'],
    ['an int that is bool and signed', build((b) => b.int('x', 1, 5)), 'ENOTSUPP [3] Unsupported encoding'],
    ['a type without a name', build((b, { int }) => b.typedef('', int)), 'EINVAL [3] Invalid name'],
    ['a name that is none', build((b) => b.struct('a-b', 4, [])), 'EINVAL [3] Invalid name'],
    ['an array of nothing', build((b, { int }) => b.array(0, 3, int)), 'EINVAL [3] Invalid elem'],
    ['an array of too much', build((b, { int }) => b.array(int, 0x7fffffff, int)), 'EINVAL [3] Array size overflows U32_MAX'],
    ['a member beyond its structure', build((b, { int }) => b.struct('s', 4, [{ name: 'a', type: int, bit_offset: 8 }])), 'EINVAL [3] Member exceeds struct_size'],
    ['members out of order', build((b, { int }) => b.struct('s', 8, [{ name: 'a', type: int, bit_offset: 32 }, { name: 'b', type: int, bit_offset: 0 }])), 'EINVAL [3] Invalid member bits_offset'],
    ['a member of no type', build((b) => b.struct('s', 8, [{ name: 'a', type: 0, bit_offset: 0 }])), 'EINVAL [3] Invalid type_id'],
    ['a member that is a forward declaration', build((b) => b.struct('s', 8, [{ name: 'a', type: b.fwd('t'), bit_offset: 0 }])), 'EINVAL [4] Invalid member'],
    ['a structure that contains itself', build((b) => b.struct('s', 8, [{ name: 'a', type: b.nextId, bit_offset: 0 }])), 'EEXIST [3] Loop detected'],
    ['a typedef of itself', build((b) => b.typedef('t', b.nextId)), 'EEXIST [3] Loop detected'],
    ['an extern function', build((b, { void: none }) => b.func('f', b.funcProto(none, []), 2)), 'EINVAL [4] Invalid func linkage'],
    ['a function with unnamed parameters', build((b, { int }) => b.func('f', b.funcProto(0, [{ name: '', type: int }]))), 'EINVAL [4] Invalid arg#1'],
    ['an empty section', build((b, { int }) => { b.variable('v', int); b.datasec('.bss', 0, [{ type: 3, offset: 0, size: 4 }]); }), 'EINVAL [4] size == 0'],
    ['a section of overlapping variables', build((b, { int }) => { const v = b.variable('v', int); b.datasec('.bss', 8, [{ type: v, offset: 0, size: 4 }, { type: v, offset: 2, size: 4 }]); }), 'EINVAL [4] Invalid offset'],
    ['a tag on a member that is not there', build((b, { int }) => b.declTag('t', b.struct('s', 4, [{ name: 'a', type: int, bit_offset: 0 }]), 1)), 'EINVAL [4] Invalid component_idx'],
    ['tags behind other modifiers', build((b, { int }) => b.modifier('CONST', b.modifier('TYPE_TAG', int, 'user'))), "EINVAL Type tags don't precede modifiers"],
    ['a deep chain', build((b, { int }) => { for (let i = 0, at = int; i < 40; i++) at = b.modifier('CONST', b.nextId + 1 < 42 ? b.nextId + 1 : at); }), 'E2BIG [3] Exceeded max resolving depth:32'],
  ])('refuses %s', (_, bytes, expected) => {
    const verdict = checkBtf(bytes);
    expect(verdict.ok ? 'accepted' : `${verdict.errno} ${verdict.detail}`).toBe(expected);
  });

  test('accepts every kind', () => {
    const bytes = build((b, { int, u8 }) => {
      const node = b.struct('node', 8, [{ name: 'next', type: b.ptr(b.nextId + 1), bit_offset: 0 }]);
      b.enum('e', { A: 1 }, { size: 4 });
      b.enum64('e64', { B: 1n << 40n });
      b.float('double', 8);
      b.typedef('t', b.ptr(b.modifier('TYPE_TAG', b.modifier('VOLATILE', b.modifier('RESTRICT', b.ptr(0))), 'user')));
      b.union('u', 4, [{ name: 'a', type: int, bit_offset: 0 }, { name: 'b', type: u8, bit_offset: 0 }]);
      const f = b.func('f', b.funcProto(int, [{ name: 'x', type: node }, { name: '', type: 0 }]));
      b.declTag('tag', f, 0);
      b.datasec('.data', 8, [{ type: b.variable('v', b.array(u8, 8, int)), offset: 0, size: 8 }]);
      b.fwd('later', true);
    });
    expect(checkBtf(bytes)).toMatchObject({ ok: true });
  });
});

describe('mutated bytes', () => {
  const original = build((b, { int, u8 }) => {
    const s = b.struct('flow', 12, [{ name: 'a', type: int, bit_offset: 0 }, { name: 'b', type: b.array(u8, 8, int), bit_offset: 32 }]);
    b.func('f', b.funcProto(int, [{ name: 'flow', type: b.ptr(s) }]));
    b.enum('e', { A: 1, B: -1 });
    b.datasec('.bss', 12, [{ type: b.variable('v', s), offset: 0, size: 12 }]);
  });
  const mutated = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }).map((edits) => {
    const bytes = original.slice();
    edits.forEach(([at, value]) => { bytes[at] = value; });
    return bytes;
  });
  const onlyBtfErrors = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!isBtfError(error)) throw error;
    }
  };

  test('are judged without an exception', () => {
    fc.assert(fc.property(mutated, (bytes) => typeof checkBtf(bytes).ok === 'boolean'), { numRuns: RUNS });
  });
  test('throw nothing but BtfError when read, walked and printed', () => {
    fc.assert(fc.property(mutated, (bytes) => onlyBtfErrors(() => {
      const btf = parseBtf(bytes);
      for (const type of btf.types()) onlyBtfErrors(() => void dumpC(btf, [type.id]));
    })), { numRuns: RUNS });
  });
  test('throw nothing but BtfError as .BTF.ext', () => {
    const btf = parseBtf(original);
    const ext = new Uint8Array(80);
    const view = new DataView(ext.buffer);
    [0x0001eb9f, 32, 0, 20, 20, 28, 0, 0, 8, 1, 1, 0, 5].forEach((word, i) => view.setUint32(i * 4, word, true));
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 5 }), (edits) => {
      const bytes = ext.slice();
      edits.forEach(([at, value]) => { bytes[at] = value; });
      onlyBtfErrors(() => void parseBtfExt(bytes, btf));
    }), { numRuns: RUNS });
  });
});
