/**
 * `npm run -s oracle:programs -- FILE.jsonl [--linux] [--differences]`: a raw program a line, judged by the in-process kernel's verifier
 * and run on the engines; with `--linux` also by the running kernel. Prints a line for each; with `--differences` only for those on
 * which verdicts or results differ, and a count of all on stderr (exit code 1 where there are any).
 */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';

import { createKernel } from '@libbpf-ts/vmlinux';
import { linuxKernel } from '@libbpf-ts/linux';
import type { Syscalls } from '@libbpf-ts/uapi';

import { judge, type Judgement, type ProgramLine, type RunResult } from './programs/judge.ts';

/** Programs that a kernel judges before a fresh one takes over: one program never sees much of another's traces. */
const KERNEL_LIFE = 500;

const OPTIONS = ['--linux', '--differences'];

function main(words: readonly string[]): number {
  const files = words.filter((word) => !word.startsWith('--'));
  const unknown = words.find((word) => word.startsWith('--') && !OPTIONS.includes(word));
  if (files.length !== 1 || unknown) {
    process.stderr.write(
      `${unknown ? `unknown option ${unknown}; ` : ''}usage: oracle:programs -- FILE.jsonl [--linux] [--differences]\n`,
    );
    return 2;
  }
  const linux = words.includes('--linux') ? linuxKernel() : undefined;
  const lines = readFileSync(resolve(process.env['INIT_CWD'] ?? process.cwd(), files[0]!), 'utf8').split('\n');
  const engines: Engines = {
    jit: inProcess('jit'),
    interpreter: inProcess('interpreter'),
    'first-tier': inProcess('first-tier'),
  };
  const onlyDifferences = words.includes('--differences');
  const tally = { programs: 0, accepted: 0, differences: 0 };
  for (const [index, text] of lines.entries()) {
    if (text.trim() === '') continue;
    try {
      const line = JSON.parse(text) as ProgramLine;
      const judged = row(line, engines, linux);
      const differs = isDifference(judged);
      tally.programs++;
      if (judged.verdict === 'accept') tally.accepted++;
      if (differs) tally.differences++;
      if (differs || !onlyDifferences) process.stdout.write(`${JSON.stringify(judged)}\n`);
    } catch (error) {
      process.stderr.write(`line ${index + 1}: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exitCode = 1;
    }
  }
  if (onlyDifferences) {
    process.stderr.write(`${JSON.stringify(tally)}\n`);
    if (tally.differences > 0) process.exitCode = 1;
  }
  return Number(process.exitCode ?? 0);
}

type Engines = Readonly<Record<'jit' | 'interpreter' | 'first-tier', (line: ProgramLine) => Judgement>>;

type Row = Pick<Judgement, 'verdict' | 'errno' | 'log_tail'> & {
  readonly id: unknown;
  readonly jit?: RunResult;
  readonly interpreter?: RunResult;
  readonly first_tier?: RunResult;
  readonly linux?: Omit<Judgement, 'run'> & Partial<{ retval: number; data_out: string; error: string }>;
};

/** Another verdict or errno than Linux gave, or two results that are not the same. */
function isDifference({ verdict, errno, jit, interpreter, first_tier, linux }: Row): boolean {
  if (linux && (linux.verdict !== verdict || linux.errno !== errno)) return true;
  const key = (run: object): string => {
    const { retval, data_out, error } = run as Partial<{ retval: number; data_out: string; error: string }>;
    return JSON.stringify([retval, data_out, error]);
  };
  const runs = [jit, interpreter, first_tier, verdict === 'accept' ? linux : undefined].flatMap((run) =>
    run ? [key(run)] : [],
  );
  return runs.some((run) => run !== runs[0]);
}

function row(line: ProgramLine, engines: Engines, linux: Syscalls | undefined): Row {
  const jit = engines.jit(line);
  const run = (engine: 'interpreter' | 'first-tier'): object => {
    if (jit.verdict !== 'accept') return {};
    const judged = engines[engine](line);
    return { [engine.replace('-', '_')]: judged.run ?? { error: `refused: ${judged.log_tail}` } };
  };
  const theirs = linux && judge(linux, line);
  const { verdict, errno, log_tail } = jit;
  return {
    id: line.id,
    verdict,
    errno,
    log_tail,
    ...(jit.run ? { jit: jit.run } : {}),
    ...run('interpreter'),
    ...run('first-tier'),
    ...(theirs ? { linux: { verdict: theirs.verdict, errno: theirs.errno, log_tail: theirs.log_tail, ...theirs.run } } : {}),
  };
}

/** Judges on in-process kernels with this engine. */
function inProcess(engine: string): (line: ProgramLine) => Judgement {
  let kernel = createKernel({ engine });
  let age = 0;
  return (line) => {
    if (age++ === KERNEL_LIFE) {
      kernel = createKernel({ engine });
      age = 1;
    }
    const task = kernel.task('oracle');
    try {
      return judge(task, line);
    } finally {
      task.exit();
    }
  };
}

process.exitCode = main(process.argv.slice(2));
