/** Which map goes into which helper, against what the live kernel answered (tools/oracle/record_map_calls.py). */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BPF_FUNC_NAMES, BPF_MAP_TYPE_NAMES } from '@libbpf-ts/uapi';
import { mapFitsHelper } from '../src/map-compat.ts';

const { calls } = JSON.parse(readFileSync(new URL('oracle/map-calls.json', import.meta.url), 'utf8')) as {
  calls: Record<string, Record<string, string>>;
};
const PROG_TYPE: Readonly<Record<string, number>> = {
  25: 3,
  27: 2,
  33: 3,
  51: 6,
  52: 14,
  53: 13,
  60: 16,
  70: 13,
  71: 16,
  72: 14,
  81: 8,
  82: 21,
};
const MAP_TYPE = new Map(
  [...BPF_MAP_TYPE_NAMES].map(([number, name]) => [name.replace('BPF_MAP_TYPE_', '').toLowerCase(), number]),
);

/** Refusals that come before or after this rule say nothing of it; a tail call has words of its own. */
const says = (answer: string): boolean | undefined => {
  if (answer === 'OK' || answer.includes('would lead to reference leak')) return true;
  return answer === 'cannot pass' || answer.startsWith('expected prog array map') ? false : undefined;
};

test.each(Object.entries(calls))('helper %s', (helper, answers) => {
  const wrong = Object.entries(answers).flatMap(([name, answer]) => {
    const map_type = MAP_TYPE.get(name) ?? (name === 'cgroup_storage' ? 19 : 21);
    const ours = mapFitsHelper(map_type, Number(helper), PROG_TYPE[helper] ?? 3, 0);
    const theirs = says(answer);
    return theirs === undefined || theirs === ours ? [] : [`${BPF_FUNC_NAMES.get(Number(helper))} ${name}: ${answer}`];
  });
  expect(wrong).toEqual([]);
});
