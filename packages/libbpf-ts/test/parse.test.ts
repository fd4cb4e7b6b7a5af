import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBtfError } from '@libbpf-ts/btf';
import { isElfError } from '@libbpf-ts/elf';
import { isLoaderError, Loading, parseObject, programTypeName, sectionKind } from 'libbpf-ts';
import { FakeKernel } from './fake-kernel.ts';
import { asRela, objectBytes } from './objects.ts';

const RUNS = process.env['LIBBPF_TS_LONG'] ? 2_000 : 250;

describe('maps.bpf.o', () => {
  const spec = parseObject(objectBytes('maps'), { name: 'maps' });
  const map = (name: string) => spec.maps.find((item) => item.name === name)!;

  test('has its programs, subprograms and license', () => {
    expect(spec.programs.map(({ name, section, autoload }) => [name, section, autoload])).toEqual([
      ['tail', 'xdp', true],
      ['main_prog', 'xdp', true],
      ['optional', '?tc/ingress', false],
    ]);
    expect(
      spec.functions
        .filter(({ subprogram }) => subprogram)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['add', 'half', 'scale', 'step']);
    expect(spec.license).toBe('Dual MIT/GPL');
    expect(spec.notes).toEqual([]);
  });

  test.each<[string, object]>([
    ['flows', { map_type: 1, key_size: 8, value_size: 24, max_entries: 64, origin: 'btf' }],
    ['counters', { map_type: 6, key_size: 4, value_size: 12, max_entries: 4, pinByName: true }],
    ['events', { map_type: 27, key_size: 0, value_size: 0, max_entries: 8192 }],
    ['samples', { map_type: 4, key_size: 4, value_size: 4, max_entries: 0 }],
    [
      'outer',
      {
        map_type: 12,
        value_size: 4,
        max_entries: 3,
        slots: [
          { index: 0, target: 'first', kind: 'map' },
          { index: 2, target: 'second', kind: 'map' },
        ],
      },
    ],
    ['jumps', { map_type: 3, slots: [{ index: 1, target: 'tail', kind: 'program' }] }],
    ['maps.rodata', { map_type: 2, value_size: 4, map_flags: 0x480, origin: 'rodata' }],
    ['maps.data', { value_size: 4, data: Uint8Array.of(7, 0, 0, 0), origin: 'data' }],
    ['.data.table', { value_size: 16, origin: 'data' }],
    ['maps.bss', { value_size: 12, origin: 'bss' }],
  ])('defines map %s', (name, expected) => expect(map(name)).toMatchObject({ fault: undefined, ...expected }));

  test('an inner map comes from its template', () =>
    expect(map('outer').inner).toMatchObject({ map_type: 2, key_size: 4, value_size: 8, max_entries: 2 }));

  test('relocations as RELA give the same program as REL', () => {
    const linked = (bytes: Uint8Array) => {
      const loading = new Loading(new FakeKernel(), parseObject(bytes), { pinDirectory: false });
      return loading.prepare(loading.spec.programs.find(({ name }) => name === 'main_prog')!).insns;
    };
    expect(linked(asRela(objectBytes('maps')))).toEqual(linked(objectBytes('maps')));
  });
});

test('a big-endian object is refused with its remedy', () => {
  expect(() => parseObject(objectBytes('maps.be'))).toThrowError(
    expect.objectContaining({ code: 'ELF_BAD_ENDIAN', message: expect.stringContaining('bpfel') }),
  );
});

test('core.bpf.o declares its externs', () => {
  const { externs } = parseObject(objectBytes('core'));
  expect(externs.map(({ name, kind, weak, offset, size }) => [name, kind, weak, offset, size])).toEqual([
    ['LINUX_KERNEL_VERSION', 'kconfig', false, 0, 4],
    ['CONFIG_BPF_SYSCALL', 'kconfig', true, 4, 1],
    ['CONFIG_NEVER_HEARD_OF', 'kconfig', true, 5, 8],
    ['no_such_kfunc', 'kfunc', true, 0, 0],
  ]);
});

test.each<[string, string | undefined, number, string | undefined]>([
  ['xdp', 'xdp', 37, undefined],
  ['xdp.frags/devmap', 'xdp', 33, undefined],
  ['tc', 'sched_cls', 0, undefined],
  ['tc/ingress', 'sched_cls', 46, undefined],
  ['tcx/egress', 'sched_cls', 47, undefined],
  ['tc/tail', 'sched_cls', 0, 'tail'],
  ['?tcx/ingress', 'sched_cls', 46, undefined],
  ['fentry/tcp_connect', 'tracing', 24, 'tcp_connect'],
  ['tp_btf/sched_switch', 'tracing', 23, 'sched_switch'],
  ['lsm.s/bpf', 'lsm', 27, 'bpf'],
  ['kprobe/do_exit', 'kprobe', 0, 'do_exit'],
  ['kprobe.multi/x*', 'kprobe', 42, 'x*'],
  ['cgroup_skb/egress', 'cgroup_skb', 1, undefined],
  ['cgroup/connect4', 'cgroup_sock_addr', 10, undefined],
  ['sk_reuseport/migrate', 'sk_reuseport', 40, undefined],
  ['netkit/peer', 'sched_cls', 55, undefined],
  ['freplace/f', 'ext', 0, 'f'],
  ['iter/task', 'tracing', 28, 'task'],
  ['struct_ops.s/init', 'struct_ops', 0, 'init'],
  ['whatever', undefined, 0, undefined],
  ['xdpx', undefined, 0, undefined],
])('section %s is a program of type %s', (section, type, attach, target) => {
  const kind = sectionKind(section);
  expect(kind && [programTypeName(kind.type), kind.expected_attach_type, kind.target]).toEqual(type && [type, attach, target]);
});

test.each(['maps', 'core'])('mutations of %s.bpf.o throw nothing untyped', (name) => {
  const original = objectBytes(name);
  const edits = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(edits, (list) => {
      const bytes = new Uint8Array(original);
      list.forEach(([at, value]) => {
        bytes[at] = value;
      });
      try {
        const spec = parseObject(bytes);
        const loading = new Loading(new FakeKernel(), spec, { pinDirectory: false, kernelBtf: spec.btf });
        for (const program of spec.programs) {
          try {
            loading.program(program);
          } catch (error) {
            if (!isLoaderError(error) && !isBtfError(error) && (error as Error).name !== 'BpfError') throw error;
          }
        }
      } catch (error) {
        if (!isElfError(error) && !isBtfError(error) && !isLoaderError(error)) throw error;
      }
    }),
    { numRuns: RUNS },
  );
});
