/** Ring buffers on all engines: some call the functions in WebAssembly, some their twins; memory and results must be the same. */

import { Kernel } from '@libbpf-ts/kernel';
import { expect, test } from 'vitest';

import { maps, RingbufReader } from '../src/index.ts';
import { engines, loadProgram, makeMap } from './support/program.ts';

const RING_BYTES = 4096;
const CONSUMER = 4096;
const PRODUCER = 8192;
const PENDING = 8;

/** ctx: u64 size, u64 flags, u64 sample, then data. */
const PROGRAMS: Readonly<Record<string, string>> = {
  output: `
    r3 = *(u64 *)(r1 +0)
    r4 = *(u64 *)(r1 +8)
    r2 = r1
    r2 += 24
    r1 = map(m)
    call bpf_ringbuf_output#130
    exit`,
  reserve: `
    r2 = *(u64 *)(r1 +0)
    r3 = *(u64 *)(r1 +8)
    r1 = map(m)
    call bpf_ringbuf_reserve#131
    exit`,
  submit: `
    r2 = *(u64 *)(r1 +8)
    r1 = *(u64 *)(r1 +16)
    call bpf_ringbuf_submit#132
    r0 = 0
    exit`,
  discard: `
    r2 = *(u64 *)(r1 +8)
    r1 = *(u64 *)(r1 +16)
    call bpf_ringbuf_discard#133
    r0 = 0
    exit`,
};

function subject(engine: string, start: bigint) {
  const kernel = new Kernel({ subsystems: [maps] });
  const m = makeMap(kernel.task('tester'), 27, 0, 0, RING_BYTES);
  const { arena } = kernel;
  const ctx = arena.allocate(24 + 4096);
  for (let at = 0; at < 4096; at++) arena.u8[ctx + 24 + at] = (at * 7) & 255;
  const ring = m.header('data');
  const programs = Object.fromEntries(
    Object.entries(PROGRAMS).map(([name, text]) => [name, loadProgram(kernel, text, { m }, engine)]),
  );
  const setPosition = (at: number, value: bigint): void => void (arena.u64[(ring + at) >> 3] = value);
  for (const at of [CONSUMER, PRODUCER, PENDING]) setPosition(at, start);
  return {
    kernel,
    m,
    setPosition,
    reader: new RingbufReader(m),
    run(name: string, size: bigint, flags: bigint, sample = 0): bigint {
      arena.u64[ctx >> 3] = size;
      arena.u64[(ctx + 8) >> 3] = flags;
      arena.u64[(ctx + 16) >> 3] = BigInt(sample);
      return programs[name]!.run64(ctx);
    },
    /** Everything of the ring but the word that says that somebody waits. */
    memory(): string {
      const bytes = Buffer.from(arena.u8.slice(ring, ring + 12_288 + 2 * RING_BYTES));
      bytes.fill(0, 16, 20);
      return bytes.toString('latin1');
    },
  };
}

function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

const pick = <T>(from: readonly T[], random: Generator<number, never>): T => from[random.next().value % from.length]!;

const SIZES = [
  0n,
  1n,
  7n,
  8n,
  9n,
  64n,
  100n,
  127n,
  128n,
  129n,
  500n,
  4080n,
  4081n,
  4088n,
  4089n,
  0x3fff_ffffn,
  0x4000_0000n,
  1n << 32n,
  1n << 63n,
];
const FLAGS = [0n, 0n, 0n, 1n, 2n, 3n, 4n, 1n << 32n, 1n << 63n];

