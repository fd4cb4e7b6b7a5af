import { describe, expect, test } from 'vitest';
import {
  BPF_BTF_LOAD,
  BPF_MAP_CREATE,
  BPF_MAP_FREEZE,
  BPF_MAP_UPDATE_ELEM,
  BPF_OBJ_GET,
  BPF_OBJ_PIN,
  BPF_PROG_LOAD,
} from '@libbpf-ts/uapi';
import { BtfBuilder, parseBtf } from '@libbpf-ts/btf';
import { decode } from '@libbpf-ts/isa';
import { isBpfError, isLoaderError, isVerifierError, load, loadEach, Loading, parseObject, selectProgram } from 'libbpf-ts';
import { FakeKernel } from './fake-kernel.ts';
import { objectBytes } from './objects.ts';

const maps = parseObject(objectBytes('maps'), { name: 'maps' });
const core = parseObject(objectBytes('core'), { name: 'core' });
const text = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array).replace(/\0.*$/s, '');

describe('load', () => {
  test('creates BTF, maps and programs, and closes them all', () => {
    const kernel = new FakeKernel();
    {
      using object = load(kernel, maps, { pinDirectory: false });
      expect(Object.keys(object.programs)).toEqual(['tail', 'main_prog']);
      expect(Object.keys(object.maps)).toHaveLength(12);
      expect(kernel.of(BPF_BTF_LOAD)).toHaveLength(1);
      expect(kernel.open.size).toBeGreaterThan(0);
    }
    expect(kernel.open.size).toBe(0);
  });

  test('fills and freezes data maps', () => {
    const kernel = new FakeKernel();
    using _object = load(kernel, maps, { pinDirectory: false, data: { '.rodata': Uint8Array.of(1, 2, 3, 4) } });
    const rodata = kernel.of(BPF_MAP_CREATE).find(({ attr }) => attr['map_name'] === 'maps.rodata')!;
    expect(kernel.of(BPF_MAP_UPDATE_ELEM).find(({ attr }) => attr['map_fd'] === rodata.fd)!.attr['value']).toEqual(
      Uint8Array.of(1, 2, 3, 4),
    );
    expect(kernel.of(BPF_MAP_FREEZE).map(({ attr }) => attr['map_fd'])).toEqual([rodata.fd]);
  });

  test('sets the slots of maps of maps and of program arrays', () => {
    const kernel = new FakeKernel();
    using object = load(kernel, maps, { pinDirectory: false });
    const slotsOf = (name: string) =>
      kernel
        .of(BPF_MAP_UPDATE_ELEM)
        .filter(({ attr }) => attr['map_fd'] === object.map(name).fd)
        .map(({ attr }) => [
          ...new Uint32Array((attr['key'] as Uint8Array).slice().buffer),
          ...new Uint32Array((attr['value'] as Uint8Array).slice().buffer),
        ]);
    expect(slotsOf('outer')).toEqual([
      [0, object.map('first').fd],
      [2, object.map('second').fd],
    ]);
    expect(slotsOf('jumps')).toEqual([[1, object.program('tail').fd]]);
  });

  test('describes programs to the kernel', () => {
    const kernel = new FakeKernel();
    using _object = load(kernel, maps, { programs: ['main_prog'], pinDirectory: false });
    const [asked] = kernel.of(BPF_PROG_LOAD);
    expect(asked!.attr).toMatchObject({
      prog_type: 6,
      expected_attach_type: 37,
      prog_name: 'main_prog',
      insn_cnt: 86,
      func_info_cnt: 5,
      func_info_rec_size: 8,
      line_info_rec_size: 16,
    });
    expect(text(asked!.attr['license'])).toBe('Dual MIT/GPL');
    const insns = decode(asked!.attr['insns'] as Uint8Array);
    expect(insns.filter(({ code, src_reg }) => code === 0x85 && src_reg === 1).length).toBeGreaterThan(2);
    expect(insns.filter(({ code, src_reg }) => code === 0x18 && src_reg === 4)).toHaveLength(1);
  });

  test('takes only what the named programs need', () => {
    const kernel = new FakeKernel();
    using object = load(kernel, maps, { programs: ['optional'] });
    expect(Object.keys(object.programs)).toEqual(['optional']);
    expect(kernel.of(BPF_MAP_CREATE)).toEqual([]);
  });

  test('leaves nothing behind when a program is refused, and keeps the log', () => {
    const kernel = new FakeKernel((cmd, attr) => {
      if (cmd !== BPF_PROG_LOAD) return undefined;
      const log = attr['log_buf'] as Uint8Array | undefined;
      log?.set(
        new TextEncoder().encode(
          '0: (79) r0 = *(u64 *)(r1 +0)\ninvalid bpf_context access off=0 size=8\nprocessed 1 insns (limit 1000000)\n',
        ),
      );
      return -13;
    });
    const refused = (): unknown => load(kernel, maps, { pinDirectory: false });
    expect(refused).toThrowError(
      expect.objectContaining({
        name: 'VerifierError',
        code: 'EACCES',
        errno: -13,
        syscall: 'BPF_PROG_LOAD',
        message: expect.stringContaining('invalid bpf_context access'),
      }),
    );
    expect(kernel.open.size).toBe(0);
    try {
      refused();
    } catch (error) {
      expect(isVerifierError(error) && error.diagnostics[0]).toMatchObject({
        insn: 0,
        message: 'invalid bpf_context access off=0 size=8',
      });
      expect(isBpfError(error, 'EACCES')).toBe(true);
    }
  });

  test('asks again with a larger buffer where the log is cut', () => {
    const sizes: unknown[] = [];
    const kernel = new FakeKernel((cmd, attr) => {
      if (cmd !== BPF_PROG_LOAD) return undefined;
      sizes.push(attr['log_size'] ?? 0);
      if ((attr['log_size'] as number) === 65536) {
        attr['log_true_size'] = 1_000_000;
        return -28;
      }
      (attr['log_buf'] as Uint8Array | undefined)?.set(new TextEncoder().encode('why\n'));
      return -22;
    });
    expect(() => load(kernel, maps, { programs: ['tail'], pinDirectory: false })).toThrowError(/why/);
    expect(sizes).toEqual([0, 65536, 1_000_000]);
  });

  test('pins by name, and takes over a map that is pinned', () => {
    const absent = new FakeKernel((cmd) => (cmd === BPF_OBJ_GET ? -2 : undefined));
    load(absent, maps, { pinDirectory: '/sys/fs/bpf/x' }).close();
    expect(absent.of(BPF_OBJ_PIN).map(({ attr }) => text(attr['pathname']))).toEqual(['/sys/fs/bpf/x/counters']);
    const other = new FakeKernel();
    expect(() => load(other, maps)).toThrowError(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining('pinned at /sys/fs/bpf/counters') }),
    );
    expect(other.open.size).toBe(0);
  });
});

