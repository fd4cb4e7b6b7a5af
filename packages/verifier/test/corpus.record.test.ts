/** Writes test/oracle/{corpus,prototypes}.jsonl anew: asks the live kernel. Only with ORACLE_RECORD set (`pnpm oracle:record`). */

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { errnoName } from '@libbpf-ts/uapi';
import { CORPUS } from './corpus/index.ts';
import { assembleProgram, liveRequest } from './support/case.ts';
import { LiveKernel } from './support/live-kernel.ts';

test('records the corpus', { timeout: 600_000 }, async (ctx) => {
  if (!process.env['ORACLE_RECORD']) ctx.skip('ORACLE_RECORD is not set');
  const reason = noLiveKernel();
  if (reason) ctx.skip(reason);
  const live = new LiveKernel();
  const kernel = await live.release;
  const rows: Record<'corpus' | 'prototypes', string[]> = { corpus: [], prototypes: [] };
  const seen = new Set<string>();
  for (const item of CORPUS) {
    const key = `${item.rule}: ${item.name}`;
    if (seen.has(key)) throw new Error(`two cases are called "${key}"`);
    seen.add(key);
    const answer = await live.ask(liveRequest(assembleProgram(item)));
    if (answer.problem) throw new Error(`${key}: ${answer.problem}`);
    const { rule, name, ...program } = item;
    const verdict = answer.ret === 0 ? 'accept' : 'reject';
    const errno = answer.ret === 0 ? '' : errnoName(answer.ret);
    rows[rule === 'prototypes' ? 'prototypes' : 'corpus'].push(JSON.stringify({ rule, name, verdict, errno, last: answer.last, processed: answer.processed, ...program }));
  }
  live.close();
  for (const [name, lines] of Object.entries(rows)) {
    writeFileSync(new URL(`oracle/${name}.jsonl`, import.meta.url), [JSON.stringify({ kernel }), ...lines].join('\n') + '\n');
  }
  expect(rows.corpus.length).toBeGreaterThanOrEqual(500);
});
