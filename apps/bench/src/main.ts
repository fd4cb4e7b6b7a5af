/** `npm run bench`: the engines against each other and against the live kernel, as ratios in one run. */

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

import { defaultEngines } from '@libbpf-ts/vm';

import { costs, costsTable, firstLoad } from './costs.ts';
import { linux } from './linux.ts';
import { ours } from './ours.ts';
import { benchProgram, EMPTY, KINDS } from './programs.ts';
import { report } from './report.ts';
import { measure } from './rounds.ts';
import type { Side } from './side.ts';
import { measureVerifier } from './verifier/measure.ts';
import { verifierTable } from './verifier/table.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    engines: { type: 'string' },
    rounds: { type: 'string', default: '9' },
    slice: { type: 'string', default: '12' },
  },
});

if (values.only === 'verifier') measureVerification();
else measureEngines();

function measureVerification(): void {
  const found = measureVerifier({ rounds: Number(values.rounds), largest: 10, step: 4, sample: 9, processes: 3 });
  process.stdout.write('reason' in found ? `not measured: ${found.reason}\n` : verifierTable(found));
  if ('reason' in found) process.exitCode = 1;
  else writeJson(found);
}

function measureEngines(): void {
  const engines = values.engines?.split(',') ?? defaultEngines.map(({ name }) => name);
  const cold = engines.map(firstLoad);
  const kernel = liveKernel();
  const sides: Side[] = [...engines.map(ours), ...('side' in kernel ? [kernel.side] : [])];
  const only = values.only?.split(',');
  const options = { rounds: Number(values.rounds), slice: Number(values.slice) };
  const measured = [EMPTY, ...KINDS.filter((kind) => !only || only.includes(kind))].map((name) =>
    measure(benchProgram(name), sides, options),
  );
  const result = report(
    measured,
    sides.map(({ name }) => name),
    'reason' in kernel ? kernel.reason : undefined,
  );
  // The costs of loading come last: they leave hundreds of programs behind.
  const spent = only && !only.includes('costs') ? [] : engines.map((engine, index) => costs(engine, cold[index]!));
  process.stdout.write(result.text + (spent.length > 0 ? costsTable(spent) : ''));
  writeJson({ ...result.json, costs: spent });
}

function writeJson(found: object): void {
  if (values.json !== undefined)
    writeFileSync(resolve(process.env['INIT_CWD'] ?? '.', values.json), `${JSON.stringify(found, null, 1)}\n`);
}

function liveKernel(): { side: Side } | { reason: string } {
  try {
    return { side: linux() };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}
