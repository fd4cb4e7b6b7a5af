/** Random programs against the live kernel. Long: only with RANDOM_PROGRAMS=count (and RANDOM_SEED). */

import { appendFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { errnoName } from '@libbpf-ts/uapi';
import { assembleProgram, liveRequest } from './support/case.ts';
import { judge } from './support/judge.ts';
import { LiveKernel } from './support/live-kernel.ts';
import { randomProgram } from './support/random-program.ts';

const COUNT = Number(process.env['RANDOM_PROGRAMS'] ?? 0);
const FIRST = Number(process.env['RANDOM_SEED'] ?? 1);

test(`${COUNT} random programs`, { timeout: 3_600_000 }, async (ctx) => {
  if (COUNT === 0) ctx.skip('RANDOM_PROGRAMS is not set');
  const reason = noLiveKernel();
  if (reason) ctx.skip(reason);
  const live = new LiveKernel();
  const tally = { accepted: 0, verdict: 0, errno: 0, line: 0, unsafe: 0, skipped: 0, crashed: 0 };
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const program = randomProgram(seed);
    let assembled;
    try {
      assembled = assembleProgram(program);
    } catch (problem) {
      tally.skipped++;
      continue;
    }
    const asked = live.ask(liveRequest(assembled));
    const ours = judge(assembled);
    const theirs = await asked;
    if (theirs.problem) throw new Error(theirs.problem);
    const verdict = theirs.ret === 0 ? '' : errnoName(theirs.ret);
    if (theirs.ret === 0) tally.accepted++;
    if (ours.crashed) tally.crashed++;
    if ((ours.errno === '') !== (verdict === '')) {
      tally.verdict++;
      if (ours.errno === '') tally.unsafe++;
      report(seed, program, `${ours.errno || 'accept'} "${ours.last}"`, `${verdict || 'accept'} "${theirs.last}"`);
    } else if (ours.errno !== verdict) {
      tally.errno++;
      report(seed, program, `${ours.errno} "${ours.last}"`, `${verdict} "${theirs.last}"`);
    } else if (ours.last !== theirs.last) tally.line++;
  }
  live.close();
  console.log(JSON.stringify({ count: COUNT, ...tally }));
  expect(tally.unsafe).toBe(0);
  expect(tally.verdict).toBeLessThanOrEqual(COUNT / 1000);
});

function report(seed: number, program: object, ours: string, theirs: string): void {
  const file = process.env['RANDOM_REPORT'];
  if (file) appendFileSync(file, JSON.stringify({ seed, ours, theirs, program }) + '\n');
}
