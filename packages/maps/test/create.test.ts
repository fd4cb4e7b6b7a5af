/** MAP_CREATE of every map type against what the live kernel answered; see tools/oracle/record_maps.py. */

import { readFileSync } from 'node:fs';

import { Kernel } from '@libbpf-ts/kernel';
import { errnoName, BPF_MAP_CREATE } from '@libbpf-ts/uapi';
import { expect, test } from 'vitest';

import { maps } from '../src/index.ts';
import { smallBtf } from './support/btf.ts';

interface Row {
  readonly type: number;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  readonly map_flags: number;
  readonly map_extra?: string;
  readonly inner?: true;
  readonly btf?: [number, number];
  readonly result: string;
  readonly sizes_out?: [number, number];
  readonly max_entries_out?: number;
  readonly map_flags_out?: number;
}

const lines = readFileSync(new URL('oracle/create.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const rows = lines.slice(1).map((line) => JSON.parse(line) as Row);
const types = [...new Set(rows.map(({ type }) => type))];

test.each(types)('type %i', (type) => {
  const kernel = new Kernel({ subsystems: [maps] });
  const task = kernel.task();
  const inner = task.bpf(BPF_MAP_CREATE, { map_type: 2, key_size: 4, value_size: 8, max_entries: 1 });
  const btf_fd = task.bpf(18, { btf: smallBtf(), btf_size: smallBtf().length });
  expect([inner, btf_fd].every((fd) => fd > 0)).toBe(true);
  const differences: string[] = [];
  for (const row of rows.filter((candidate) => candidate.type === type)) {
    const { key_size, value_size, max_entries, map_flags, btf, result } = row;
    const fd = task.bpf(BPF_MAP_CREATE, {
      map_type: type,
      key_size,
      value_size,
      max_entries,
      map_flags,
      map_extra: BigInt(row.map_extra ?? 0),
      inner_map_fd: row.inner ? inner : 0,
      ...(btf ? { btf_fd, btf_key_type_id: btf[0], btf_value_type_id: btf[1] } : {}),
    });
    const answer = fd >= 0 ? 'OK' : errnoName(fd);
    if (answer !== result) differences.push(`${answer}: ${JSON.stringify(row)}`);
    if (fd < 0) continue;
    const map = task.map(fd, 'fd');
    if (map.maxEntries !== (row.max_entries_out ?? max_entries))
      differences.push(`max_entries ${map.maxEntries}: ${JSON.stringify(row)}`);
    if (map.flags !== (row.map_flags_out ?? map_flags))
      differences.push(`flags 0x${map.flags.toString(16)}: ${JSON.stringify(row)}`);
    task.close(fd);
  }
  expect(differences).toEqual([]);
});
