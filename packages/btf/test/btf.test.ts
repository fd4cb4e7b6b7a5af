import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  BTF_INT_SIGNED,
  BtfBuilder,
  decodeValue,
  encodeValue,
  essentialName,
  findMember,
  formatJson,
  formatText,
  parseBtf,
  sizeOf,
  skipModifiers,
  typeName,
  type BtfValue,
} from '@libbpf-ts/btf';

function sample(): { bytes: Uint8Array; ids: Record<string, number> } {
  const b = new BtfBuilder();
  const int = b.int('int', 4, BTF_INT_SIGNED);
  const u32 = b.typedef('__u32', b.int('unsigned int', 4));
  const u64 = b.typedef('__u64', b.int('unsigned long long', 8));
  const char = b.int('char', 1, BTF_INT_SIGNED);
  const text = b.array(char, 8, int);
  const mode = b.enum('mode', { OFF: 0, ON: 1, BAD: -1 });
  const inner = b.union('', 8, [
    { name: 'wide', type: u64, bit_offset: 0 },
    { name: 'low', type: u32, bit_offset: 0 },
  ]);
  const outer = b.struct('entry', 40, [
    { name: 'id', type: u32, bit_offset: 0 },
    { name: 'flag', type: u32, bit_offset: 32, bitfield_size: 1 },
    { name: 'kind', type: int, bit_offset: 33, bitfield_size: 3 },
    { name: '', type: inner, bit_offset: 64 },
    { name: 'name', type: text, bit_offset: 128 },
    { name: 'mode', type: mode, bit_offset: 192 },
    { name: 'next', type: b.ptr(b.nextId + 1), bit_offset: 256 },
  ]);
  const flavoured = b.struct('entry___old', 4, [{ name: 'id', type: u32, bit_offset: 0 }]);
  return { bytes: b.encode(), ids: { int, u32, u64, outer, flavoured, text, mode } };
}

describe('a small BTF', () => {
  const { bytes, ids } = sample();
  const btf = parseBtf(bytes);
  const outer = btf.type(ids['outer']!);

  test('finds types by name, kind and essential name', () => {
    expect(btf.find('entry', 'STRUCT')?.id).toBe(ids['outer']);
    expect(btf.find('entry', 'UNION')).toBeUndefined();
    expect(btf.idsByEssentialName('entry')).toEqual([ids['outer'], ids['flavoured']]);
    expect(essentialName('entry___old')).toBe('entry');
    expect(essentialName('____x')).toBe('____x');
  });

  test('walks members through anonymous ones', () => {
    if (outer.kind !== 'STRUCT') throw new Error('not a struct');
    expect(findMember(btf, outer, 'low')).toMatchObject({ bit_offset: 64, path: [3, 1] });
    expect(skipModifiers(btf, ids['u32']!).name).toBe('unsigned int');
    expect([sizeOf(btf, ids['outer']!), sizeOf(btf, ids['text']!)]).toEqual([40, 8]);
    expect(typeName(btf, ids['text']!)).toBe('char[8]');
  });

  const value: BtfValue = { id: 7, flag: 1, kind: -2, wide: 0x1_0000_0002n, low: 2, name: 'eth0', mode: 'BAD', next: 0n };
  test('encodes and decodes a value', () => {
    expect(decodeValue(btf, ids['outer']!, encodeValue(btf, ids['outer']!, value))).toEqual(value);
    const raw = encodeValue(btf, ids['outer']!, value);
    expect(formatJson(btf, ids['outer']!, raw)).toBe(
      '{"id":7,"flag":1,"kind":-2,"wide":4294967298,"low":2,"name":"eth0","mode":"BAD","next":0}',
    );
    expect(formatText(btf, ids['outer']!, raw)).toBe(
      '{ id: 7, flag: 1, kind: -2, wide: 4294967298, low: 2, name: eth0, mode: BAD, next: 0 }',
    );
  });

  test.each<[string, BtfValue]>([
    ['too large', { id: 2 ** 32 }],
    ['not an integer', { id: 1.5 }],
    ['no such enum value', { mode: 'MAYBE' }],
    ['too long', { name: 'ninechars' }],
  ])('refuses a value that is %s', (_, bad) =>
    expect(() => encodeValue(btf, ids['outer']!, bad)).toThrowError(expect.objectContaining({ code: 'BTF_BAD_VALUE' })),
  );

  test('split BTF goes on from its base', () => {
    const b = new BtfBuilder({ startId: btf.typeCount, startString: btf.stringEnd });
    const ptr = b.ptr(ids['outer']!);
    const own = b.struct('own', 8, [{ name: 'p', type: ptr, bit_offset: 0 }]);
    const split = parseBtf(b.encode(), { base: btf });
    expect(split.find('own')?.id).toBe(own);
    expect(split.find('entry', 'STRUCT')?.id).toBe(ids['outer']);
    expect(typeName(split, ptr)).toBe('struct entry *');
  });
});

test.each<[string, (bytes: Uint8Array) => Uint8Array, string]>([
  ['no BTF', () => new Uint8Array(40), 'BTF_NOT_BTF'],
  ['too short', (b) => b.slice(0, 5), 'BTF_TRUNCATED'],
  ['cut', (b) => b.slice(0, 100), 'BTF_TRUNCATED'],
  ['unknown kind', (b) => Object.assign(b.slice(), { 31: 31 }), 'BTF_BAD_KIND'],
])('refuses bytes that are %s', (_, change, code) => {
  expect(() => parseBtf(change(sample().bytes))).toThrowError(expect.objectContaining({ code }));
});

test('reads the BTF of the running kernel in time', (ctx) => {
  if (!existsSync('/sys/kernel/btf/vmlinux')) return ctx.skip('the running kernel has no BTF');
  const bytes = readFileSync('/sys/kernel/btf/vmlinux');
  const start = performance.now();
  const btf = parseBtf(bytes);
  expect(btf.find('task_struct', 'STRUCT')).toMatchObject({ kind: 'STRUCT' });
  expect(performance.now() - start).toBeLessThan(1000);
  let types = 1;
  for (const type of btf.types()) types += type.id > 0 ? 1 : 0;
  expect(types).toBe(btf.typeCount);
});
