/**
 * Programs of fixtures/objects (objects that programs own, and contexts, helpers and global functions in breadth) loaded into the in-process
 * kernel: verdict and errno as the live kernel gave them (verdicts.jsonl). How often the last line of the log agrees is printed.
 */

import { readFileSync } from 'node:fs';
import { createKernel, loadEach, parseObject, type ProgramResult } from 'libbpf-ts';
import { afterAll, describe, expect, test } from 'vitest';

interface Row {
  readonly object: string;
  readonly name: string;
  readonly verdict: 'accept' | 'reject';
  readonly errno: string;
  readonly last: string;
}

const FOLDER = new URL('../../../fixtures/objects/', import.meta.url);
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, FOLDER)));
const rows = readFileSync(new URL('verdicts.jsonl', FOLDER), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => JSON.parse(line) as Row);
const kernelBtf = read('vmlinux-part.btf');
const tally = { programs: 0, refused: 0, sameLine: 0 };

/** Type ids and what else depends on the kernel that was asked. */
const plain = (line: string): string => line.trim().replace(/type id \d+/, 'type id N');

function judge(object: string): ReadonlyMap<string, ProgramResult> {
  using kernel = createKernel({ kernelBtf });
  const task = kernel.task('judge');
  const results = loadEach(task, parseObject(read(object)), { pinDirectory: false, logLevel: 1 });
  task.exit();
  expect(kernel.leaks()).toEqual([]);
  return new Map(results.map((result) => [result.name, result]));
}

describe.each([...new Set(rows.map((row) => row.object))])('%s', (object) => {
  const results = judge(object);
  test.each(rows.filter((row) => row.object === object))('$name', (row) => {
    const ours = results.get(row.name)!;
    tally.programs++;
    expect(`${ours.errno_name || 'accept'} ${ours.errno_name === row.errno ? '' : ours.log_tail}`.trim()).toBe(
      row.errno || 'accept',
    );
    if (row.verdict === 'accept') return;
    tally.refused++;
    if (plain(ours.log_tail) === plain(row.last)) tally.sameLine++;
    else console.log(`${object} ${row.name}\n  kernel: ${row.last}\n  ours:   ${ours.log_tail}`);
  });
});

afterAll(() => {
  console.log(`${tally.programs} programs; the last line of the log agrees for ${tally.sameLine} of ${tally.refused} refused`);
});
