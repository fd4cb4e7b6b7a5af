/** Managed fields in BTF: what the live kernel said to BPF_BTF_LOAD and BPF_MAP_CREATE (test/oracle/records.jsonl). */

import { readFileSync } from 'node:fs';
import { BtfBuilder } from '@libbpf-ts/btf';
import { BPF_BTF_LOAD, BPF_MAP_CREATE, errnoName } from '@libbpf-ts/uapi';
import { createKernel } from '@libbpf-ts/vmlinux';
import { expect, test } from 'vitest';

interface Row {
  readonly name: string;
  readonly btf: string;
  readonly value: number;
  readonly size: number;
  readonly type: number;
  readonly flags: number;
  readonly max: number;
  readonly load: string;
  readonly create?: string;
}

const [head, ...lines] = readFileSync(new URL('oracle/records.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n');
const { types } = JSON.parse(head!) as { readonly types: readonly string[] };
const rows = lines.map((line) => JSON.parse(line) as Row);

/** The kernel's own types, as far as the rows name them. */
function kernelBtf(): Uint8Array {
  const btf = new BtfBuilder();
  for (const name of types) btf.struct(name, 8, []);
  return btf.encode();
}

test.each(rows)('$name', (row) => {
  using kernel = createKernel({ kernelBtf: kernelBtf() });
  const task = kernel.task('test');
  const btf = Uint8Array.from(Buffer.from(row.btf, 'hex'));
  const fd = task.bpf(BPF_BTF_LOAD, { btf, btf_size: btf.length });
  const answer: { load: string; create?: string } = { load: fd < 0 ? (errnoName(-fd) ?? '') : '' };
  if (fd >= 0) {
    const map = task.bpf(BPF_MAP_CREATE, {
      map_type: row.type,
      key_size: 4,
      value_size: row.size,
      max_entries: row.max,
      map_flags: row.flags,
      btf_fd: fd,
      btf_key_type_id: 1,
      btf_value_type_id: row.value,
    });
    answer.create = map < 0 ? (errnoName(-map) ?? '') : '';
  }
  task.exit();
  expect(answer).toEqual({ load: row.load, ...(row.create === undefined ? {} : { create: row.create }) });
  expect(kernel.leaks()).toEqual([]);
});
