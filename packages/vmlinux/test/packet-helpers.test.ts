import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

import * as uapi from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { createKernel } from '@libbpf-ts/vmlinux';

/** docs/packet-helpers.md says of each helper how many objects of the field use it, what was recorded, and what is not modelled. */
const root = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/packet-helpers.md', root), 'utf8');
const rows = [...page.matchAll(/^\| `bpf_(\w+)` +\| +(\d+) \| (.*?) +\| (.+?) +\|$/gm)].map(
  ([, name, objects, recorded, rest]) => ({
    name: name!,
    objects: Number(objects),
    recorded: recorded!,
    rest: rest!,
  }),
);
const idOf = (name: string): number | undefined => (uapi as unknown as Record<string, number | undefined>)[`BPF_FUNC_${name}`];

/** Where the field's inventory is, which is no part of this repository. */
const shared = process.env['LIBBPF_TS_SHARED'];
/** By number of helper, `y` where the live kernel let a program of the type call it. */
const callable = JSON.parse(readFileSync(new URL('packages/verifier/test/oracle/helpers.json', root), 'utf8')) as {
  readonly gpl: { readonly sched_cls: string };
};

const ORACLE = new URL('packages/net/test/oracle/', root);
const read = (file: string): string[] => readFileSync(new URL(file, ORACLE), 'utf8').trim().split('\n');
/** How many recorded cases a file has of each helper: those named after it, or, in scenes, those with a program that calls it. */
const COUNTS: Readonly<Record<string, (id: number, name: string) => number>> = {
  'skb-helpers.jsonl': countNamed(read('skb-helpers.jsonl')),
  'sockets.jsonl': countCalling(read('sockets.jsonl')),
  'traffic.jsonl': countCalling(read('traffic.jsonl')),
  'fib.jsonl': (_, name) => (name === 'fib_lookup' ? read('fib.jsonl').length - 1 : 0),
};

function countNamed(lines: readonly string[]): (id: number, name: string) => number {
  return (_, name) => lines.filter((line) => new RegExp(`^\\{"case": ?"${name}[ "]`).test(line)).length;
}

function countCalling(lines: readonly string[]): (id: number) => number {
  return (id) => {
    const call = `85000000${[0, 8, 16, 24].map((shift) => ((id >> shift) & 0xff).toString(16).padStart(2, '0')).join('')}`;
    const calls = (code: string): boolean => [...code.matchAll(/.{16}/g)].some(([insn]) => insn === call);
    return lines.slice(1).filter((line) => [...line.matchAll(/"((?:[0-9a-f]{16})+)"/g)].some(([, code]) => calls(code!)))
      .length;
  };
}

/** The second column as the recordings have it. */
function recordedOf(name: string): string {
  const parts = Object.entries(COUNTS).map(([file, count]) => [file.replace('.jsonl', ''), count(idOf(name)!, name)] as const);
  return (
    parts
      .filter(([, count]) => count > 0)
      .map(([file, count]) => `${file} ${count}`)
      .join(', ') || '–'
  );
}

describe('helpers of sched_cls in the field', () => {
  test('the page lists helpers by the number of objects', () => {
    expect(rows.length).toBe((page.match(/^\| `/gm) ?? []).length);
    expect(rows.map(({ objects }) => objects)).toEqual(rows.map(({ objects }) => objects).toSorted((a, b) => b - a));
    expect(Math.min(...rows.map(({ objects }) => objects))).toBeGreaterThanOrEqual(2);
  });

  test.skipIf(shared === undefined)('it lists all that the inventory has, as far as sched_cls programs may call them', () => {
    const inventory = readFileSync(`${shared}/field/inventory.md`, 'utf8');
    const counted = [...inventory.matchAll(/^\|\d+\|bpf_(\w+)\|\d+\|\d+\|\d+\|(\d+)\|/gm)]
      .map(([, name, objects]) => ({ name: name!, objects: Number(objects) }))
      .filter(({ name, objects }) => objects >= 2 && callable.gpl.sched_cls[idOf(name)!] === 'y');
    const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
    expect(rows.map(({ name, objects }) => ({ name, objects })).toSorted(byName)).toEqual(counted.toSorted(byName));
  });

  test('all recordings of this package are counted', () => {
    expect(readdirSync(ORACLE).toSorted()).toEqual(Object.keys(COUNTS).toSorted());
  });

  test.each(rows)('$name is implemented, and its recorded cases are as many', ({ name, recorded }) => {
    const kernel = createKernel();
    const id = idOf(name);
    expect(id).toBeDefined();
    expect(callable.gpl.sched_cls[id!]).toBe('y');
    const type = kernel.progTypes.get(uapi.BPF_PROG_TYPE_SCHED_CLS)!;
    expect(type.helper?.(id!) ?? kernel.helpers.get(id!)).toBeDefined();
    expect(recorded).toBe(recordedOf(name));
  });
});
