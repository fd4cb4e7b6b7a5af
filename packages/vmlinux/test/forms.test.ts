import type { Task } from '@libbpf-ts/kernel';
import { BPF_MAP_FREEZE, bpfTyped, type BpfAttr } from '@libbpf-ts/uapi';
import { createKernel } from '@libbpf-ts/vmlinux';
import fc from 'fast-check';
import { expect, test } from 'vitest';

/** Maps of several kinds, and fds that are no good maps. */
function setUp(): { readonly task: Task; readonly fds: readonly number[] } {
  const task = createKernel().task('forms');
  const map = (map_type: number, more: BpfAttr<0> = {}): number =>
    task.bpf(0, { map_type, key_size: 4, value_size: 8, max_entries: 4, ...more });
  const frozen = map(2);
  task.bpf(BPF_MAP_FREEZE, { map_fd: frozen });
  const fds = [
    map(1),
    map(2),
    map(5),
    map(1, { map_flags: 1 << 3 }),
    map(1, { map_flags: 1 << 4 }),
    map(22, { key_size: 0 }),
    frozen,
    0,
    99,
    -1,
  ];
  return { task, fds };
}

const buffer = (max: number): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc.constantFrom(
      Uint8Array.of(0, 0, 0, 0),
      Uint8Array.of(1, 0, 0, 0),
      Uint8Array.of(9, 0, 0, 0),
      new Uint8Array(8),
      new Uint8Array(16).fill(7),
    ),
    fc.uint8Array({ maxLength: max }),
  );
const call = fc.record({
  cmd: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const),
  fd: fc.nat(9),
  key: fc.option(buffer(6)),
  value: fc.option(buffer(20)),
  next: fc.option(buffer(6)),
  flags: fc.option(fc.constantFrom(0n, 1n, 2n, 3n, 4n, 5n, 1n << 40n), { nil: undefined }),
});

test('the fast typed form of element commands answers what the raw form answers', () => {
  fc.assert(
    fc.property(fc.array(call, { minLength: 1, maxLength: 30 }), (calls) => {
      const fast = setUp();
      const raw = setUp();
      for (const { cmd, fd, key, value, next, flags } of calls) {
        const attr = (): BpfAttr<1> => ({
          map_fd: fast.fds[fd]!,
          key: key?.slice() ?? null,
          flags,
          ...(cmd === 4 ? { next_key: next?.slice() ?? null } : cmd === 3 ? {} : { value: value?.slice() ?? null }),
        });
        const [a, b] = [attr(), attr()];
        const results = [
          fast.task.bpf(cmd, a),
          bpfTyped((number, bytes, size, memory) => raw.task.bpfRaw(number, bytes, size, memory), cmd, b),
        ];
        expect(results[0]).toBe(results[1]);
        expect(a).toEqual(b);
      }
    }),
    { numRuns: 60 },
  );
});

test('other views than bytes, and addresses, are taken too', () => {
  const { task, fds } = setUp();
  expect(task.bpf(2, { map_fd: fds[1]!, key: Uint32Array.of(1), value: BigUint64Array.of(77n) })).toBe(0);
  const value = new DataView(new ArrayBuffer(8));
  expect(task.bpf(1, { map_fd: fds[1]!, key: Uint32Array.of(1), value })).toBe(0);
  expect(value.getBigUint64(0, true)).toBe(77n);
  expect(task.bpf(1, { map_fd: fds[1]!, key: 0x10n as never, value })).toBe(-14);
});

test('why an element command was refused, when somebody asks', () => {
  const { task, fds } = setUp();
  const value = new Uint8Array(8);
  expect(task.bpf(1, { map_fd: fds[0]!, key: Uint32Array.of(9), value })).toBe(-2);
  expect(task.lastError).toMatchObject({
    code: 'ENOENT',
    argument: 'key',
    detail: 'BPF_MAP_LOOKUP_ELEM on map 2: there is no such key',
  });
  expect(task.bpf(2, { map_fd: fds[6]!, key: Uint32Array.of(0), value })).toBe(-1);
  expect(task.lastError?.detail).toMatch(/the map is frozen/);
  expect(task.bpf(21, { map_fd: fds[1]!, key: Uint32Array.of(0), value })).toBe(-524);
  expect(task.lastError?.detail).toMatch(/maps of type array do not have this command/);
  expect(task.bpf(3, { map_fd: 99, key: null })).toBe(-9);
  expect(task.lastError).toMatchObject({ code: 'EBADF', argument: 'map_fd' });
  expect(task.bpf(2, { map_fd: fds[1]!, key: Uint32Array.of(0), value })).toBe(0);
  expect(task.lastError).toBeUndefined();
});

test("a refused program brings the verifier's diagnostics along", () => {
  const { task } = setUp();
  const insns = Uint8Array.of(0xbf, 0x20, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
  expect(task.bpf(5, { prog_type: 3, insns, insn_cnt: 2, license: Uint8Array.of(71, 80, 76, 0) })).toBe(-13);
  expect(task.lastError).toMatchObject({ code: 'EACCES', diagnostics: [{ insn: 0, message: 'R2 !read_ok' }] });
});

test('buffers longer than a key or a value leave the bytes behind theirs alone', () => {
  const kernel = createKernel();
  const task = kernel.task('long');
  const fd = task.bpf(0, { map_type: 1, key_size: 4, value_size: 8, max_entries: 4 });
  const after = kernel.arena.allocate(64);
  const key = new Uint8Array(4096).fill(0xaa);
  const value = new Uint8Array(4096).fill(0xbb);
  // The room for keys and values is made by the first call; what is allocated next lies behind it.
  expect(task.bpf(2, { map_fd: fd, key: key.slice(0, 4), value: value.slice(0, 8) })).toBe(0);
  const used = [after, kernel.arena.allocate(64), kernel.arena.allocate(64)];
  expect(task.bpf(2, { map_fd: fd, key, value })).toBe(0);
  const got = new Uint8Array(4096);
  expect(task.bpf(1, { map_fd: fd, key, value: got })).toBe(0);
  expect(got.subarray(0, 9)).toEqual(Uint8Array.of(0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0));
  for (const address of used) {
    expect(kernel.arena.u8.subarray(address, address + 64)).toEqual(new Uint8Array(64));
    kernel.arena.free(address);
  }
});
