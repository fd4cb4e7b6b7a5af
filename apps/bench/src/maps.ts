/** What the operations of each map type cost a program, here and on the live kernel: the same programs through the same bpf(2). */

import { assemble, encode } from '@libbpf-ts/isa';
import {
  BPF_MAP_CREATE,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_QUEUE,
  BPF_MAP_TYPE_RINGBUF,
  BPF_MAP_TYPE_STACK,
  BPF_MAP_UPDATE_ELEM,
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  cString,
} from '@libbpf-ts/uapi';
import type { Syscalls } from '@libbpf-ts/uapi';

import { MAPS_RECORDED } from './recorded.ts';
import { geomean } from './rounds.ts';

/** Operations in one run of a program. */
const OPERATIONS = 64;
const ENTRIES = 1024;
const CPUS_MOST = 256;
const BPF_PROG_TYPE_SCHED_CLS = 3;
const BPF_F_NO_PREALLOC = 1;
const RING_BYTES = 1 << 24;
/** Runs that fit into the ring: 64 records of 64 bytes and a header each. */
const RING_RUNS = Math.floor(RING_BYTES / (OPERATIONS * 80));

interface MapKind {
  readonly type: number;
  readonly key_size?: number;
  readonly value_size?: number;
  readonly map_flags?: number;
  readonly filled?: boolean;
  readonly perCpu?: boolean;
  readonly operations: Readonly<Record<string, string>>;
}

/** Text between the making of a key, u32 at r10 -8 (and 32 at r10 -12 before it), and the next round. */
const call = (id: number, address: string, ...more: string[]): string =>
  ['r1 = MAP', 'r2 = r10', `r2 += ${address}`, ...more, `call ${id}`].join('\n');
const lookup = (key = '-8'): string => `${call(1, key)}\nif r0 == 0 goto pc+2\nr1 = *(u32 *)(r0 +0)\nr8 += r1`;
const update = (key = '-8'): string => call(2, key, 'r3 = r10', 'r3 += -24', 'r4 = 0');
/** A key that is not there goes in and out again. */
const insertAndDelete = (key = '-8'): string => `r7 |= 65536\n*(u32 *)(r10 -8) = r7\n${update(key)}\n${call(3, key)}`;

const hash = { key_size: 4, value_size: 8, filled: true };
const KINDS: Readonly<Record<string, MapKind>> = {
  array: { type: BPF_MAP_TYPE_ARRAY, key_size: 4, value_size: 8, operations: { lookup: lookup(), update: update() } },
  percpu_array: {
    type: BPF_MAP_TYPE_PERCPU_ARRAY,
    key_size: 4,
    value_size: 8,
    operations: { lookup: lookup(), update: update() },
  },
  hash: {
    ...hash,
    type: BPF_MAP_TYPE_HASH,
    operations: { lookup: lookup(), update: update(), 'insert + delete': insertAndDelete() },
  },
  percpu_hash: {
    ...hash,
    type: BPF_MAP_TYPE_PERCPU_HASH,
    perCpu: true,
    operations: { lookup: lookup(), update: update(), 'insert + delete': insertAndDelete() },
  },
  lru_hash: {
    ...hash,
    type: BPF_MAP_TYPE_LRU_HASH,
    operations: { lookup: lookup(), update: update(), 'insert + delete': insertAndDelete() },
  },
  lpm_trie: {
    type: BPF_MAP_TYPE_LPM_TRIE,
    key_size: 8,
    value_size: 8,
    map_flags: BPF_F_NO_PREALLOC,
    filled: true,
    operations: { lookup: lookup('-12'), update: update('-12'), 'insert + delete': insertAndDelete('-12') },
  },
  queue: {
    type: BPF_MAP_TYPE_QUEUE,
    value_size: 8,
    operations: { 'push + pop': `${call(87, '-24', 'r3 = 0')}\n${call(88, '-24')}` },
  },
  stack: {
    type: BPF_MAP_TYPE_STACK,
    value_size: 8,
    operations: { 'push + pop': `${call(87, '-24', 'r3 = 0')}\n${call(88, '-24')}` },
  },
  ringbuf: {
    type: BPF_MAP_TYPE_RINGBUF,
    operations: {
      'output 64 bytes': call(130, '-88', 'r3 = 64', 'r4 = 1'),
      'reserve + submit':
        'r1 = MAP\nr2 = 64\nr3 = 0\ncall 131\nif r0 == 0 goto pc+4\n*(u64 *)(r0 +0) = r8\nr1 = r0\nr2 = 1\ncall 132',
    },
  },
};

