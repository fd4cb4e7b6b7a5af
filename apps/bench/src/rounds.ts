/** Interleaved rounds: every side runs in every round, so that what the machine does meanwhile meets them all. */

import type { BenchProgram } from './programs.ts';
import type { Side } from './side.ts';

export interface Measured {
  readonly program: string;
  readonly r0: number;
  /** Median nanoseconds a run, by side. */
  readonly ns: Readonly<Record<string, number>>;
  /** All rounds, by side. */
  readonly rounds: Readonly<Record<string, readonly number[]>>;
}

export interface RoundOptions {
  readonly rounds: number;
  /** Milliseconds that a side runs in a round. */
  readonly slice: number;
}

/** Measures a program on all sides. Throws where two sides differ in their results. */
export function measure(program: BenchProgram, sides: readonly Side[], { rounds, slice }: RoundOptions): Measured {
  const runners = sides.map((side) => ({ name: side.name, runner: side.load(program), count: 1, ns: [] as number[] }));
  try {
    const results = runners.map(({ runner }) => runner.result());
    const differing = runners.find((_, index) => results[index] !== results[0]);
    if (differing)
      throw new Error(`${program.name}: ${runners.map(({ name }, index) => `${name} gives ${results[index]}`).join(', ')}`);
    for (const entry of runners) entry.count = warm(entry.runner, slice);
    for (let round = 0; round < rounds; round++) for (const { runner, count, ns } of runners) ns.push(runner.measure(count));
    return {
      program: program.name,
      r0: results[0]!,
      ns: Object.fromEntries(runners.map(({ name, ns }) => [name, median(ns)])),
      rounds: Object.fromEntries(runners.map(({ name, ns }) => [name, ns])),
    };
  } finally {
    for (const { runner } of runners) runner.close();
  }
}

/** Runs until the optimising compiler has had its time; returns the runs that fill a slice. */
function warm(runner: { measure(count: number): number }, slice: number): number {
  const until = process.hrtime.bigint() + 150_000_000n;
  let ns = runner.measure(1);
  let count = 1;
  while (process.hrtime.bigint() < until) {
    count = Math.max(1, Math.min(Math.round((slice * 1e6) / Math.max(ns, 0.5)), count * 8));
    ns = runner.measure(count);
  }
  return Math.max(1, Math.round((slice * 1e6) / Math.max(ns, 0.5)));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function geomean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
