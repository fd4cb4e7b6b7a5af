/** Writes test/oracle/{corpus,prototypes,corpus-limited}.jsonl anew: asks the live kernel. Only with ORACLE_RECORD set (`pnpm oracle:record`). */

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { errnoName } from '@libbpf-ts/uapi';
import type { Case } from './corpus/case-list.ts';
import { CORPUS } from './corpus/index.ts';
import { assembleProgram, liveRequest } from './support/case.ts';
import { LiveKernel } from './support/live-kernel.ts';

const LIMITED = 'BPF+NET_ADMIN';

/** Every case once with all capabilities, and those without many rows once more with two. */
async function record(live: LiveKernel, items: readonly Case[], caps?: string): Promise<string[]> {
  const rows: string[] = [];
  for (const item of items) {
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
  const write = (file: string, rows: readonly string[]): void =>
    writeFileSync(new URL(`oracle/${file}.jsonl`, import.meta.url), [JSON.stringify({ kernel }), ...rows].join('\n') + '\n');
  write('corpus', await record(live, few));
  write('prototypes', await record(live, many));
  write('corpus-limited', await record(limited, few, LIMITED));
  live.close();
  limited.close();
  expect(few.length).toBeGreaterThanOrEqual(500);
});
