/** Helpers on text and sums against what the live kernel gave; see tools/oracle/record_helper_results.py. */

import { readFileSync } from 'node:fs';

import { Kernel } from '@libbpf-ts/kernel';
import { expect, test } from 'vitest';

import { mapHelpers, maps } from '../src/index.ts';
import { fromHex, toHex } from './support/replay.ts';

interface Row {
  readonly helper: string;
  readonly format?: string;
  readonly args?: readonly (string | { readonly text: string })[];
  readonly size?: number;
  readonly text?: string;
  readonly base?: number;
  readonly left?: string;
  readonly right?: string;
  readonly old?: string;
  readonly new?: string;
  readonly seed?: number;
  readonly reserve?: boolean;
  readonly query?: readonly number[];
  readonly load?: string;
  readonly result?: number;
  readonly sign?: number;
  readonly out?: string;
}

const lines = readFileSync(new URL('oracle/helper-results.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const rows = lines.slice(1).map((line) => JSON.parse(line) as Row);

const IDS: Readonly<Record<string, number>> = {
  snprintf: 165,
  strtol: 105,
  strtoul: 106,
  strncmp: 182,
  csum_diff: 28,
  ringbuf_output: 130,
  ringbuf_reserve: 131,
  ringbuf_submit: 132,
  ringbuf_query: 134,
};

class Caller {
  readonly kernel: Kernel = new Kernel({ subsystems: [maps] });
  readonly #memory: number = this.kernel.arena.allocate(4096);
  #next = 0;

  put(bytes: Uint8Array): number {
    const at = this.#memory + this.#next;
    this.kernel.arena.u8.set(bytes, at);
    this.#next += (bytes.length + 15) & ~7;
    return at;
  }

  /** Address of a new map without keys. */
  map(map_type: number, max_entries: number): number {
    const task = this.kernel.task();
    return task.map(task.bpf(0, { map_type, max_entries }), 'fd').address;
  }

  call(name: string, ...args: number[]): number {
    return this.kernel.helperOf(mapHelpers.find(([id]) => id === IDS[name])![1]).run(...args);
  }

  bytes(at: number, size: number): Uint8Array {
    return this.kernel.arena.u8.slice(at, at + size);
  }
}

const RUN: Readonly<Record<string, (caller: Caller, row: Row) => unknown>> = {
  snprintf(caller, { format, args, size, result }) {
    const values = args!.map((arg) =>
      typeof arg === 'string' ? BigInt.asUintN(64, BigInt(arg)) : BigInt(caller.put(fromHex(arg.text))),
    );
    const data = caller.put(new Uint8Array(new BigUint64Array(values).buffer));
    const buffer = caller.put(new Uint8Array(128));
    const answer = caller.call(
      'snprintf',
      buffer,
      size!,
      caller.put(new TextEncoder().encode(`${format}\0`)),
      data,
      values.length * 8,
    );
    void result;
    return { result: answer, out: toHex(caller.bytes(buffer, 128)) };
  },
  ringbuf(caller, { size, reserve }) {
    const ring = caller.map(27, 4096);
    const data = caller.put(new Uint8Array(256));
    let result = 0;
    for (let times = Math.floor(4096 / (size! + 8)) + 2; times > 0; times--) {
      if (reserve) {
        const sample = caller.call('ringbuf_reserve', ring, size!, 0, 0, 0);
        if (sample !== 0) caller.call('ringbuf_submit', sample, 0, 0);
        if (sample !== 0) result++;
      } else if (caller.call('ringbuf_output', ring, data, size!, 0, 0, 0) === 0) result++;
    }
    return { result, query: [0, 1, 2, 3, 4].map((what) => caller.call('ringbuf_query', ring, what, 0)) };
  },
  strtol: parse,
  strtoul: parse,
  strncmp(caller, { left, right, size }) {
    const text = caller.put(fromHex(`${left!}00`));
    return { sign: Math.sign(caller.call('strncmp', text, size!, caller.put(fromHex(`${right!}00`)))) };
  },
  csum_diff(caller, { old, new: fresh, seed }) {
    const [from, to] = [fromHex(old!), fromHex(fresh!)];
    return { result: caller.call('csum_diff', caller.put(from), from.length, caller.put(to), to.length, seed! | 0) };
  },
};

function parse(caller: Caller, { helper, text, base }: Row): unknown {
  const buffer = caller.put(new Uint8Array(8));
  const bytes = fromHex(text!);
  const result = caller.call(helper, caller.put(bytes), bytes.length, base! | 0, Math.floor(base! / 2 ** 32), buffer);
  return { result, out: toHex(caller.bytes(buffer, 8)) };
}

test.each([...new Set(rows.map(({ helper }) => helper))])('%s', (name) => {
  const differences: string[] = [];
  // %pK prints a hash of the address.
  for (const row of rows.filter(({ helper, format }) => helper === name && format !== '%pK')) {
    const answer = RUN[name]!(new Caller(), row) as { result?: number; out?: string; sign?: number; query?: number[] };
    const { result, out, sign, load, ...question } = row;
    // What the verifier refuses at load, a helper refuses when it is called.
    const same =
      load !== undefined
        ? (answer.result ?? 0) < 0
        : answer.result === result &&
          answer.sign === sign &&
          String(answer.query) === String(row.query) &&
          ((result ?? 0) < 0 || answer.out === out);
    if (!same)
      differences.push(
        `${JSON.stringify(question)}: ${load ?? result ?? sign} ${text(out)} but ${answer.result ?? answer.sign} ${text(answer.out)}`,
      );
  }
  expect(differences).toEqual([]);
});

const text = (hex: string | undefined): string =>
  hex === undefined ? '' : JSON.stringify(String.fromCharCode(...fromHex(hex)).replace(/\0+$/, ''));
