/** What a program costs besides its run: to load, to call from JavaScript, to keep. */

import { performance } from 'node:perf_hooks';
import process from 'node:process';

import type { BpfInsn } from '@libbpf-ts/isa';
import { subprogramsOf, VmRuntime } from '@libbpf-ts/vm';
import type { VmProgram } from '@libbpf-ts/vm';

import { OurBench } from './ours.ts';
import { benchPacket, benchProgram, KINDS } from './programs.ts';
import { Random } from './random-program.ts';
import { geomean, median } from './rounds.ts';

const COUNT_FROM = 1_000_000_000;

export interface Costs {
  readonly engine: string;
  /** Nanoseconds that a call of LoadedProgram.run costs over a run inside `repeat`. */
  readonly call_from_js_ns: number;
  /** The same with 64 bytes of packet copied in first, over the call. */
  readonly copy_64_bytes_ns: number;
  /** Milliseconds from VmRuntime.load to the first result, 300 instructions: the first program that this process loads. */
  readonly first_result_cold_ms: number;
  /** The same after some hundred loads: medians, 300 and 4000 instructions. */
  readonly first_result_300_ms: number;
  readonly first_result_4000_ms: number;
  /** Of the 4000, VmRuntime.load alone: translate, and V8's validation. */
  readonly load_4000_ms: number;
  /** Twice the instructions to once: 2 is linear. */
  readonly growth_8000_to_4000: number;
  /** Nanoseconds an instruction, geometric mean over the eleven programs, best rounds. */
  readonly ns_per_insn: number;
  /** KiB of resident memory a loaded and run program of 138 instructions. */
  readonly memory_kib: number;
}

/** `cold`: what `firstLoad` gave, at the start of the process. */
export function costs(engine: string, cold: number): Costs {
  const { call, copy } = callCost(engine);
  const first = (size: number, seed: number, count: number): { load: number; first: number } => {
    const samples = Array.from({ length: count }, (_, sample) => timeLoad(engine, synthetic(size, seed + sample)));
    return { load: median(samples.map(({ load }) => load)), first: median(samples.map(({ first }) => first)) };
  };
  first(300, 1000, 300);
  const small = first(300, 2000, 100);
  first(4000, 3000, 30);
  const large = first(4000, 4000, 15);
  const larger = first(8000, 5000, 15);
  return {
    engine,
    call_from_js_ns: call,
    copy_64_bytes_ns: copy,
    first_result_cold_ms: cold,
    first_result_300_ms: small.first,
    first_result_4000_ms: large.first,
    load_4000_ms: large.load,
    growth_8000_to_4000: larger.load / large.load,
    ns_per_insn: geomean(KINDS.map((kind) => nsPerInsn(engine, kind))),
    memory_kib: memory(engine),
  };
}

/** Instructions are counted by a run with fuel on the interpreter, which counts each one. */
function nsPerInsn(engine: string, kind: string): number {
  const bench = new OurBench();
  const program = benchProgram(kind);
  const ctx = bench.context();
  const counted = bench.runtime.load(bench.program(program), { engine: 'interpreter', fuel: true });
  bench.runtime.fuel = COUNT_FROM;
  counted.run(ctx);
  const insns = COUNT_FROM - bench.runtime.fuel;
  const loaded = bench.runtime.load(bench.program(program), { engine });
  const count = Math.ceil(200_000 / insns);
  let best = Number.POSITIVE_INFINITY;
  const end = performance.now() + 600;
  while (performance.now() < end) {
    const start = performance.now();
    loaded.repeat(ctx, count);
    best = Math.min(best, ((performance.now() - start) * 1e6) / count);
  }
  return best / insns;
}

function callCost(engine: string): { call: number; copy: number } {
  const bench = new OurBench();
  const loaded = bench.runtime.load(bench.program(benchProgram('tiny')), { engine });
  const ctx = bench.context();
  const packet = benchPacket().subarray(0, 64);
  const target = bench.runtime.arena.allocate(64);
  const { u8 } = bench.runtime.arena;
  const count = engine === 'jit' ? 2_000_000 : 200_000;
  const inside: number[] = [];
  const called: number[] = [];
  const copied: number[] = [];
  const time = (into: number[], action: () => void): void => {
    const start = performance.now();
    action();
    into.push(((performance.now() - start) * 1e6) / count);
  };
  for (let round = 0; round < 9; round++) {
    time(inside, () => loaded.repeat(ctx, count));
    time(called, () => {
      for (let index = 0; index < count; index++) loaded.run(ctx);
    });
    time(copied, () => {
      for (let index = 0; index < count; index++) {
        u8.set(packet, target);
        loaded.run(ctx);
      }
    });
  }
  return { call: Math.min(...called) - Math.min(...inside), copy: Math.min(...copied) - Math.min(...called) };
}

