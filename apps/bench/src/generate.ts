/** `node apps/bench/dist/generate.js [--seed S] [--count N]`: random programs as lines for `oracle:programs`. */

import process from 'node:process';
import { parseArgs } from 'node:util';

import { encode } from '@libbpf-ts/isa';

import { benchPacket } from './programs.ts';
import { randomProgram, VALUE_SIZE } from './random-program.ts';

const { values } = parseArgs({ options: { count: { type: 'string', default: '1000' }, seed: { type: 'string' } } });
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const data_in = hex(benchPacket().subarray(0, 64));
process.stderr.write(`seeds ${seed} to ${seed + Number(values.count) - 1}\n`);
for (let next = seed; next < seed + Number(values.count); next++) {
  const { insns } = randomProgram(next, { helpers: true, gentle: true, length: 24 });
  const line = {
    id: next,
    prog_type: 'sched_cls',
    insns: hex(encode(insns)),
    maps: [{ type: 'array', key_size: 4, value_size: VALUE_SIZE, max_entries: 1 }],
    license: 'GPL',
    data_in,
    flags: 0,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
