/**
 * `node apps/bpftool/dist/oracle-record.js FILE.jsonl… | --seed N --ops N FILE.jsonl`: executes the operations of traces on the running
 * kernel and writes its answers into them; with a seed, random operations into a new one. Needs root; everything is done in a network
 * namespace and a bpffs of its own.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { resolve } from 'node:path';
import process from 'node:process';

import { inLinuxNamespace } from './oracle/linux-world.ts';
import { Pair } from './oracle/pair.ts';
import { emptyTrace, RandomOps } from './oracle/random-ops.ts';
import type { TraceOp } from './oracle/trace.ts';
import type { World } from './oracle/world.ts';

/** The operations of a trace, whether it has answers already or not. */
function* readOps(file: string): Generator<TraceOp> {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const row = line.trim() === '' ? undefined : (JSON.parse(line) as Record<string, unknown>);
    if (typeof row?.['op'] !== 'string') continue;
    const { res: _, out: __, state: ___, ...op } = row;
    yield { ...op, res: '', state: null } as unknown as TraceOp;
  }
}

/** Writes what the kernel answers; returns how many answers the in-process kernel gives otherwise. */
function record(
  file: string,
  seed: number,
  linux: () => World,
  next: (before: string | undefined, op?: TraceOp) => TraceOp | undefined,
): number {
  const pair = new Pair(0, linux);
  let differences = 0;
  try {
    const header = { ...emptyTrace(seed, 0, true).header, kernel: release(), state: pair.state() };
    const lines: object[] = [header];
    let op = next(undefined);
    while (op) {
      const { answer, linux: said, differs } = pair.step(op);
      if (differs) differences++;
      const { res: _, state: __, i: ___, ...request } = op;
      lines.push({ i: lines.length - 1, ...request, ...said });
      op = next(answer.res, op);
    }
    writeFileSync(file, `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`);
    process.stdout.write(`${file}: ${lines.length - 1} ops, ${differences} differences\n`);
    return differences;
  } finally {
    pair.close();
  }
}

function main(words: readonly string[]): number {
  const option = (name: string): number | undefined =>
    words.includes(name) ? Number(words[words.indexOf(name) + 1]) : undefined;
  const [seed, count] = [option('--seed'), option('--ops')];
  const files = words
    .filter((word, at) => !word.startsWith('--') && !words[at - 1]?.startsWith('--'))
    .map((file) => resolve(file));
  if (files.length === 0 || (seed !== undefined && (files.length !== 1 || !count))) {
    process.stderr.write('usage: oracle-record FILE.jsonl… | --seed N --ops N FILE.jsonl\n');
    return 2;
  }
  return inLinuxNamespace((linux) => {
    let differences = 0;
    for (const file of files) {
      const ops = seed === undefined ? readOps(file) : randomOps(seed, count!);
      differences += record(
        file,
        seed ?? 0,
        linux,
        (before, op) => ops.next([before, op] as never).value as TraceOp | undefined,
      );
    }
    return differences === 0 ? 0 : 1;
  });
}

/** Random operations; each is told what became of the one before. */
function* randomOps(seed: number, count: number): Generator<TraceOp, undefined, [string, TraceOp]> {
  const random = new RandomOps(seed, 0, true);
  for (let i = 0; i < count; i++) {
    const [res, op] = yield random.next();
    random.note(op, res);
  }
  return undefined;
}

process.exitCode = main(process.argv.slice(2));
