/** `npm run bench`: the engines against each other and against the live kernel, as ratios in one run. */

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';

import { linuxKernel } from '@libbpf-ts/linux';
import { createKernel } from '@libbpf-ts/vmlinux';

import { HELP, parseArguments, UsageError } from './arguments.ts';
import type { BenchArguments } from './arguments.ts';
import { chainTable, measureChain } from './chain.ts';
import type { Chain } from './chain.ts';
import { costs, costsTable, firstLoad } from './costs.ts';
import { linux } from './linux.ts';
import { ours } from './ours.ts';
import { benchProgram, EMPTY, KINDS } from './programs.ts';
import { report } from './report.ts';
import { mapsTable, measureMaps } from './maps.ts';
import type { MapRow } from './maps.ts';
import { measure } from './rounds.ts';
import type { Side } from './side.ts';
import { measureVerifier } from './verifier/measure.ts';
import { verifierTable } from './verifier/table.ts';

const options = optionsOf(process.argv.slice(2));
const { only, rounds, slice } = options;
const kernel = liveKernel();
const noKernel = 'reason' in kernel ? kernel.reason : undefined;
if (options.help) process.stdout.write(HELP);
else if (only?.includes('verifier')) measureVerification();
else if (only?.join() === 'maps') writeJson({ maps: mapOperations() });
else if (only?.join() === 'tcx') writeJson({ tcx: chain() });
else measureEngines();

/** Ends the process with exit code 2 for a command line that makes no sense. */
function optionsOf(words: readonly string[]): BenchArguments {
  try {
    return parseArguments(words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    process.exit(2);
  }
}

function measureVerification(): void {
  const found = measureVerifier({ rounds, largest: 10, step: 4, sample: 9, processes: 3 });
  process.stdout.write('reason' in found ? `not measured: ${found.reason}\n` : verifierTable(found));
  if ('reason' in found) process.exitCode = 1;
  else writeJson(found);
}

function mapOperations(): MapRow[] {
  const live = noKernel === undefined ? linuxKernel() : undefined;
  const rows = measureMaps(createKernel({ engine: 'jit' }).task('bench'), live, rounds, slice);
  process.stdout.write(mapsTable(rows, noKernel));
  return rows;
}

function chain(): Chain {
  const found = measureChain(rounds, slice);
  process.stdout.write(chainTable(found));
  return found;
}

function measureEngines(): void {
  const { engines } = options;
  const cold = engines.map(firstLoad);
  const sides: Side[] = [...engines.map(ours), ...('side' in kernel ? [kernel.side] : [])];
  const kinds = [EMPTY, ...KINDS.filter((kind) => !only || only.includes(kind))];
  const measured = kinds.map((name) => measure(benchProgram(name), sides, { rounds, slice }));
  const names = sides.map(({ name }) => name);
  const result = report(measured, names, noKernel);
  process.stdout.write(result.text);
  const maps = only && !only.includes('maps') ? [] : mapOperations();
  const tcx = only && !only.includes('tcx') ? undefined : chain();
  // The costs of loading come last: they leave hundreds of programs behind.
  const spent = only && !only.includes('costs') ? [] : engines.map((engine, index) => costs(engine, cold[index]!));
  if (spent.length > 0) process.stdout.write(costsTable(spent));
  writeJson({ ...result.json, maps, tcx, costs: spent });
}

function writeJson(found: object): void {
  if (options.json !== undefined)
    writeFileSync(resolve(process.env['INIT_CWD'] ?? '.', options.json), `${JSON.stringify(found, null, 1)}\n`);
}

function liveKernel(): { side: Side } | { reason: string } {
  try {
    return { side: linux() };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}
