/**
 * Writes test/oracle/{corpus,prototypes,corpus-limited}.jsonl anew: asks the live kernel. Only with ORACLE_RECORD set
 * (`pnpm oracle:record`); ORACLE_RECORD=new asks only about programs that have no row yet.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { errnoName } from '@libbpf-ts/uapi';
import type { Case } from './corpus/case-list.ts';
import { CORPUS } from './corpus/index.ts';
import { assembleProgram, liveRequest } from './support/case.ts';
import { LiveKernel } from './support/live-kernel.ts';

const LIMITED = 'BPF+NET_ADMIN';

/** Rows by what they ask. */
type Known = ReadonlyMap<string, string>;

const keyOf = ({ rule, name, type, attach, flags, license, text }: Case): string =>
  JSON.stringify([rule, name, type, attach, flags, license, text]);

/** The recorded rows that stay, and the kernel that gave them. */
function recorded(file: string): { readonly known: Known; readonly kernel?: string } {
  if (process.env['ORACLE_RECORD'] !== 'new') return { known: new Map() };
  const lines = readFileSync(new URL(`oracle/${file}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n');
  const { kernel } = JSON.parse(lines[0]!) as { kernel: string };
  return { kernel, known: new Map(lines.slice(1).map((line) => [keyOf(JSON.parse(line) as Case), line])) };
}

/** Every case once with all capabilities, and those without many rows once more with two. */
async function record(live: LiveKernel, items: readonly Case[], known: Known, caps?: string): Promise<string[]> {
  const rows: string[] = [];
  for (const item of items) {
    const row = known.get(keyOf(item));
    if (row !== undefined) {
      rows.push(row);
      continue;
    }
    const answer = await live.ask(liveRequest(assembleProgram(item)));
    if (answer.problem) throw new Error(`${item.rule}: ${item.name}: ${answer.problem}`);
    const { rule, name, ...program } = item;
    const verdict = answer.ret === 0 ? 'accept' : 'reject';
    const errno = answer.ret === 0 ? '' : errnoName(answer.ret);
    rows.push(
      JSON.stringify({
        rule,
        name,
        verdict,
        errno,
        last: answer.last,
        processed: answer.processed,
        ...program,
        ...(caps ? { caps } : {}),
      }),
    );
  }
  return rows;
}

test('records the corpus', { timeout: 600_000 }, async (ctx) => {
  if (!process.env['ORACLE_RECORD']) ctx.skip('ORACLE_RECORD is not set');
  const reason = noLiveKernel();
  if (reason) ctx.skip(reason);
  const names = CORPUS.map((item) => `${item.rule}: ${item.name}`);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  const few = CORPUS.filter((item) => item.rule !== 'prototypes');
  const many = CORPUS.filter((item) => item.rule === 'prototypes');
  const live = new LiveKernel();
  const limited = new LiveKernel(LIMITED);
  const kernel = await live.release;
  const write = async (file: string, by: LiveKernel, items: readonly Case[], caps?: string): Promise<void> => {
    const old = recorded(file);
    const rows = await record(by, items, old.known, caps);
    const lines = [JSON.stringify({ kernel: old.kernel ?? kernel }), ...rows];
    writeFileSync(new URL(`oracle/${file}.jsonl`, import.meta.url), lines.join('\n') + '\n');
  };
  await write('corpus', live, few);
  await write('prototypes', live, many);
  await write('corpus-limited', limited, few, LIMITED);
  live.close();
  limited.close();
  expect(few.length).toBeGreaterThanOrEqual(500);
});
