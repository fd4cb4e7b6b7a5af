import { readFileSync } from 'node:fs';

import { BPF_PROG_LOAD, BPF_PROG_TEST_RUN, BPF_PROG_TYPE_SCHED_CLS, cString, errnoName } from '@libbpf-ts/uapi';
import { interpreterEngine, jitEngine } from '@libbpf-ts/vm';
import { describe, expect, test } from 'vitest';

import { boot, leaksAfter, type World } from './kit.ts';

/** What the live kernel answered to one call in one packet: the result, what the program saw of the packet afterwards, and the frame. */
interface Run {
  readonly errno?: string;
  readonly result: number;
  readonly seen: readonly number[];
  readonly out: string;
  /** gso_size << 16 | gso_segs and wire_len as the program saw them, then gso_segs and gso_size in ctx_out. */
  readonly gso?: readonly number[];
}
interface Row {
  readonly case: string;
  readonly code: string;
  /** gso_segs and gso_size in ctx_in. */
  readonly gso?: readonly [number, number];
  readonly runs: Readonly<Record<string, Run>>;
}

const [header, ...rows] = readFileSync(new URL('../../net/test/oracle/skb-helpers.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as never) as unknown as [
  {
    readonly kernel: string;
    readonly packets: Readonly<Record<string, string>>;
    readonly before: string;
    readonly after: string;
  },
  ...Row[],
];

const fromHex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Hex, with 64 or more zeros at the end as a number. */
function squeeze(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.length - end < 64 ? toHex(bytes) : `${toHex(bytes.subarray(0, end))}+${bytes.length - end}`;
}

function run({ task }: World, row: Row): Record<string, unknown> {
  const insns = fromHex(header.before + row.code + header.after);
  const fd = task.bpf(BPF_PROG_LOAD, {
    prog_type: BPF_PROG_TYPE_SCHED_CLS,
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
  });
  if (fd < 0) return { refused: `${errnoName(fd)}: ${task.lastError?.detail}` };
  const results: Record<string, unknown> = {};
  for (const packet of Object.keys(row.runs)) {
    const data_in = fromHex(header.packets[packet]!);
    const [data_out, ctx_in, ctx_out] = [new Uint8Array(70_000), new Uint8Array(192), new Uint8Array(192)];
    row.gso?.forEach((value, at) => new DataView(ctx_in.buffer).setUint32([164, 176][at]!, value, true));
    const attr = {
      prog_fd: fd,
      data_in,
      data_size_in: data_in.length,
      data_out,
      data_size_out: data_out.length,
      repeat: 1,
      ctx_in,
      ctx_size_in: 192,
      ctx_out,
      ctx_size_out: 192,
    };
    const result = task.bpf(BPF_PROG_TEST_RUN, attr);
    const view = new DataView(ctx_out.buffer);
    const out = data_out.subarray(0, attr.data_size_out);
    results[packet] =
      result < 0
        ? { errno: errnoName(result) }
        : {
            result: view.getInt32(48, true),
            seen: [52, 56, 60, 64].map((at) => view.getUint32(at, true)),
            out: toHex(out) === header.packets[packet] ? 'same' : squeeze(out),
            ...(row.gso ? { gso: [8, 32, 164, 176].map((at) => view.getUint32(at, true)) } : {}),
          };
  }
  task.close(fd);
  return results;
}

describe.each([
  ['interpreter', [interpreterEngine]],
  ['jit', [jitEngine]],
])(`helpers over packets, as Linux ${header.kernel} ran them, %s`, (_engine, engines) => {
  test.each([...byHelper()])('%s', (_, cases) => {
    const world = boot(engines);
    world.net.init.addDevice({ name: 'm0', ifindex: 7 });
    const differences = cases.flatMap((row) => {
      const actual = run(world, row);
      return JSON.stringify(actual) === JSON.stringify(row.runs) ? [] : [{ case: row.case, live: row.runs, here: actual }];
    });
    expect(differences).toEqual([]);
    expect(world.net.skbs.inUse).toBe(0);
    expect(leaksAfter(world)).toEqual([]);
  });
});

function byHelper(): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const name = `${row.case.split(' ')[0]!}${row.gso ? ' with segments' : ''}`;
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return groups;
}
