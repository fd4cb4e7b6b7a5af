/**
 * The corpus without a kernel: each program of test/oracle/{corpus,prototypes,corpus-limited}.jsonl gets the verdict and the errno
 * that the live kernel gave. How often the last line of the log agrees too is printed as a figure.
 */

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { parseBtf } from '@libbpf-ts/btf';
import { adaptBtf } from '../src/adapt-btf.ts';
import { assembleProgram } from './support/case.ts';
import type { Program } from './support/case.ts';
import { judge } from './support/judge.ts';

interface Recorded extends Program {
  readonly rule: string;
  readonly name: string;
  readonly verdict: 'accept' | 'reject';
  readonly errno: string;
  readonly last: string;
  readonly processed: number;
}

function recorded(file: string): Recorded[] {
  const text = readFileSync(new URL(`oracle/${file}.jsonl`, import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line) as Recorded);
}

const limited = recorded('corpus-limited').map((row) => ({ ...row, rule: `${row.rule}, with ${row.caps}` }));
const ROWS = [...recorded('corpus'), ...recorded('prototypes'), ...limited];

/** The part of kernel BTF that the corpus asks for (tools/oracle/prune_btf.py). */
const kernelBtf = adaptBtf(parseBtf(readFileSync(new URL('oracle/vmlinux-part.btf', import.meta.url))), true);

/** Programs on which the kernel's verifier spends more instructions than this are left to LIBBPF_TS_LONG. */
const LONG = 50_000;

const rules = [...new Set(ROWS.filter(runs).map((row) => row.rule))];

const tally = { programs: 0, refused: 0, sameLine: 0, unsupported: 0 };
const otherLines: string[] = [];

describe.each(rules)('%s', (rule) => {
  test.each(ROWS.filter((row) => row.rule === rule && runs(row)))('$name', { timeout: 300_000 }, (row) => {
    const long = row.processed > LONG;
    const ours = judge(assembleProgram(row), { kernelBtf, milliseconds: long ? 200_000 : 60_000, log_level: long ? 4 : 1 });
    tally.programs++;
    // What the verifier does not know it refuses in so many words: safe, counted, and no verdict.
    if (ours.errno === 'EOPNOTSUPP' && ours.last.startsWith('not supported by this verifier: ')) {
      tally.unsupported++;
      otherLines.push(`${row.rule}: ${row.name}\n  ${ours.last}`);
      return;
    }
    expect(`${ours.errno || 'accept'} ${ours.errno === row.errno ? '' : ours.last}`.trim()).toBe(row.errno || 'accept');
    if (row.errno === '') return;
    tally.refused++;
    if (ours.last === row.last) tally.sameLine++;
    else otherLines.push(`${row.rule}: ${row.name}\n  kernel: ${row.last}\n  ours:   ${ours.last}`);
  });
});

/** Rows with long walks run only when asked for. */
function runs(row: Recorded): boolean {
  return row.processed <= LONG || Boolean(process.env['LIBBPF_TS_LONG']);
}

afterAll(() => {
  const left = ROWS.filter((row) => !runs(row)).length;
  console.log(
    `${tally.programs} programs; the last line of the log agrees for ${tally.sameLine} of ${tally.refused} refused; ` +
      `${tally.unsupported} refused as not supported; ${left} of more than ${LONG} instructions left to LIBBPF_TS_LONG`,
  );
  if (process.env['CORPUS_LINES']) console.log(otherLines.join('\n'));
});
