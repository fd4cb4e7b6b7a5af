/** Small programs over maps, each on both engines, with the map known to the engine and not. */

import { Kernel } from '@libbpf-ts/kernel';
import { expect, test } from 'vitest';

import {
  advanceTime,
  maps,
  mapKfuncs,
  onTrace,
  openPerfEvent,
  perfEvent,
  readTrace,
  RingbufReader,
  UserRingbufWriter,
} from '../src/index.ts';
import { engines, loadProgram, makeMap, type Maps } from './support/program.ts';

const variants = engines.flatMap((engine) => [true, false].map((known): [string, boolean] => [engine, known]));

function boot(): { kernel: Kernel; task: ReturnType<Kernel['task']> } {
  const kernel = new Kernel({ subsystems: [maps] });
  return { kernel, task: kernel.task('tester') };
}

const run = (kernel: Kernel, text: string, given: Maps, engine: string, known: boolean, ctx = 0): bigint =>
  BigInt.asIntN(64, loadProgram(kernel, text, given, engine, known).run64(ctx));

/** lookup; if there: ++value, return it; else insert 1 and return 0. */
const counter = (size: number): string => `
  *(u64 *)(r10 -8) = 5
  *(u64 *)(r10 -16) = 5
  r2 = r10
  r2 += ${-size === -4 ? -8 : -16}
  r1 = map(m)
  call bpf_map_lookup_elem#1
  if r0 == 0x0 goto pc+5
  r1 = *(u64 *)(r0 +0)
  r1 += 1
  *(u64 *)(r0 +0) = r1
  r0 = r1
  exit
  *(u64 *)(r10 -24) = 1
  r2 = r10
  r2 += ${-size === -4 ? -8 : -16}
  r3 = r10
  r3 += -24
  r4 = 0
  r1 = map(m)
  call bpf_map_update_elem#2
  exit`;

test.each(variants)('counters in every kind of hash, on %s, map known: %s', (engine, known) => {
  for (const [type, keySize] of [
    [1, 4],
    [5, 4],
    [9, 4],
    [10, 4],
    [1, 16],
    [5, 12],
    [9, 13],
    [10, 16],
  ] as const) {
    const { kernel, task } = boot();
    const m = makeMap(task, type, keySize, 8, 16);
    const program = loadProgram(kernel, counter(keySize), { m }, engine, known);
    expect([1, 2, 3].map(() => program.run(0))).toEqual([0, 2, 3]);
    kernel.runtime.cpu = 1;
    // Per-CPU copies of the other CPUs start at zero.
    expect(program.run(0)).toBe(type === 5 || type === 10 ? 1 : 4);
  }
});

test.each(variants)('elements of arrays, on %s, map known: %s', (engine, known) => {
  for (const type of [2, 6]) {
    const { kernel, task } = boot();
    const m = makeMap(task, type, 4, 12, 8);
    const text = `
      *(u32 *)(r10 -4) = 5
      r2 = r10
      r2 += -4
      r1 = map(m)
      call bpf_map_lookup_elem#1
      if r0 == 0x0 goto pc+4
      r1 = *(u32 *)(r0 +8)
      r1 += 7
      *(u32 *)(r0 +8) = r1
      r0 = r1
      exit`;
    const program = loadProgram(kernel, text, { m }, engine, known);
    expect([program.run(0), program.run(0)]).toEqual([7, 14]);
    kernel.runtime.cpu = 1;
    expect(program.run(0)).toBe(type === 2 ? 21 : 7);
    const value = new Uint8Array(type === 2 ? 12 : 32);
    expect(task.bpf(1, { map_fd: 3, key: new Uint32Array([5]), value })).toBe(0);
    expect(value[8]).toBe(type === 2 ? 21 : 14);
    expect(run(kernel, text.replace('= 5', '= 8'), { m }, engine, known)).toBe(0n);
  }
});

