import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isBtfError } from '@libbpf-ts/btf';
import { isElfError } from '@libbpf-ts/elf';
import { shared } from '@libbpf-ts/testkit';
import { isLoaderError, loadEach, parseObject, programTypeName, type ObjectSpec, type ProgramResult } from 'libbpf-ts';
import { FakeKernel } from './fake-kernel.ts';

interface Row {
  readonly object: string;
  readonly section: string | null;
  readonly program: string | null;
  readonly prog_type: string;
  readonly verdict: 'accept' | 'reject' | 'loader-error' | 'open-error' | 'env-denied' | 'no-programs';
  readonly errno: number;
  readonly insns: number;
}

const fixtures = shared('fixtures');
const rows: Row[] =
  'path' in fixtures
    ? readFileSync(join(fixtures.path, 'verdicts.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Row)
    : [];
const objects = [...new Set(rows.map(({ object }) => object))];
const kernelBtf = '/sys/kernel/btf/vmlinux';

function results(
  object: string,
): { readonly spec: ObjectSpec; readonly results: ProgramResult[] } | { readonly error: unknown } {
  try {
    const spec = parseObject(readFileSync(join((fixtures as { path: string }).path, 'objects', object)));
    return { spec, results: loadEach(new FakeKernel(), spec, { pinDirectory: false, kernelBtf: btf() }) };
  } catch (error) {
    return { error };
  }
}

let cached: Uint8Array | undefined;
const btf = (): Uint8Array => (cached ??= readFileSync(kernelBtf));

test('objects of the field open and link as libbpf takes them', (ctx) => {
  if ('reason' in fixtures) return ctx.skip(fixtures.reason);
  if (!existsSync(kernelBtf)) return ctx.skip('CO-RE needs a BTF of a kernel, and this machine has none');
  const wrong: string[] = [];
  for (const object of objects) {
    const mine = rows.filter((row) => row.object === object);
    const opened = results(object);
    if ('error' in opened) {
      const typed = isElfError(opened.error) || isBtfError(opened.error) || isLoaderError(opened.error);
      if (!typed || mine.some(({ verdict }) => verdict !== 'open-error')) wrong.push(`${object}: ${String(opened.error)}`);
      continue;
    }
    for (const row of mine) wrong.push(...compare(row, opened.results));
  }
  expect(wrong).toEqual([]);
});

/** A kernel that takes everything: what is compared is the program that it was given. */
function compare(row: Row, got: readonly ProgramResult[]): string[] {
  if (row.program === null)
    return row.verdict === 'no-programs' && got.length > 0 ? [`${row.object}: ${got.length} programs`] : [];
  const found = got.find((result) => result.name === row.program && result.section === row.section);
  if (!found) return [`${row.object} ${row.program}: no such program`];
  const problems =
    found.insn_cnt === row.insns ? [] : [`${row.object} ${row.program}: ${found.insn_cnt} instructions, not ${row.insns}`];
  if (found.verdict === 'reject' && row.verdict !== 'loader-error')
    problems.push(`${row.object} ${row.program}: ${found.log_tail}`);
  // Programs only in .text have no name that says a type: the record's choice followed none either.
  if (found.type !== row.prog_type && row.section !== '.text')
    problems.push(`${row.object} ${row.program}: ${found.type}, not ${row.prog_type}`);
  return problems;
}

test('every type of the record has a name here', (ctx) => {
  if ('reason' in fixtures) return ctx.skip(fixtures.reason);
  const known = new Set(Array.from({ length: 33 }, (_, type) => programTypeName(type)));
  expect([...new Set(rows.map(({ prog_type }) => prog_type))].filter((name) => name !== null && !known.has(name))).toEqual([]);
});