describe('CO-RE', () => {
  const run = (name: string): number[] => {
    const loading = new Loading(new FakeKernel(), core, { kernelBtf: core.btf, kconfig: 'CONFIG_BPF_SYSCALL=y\n' });
    return loading.prepare(core.programs.find((program) => program.name === name)!).insns.map(({ imm }) => imm);
  };
  test('against the object itself changes nothing', () => {
    const before = core.programs.find((program) => program.name === 'fields')!.insns.map(({ imm }) => imm);
    expect(run('fields')).toEqual(before);
  });
  test('needs a BTF of the kernel', () => {
    const loading = new Loading(new FakeKernel(), core);
    expect(() => loading.program(core.programs[0]!)).toThrowError(
      expect.objectContaining({ code: 'LOADER_NO_KERNEL_BTF', errno: -3 }),
    );
  });
  test('a program against a BTF without its types is poisoned', () => {
    const empty = parseBtf(parseObject(objectBytes('maps')).btf!.bytes);
    const loading = new Loading(new FakeKernel(), core, { kernelBtf: empty });
    const linked = loading.prepare(core.programs.find((program) => program.name === 'poisoned')!);
    expect(linked.insns[0]).toMatchObject({ code: 0x85, src_reg: 0 });
    expect([...linked.poisoned]).toEqual([
      [0, expect.stringMatching(/^<byte_off> \[\d+\] struct task_struct\.not_there \(0:2 @ offset 20\)$/)],
    ]);
  });
});

test('each program by itself tells what became of it', () => {
  const kernel = new FakeKernel((cmd, attr) =>
    cmd === BPF_PROG_LOAD && attr['prog_name'] === 'kfunc_missing' ? -22 : undefined,
  );
  const results = loadEach(kernel, core, { kernelBtf: core.btf });
  expect(results.map(({ name, verdict, errno, loader }) => [name, verdict, errno, loader])).toEqual([
    ['fields', 'accept', 0, false],
    ['types', 'accept', 0, false],
    ['externs', 'accept', 0, false],
    ['kfunc_missing', 'reject', 22, false],
    ['kfunc_guarded', 'accept', 0, false],
    ['poisoned', 'accept', 0, false],
    ['replacement', 'reject', 22, true],
  ]);
  expect(kernel.open.size).toBe(0);
});