test.each(variants)(
  'an element replaced by an update keeps its bytes for who holds it, on %s, map known: %s',
  (engine, known) => {
    const { kernel, task } = boot();
    const m = makeMap(task, 1, 4, 8, 4);
    task.bpf(2, { map_fd: 3, key: new Uint32Array([5]), value: new Uint32Array([77, 0]) });
    const text = `
    *(u32 *)(r10 -4) = 5
    r2 = r10
    r2 += -4
    r1 = map(m)
    call bpf_map_lookup_elem#1
    r6 = r0
    *(u64 *)(r10 -16) = 99
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 2
    r1 = map(m)
    call bpf_map_update_elem#2
    r0 = *(u64 *)(r6 +0)
    exit`;
    expect(run(kernel, text, { m }, engine, known)).toBe(77n);
    expect(kernel.arena.view.getUint32(m.lookup(keyAt(kernel, 5)), true)).toBe(99);
  },
);

function keyAt(kernel: Kernel, key: number): number {
  const address = kernel.arena.allocate(8);
  kernel.arena.u32[address >> 2] = key;
  return address;
}

test.each(variants)('maps in maps, on %s, map known: %s', (engine, known) => {
  for (const type of [12, 13]) {
    const { kernel, task } = boot();
    const inner = makeMap(task, 1, 4, 8, 4);
    const m = makeMap(task, type, 4, 4, 4, { inner_map_fd: 3 });
    task.bpf(2, { map_fd: 3, key: new Uint32Array([1]), value: new Uint32Array([1234, 0]) });
    const text = `
      *(u32 *)(r10 -4) = 1
      r2 = r10
      r2 += -4
      r1 = map(m)
      call bpf_map_lookup_elem#1
      if r0 == 0x0 goto pc+6
      r1 = r0
      r2 = r10
      r2 += -4
      call bpf_map_lookup_elem#1
      if r0 == 0x0 goto pc+1
      r0 = *(u64 *)(r0 +0)
      exit`;
    expect(run(kernel, text, { m }, engine, false)).toBe(0n);
    expect(task.bpf(2, { map_fd: 4, key: new Uint32Array([1]), value: new Uint32Array([3]) })).toBe(0);
    expect(run(kernel, text, { m }, engine, false)).toBe(1234n);
    expect(inner.holders().length).toBe(2);
    void known;
  }
});

test.each(variants)('longest prefixes, on %s, map known: %s', (engine, known) => {
  const { kernel, task } = boot();
  const m = makeMap(task, 11, 8, 8, 8, { map_flags: 1 });
  for (const [bits, address, value] of [
    [8, 10, 1],
    [16, 0x010a, 2],
  ] as const) {
    expect(task.bpf(2, { map_fd: 3, key: new Uint32Array([bits, address]), value: new Uint32Array([value, 0]) })).toBe(0);
  }
  const look = (address: number): string => `
    *(u32 *)(r10 -8) = 32
    *(u32 *)(r10 -4) = ${address}
    r2 = r10
    r2 += -8
    r1 = map(m)
    call bpf_map_lookup_elem#1
    if r0 == 0x0 goto pc+1
    r0 = *(u64 *)(r0 +0)
    exit`;
  expect([0x0201_010a, 0x0201_050a, 0x0201_010b].map((address) => run(kernel, look(address), { m }, engine, known))).toEqual([
    2n,
    1n,
    0n,
  ]);
});

test.each(variants)('tail calls follow a prog_array, on %s, map known: %s', (engine, known) => {
  const { kernel, task } = boot();
  const m = makeMap(task, 3, 4, 4, 4);
  const target = loadProgram(kernel, 'r0 = 42\nexit', {}, engine);
  const text = `
    r2 = map(m)
    r3 = 1
    call bpf_tail_call#12
    r0 = 7
    exit`;
  const program = loadProgram(kernel, text, { m }, engine, known);
  expect(program.run(0)).toBe(7);
  kernel.arena.u32[(m.header('data') >> 2) + 1] = target.slot;
  expect(program.run(0)).toBe(42);
});

