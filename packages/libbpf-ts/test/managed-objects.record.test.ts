/** Writes fixtures/objects/verdicts.jsonl anew: asks the live kernel. Only with ORACLE_RECORD set (`pnpm oracle:record managed-objects`). */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { linuxKernel } from '@libbpf-ts/linux';
import { noLiveKernel } from '@libbpf-ts/testkit';
import { loadEach, parseObject } from 'libbpf-ts';
import { expect, test } from 'vitest';

const FOLDER = new URL('../../../fixtures/objects/', import.meta.url);

const reason = process.env['ORACLE_RECORD'] ? noLiveKernel() : 'ORACLE_RECORD is not set';

test.skipIf(reason !== undefined)(`the live kernel is asked ${reason ?? ''}`, { timeout: 600_000 }, () => {
  const kernelBtf = new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux'));
  const rows = [JSON.stringify({ kernel: release() })];
  for (const object of readdirSync(FOLDER).filter((name) => name.endsWith('.o'))) {
    const spec = parseObject(new Uint8Array(readFileSync(new URL(object, FOLDER))));
    for (const { name, verdict, errno_name, log_tail, loader } of loadEach(linuxKernel(), spec, {
      pinDirectory: false,
      kernelBtf,
      logLevel: 1,
    })) {
      // What the loader cannot hand over says nothing of the kernel.
      if (!loader) rows.push(JSON.stringify({ object, name, verdict, errno: errno_name, last: log_tail.trim() }));
    }
  }
  writeFileSync(new URL('verdicts.jsonl', FOLDER), `${rows.join('\n')}\n`);
  expect(rows.length).toBeGreaterThan(400);
});