/** What happened, step by step, ending in the memory of the ring. */
function storm(engine: string, seed: number, start: bigint): unknown[] {
  const random = numbers(seed);
  const ring = subject(engine, start);
  const seen: unknown[] = [];
  const held: number[] = [];
  let stop: (() => void) | undefined;
  for (let step = 0; step < 400; step++) {
    const what = random.next().value % 10;
    const small = random.next().value % 4 !== 0;
    const size = small ? BigInt(random.next().value % 200) : pick(SIZES, random);
    const flags = pick(FLAGS, random);
    if (what < 4) seen.push(ring.run('output', size, flags));
    else if (what < 6) {
      const sample = ring.run('reserve', size, flags);
      if (sample !== 0n) held.push(Number(sample));
      seen.push(sample);
    } else if (what < 8 && held.length > 0) {
      const [sample] = held.splice(random.next().value % held.length, 1);
      ring.run(pick(['submit', 'discard'], random), 0n, flags, sample);
    } else if (what === 8) ring.reader.consume((record) => void seen.push(Buffer.from(record).toString('hex')));
    else if (stop) {
      stop();
      stop = undefined;
    } else stop = ring.reader.onData(() => seen.push(`woken at ${step}`));
  }
  return [...seen, ring.memory()];
}

test.each([0n, 0xffff_fff8n, 0x1_0000_0000n - 512n, 0x12_3456_7000n])(
  'random reserve, submit, discard, output and reads do the same on all engines from position %s on',
  (start) => {
    for (let seed = 1; seed <= 12; seed++) {
      const expected = storm(engines[0]!, seed, start);
      expect(expected.some((what) => String(what).startsWith('woken'))).toBe(true);
      for (const engine of engines.slice(1)) expect(storm(engine, seed, start), `${engine}, seed ${seed}`).toEqual(expected);
    }
  },
);

test.each(engines)('flags, sizes and positions that are refused, on %s', (engine) => {
  const ring = subject(engine, 0n);
  const error = (code: bigint): bigint => BigInt.asUintN(64, -code);
  expect([4n, 1n << 32n, (1n << 63n) | 1n].map((flags) => ring.run('output', 8n, flags))).toEqual(Array(3).fill(error(22n)));
  expect([1n, 1n << 32n].map((flags) => ring.run('reserve', 8n, flags))).toEqual([0n, 0n]);
  expect([4089n, 0x4000_0000n, 1n << 32n, (1n << 64n) - 8n].map((size) => ring.run('output', size, 0n))).toEqual(
    Array(4).fill(error(11n)),
  );
  // A reader that says it has read what was never there, and one that is a little behind 2^64.
  ring.setPosition(CONSUMER, 64n);
  expect(ring.run('reserve', 8n, 0n)).toBe(0n);
  ring.setPosition(CONSUMER, (1n << 64n) - 4096n + 16n);
  expect(ring.run('reserve', 8n, 0n)).toBe(0n);
  ring.setPosition(CONSUMER, (1n << 64n) - 4096n + 17n);
  expect(ring.run('reserve', 8n, 0n)).not.toBe(0n);
});

test.each(engines)('who waits is woken as the flags ask; a fork has nobody who waits, on %s', (engine) => {
  const ring = subject(engine, 0n);
  let woken = 0;
  const stops = [ring.reader.onData(() => woken++), ring.reader.onData(() => woken++)];
  const wakes = (flags: bigint): number => {
    const before = woken;
    expect(ring.run('output', 8n, flags)).toBe(0n);
    return woken - before;
  };
  expect([1n, 0n, 2n, 3n].map(wakes)).toEqual([0, 0, 2, 2]);
  ring.reader.consume(() => {});
  expect(wakes(0n)).toBe(2);
  const fork = ring.kernel.fork();
  const text = `r1 = map(m)\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve#131\nr1 = r0\nr2 = 2\ncall bpf_ringbuf_submit#132\nr0 = 0\nexit`;
  const twin = fork.twin(ring.m);
  const program = loadProgram(fork, text, { m: twin }, engine);
  program.run(0);
  expect(woken).toBe(6);
  let inFork = 0;
  new RingbufReader(twin).onData(() => inFork++);
  program.run(0);
  expect([woken, inFork]).toEqual([6, 1]);
  stops[0]!();
  expect(wakes(2n)).toBe(1);
  stops[1]!();
  expect(wakes(2n)).toBe(0);
});