function programText(map: number, operation: string): string {
  const clear = Array.from({ length: 9 }, (_, word) => `*(u64 *)(r10 -${88 - word * 8}) = 0`);
  const round = [
    'r7 = r6',
    'r7 *= 2531',
    `r7 &= ${ENTRIES - 1}`,
    '*(u32 *)(r10 -12) = 32',
    '*(u32 *)(r10 -8) = r7',
    ...operation.replaceAll('MAP', `map[fd:${map}]`).split('\n'),
  ];
  return ['r6 = 0', 'r8 = 0', ...clear, '*(u64 *)(r10 -16) = 0', ...roundsOf(round), 'r0 = r8', 'exit'].join('\n');
}

function roundsOf(round: readonly string[]): string[] {
  // `r1 = map[…]` takes two instruction slots.
  const slots = round.reduce((sum, line) => sum + (line.includes('map[') ? 2 : 1), 0);
  return [...round, 'r6 += 1', `if r6 < ${OPERATIONS} goto pc-${slots + 2}`];
}

/** One kernel with one program, and what must be done before it runs again. */
interface Subject {
  readonly run: (count: number) => number;
  readonly close: () => void;
}

function subject(kernel: Syscalls, kind: MapKind, operation: string): Subject {
  const fd = createMap(kernel, kind);
  const insns = assemble(programText(fd, operation));
  const prog = expect(
    kernel.bpf(BPF_PROG_LOAD, {
      prog_type: BPF_PROG_TYPE_SCHED_CLS,
      insn_cnt: insns.length,
      insns: encode(insns),
      license: cString('GPL'),
    }),
    'BPF_PROG_LOAD',
  );
  const drain = kind.type === BPF_MAP_TYPE_RINGBUF ? drainer(kernel, fd) : undefined;
  const data_in = new Uint8Array(64);
  return {
    run(count) {
      drain?.();
      const attr = { prog_fd: prog, data_in, data_size_in: data_in.length, repeat: count, retval: 0, duration: 0 };
      const start = process.hrtime.bigint();
      expect(kernel.bpf(BPF_PROG_TEST_RUN, attr), 'BPF_PROG_TEST_RUN');
      return Number(process.hrtime.bigint() - start) / count;
    },
    close() {
      kernel.close(prog);
      kernel.close(fd);
    },
  };
}

function createMap(kernel: Syscalls, kind: MapKind): number {
  const { type: map_type, key_size = 0, value_size = 0, map_flags = 0 } = kind;
  const max_entries = map_type === BPF_MAP_TYPE_RINGBUF ? RING_BYTES : 2 * ENTRIES;
  const map_fd = expect(
    kernel.bpf(BPF_MAP_CREATE, { map_type, key_size, value_size, max_entries, map_flags }),
    'BPF_MAP_CREATE',
  );
  for (let index = 0; kind.filled && index < ENTRIES; index++) {
    const key = key_size === 8 ? Uint32Array.of(32, index) : Uint32Array.of(index);
    const value = new Uint8Array(kind.perCpu ? 8 * CPUS_MOST : 8);
    expect(kernel.bpf(BPF_MAP_UPDATE_ELEM, { map_fd, key, value, flags: 0n }), 'BPF_MAP_UPDATE_ELEM');
  }
  return map_fd;
}

