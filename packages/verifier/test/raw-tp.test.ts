/** Arguments of tracepoints that may be NULL, against what the live kernel answered for every tracepoint that it has. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP } from '@libbpf-ts/uapi';
import type { ProgFacts } from '@libbpf-ts/verifier';
import { OPS } from './support/program-types.ts';

interface Recorded {
  readonly tracepoints: number;
  readonly null: Readonly<Record<string, readonly number[]>>;
  readonly scalar: Readonly<Record<string, readonly number[]>>;
}

const recorded = JSON.parse(readFileSync(new URL('oracle/raw-tp.json', import.meta.url), 'utf8')) as Recorded;

function nullArgs(attachName: string): number[] {
  const prog = { prog_type: BPF_PROG_TYPE_TRACING, expected_attach_type: BPF_TRACE_RAW_TP, attachName } as ProgFacts;
  return (OPS.get(BPF_PROG_TYPE_TRACING)!.ctxArgInfo?.(prog) ?? []).map(({ offset }) => offset / 8);
}

test('the same arguments of the same tracepoints may be NULL', () => {
  const names = Object.keys(recorded.null);
  expect(names.length).toBeGreaterThan(50);
  expect(Object.fromEntries(names.map((name) => [name, nullArgs(name)]))).toEqual(recorded.null);
  expect(recorded.scalar).toEqual({});
});

test('those of others may not', () => expect([nullArgs('task_newtask'), nullArgs('sched_switch')]).toEqual([[], []]));
