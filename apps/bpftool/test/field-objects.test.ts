import { shared } from '@libbpf-ts/testkit';
import { createKernel, loadEach, parseObject, type ProgramResult } from 'libbpf-ts';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const HOST_BTF = '/sys/kernel/btf/vmlinux';

/** What the live kernel said of one program. */
interface Row {
  readonly object: string;
  readonly section: string;
  readonly program: string;
  readonly verdict: 'accept' | 'reject' | 'loader-error' | 'open-error' | 'env-denied' | 'no-programs';
  readonly errno: number;
}

const place = shared('fixtures', 'verdicts.jsonl');
const reason =
  'reason' in place
    ? place.reason
    : existsSync(HOST_BTF)
      ? undefined
      : 'the recorded verdicts need the types of the running kernel';
const rows =
  reason === undefined && 'path' in place
    ? readFileSync(place.path, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Row)
    : [];

/** Our results for an object, or the error of one that cannot be opened. */
function judge(object: string, kernelBtf: Uint8Array): readonly ProgramResult[] | Error {
  if (!('path' in place)) return [];
  const bytes = new Uint8Array(readFileSync(join(place.path, '..', 'objects', object)));
  const kernel = createKernel({ kernelBtf });
  try {
    return loadEach(kernel.task('judge'), parseObject(bytes), { pinDirectory: false });
  } catch (error) {
    if (error instanceof Error && (error.name === 'ElfError' || error.name === 'LoaderError' || error.name === 'BtfError'))
      return error;
    throw error;
  } finally {
    kernel[Symbol.dispose]();
    expect(kernel.leaks()).toEqual([]);
  }
}

function compare(row: Row, results: readonly ProgramResult[] | Error): string | undefined {
  const found =
    results instanceof Error ? undefined : results.find(({ name, section }) => name === row.program && section === row.section);
  const ours = found ? `${found.verdict} ${found.errno}` : results instanceof Error ? 'error' : 'missing';
  switch (row.verdict) {
    case 'accept':
    case 'reject':
      return ours === `${row.verdict} ${Math.abs(row.errno)}`
        ? undefined
        : `${row.object} ${row.program}: ${row.verdict} ${row.errno}, ours ${ours} ${found?.log_tail ?? ''}`;
    case 'loader-error':
    case 'open-error':
      return found?.verdict === 'reject' || results instanceof Error || row.program === null
        ? undefined
        : `${row.object} ${row.program}: ${row.verdict}, ours ${ours}`;
    default:
      return undefined;
  }
}

describe('objects of the field, against the verdicts of the live kernel', () => {
  if (reason !== undefined || rows.length === 0) test('all objects', (context) => context.skip(reason ?? 'no rows'));
  const kernelBtf = reason === undefined ? new Uint8Array(readFileSync(HOST_BTF)) : new Uint8Array(0);
  const objects = [...new Set(rows.map(({ object }) => object))];
  test.each(objects)(
    '%s',
    (object) => {
      const results = judge(object, kernelBtf);
      expect(rows.filter((row) => row.object === object).flatMap((row) => compare(row, results) ?? [])).toEqual([]);
    },
    120_000,
  );
});
