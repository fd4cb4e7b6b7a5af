/**
 * The corpus without a kernel: each program of test/oracle/{corpus,prototypes}.jsonl gets the verdict and the errno that the
 * live kernel gave. How often the last line of the log agrees too is printed as a figure.
 */

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
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
  return text.trim().split('\n').slice(1).map((line) => JSON.parse(line) as Recorded);
}

const ROWS = [...recorded('corpus'), ...recorded('prototypes'), ...recorded('corpus-limited').map((row) => ({ ...row, rule: `${row.rule}, with ${row.caps}` }))];
const rules = [...new Set(ROWS.map((row) => row.rule))];
let refused = 0;
let sameLine = 0;
const otherLines: string[] = [];

describe.each(rules)('%s', (rule) => {
  test.each(ROWS.filter((row) => row.rule === rule))('$name', (row) => {
    const ours = judge(assembleProgram(row));
    expect(`${ours.errno || 'accept'} ${ours.errno === row.errno ? '' : ours.last}`.trim()).toBe(row.errno || 'accept');
    if (row.errno === '') return;
    refused++;
    if (ours.last === row.last) sameLine++;
    else otherLines.push(`${row.rule}: ${row.name}\n  kernel: ${row.last}\n  ours:   ${ours.last}`);
  });
});

afterAll(() => {
  console.log(`last line of the log: ${sameLine} of ${refused} refused programs agree`);
  if (process.env['CORPUS_LINES']) console.log(otherLines.join('\n'));
});
