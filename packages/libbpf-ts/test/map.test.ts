import { describe, expect, test } from 'vitest';
import { createKernel, Loading, parseObject, type BpfMap } from 'libbpf-ts';
import { objectBytes } from './objects.ts';

const spec = parseObject(objectBytes('maps'), { name: 'maps' });

function open(name: string): BpfMap {
  return new Loading(createKernel({ cpus: 3 }).task('test'), spec, { pinDirectory: false }).map(name);
}

const key = (addr: number): { addr: number; port: number } => ({ addr, port: 80 });
const stats = { packets: 1n << 40n, bytes: 9, mode: 'MODE_DROP', name: 'eth0' };

describe('a hash map with BTF types', () => {
  test('has the shape of a Map', () => {
    const map = open('flows');
    expect(map.get(key(1))).toBeUndefined();
    map.set(key(1), stats).set(key(2), { packets: 2 });
    expect([map.has(key(1)), map.has(key(3)), map.size]).toEqual([true, false, 2]);
    expect(map.get(key(1))).toEqual(stats);
    expect(new Map(map.entries()).size).toBe(2);
    expect([...map.keys()]).toEqual(
      expect.arrayContaining([
        { ...key(1), pad: 0 },
        { ...key(2), pad: 0 },
      ]),
    );
    map.update(key(2), (value) => ({ ...(value as object), bytes: 5 }));
    expect(map.get(key(2))).toMatchObject({ packets: 2n, bytes: 5 });
    expect([map.delete(key(1)), map.delete(key(1))]).toEqual([true, false]);
    map.clear();
    expect([...map]).toEqual([]);
  });

  test('speaks bytes and JSON as well', () => {
    const map = open('flows');
    map.set(Uint8Array.of(1, 0, 0, 0, 80, 0, 0, 0), new Uint8Array(24).fill(0));
    const [entry] = [...map.entriesBytes()];
    expect(map.keyJson(entry![0])).toBe('{"addr":1,"port":80,"pad":0}');
    expect(map.valueJson(entry![1])).toBe('{"packets":0,"bytes":0,"mode":"MODE_OFF","name":""}');
  });

  test.each<[string, (map: BpfMap) => unknown, object]>([
    ['a key of the wrong size', (map) => map.get(new Uint8Array(3)), { message: expect.stringMatching(/structure|8 bytes/) }],
    [
      'an existing key with BPF_NOEXIST',
      (map) => map.set(key(1), stats).set(key(1), stats, 1),
      { code: 'EEXIST', errno: -17, syscall: 'BPF_MAP_UPDATE_ELEM' },
    ],
    ['a value that does not fit', (map) => map.set(key(1), { bytes: 2 ** 40 }), { code: 'BTF_BAD_VALUE' }],
  ])('refuses %s', (_, work, expected) => expect(() => work(open('flows'))).toThrowError(expect.objectContaining(expected)));
});

test('a per-CPU map has one value a processor', () => {
  const map = open('counters');
  expect(map.cpus).toBe(3);
  map.set(1, new Uint8Array(12).fill(7));
  expect(map.get(1)).toEqual([0, 1, 2].map(() => new Uint8Array(12).fill(7)));
  expect(map.valueJson(map.getBytes(1)!)).toBe(`[${[0, 1, 2].map(() => `[${Array(12).fill(7).join(',')}]`).join(',')}]`);
});

test('a data map is one value by variable name', () => {
  expect(open('maps.rodata').get(0)).toEqual({ limit: 100 });
  expect(open('.data.table').get(0)).toEqual({ table: [1, 2, 3, 4] });
});

test('a closed map says so', () => {
  const map = open('flows');
  map.close();
  expect(map.closed).toBe(true);
  expect(() => map.get(key(1))).toThrowError(expect.objectContaining({ code: 'EBADF' }));
});
