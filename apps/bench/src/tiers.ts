/** `node apps/bench/dist/tiers.js [--json FILE]`: what engine a program is soonest done on, from its load on, by how often it runs. */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { defaultEngines, VmRuntime } from '@libbpf-ts/vm';
import type { LoadedProgram } from '@libbpf-ts/vm';

import { synthetic } from './costs.ts';
import { OurBench } from './ours.ts';
import { benchProgram } from './programs.ts';

const RUNS = [1, 100, 10_000];
const SAMPLES = 7;
/** Straight programs of so many instructions, and programs of the bench. */
const SUBJECTS = ['30', '300', '4000', 'parse32', 'hashmap', 'siphash'];

interface Total {
  readonly program: string;
  readonly engine: string;
  /** A process that has loaded nothing before. */
  readonly cold: boolean;
  readonly runs: number;
  /** From load to the last result, the best of several. */
  readonly ms: number;
}

/** Milliseconds from the load of a program that is new to the process to the results of 1, 100 … runs, one call each. */
function totals(engine: string, subject: string, seed: number): number[] {
  const [load, ctx] = prepare(engine, subject, seed);
  const start = performance.now();
  const loaded = load();
  let done = 0;
  return RUNS.map((runs) => {
    for (; done < runs; done++) loaded.run(ctx);
    return performance.now() - start;
  });
}

function prepare(engine: string, subject: string, seed: number): [load: () => LoadedProgram, ctx: number] {
  const size = Number(subject);
  if (size > 0) {
    const runtime = new VmRuntime();
    const program = synthetic(size, seed);
    return [() => runtime.load(program, { engine }), runtime.arena.allocate(64)];
  }
  const bench = new OurBench();
  const program = bench.program(benchProgram(subject));
  return [() => bench.runtime.load(program, { engine }), bench.context()];
}

const best = (samples: readonly number[][]): number[] => RUNS.map((_, index) => Math.min(...samples.map((row) => row[index]!)));
const repeat = (sample: (seed: number) => number[]): number[][] =>
  Array.from({ length: SAMPLES }, (_, seed) => sample(seed + 1));

function measure(engine: string, subject: string, cold: boolean): Total[] {
  const inChild = (): number[] =>
    JSON.parse(
      execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--child', engine, subject], { encoding: 'utf8' }),
    ) as number[];
  const ms = best(cold ? repeat(inChild) : repeat((seed) => totals(engine, subject, seed * 1000 + 1)));
  return RUNS.map((runs, index) => ({ program: subject, engine, cold, runs, ms: ms[index]! }));
}

function table(rows: readonly Total[], engines: readonly string[]): string {
  const lines = [true, false].flatMap((cold) =>
    SUBJECTS.flatMap((program) =>
      RUNS.map((runs) => {
        const found = rows.filter((row) => row.cold === cold && row.program === program && row.runs === runs);
        const cells = engines.map((engine) =>
          found
            .find((row) => row.engine === engine)!
            .ms.toFixed(2)
            .padStart(11),
        );
        return `${cold ? 'cold' : 'warm'}  ${program.padEnd(8)}  ${String(runs).padStart(6)} runs  ${cells.join('  ')}`;
      }),
    ),
  );
  const head = `${' '.repeat(29)}${engines.map((engine) => engine.padStart(11)).join('  ')}`;
  return `Milliseconds from load to the last result.\n${head}\n${lines.join('\n')}\n`;
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' }, child: { type: 'boolean', default: false } },
  allowPositionals: true,
});
if (values.child) process.stdout.write(JSON.stringify(totals(positionals[0]!, positionals[1]!, 1)));
else {
  const engines = defaultEngines.map(({ name }) => name);
  const subjects = SUBJECTS.flatMap((subject) => engines.map((engine) => [engine, subject] as const));
  const rows = [true, false].flatMap((cold) => subjects.flatMap(([engine, subject]) => measure(engine, subject, cold)));
  process.stdout.write(table(rows, engines));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 1)}\n`);
}