/** Straight arithmetic in small blocks with forward branches and accesses to the stack; different bytes for each seed, so that nothing is cached. */
export function synthetic(size: number, seed: number): VmProgram {
  const random = new Random(seed);
  const insn = (code: number, dst_reg: number, src_reg: number, off: number, imm: number): BpfInsn => ({
    code,
    dst_reg,
    src_reg,
    off,
    imm,
  });
  const insns: BpfInsn[] = [];
  for (let register = 0; register < 10; register++) if (register !== 1) insns.push(insn(0xb7, register, 0, 0, random.bits()));
  insns.push(insn(0x7b, 10, 2, -8, 0), insn(0x7b, 10, 3, -16, 0));
  while (insns.length < size - 8) {
    const [a, b] = [2 + random.below(8), 2 + random.below(8)];
    const kind = random.below(8);
    if (kind < 4) insns.push(insn(random.pick([0x0f, 0x1f, 0xaf, 0x4f, 0x5f]), a, b, 0, 0));
    else if (kind === 4) insns.push(insn(0x79, a, 10, random.pick([-8, -16]), 0));
    else if (kind === 5) insns.push(insn(0x7b, 10, a, random.pick([-8, -16]), 0));
    else if (kind === 6)
      insns.push(insn(0x25, a, 0, 2, random.bits()), insn(0x07, b, 0, 0, random.bits()), insn(0xbf, a, b, 0, 0));
    else insns.push(insn(0x61, a, 1, random.pick([0, 4, 8]), 0));
  }
  for (let register = 2; register < 9; register++) insns.push(insn(0x0f, 0, register, 0, 0));
  insns.push(insn(0x95, 0, 0, 0, 0));
  return {
    name: 'synthetic',
    insns,
    subprograms: subprogramsOf(insns),
    fixups: { constants: new Map(), functions: new Map(), calls: new Map() },
  };
}

/** Milliseconds from load to first result of 300 instructions. */
export function firstLoad(engine: string): number {
  const runtime = new VmRuntime();
  const ctx = runtime.arena.allocate(64);
  const program = synthetic(300, 1);
  const start = performance.now();
  runtime.load(program, { engine }).run(ctx);
  return performance.now() - start;
}

/** In a runtime that has run a program before. */
function timeLoad(engine: string, program: VmProgram): { load: number; first: number } {
  const runtime = new VmRuntime();
  const ctx = runtime.arena.allocate(64);
  runtime.load(synthetic(30, 1), { engine }).run(ctx);
  const start = performance.now();
  const loaded = runtime.load(program, { engine });
  const load = performance.now() - start;
  loaded.run(ctx);
  return { load, first: performance.now() - start };
}

function memory(engine: string): number {
  const runtime = new VmRuntime();
  const ctx = runtime.arena.allocate(64);
  const count = 400;
  const kept = [];
  const load = (seed: number): void => {
    const loaded = runtime.load(synthetic(138, seed), { engine });
    loaded.run(ctx);
    kept.push(loaded);
  };
  for (let seed = 0; seed < 50; seed++) load(10_000 + seed);
  const before = process.memoryUsage().rss;
  for (let seed = 0; seed < count; seed++) load(20_000 + seed);
  return (process.memoryUsage().rss - before) / 1024 / count;
}

export function costsTable(rows: readonly Costs[]): string {
  const lines: [keyof Costs, string, number][] = [
    ['call_from_js_ns', 'call from JavaScript, ns over the time inside', 1],
    ['copy_64_bytes_ns', '64 bytes copied in, ns more', 1],
    ['first_result_cold_ms', '300 instructions, load to first result, ms, first in the process', 2],
    ['first_result_300_ms', '300 instructions, load to first result, ms, after 300 others', 2],
    ['load_4000_ms', '4000 instructions, load, ms', 2],
    ['first_result_4000_ms', '4000 instructions, load to first result, ms', 2],
    ['growth_8000_to_4000', '8000 instructions to 4000, load', 2],
    ['ns_per_insn', 'an instruction, ns, geometric mean of the eleven programs', 2],
    ['memory_kib', 'memory a program of 138 instructions, KiB', 0],
  ];
  const head = ['', ...rows.map(({ engine }) => engine)];
  const table = [
    head,
    ...lines.map(([key, text, digits]) => [text, ...rows.map((row) => (row[key] as number).toFixed(digits))]),
  ];
  const width = Math.max(...table.map(([text]) => text!.length));
  return `\n${table.map(([text, ...cells]) => `${text!.padEnd(width)}  ${cells.map((cell) => cell.padStart(11)).join('  ')}`).join('\n')}\n`;
}
