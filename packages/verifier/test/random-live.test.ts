/**
 * Random programs, and programs of the corpus with one instruction changed, against the live kernel. Long: only with
 * RANDOM_PROGRAMS=count, REACHING_PROGRAMS=count, LIMITED_PROGRAMS=count or MUTANTS=count (RANDOM_SEED begins elsewhere; RANDOM_REPORT names a file for what differs). A difference is
 * printed with its program made smaller.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseBtf } from '@libbpf-ts/btf';
import { disassemble } from '@libbpf-ts/isa';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { errnoName } from '@libbpf-ts/uapi';
import { adaptBtf } from '../src/adapt-btf.ts';
import { assembleProgram, liveRequest } from './support/case.ts';
import type { Assembled, Program } from './support/case.ts';
import { judge } from './support/judge.ts';
import type { Verdict } from './support/judge.ts';
import { LiveKernel } from './support/live-kernel.ts';
import type { LiveAnswer } from './support/live-kernel.ts';
import { mutate } from './support/mutate.ts';
import { Random } from './support/random.ts';
import { randomProgram } from './support/random-program.ts';
import { limitedProgram, reachingProgram } from './support/random-reach.ts';
import { isNothing, shrink } from './support/shrink.ts';

/** Milliseconds for one program: some are examined to the limit of a million instructions. */
const PATIENCE = 120_000;
const FIRST = Number(process.env['RANDOM_SEED'] ?? 1);
/** The running kernel's own types: a program may call what the recorded part has not. */
const HOST_BTF = '/sys/kernel/btf/vmlinux';
const kernelBtf = adaptBtf(
  parseBtf(readFileSync(existsSync(HOST_BTF) ? HOST_BTF : new URL('oracle/vmlinux-part.btf', import.meta.url))),
  true,
);
/** Capabilities of limited programs. */
const LIMITED = 'BPF+NET_ADMIN';

/** Accepted programs of the corpus, the short ones. */
function corpus(): Program[] {
  const rows = ['corpus', 'prototypes'].flatMap((file) =>
    readFileSync(new URL(`oracle/${file}.jsonl`, import.meta.url), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse(line) as Program & { verdict: string; processed: number }),
  );
  return rows.filter((row) => row.verdict === 'accept' && row.processed < 5000);
}

const base = corpus();
const mutant = (seed: number): Assembled => {
  const random = new Random(seed);
  return mutate(assembleProgram(random.of(base)), random);
};

const runs: readonly (readonly [what: string, count: number, make: (seed: number) => Assembled])[] = [
  ['random programs', Number(process.env['RANDOM_PROGRAMS'] ?? 0), (seed) => assembleProgram(randomProgram(seed))],
  ['mutants', Number(process.env['MUTANTS'] ?? 0), mutant],
  ['reaching programs', Number(process.env['REACHING_PROGRAMS'] ?? 0), (seed) => assembleProgram(reachingProgram(seed))],
  ['limited programs', Number(process.env['LIMITED_PROGRAMS'] ?? 0), (seed) => assembleProgram(limitedProgram(seed))],
];

test.each(runs)('%s', { timeout: 7_200_000 }, async (what, count, make) => {
  const reason = count === 0 ? `no count given for ${what}` : noLiveKernel();
  if (reason) return console.log(`skipped: ${reason}`);
  const live = new LiveKernel(what === 'limited programs' ? LIMITED : undefined);
  const tally = { accepted: 0, verdict: 0, errno: 0, line: 0, unsafe: 0, unsupported: 0, slow: 0 };
  for (let seed = FIRST; seed < FIRST + count; seed++) {
    const assembled = make(seed);
    const asked = live.ask({ ...liveRequest(assembled), log: 4 });
    const ours = judge(assembled, { kernelBtf, log_level: 4, milliseconds: PATIENCE });
    const theirs = await asked;
    if (theirs.problem) throw new Error(theirs.problem);
    const errno = theirs.ret === 0 ? '' : errnoName(theirs.ret);
    if (errno === '') tally.accepted++;
    if (ours.errno === 'EOPNOTSUPP') {
      tally.unsupported++;
      continue;
    }
    if (ours.errno === 'TIMEOUT') {
      // No verdict in the time given, and none to compare: where the kernel reached its limit, a loaded machine does not.
      tally.slow++;
      if (errno !== 'E2BIG') console.log(`seed ${seed}: no verdict in time, theirs ${errno || 'accept'}`);
      continue;
    }
    if (ours.errno === errno) {
      if (ours.last !== theirs.last) tally.line++;
      continue;
    }
    if (ours.errno === '') tally.unsafe++;
    if ((ours.errno === '') !== (errno === '')) tally.verdict++;
    else tally.errno++;
    await report(live, seed, assembled, ours, theirs);
  }
  live.close();
  console.log(`${what}: ${JSON.stringify({ count, ...tally })}`);
  expect(tally.unsafe).toBe(0);
  expect(tally.slow).toBeLessThanOrEqual(count / 100);
  expect(tally.verdict).toBeLessThanOrEqual(count / 1000);
});

/** Prints a difference, its program made smaller; RANDOM_REPORT keeps the whole. */
async function report(live: LiveKernel, seed: number, of: Assembled, ours: Verdict, theirs: LiveAnswer): Promise<void> {
  const errnoOf = ({ ret }: LiveAnswer): string | undefined => (ret === 0 ? '' : errnoName(ret));
  const text = (errno: string | undefined, last: string): string => `${errno || 'accept'} "${last}"`;
  const words = { ours: text(ours.errno, ours.last), theirs: text(errnoOf(theirs), theirs.last) };
  const { program } = of;
  const small =
    ours.errno === 'TIMEOUT'
      ? of
      : await shrink(of, async (candidate) => {
          const asked = live.ask({ ...liveRequest(candidate), log: 4 });
          const again = judge(candidate, { kernelBtf, log_level: 4 });
          return again.errno === ours.errno && errnoOf(await asked) === errnoOf(theirs);
        });
  console.log(`seed ${seed}, ${program.type}: ours ${words.ours}, theirs ${words.theirs}\n${listing(small)}`);
  const file = process.env['RANDOM_REPORT'];
  if (file) appendFileSync(file, JSON.stringify({ seed, ...words, program }) + '\n');
}

/** Instructions that do something. */
function listing({ insns }: Assembled): string {
  const lines = insns.map((insn, at) => `${at}: ${disassemble(insn, insns[at + 1])}`);
  return lines.filter((_, at) => !isNothing(insns[at]!)).join('\n');
}
