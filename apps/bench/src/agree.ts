/** `node apps/bench/dist/agree.js [--count N] [--seed S] [--engines a,b]`: random programs on all engines; prints each disagreement, shrunk. */

import process from 'node:process';
import { parseArgs } from 'node:util';

import { defaultEngines } from '@libbpf-ts/vm';

import { compareEngines } from './agreement.ts';

/** Programs between two reports. */
const STEP = 5000;

const { values } = parseArgs({
  options: { count: { type: 'string', default: '10000' }, seed: { type: 'string' }, engines: { type: 'string' } },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const count = Number(values.count);
const engines = values.engines?.split(',') ?? defaultEngines.map(({ name }) => name);
process.stdout.write(`seeds ${seed} to ${seed + count - 1} on ${engines.join(', ')}\n`);
let disagreements = 0;
for (let done = 0; done < count; done += STEP) {
  const found = compareEngines(engines, seed + done, Math.min(STEP, count - done), { helpers: true });
  disagreements += found.length;
  for (const { seed: failed, results, text } of found)
    process.stdout.write(`\nseed ${failed}: ${JSON.stringify(results, undefined, 1)}\n${text}\n`);
  if (done + STEP < count) process.stderr.write(`${done + STEP} programs, ${disagreements} disagreements so far\n`);
}
process.stdout.write(`${count} programs, ${disagreements} disagreements\n`);
process.exitCode = disagreements > 0 ? 1 : 0;