describe('selectProgram', () => {
  test.each<[string | undefined, string, RegExp]>([
    ['nope', 'LOADER_NO_PROGRAM', /there is no program 'nope'; there are: tail, main_prog, optional/],
    [undefined, 'LOADER_AMBIGUOUS_PROGRAM', /there are 3 candidates/],
    ['xdp', 'LOADER_AMBIGUOUS_PROGRAM', /2 candidates for 'xdp': tail, main_prog/],
  ])('refuses %s', (name, code, message) => {
    try {
      selectProgram(maps, name);
      expect.unreachable();
    } catch (error) {
      expect(isLoaderError(error) && error.code).toBe(code);
      expect((error as Error).message).toMatch(message);
    }
  });
  test('takes a name, a section, or the only candidate', () => {
    expect(selectProgram(maps, 'main_prog').name).toBe('main_prog');
    expect(selectProgram(maps, '?tc/ingress').name).toBe('optional');
    expect(selectProgram(maps, undefined, (program) => program.type === 3).name).toBe('optional');
  });
});

test('kernel configuration: given values, weak ones and missing ones', () => {
  const values = (options: object): Uint8Array => {
    const kernel = new FakeKernel();
    load(kernel, core, { programs: ['externs'], kernelBtf: core.btf, ...options }).close();
    return kernel.of(BPF_MAP_UPDATE_ELEM)[0]!.attr['value'] as Uint8Array;
  };
  expect(values({ kconfig: 'CONFIG_BPF_SYSCALL=y\nCONFIG_NEVER_HEARD_OF="yes"\n', kernelVersion: 0x060102 })).toEqual(
    Uint8Array.of(2, 1, 6, 0, 1, 0x79, 0x65, 0x73, 0, 0, 0, 0, 0),
  );
  expect(values({ kconfig: '' })).toEqual(Uint8Array.of(0, 18, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  expect(() => values({ kconfig: 'CONFIG_BPF_SYSCALL=12\n' })).toThrowError(
    expect.objectContaining({ code: 'LOADER_UNRESOLVED' }),
  );
});

describe('struct_ops', () => {
  const spec = parseObject(objectBytes('structops'));
  const kernelBtf = (() => {
    const b = new BtfBuilder();
    const u32 = b.int('unsigned int', 4);
    const pointer = b.ptr(b.funcProto(0, []));
    const char = b.array(b.int('char', 1), 16, u32);
    const common = b.struct('bpf_struct_ops_common', 8, [{ name: 'refcnt', type: u32, bit_offset: 0 }]);
    const members = ['init', 'ssthresh', 'cong_avoid', 'undo_cwnd'].map((name, i) => ({
      name,
      type: pointer,
      bit_offset: i * 64,
    }));
    const ops = b.struct('tcp_congestion_ops', 56, [
      ...members,
      { name: 'flags', type: u32, bit_offset: 256 },
      { name: 'name', type: char, bit_offset: 288 },
    ]);
    b.struct('bpf_struct_ops_tcp_congestion_ops', 128, [
      { name: 'common', type: common, bit_offset: 0 },
      { name: 'data', type: ops, bit_offset: 512 },
    ]);
    return parseBtf(b.encode());
  })();

  test("programs name their member, the map has the kernel's layout", () => {
    const kernel = new FakeKernel();
    using object = load(kernel, spec, { kernelBtf });
    const ops = object.structOps('mine');
    expect(
      kernel.of(BPF_PROG_LOAD).map(({ attr }) => [attr['prog_name'], attr['attach_btf_id'], attr['expected_attach_type']]),
    ).toEqual([
      ['mine_ssthresh', kernelBtf.find('tcp_congestion_ops')!.id, 1],
      ['mine_cong_avoid', kernelBtf.find('tcp_congestion_ops')!.id, 2],
      ['mine_undo_cwnd', kernelBtf.find('tcp_congestion_ops')!.id, 3],
    ]);
    const view = new DataView(ops.value.buffer);
    expect([0, 1, 2, 3].map((i) => view.getBigUint64(64 + i * 8, true))).toEqual([
      0n,
      ...['mine_ssthresh', 'mine_cong_avoid', 'mine_undo_cwnd'].map((name) => BigInt(object.program(name).fd)),
    ]);
    expect(new TextDecoder().decode(ops.value.subarray(100, 108))).toBe('bpf_mine');
    expect(kernel.of(BPF_MAP_CREATE)[0]!.attr).toMatchObject({
      map_type: 26,
      value_size: 128,
      map_flags: 0x2000,
      btf_vmlinux_value_type_id: kernelBtf.find('bpf_struct_ops_tcp_congestion_ops')!.id,
    });
    using _link = ops.attach();
    expect(kernel.of(28)[0]!.attr).toMatchObject({ map_fd: ops.fd, attach_type: 44 });
  });

  test('a kernel without the type refuses the programs', () => {
    expect(() => load(new FakeKernel(), spec, { kernelBtf: maps.btf })).toThrowError(
      expect.objectContaining({ code: 'LOADER_UNRESOLVED', errno: -3 }),
    );
  });
});
