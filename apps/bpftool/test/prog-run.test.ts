/** `prog run` against what the kernel's own bpftool answered for the same object, program, data and context. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixtures, runCli } from './memory-io.ts';

interface Row {
  readonly prog: string;
  readonly data?: string;
  readonly ctx?: string;
  readonly repeat?: number;
  readonly errno?: string;
  readonly retval?: number;
  readonly data_out?: string;
  readonly ctx_out?: string;
}

const [header, ...rows] = readFileSync(new URL('oracle/prog-run.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as never) as unknown as [{ readonly kernel: string }, ...Row[]];

/** Hex, and behind a `+` how many zeros follow. */
function bytesOf(text: string): Uint8Array {
  const [hex = '', zeros = '0'] = text.split('+');
  const bytes = new Uint8Array(hex.length / 2 + Number(zeros));
  for (let at = 0; at < hex.length; at += 2) bytes[at / 2] = Number.parseInt(hex.slice(at, at + 2), 16);
  return bytes;
}

function squeeze(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const hex = (part: Uint8Array): string => Array.from(part, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return bytes.length - end < 64 ? hex(bytes) : `${hex(bytes.subarray(0, end))}+${bytes.length - end}`;
}

/** Programs whose context is changed where it is. */
const IN_PLACE: ReadonlySet<string> = new Set(['raw_second', 'syscall_sum']);

function here({ prog, data, ctx, repeat }: Row, engine: string): Record<string, unknown> {
  const files: Record<string, Uint8Array> = {};
  const words = ['prog', 'run', `${join(fixtures, 'run/run.bpf.o')}:${prog}`, '--btf', 'none', '--engine', engine, '--json'];
  for (const [name, text] of [
    ['data', data],
    ['ctx', ctx],
  ] as const) {
    if (text === undefined) continue;
    files[name] = bytesOf(text);
    words.push(`${name}_in`, name);
    if (name === 'data' || data !== undefined || IN_PLACE.has(prog)) words.push(`${name}_out`, `${name}.out`);
  }
  if (repeat !== undefined) words.push('repeat', String(repeat));
  const { code, out, err, written } = runCli(words, files);
  if (code !== 0) return { errno: /\bE[A-Z0-9]+\b/.exec(out + err)?.[0] ?? out + err };
  const { retval } = JSON.parse(out) as { retval: number };
  const outputs = [...written].map(([name, bytes]) => [name.replace('.', '_'), squeeze(bytes)]);
  return { retval, ...Object.fromEntries(outputs) };
}

function expected({ prog: _prog, data: _data, ctx: _ctx, repeat: _repeat, ...answer }: Row): unknown {
  return answer;
}

describe.each(['jit', 'interpreter'])(`as bpftool answers on Linux ${header.kernel}, %s`, (engine) => {
  test.each([...new Set(rows.map(({ prog }) => prog))])('%s', (prog) => {
    const differences = rows
      .filter((row) => row.prog === prog)
      .flatMap((row) => {
        const [live, ours] = [expected(row), here(row, engine)];
        return JSON.stringify(live) === JSON.stringify(ours) ? [] : [{ ...row, ours }];
      });
    expect(differences).toEqual([]);
  });
});