test.each(variants)(
  'a ring buffer: reserve, submit, discard, output, query; user space reads, on %s, map known: %s',
  (engine, known) => {
    const { kernel, task } = boot();
    const m = makeMap(task, 27, 0, 0, 4096);
    const reader = new RingbufReader(m);
    let woken = 0;
    const stop = reader.onData(() => woken++);
    const text = `
    r1 = map(m)
    r2 = 12
    r3 = 0
    call bpf_ringbuf_reserve#131
    if r0 == 0x0 goto pc+15
    *(u64 *)(r0 +0) = 1
    *(u32 *)(r0 +8) = 2
    r1 = r0
    r2 = 0
    call bpf_ringbuf_submit#132
    *(u64 *)(r10 -8) = 3
    r2 = r10
    r2 += -8
    r1 = map(m)
    r3 = 5
    r4 = 0
    call bpf_ringbuf_output#130
    r1 = map(m)
    r2 = 0
    call bpf_ringbuf_query#134
    exit`;
    const program = loadProgram(kernel, text, { m }, engine, known);
    expect(program.run(0)).toBe(24 + 16);
    const records: string[] = [];
    expect(reader.consume((record) => void records.push(Buffer.from(record).toString('hex')))).toBe(2);
    expect(records).toEqual(['010000000000000002000000', '0300000000']);
    expect(woken).toBe(1);
    stop();
    // It wraps, and refuses when it is full.
    for (let round = 0; round < 500; round++) {
      program.run(0);
      reader.consume((record) => expect([12, 5]).toContain(record.length));
    }
    let full = 0;
    while (program.run(0) > 0 && full < 1000) full++;
    expect(full).toBe(Math.floor(4096 / 40));
  },
);

test.each(variants)(
  'a discarded record is passed over; a reserved one stops the reader, on %s, map known: %s',
  (engine, known) => {
    const { kernel, task } = boot();
    const m = makeMap(task, 27, 0, 0, 4096);
    const reserve = `
    r1 = map(m)
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve#131`;
    const sample = Number(run(kernel, `${reserve}\nexit`, { m }, engine, known));
    run(kernel, `${reserve}\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_discard#133\nr0 = 0\nexit`, { m }, engine, known);
    const reader = new RingbufReader(m);
    expect(reader.consume(() => {})).toBe(0);
    run(kernel, `r1 = ${sample}\nr2 = 0\ncall bpf_ringbuf_submit#132\nr0 = 0\nexit`, { m }, engine, known);
    expect(reader.consume(() => {})).toBe(1);
    expect(reader.available).toBe(0);
  },
);

test.each(variants)('perf events: the entry of the current CPU, and every refusal, on %s, map known: %s', (engine, known) => {
  const { kernel, task } = boot();
  const m = makeMap(task, 4, 4, 4, 2);
  const fd = openPerfEvent(task, 0);
  const text = (flags: string): string => `
    *(u64 *)(r10 -8) = 9
    r1 = 0
    r2 = map(m)
    r3 = ${flags}
    r4 = r10
    r4 += -8
    r5 = 8
    call bpf_perf_event_output#25
    exit`;
  const send = (flags: string): bigint => run(kernel, text(flags), { m }, engine, known);
  expect(send('0xffffffff')).toBe(-2n);
  expect(task.bpf(2, { map_fd: 3, key: new Uint32Array([0]), value: new Uint32Array([fd]) })).toBe(0);
  expect([send('0xffffffff'), send('0x0'), send('0x1'), send('0x2'), send('0x100000000')]).toEqual([0n, 0n, -2n, -7n, -22n]);
  kernel.runtime.cpu = 1;
  expect(send('0x0')).toBe(-95n);
  const samples = perfEvent(task, fd).drain();
  expect(samples.map((sample) => [sample.length, sample[0]])).toEqual([
    [12, 9],
    [12, 9],
  ]);
});

