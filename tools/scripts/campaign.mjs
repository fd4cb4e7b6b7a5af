/**
 * `npm run -s campaign -- NAME [--count N] [--seed S]`: random programs by the thousand, against what must hold. A campaign is its seeds;
 * what fails is printed with its seed, made smaller.
 *
 * soundness  accepted programs touch only the objects that are theirs, in the paranoid interpreter
 * verdicts   the verifier against the running kernel, half of the programs accepted
 * reaching   the same for programs that reach further: iterators, sections, slices, global functions, timers, more types
 * limited    the same for programs of those who have CAP_BPF and CAP_NET_ADMIN alone
 * mutants    the same for programs of the corpus with one instruction changed
 * engines    results of the engines among each other
 * results    results of the engines and of the running kernel
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { build, install, root } from './setup.mjs';

/** Programs that one process works on: what they leave behind goes with it. */
const SLICE = 10_000;

const vitest = (file, name, environment) => (count, seed) =>
  run(
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', `packages/verifier/test/${file}.test.ts`, '-t', name],
    environment(count, seed),
  );

const campaigns = {
  soundness: vitest('soundness', 'programs', (count, seed) => ({ SOUNDNESS: count, SOUNDNESS_SEED: seed })),
  verdicts: vitest('random-live', 'random', (count, seed) => ({ RANDOM_PROGRAMS: count, RANDOM_SEED: seed })),
  reaching: vitest('random-live', 'reaching', (count, seed) => ({ REACHING_PROGRAMS: count, RANDOM_SEED: seed })),
  limited: vitest('random-live', 'limited', (count, seed) => ({ LIMITED_PROGRAMS: count, RANDOM_SEED: seed })),
  mutants: vitest('random-live', 'mutants', (count, seed) => ({ MUTANTS: count, RANDOM_SEED: seed })),
  engines: (count, seed) => run([join(root, 'apps/bench/dist/agree.js'), '--count', count, '--seed', seed]),
  results: (count, seed) =>
    withPrograms(count, seed, (file) =>
      run([join(root, 'apps/bpftool/dist/oracle-programs.js'), file, '--linux', '--differences']),
    ),
};

function run(args, environment = {}, stdout = 'inherit') {
  const env = { ...process.env, ...environment };
  return spawnSync(process.execPath, args.map(String), { cwd: root, env, stdio: ['ignore', stdout, 'inherit'] }).status ?? 1;
}

function withPrograms(count, seed, use) {
  const folder = mkdtempSync(join(tmpdir(), 'campaign-'));
  try {
    const file = join(folder, 'programs.jsonl');
    const made = run([join(root, 'apps/bench/dist/generate.js'), '--count', count, '--seed', seed], {}, openSync(file, 'w'));
    return made || use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string', default: '10000' }, seed: { type: 'string' } },
});
const campaign = Object.hasOwn(campaigns, positionals[0] ?? '') ? campaigns[positionals[0]] : undefined;
if (!campaign) {
  process.stderr.write(`usage: campaign ${Object.keys(campaigns).join('|')} [--count N] [--seed S]\n`);
  process.exit(2);
}
install();
build();
const first = values.seed === undefined ? Math.floor(Math.random() * 2 ** 30) : Number(values.seed);
const count = Number(values.count);
process.stdout.write(`seeds ${first} to ${first + count - 1}\n`);
for (let done = 0; done < count; done += SLICE) {
  const status = campaign(Math.min(SLICE, count - done), first + done);
  if (status !== 0) process.exitCode = status;
}
