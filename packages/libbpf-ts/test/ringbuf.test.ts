/** Ring buffers and arrays by mmap(2): the same code on both kernels. */

import { linuxKernel } from '@libbpf-ts/linux';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { errnoName, type Mapping, type Syscalls } from '@libbpf-ts/uapi';
import { createKernel, load, parseObject, RingBuffer, UserRingBuffer, type BpfObject } from 'libbpf-ts';
import { describe, expect, test, type TestContext } from 'vitest';

import { objectBytes } from './objects.ts';

const rings = parseObject(objectBytes('rings'), { name: 'rings' });
const packet = { data: new Uint8Array(64) };

const kernels: readonly [name: string, make: (context: TestContext) => Syscalls][] = [
  ['vmlinux', () => createKernel().task('app')],
  [
    'linux',
    (context) => {
      const reason = noLiveKernel();
      if (reason) context.skip(reason);
      return linuxKernel();
    },
  ],
];

describe.each(kernels)('on %s', (_, make) => {
  const withObject = (
    context: TestContext,
    work: (object: BpfObject, sys: Syscalls) => void | Promise<void>,
  ): void | Promise<void> => {
    const sys = make(context);
    const object = load(sys, rings);
    const done = (): void => object.close();
    try {
      const result = work(object, sys);
      return result instanceof Promise ? result.finally(done) : done();
    } catch (error) {
      done();
      throw error;
    }
  };
  const numbers = (ring: RingBuffer): number[] => {
    const seen: number[] = [];
    ring.consume((record) => {
      expect(record.length).toBe(104);
      seen.push(record[0]!);
    });
    return seen;
  };

  test('records come in order, discarded ones are passed over, and what runs over the end is whole', (context) =>
    withObject(context, (object) => {
      using ring = new RingBuffer(object.map('events'));
      const testRun = (): number => object.program('produce').testRun(packet).retval;
      expect(numbers(ring)).toEqual([]);
      const seen: number[] = [];
      // 112 bytes each: 100 of them go around a ring of 4096 bytes more than twice.
      for (let i = 0; i < 20; i++) {
        for (let j = 0; j < 5; j++) expect(testRun()).toBe(1);
        seen.push(...numbers(ring));
        expect(ring.available).toBe(0);
      }
      expect(seen).toEqual(Array.from({ length: 100 }, (_each, i) => i + 1).filter((number) => number % 3 !== 0));
    }));

  test('a full ring takes no more until it is read, and reading may stop in between', (context) =>
    withObject(context, (object) => {
      using ring = new RingBuffer(object.map('events'));
      let made = 0;
      while (object.program('produce').testRun(packet).retval === 1) made++;
      expect(made).toBe(36);
      expect(ring.consume(() => true)).toBe(1);
      expect(object.program('produce').testRun(packet).retval).toBe(1);
      expect(numbers(ring).slice(0, 3)).toEqual([2, 4, 5]);
    }));

  test('poll waits for records, or for the time to pass', (context) =>
    withObject(context, async (object) => {
      using ring = new RingBuffer(object.map('events'));
      expect(await ring.poll(() => {}, { timeoutMs: 5 })).toBe(0);
      const later = ring.poll(() => {}, { timeoutMs: 10_000 });
      object.program('produce').testRun(packet);
      expect(await later).toBe(1);
    }));

  test('programs drain what user space sends', (context) =>
    withObject(context, (object) => {
      using orders = new UserRingBuffer(object.map('orders'));
      const record = new Uint8Array(120);
      let sent = 0;
      for (let round = 0; round < 5; round++) {
        for (record[0] = 1; orders.send(record); record[0]++) sent++;
        expect(object.program('drain').testRun(packet).retval).toBe(32);
        expect(orders.pending).toBe(0);
      }
      expect(sent).toBe(160);
      expect(object.map('counters').get(1)).toBe(5n * 528n);
      expect(() => orders.send(new Uint8Array(4096))).toThrowError(/E2BIG.*4096 bytes does not fit a ring of 4096/);
    }));

  test('an array that is mapped is the array', (context) =>
    withObject(context, (object, sys) => {
      const map = object.map('counters');
      const mapping = sys.mmap(map.fd, 4096, 0, true) as Mapping;
      map.set(2, 77n);
      const words = (): BigUint64Array => new BigUint64Array(mapping.bytes().buffer, mapping.bytes().byteOffset, 3);
      expect([...words()]).toEqual([0n, 0n, 77n]);
      words()[0] = 5n;
      expect(map.get(0)).toBe(5n);
      expect(() => map.freeze()).toThrowError(/EBUSY/);
      mapping.unmap();
      mapping.unmap();
      expect(() => mapping.bytes()).toThrowError(/unmapped/);
      map.freeze();
      expect(errnoName(sys.mmap(map.fd, 4096, 0, true) as number)).toBe('EPERM');
    }));

  test.for<[what: string, map: string, length: number, offset: number, writable: boolean, answer: string]>([
    ['the producer page of a ring, to write', 'events', 4096, 4096, true, 'EPERM'],
    ['more than the consumer page, to write', 'events', 8192, 0, true, 'EPERM'],
    ['beyond the end of a ring', 'events', 4096 * 5, 0, false, 'EINVAL'],
    ['beyond the end, not from the start', 'events', 4096 * 4, 4096, false, 'EINVAL'],
    ["the consumer page of a user's ring, to write", 'orders', 4096, 0, true, 'EPERM'],
    ['no whole page', 'events', 4096, 100, false, 'EINVAL'],
    ['nothing', 'events', 0, 0, false, 'EINVAL'],
    ['beyond an array', 'counters', 8192, 0, false, 'EINVAL'],
    ['behind an array', 'counters', 4096, 4096, false, 'EINVAL'],
    ['an array made without BPF_F_MMAPABLE', 'rings.bss', 4096, 0, false, 'EINVAL'],
  ])('%s', ([, name, length, offset, writable, answer], context) =>
    withObject(context, (object, sys) => {
      const mapping = sys.mmap(object.map(name).fd, length, offset, writable);
      if (typeof mapping !== 'number') mapping.unmap();
      expect(typeof mapping === 'number' ? errnoName(mapping) : 'OK').toBe(answer);
    }),
  );

  test('other maps and fds have no memory; the wrong type is refused with the argument', (context) =>
    withObject(context, (object, sys) => {
      expect(() => new RingBuffer(object.map('counters'))).toThrowError(
        expect.objectContaining({ code: 'EINVAL', arg: 'map' }),
      );
      expect(() => new UserRingBuffer(object.map('events'))).toThrowError(/map events is of type 27, not 31/);
      expect(errnoName(sys.mmap(999, 4096, 0, false) as number)).toBe('EBADF');
      expect(errnoName(sys.mmap(object.program('drain').fd, 4096, 0, false) as number)).toBe('ENODEV');
    }));
});

test('mapped memory holds its map until the task ends', () => {
  const kernel = createKernel();
  const before = kernel.leaks().length;
  const task = kernel.task('app');
  const object = load(task, rings);
  const ring = new RingBuffer(object.map('events'));
  object.close();
  expect(kernel.leaks().map(({ text }) => text)).toEqual([expect.stringMatching(/memory mapped by task app/)]);
  expect(ring.available).toBe(0);
  const fork = kernel.fork();
  for (const each of fork.tasks.values()) each.exit();
  task.exit();
  expect([kernel.leaks().length, fork.leaks().length]).toEqual([before, before]);
});
