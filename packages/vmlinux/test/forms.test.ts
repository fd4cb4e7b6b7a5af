import type { Task } from '@libbpf-ts/kernel';
import { BPF_MAP_FREEZE, bpfTyped, type BpfAttr } from '@libbpf-ts/uapi';
import { createKernel } from '@libbpf-ts/vmlinux';
import fc from 'fast-check';
import { expect, test } from 'vitest';

/** Maps of several kinds, and fds that are no good maps. */
function setUp(): { readonly task: Task; readonly fds: readonly number[] } {
  const task = createKernel().task('forms');
  const map = (map_type: number, more: BpfAttr<0> = {}): number => task.bpf(0, { map_type, key_size: 4, value_size: 8, max_entries: 4, ...more });
  const frozen = map(2);
  task.bpf(BPF_MAP_FREEZE, { map_fd: frozen });
  const fds = [map(1), map(2), map(5), map(1, { map_flags: 1 << 3 }), map(1, { map_flags: 1 << 4 }), map(22, { key_size: 0 }), frozen, 0, 99, -1];
  return { task, fds };
}

const buffer = (max: number): fc.Arbitrary<Uint8Array> => fc.oneof(
  fc.constantFrom(Uint8Array.of(0, 0, 0, 0), Uint8Array.of(1, 0, 0, 0), Uint8Array.of(9, 0, 0, 0), new Uint8Array(8), new Uint8Array(16).fill(7)),
  fc.uint8Array({ maxLength: max }),
);
const call = fc.record({
  cmd: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const), fd: fc.nat(9), key: fc.option(buffer(6)), value: fc.option(buffer(20)),
  next: fc.option(buffer(6)), flags: fc.option(fc.constantFrom(0n, 1n, 2n, 3n, 4n, 5n, 1n << 40n), { nil: undefined }),
});

test('the fast typed form of element commands answers what the raw form answers', () => {
  fc.assert(fc.property(fc.array(call, { minLength: 1, maxLength: 30 }), (calls) => {
    const fast = setUp();
    const raw = setUp();
    for (const { cmd, fd, key, value, next, flags } of calls) {
      const attr = (): BpfAttr<1> => ({
        map_fd: fast.fds[fd]!, key: key?.slice() ?? null, flags, ...(cmd === 4 ? { next_key: next?.slice() ?? null } : cmd === 3 ? {} : { value: value?.slice() ?? null }),
      });
      const [a, b] = [attr(), attr()];
      const results = [
        fast.task.bpf(cmd, a), bpfTyped((number, bytes, size, memory) => raw.task.bpfRaw(number, bytes, size, memory), cmd, b),
      ];
      expect(results[0]).toBe(results[1]);
      expect(a).toEqual(b);
    }
  }), { numRuns: 60 });
});

test('other views than bytes, and addresses, are taken too', () => {
  const { task, fds } = setUp();
  expect(task.bpf(2, { map_fd: fds[1]!, key: Uint32Array.of(1), value: BigUint64Array.of(77n) })).toBe(0);
  const value = new DataView(new ArrayBuffer(8));
  expect(task.bpf(1, { map_fd: fds[1]!, key: Uint32Array.of(1), value })).toBe(0);
  expect(value.getBigUint64(0, true)).toBe(77n);
  expect(task.bpf(1, { map_fd: fds[1]!, key: 0x10n as never, value })).toBe(-14);
});