test.each(variants)('callbacks: bpf_loop and bpf_for_each_map_elem, on %s, map known: %s', (engine, known) => {
  const { kernel, task } = boot();
  const m = makeMap(task, 1, 4, 8, 16);
  for (let key = 0; key < 10; key++) task.bpf(2, { map_fd: 3, key: new Uint32Array([key]), value: new Uint32Array([key, 0]) });
  const sum = `
    r1 = map(m)
    r2 = subprog[+8]
    r3 = r10
    r3 += -8
    r4 = 0
    *(u64 *)(r10 -8) = 0
    call bpf_for_each_map_elem#164
    r0 = *(u64 *)(r10 -8)
    exit
    r1 = *(u32 *)(r2 +0)
    r1 *= 100
    r2 = *(u64 *)(r3 +0)
    r1 += r2
    r2 = *(u64 *)(r4 +0)
    r1 += r2
    *(u64 *)(r4 +0) = r1
    r0 = 0
    exit`;
  expect(run(kernel, sum, { m }, engine, known)).toBe(4545n);
  const loop = (count: number, flags: number): string =>
    `
    r1 = ${count}
    r2 = subprog[+8]
    r3 = r10
    r3 += -8
    r4 = ${flags}
    *(u64 *)(r10 -8) = 0
    call bpf_loop#181
    r1 = *(u64 *)(r10 -8)
    r0 += r1
    exit
    r3 = *(u64 *)(r2 +0)
    r3 += r1
    *(u64 *)(r2 +0) = r3
    r0 = 0
    if r1 != 0x9 goto pc+1
    r0 = 1
    exit`.replace('+8]', '+9]');
  expect([loop(5, 0), loop(100, 0), loop(5, 1), loop(1 << 24, 0)].map((text) => run(kernel, text, {}, engine, known))).toEqual([
    15n,
    55n,
    -22n,
    -7n,
  ]);
  const { forEach } = m.ops;
  let total = 0;
  expect(forEach!(m, (key, value) => void (total += kernel.arena.u32[value >> 2]! + kernel.arena.u32[key >> 2]! * 100))).toBe(
    10,
  );
  expect(total).toBe(4545);
  // Deleting while walking: every element is seen once.
  const seen = new Set<number>();
  forEach!(m, (key) => {
    seen.add(kernel.arena.u32[key >> 2]!);
    m.ops.delete!(m, key);
  });
  expect([seen.size, m.header('count')]).toEqual([10, 0]);
});

test.each(variants)('user ring buffers, on %s, map known: %s', (engine, known) => {
  const { kernel, task } = boot();
  const m = makeMap(task, 31, 0, 0, 4096);
  const writer = new UserRingbufWriter(m);
  writer.write(new Uint8Array([1, 2, 3]));
  for (let index = 0; index < 255; index++) writer.write(new Uint8Array(8));
  expect(() => writer.write(new Uint8Array(8))).toThrow('ENOSPC');
  expect(() => writer.write(new Uint8Array(5000))).toThrow('E2BIG');
  const drain = `
    r1 = map(m)
    r2 = subprog[+8]
    r3 = r10
    r3 += -8
    r4 = 0
    *(u64 *)(r10 -8) = 0
    call bpf_user_ringbuf_drain#209
    r0 = *(u64 *)(r10 -8)
    exit
    r6 = r2
    r2 = 2
    r3 = 1
    call bpf_dynptr_data#203
    if r0 == 0x0 goto pc+4
    r1 = *(u8 *)(r0 +0)
    r2 = *(u64 *)(r6 +0)
    r2 += r1
    *(u64 *)(r6 +0) = r2
    r0 = 0
    exit`;
  expect(run(kernel, drain, { m }, engine, known)).toBe(3n);
});

