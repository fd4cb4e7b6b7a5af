/** `node apps/bench/dist/agree.js [--count N] [--seed S] [--engines a,b]`: random programs on all engines; prints each disagreement, shrunk. */

import process from 'node:process';
import { parseArgs } from 'node:util';

import { defaultEngines } from '@libbpf-ts/vm';

import { compareEngines } from './agreement.ts';

const { values } = parseArgs({ options: { count: { type: 'string', default: '10000' }, seed: { type: 'string' }, engines: { type: 'string' } } });
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const count = Number(values.count);
const engines = values.engines?.split(',') ?? defaultEngines.map(({ name }) => name);
process.stdout.write(`seeds ${seed} to ${seed + count - 1} on ${engines.join(', ')}\n`);
const found = compareEngines(engines, seed, count, { helpers: true });
for (const { seed: failed, results, text } of found) process.stdout.write(`\nseed ${failed}: ${JSON.stringify(results, undefined, 1)}\n${text}\n`);
process.stdout.write(`${count} programs, ${found.length} disagreements\n`);
process.exitCode = found.length > 0 ? 1 : 0;