/** Takes all records out of the ring: the consumer's position becomes the producer's. */
function drainer(kernel: Syscalls, fd: number): () => void {
  const consumer = kernel.mmap(fd, 4096, 0, true);
  const producer = kernel.mmap(fd, 4096, 4096, false);
  if (typeof consumer === 'number' || typeof producer === 'number') throw new Error('the ring can not be mapped');
  return () => consumer.bytes().set(producer.bytes().subarray(0, 8));
}

function expect(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
  return result;
}

export interface MapRow {
  readonly map: string;
  readonly operation: string;
  /** Nanoseconds an operation in the best round, what the program does around it subtracted. */
  readonly ours: number;
  readonly kernel: number;
  readonly ratio: number;
}

/** `live` is undefined where there is no kernel to ask: then its recorded figures stand in. */
export function measureMaps(mine: Syscalls, live: Syscalls | undefined, rounds: number, slice: number): MapRow[] {
  const rows: MapRow[] = [];
  for (const [map, kind] of Object.entries(KINDS)) {
    for (const [operation, text] of Object.entries(kind.operations)) {
      const sides = (live ? [mine, live] : [mine]).map((kernel) => ({
        with: subject(kernel, kind, text),
        without: subject(kernel, KINDS['array']!, ''),
        ns: { with: [] as number[], without: [] as number[] },
      }));
      const most = map === 'ringbuf' ? RING_RUNS : Number.POSITIVE_INFINITY;
      const counts = sides.map((side) => warm(side.with, side.without, slice, most));
      for (let round = 0; round < rounds; round++) {
        sides.forEach((side, index) => {
          side.ns.with.push(side.with.run(counts[index]!));
          side.ns.without.push(side.without.run(counts[index]!));
        });
      }
      for (const side of sides) {
        side.with.close();
        side.without.close();
      }
      // The best rounds: a difference of two medians of a few nanoseconds would say more about what else the machine does.
      const [ours, asked] = sides.map(({ ns }) => (Math.min(...ns.with) - Math.min(...ns.without)) / OPERATIONS);
      const kernel = asked ?? MAPS_RECORDED.ns[`${map} ${operation}`] ?? Number.NaN;
      rows.push({ map, operation, ours: ours!, kernel, ratio: ours! / kernel });
    }
  }
  return rows;
}

/** Runs both until the optimising compiler has had its time; returns the runs that fill a slice. */
function warm(one: Subject, other: Subject, slice: number, most: number): number {
  const until = process.hrtime.bigint() + 200_000_000n;
  let count = 1;
  let ns = 1;
  while (process.hrtime.bigint() < until) {
    ns = one.run(count);
    other.run(count);
    count = Math.max(1, Math.min(Math.round((slice * 1e6) / ns), count * 8, most));
  }
  return count;
}

export function mapsTable(rows: readonly MapRow[], noKernel: string | undefined): string {
  const lines = rows.map(({ map, operation, ours, kernel, ratio }) =>
    [
      map.padEnd(14),
      operation.padEnd(18),
      ours.toFixed(1).padStart(9),
      kernel.toFixed(1).padStart(9),
      ratio.toFixed(2).padStart(8),
    ].join(' '),
  );
  const head = [
    'map'.padEnd(14),
    'operation'.padEnd(18),
    'here ns'.padStart(9),
    'kernel ns'.padStart(9),
    'ratio'.padStart(8),
  ].join(' ');
  const ratios = rows.map(({ ratio }) => ratio).filter((ratio) => ratio > 0);
  const mean = `geomean ${geomean(ratios).toFixed(2)}`;
  const note =
    noKernel === undefined
      ? ''
      : `The kernel was not asked (${noKernel}): ratios are to figures recorded on ${MAPS_RECORDED.of}.\n`;
  return `\n${head}\n${lines.join('\n')}\n${mean}\n\nNanoseconds an operation of a program, ${OPERATIONS} of them a run over ${ENTRIES} keys, best rounds, what is around it subtracted.\n${note}`;
}