test.each(variants)('text: bpf_trace_printk, bpf_snprintf, strtol, strncmp, comm, on %s, map known: %s', (engine, known) => {
  const { kernel, task } = boot();
  const lines: string[] = [];
  onTrace(kernel, (line) => lines.push(line));
  const memory = kernel.arena.allocate(256);
  const put = (at: number, text: string): number => {
    kernel.arena.u8.set(new TextEncoder().encode(`${text}\0`), memory + at);
    return memory + at;
  };
  const format = put(0, 'n=%d x=%llx %s');
  const name = put(64, 'zero');
  expect(
    run(
      kernel,
      `
    r1 = ${format}
    r2 = 15
    r3 = -3
    r4 = -1
    r5 = ${name}
    call bpf_trace_printk#6
    exit`,
      {},
      engine,
      known,
    ),
  ).toBe(28n);
  expect(lines).toEqual(['n=-3 x=ffffffffffffffff zero']);
  expect(readTrace(kernel)).toEqual(lines);
  put(64, ' -0x1fz');
  expect(
    run(
      kernel,
      `
    r1 = ${name}
    r2 = 8
    r3 = 16
    r4 = r10
    r4 += -8
    call bpf_strtol#105
    if r0 != 0x6 goto pc+1
    r0 = *(u64 *)(r10 -8)
    exit`,
      {},
      engine,
      known,
    ),
  ).toBe(-31n);
  expect(
    kernel.because(task, 'test', () =>
      run(
        kernel,
        `
    r1 = r10
    r1 += -16
    r2 = 16
    call bpf_get_current_comm#16
    r0 = *(u64 *)(r10 -16)
    exit`,
        {},
        engine,
        known,
      ),
    ),
  ).toBe(Buffer.from('tester\0\0').readBigInt64LE());
});

test.each(variants)('clocks and numbers, on %s, map known: %s', (engine, known) => {
  const { kernel } = boot();
  const value = (id: number): bigint => run(kernel, `call f#${id}\nexit`, {}, engine, known);
  expect(value(5)).toBe(1_000_000_000n);
  expect(value(118)).toBe(4294892296n + 250n);
  expect([value(7), value(7)].every((number) => number >= 0n && number < 2n ** 32n)).toBe(true);
  kernel.runtime.cpu = 1;
  expect(value(8)).toBe(1n);
  expect(run(kernel, 'r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0x100\ncall f#4\nexit', {}, engine, known)).toBe(-14n);
});

test.each(variants)('timers fire at their time, once; deleting the element cancels, on %s, map known: %s', (engine, known) => {
  for (const type of [1, 2]) {
    const { kernel, task } = boot();
    const m = makeMap(task, type, 4, 32, 4);
    m.record = [{ type: 'BPF_TIMER', offset: 0, size: 16 }];
    task.bpf(2, { map_fd: 3, key: new Uint32Array([2]), value: new Uint8Array(32) });
    const value = m.lookup(keyAt(kernel, 2));
    const arm = `
      r1 = ${value}
      r2 = map(m)
      r3 = 1
      call bpf_timer_init#169
      if r0 != 0x0 goto pc+11
      r1 = ${value}
      r2 = subprog[+10]
      call bpf_timer_set_callback#170
      if r0 != 0x0 goto pc+6
      r1 = ${value}
      r2 = 1000
      r3 = 0
      call bpf_timer_start#171
      if r0 != 0x0 goto pc+1
      r0 = 0
      exit
      r1 = *(u32 *)(r2 +0)
      *(u32 *)(r3 +16) = r1
      r1 = *(u32 *)(r3 +20)
      r1 += 1
      *(u32 *)(r3 +20) = r1
      r0 = 0
      exit`;
    expect(run(kernel, arm, { m }, engine, known)).toBe(0n);
    expect(run(kernel, arm, { m }, engine, known)).toBe(-16n);
    expect([advanceTime(kernel, 999n), advanceTime(kernel, 1n), advanceTime(kernel, 5000n)]).toEqual([0, 1, 0]);
    expect([...kernel.arena.u32.subarray((value + 16) >> 2, (value + 24) >> 2)]).toEqual([2, 1]);
    const start = `r1 = ${value}\nr2 = 10\nr3 = 0\ncall f#171\nexit`;
    expect(run(kernel, start, {}, engine, known)).toBe(0n);
    const fork = kernel.fork();
    expect(run(kernel, `r1 = ${value}\ncall f#172\nexit`, {}, engine, known)).toBe(1n);
    expect(advanceTime(kernel, 100n)).toBe(0);
    expect(fork.clock.now()).toBe(kernel.clock.now() - 100n);
    // The fork's timer is still armed, and is its own.
    expect(advanceTime(fork, 100n)).toBe(1);
    expect([fork, kernel].map(({ arena }) => arena.u32[(value + 20) >> 2])).toEqual([2, 1]);
  }
});

