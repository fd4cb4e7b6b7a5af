import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM } from '@libbpf-ts/uapi';
import { generateSkeleton, globalsOf, parseObject, withGlobals, type BpfMap, type Hook, type Program } from 'libbpf-ts';
import { FakeKernel } from './fake-kernel.ts';
import { load, spec, type flow, type Maps, type stats } from './objects/maps.skel.ts';
import { objectBytes } from './objects.ts';

const file = fileURLToPath(new URL('./objects/maps.skel.ts', import.meta.url));

test('the committed skeleton is what its object gives', () => {
  const bytes = objectBytes('maps');
  const text = generateSkeleton(parseObject(bytes, { name: 'maps' }), { name: 'maps', bytes });
  if (process.env['UPDATE_SKELETON']) writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, 'utf8'));
});

describe('a skeleton', () => {
  test('loads its object with changed variables', () => {
    const kernel = new FakeKernel();
    using skeleton = load(kernel, {
      pinDirectory: false,
      globals: { '.rodata': { limit: 5 }, '.data.table': { table: [9, 8, 7, 6] } },
    });
    const table = kernel.of(BPF_MAP_CREATE).find(({ attr }) => attr['map_name'] === '.data.table')!;
    expect(kernel.of(BPF_MAP_UPDATE_ELEM).find(({ attr }) => attr['map_fd'] === table.fd)!.attr['value']).toEqual(
      Uint8Array.of(9, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0),
    );
    expect(skeleton.programs.main_prog.name).toBe('main_prog');
    expect(skeleton.programs.optional).toBeUndefined();
  });

  test('has the types of its maps', () => {
    expectTypeOf<Maps['maps']['flows']>().toEqualTypeOf<BpfMap<flow, stats>>();
    expectTypeOf<stats['packets']>().toEqualTypeOf<bigint>();
    expectTypeOf<Parameters<Maps['maps']['flows']['set']>[0]>().toEqualTypeOf<flow | Uint8Array>();
  });

  test('has the types of its programs: a hook for another type does not compile', () => {
    type Main = Maps['programs']['main_prog'];
    type Guest<P extends Program> = NonNullable<Parameters<P['attach']>[0]>;
    expectTypeOf<Main>().toEqualTypeOf<Program<'xdp'>>();
    expectTypeOf<Hook<'xdp'>>().toExtend<Guest<Main>>();
    expectTypeOf<Hook<'sched_cls'>>().not.toExtend<Guest<Main>>();
    expectTypeOf<Hook<'sched_cls'>>().toExtend<Guest<Program>>();
    expectTypeOf<Main>().toExtend<Program>();
  });
});

describe('variables', () => {
  test('are read and changed by name', () => {
    expect(globalsOf(spec, '.rodata')).toEqual({ limit: 100 });
    expect(withGlobals(spec, { '.rodata': { limit: 1 } })).toEqual({ '.rodata': Uint8Array.of(1, 0, 0, 0) });
  });
  test.each<[string, () => unknown, object]>([
    ['a section that is not there', () => withGlobals(spec, { '.nope': {} }), { code: 'LOADER_NO_MAP' }],
    [
      'a variable that is not there',
      () => withGlobals(spec, { '.rodata': { limt: 1 } }),
      { code: 'LOADER_BAD_OPTION', message: expect.stringContaining('limt') },
    ],
    ['a value that does not fit', () => withGlobals(spec, { '.rodata': { limit: -(2 ** 40) } }), { code: 'BTF_BAD_VALUE' }],
  ])('refuse %s', (_, work, expected) => expect(work).toThrowError(expect.objectContaining(expected)));
});