test('bpf_iter_num counts from start to end', () => {
  const { kernel } = boot();
  const [create, next, destroy] = ['bpf_iter_num_new', 'bpf_iter_num_next', 'bpf_iter_num_destroy'].map(
    (name) => kernel.helperOf(mapKfuncs.find(([row]) => row === name)![1]).run,
  );
  const at = kernel.arena.allocate(8);
  const walk = (start: number, end: number): number[] => {
    const seen: number[] = [];
    if (create!(at, start, end) !== 0) return [create!(at, start, end)];
    while (next!(at) !== 0) seen.push(kernel.arena.i32[at >> 2]!);
    destroy!(at);
    return seen;
  };
  expect([walk(3, 6), walk(-2, 1), walk(5, 5), walk(6, 5), walk(0, 1 << 24)]).toEqual([
    [3, 4, 5],
    [-2, -1, 0],
    [],
    [-22],
    [-7],
  ]);
  expect(walk(-0x8000_0000, -0x7fff_fffe)).toEqual([-0x8000_0000, -0x7fff_ffff]);
});

test.each(variants)('updates of arrays, on %s, map known: %s', (engine, known) => {
  for (const type of [2, 6]) {
    for (const size of [1, 2, 3, 7, 8, 13, 16, 24, 100, 128, 129, 200]) {
      const { kernel, task } = boot();
      kernel.runtime.cpu = 1;
      const m = makeMap(task, type, 4, size, 3);
      const update = (index: number, flags: number): bigint =>
        run(
          kernel,
          `r6 = r1
          *(u32 *)(r10 -4) = ${index}
          r1 = map(m)
          r2 = r10
          r2 += -4
          r3 = r6
          r4 = ${flags}
          call bpf_map_update_elem#2
          exit`,
          { m },
          engine,
          known,
          value,
        );
      const value = kernel.arena.allocate(256);
      for (let at = 0; at < 256; at++) kernel.arena.u8[value + at] = at + 1;
      expect([update(1, 0), update(2, 2), update(1, 1), update(3, 0), update(-1, 0), update(0, 3)]).toEqual([
        0n,
        0n,
        -17n,
        -7n,
        -7n,
        -22n,
      ]);
      const key = kernel.arena.allocate(8);
      const element = (index: number): number[] => {
        kernel.arena.u32[key >> 2] = index;
        const at = m.lookup(key);
        return [...kernel.arena.u8.subarray(at, at + ((size + 7) & ~7))];
      };
      const written = Array.from({ length: (size + 7) & ~7 }, (_, at) => (at < size ? at + 1 : 0) & 255);
      expect([element(0), element(1), element(2)]).toEqual([written.map(() => 0), written, written]);
      kernel.runtime.cpu = 0;
      if (type === 6) expect(element(1)).toEqual(written.map(() => 0));
    }
  }
});

test.each(variants)('an update of an array takes what is on the stack by then, on %s, map known: %s', (engine, known) => {
  const { kernel, task } = boot();
  const m = makeMap(task, 2, 4, 8, 3);
  const text = `*(u32 *)(r10 -4) = 1
    *(u64 *)(r10 -16) = 41
    r6 = *(u64 *)(r10 -16)
    r6 += 1
    *(u64 *)(r10 -16) = r6
    r1 = map(m)
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem#2
    r7 = r0
    r1 = map(m)
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem#1
    if r0 == 0x0 goto pc+1
    r0 = *(u64 *)(r0 +0)
    r0 += r7
    exit`;
  expect(run(kernel, text, { m }, engine, known)).toBe(42n);
});
