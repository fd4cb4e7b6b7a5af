import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { shared } from '@libbpf-ts/testkit';
import { describe, expect, test } from 'vitest';

import { replay } from '../src/oracle/replay.ts';
import { parseTrace, type Trace } from '../src/oracle/trace.ts';
import { simulatedWorld } from '../src/oracle/world.ts';

const own = fileURLToPath(new URL('../../../packages/tcx/test/oracle', import.meta.url));
const tracesIn = (folder: string): [string, string][] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => [name, join(folder, name)]);
const read = (path: string): Trace => parseTrace(readFileSync(path, 'utf8'));

function differences(trace: Trace): unknown[] {
  const world = simulatedWorld();
  const found = replay(trace, world);
  world.close();
  expect(world.kernel.leaks()).toEqual([]);
  return found;
}

describe('traces recorded on a live kernel', () => {
  test.each(tracesIn(own))('%s', (_, path) => expect(differences(read(path))).toEqual([]));
});

test('a changed expectation is one difference', () => {
  const trace = read(tracesIn(own)[0]![1]);
  const at = trace.ops.findIndex(({ op, res }) => op === 'attach' && res === 'OK');
  const changed = trace.ops.map((op, index) => (index === at ? { ...op, res: 'EEXIST' } : op));
  expect(differences({ ...trace, ops: changed })).toMatchObject([{ op: at, field: 'res', expected: 'EEXIST', actual: 'OK' }]);
});

test.each([
  ['', 'line 1 is not a header of a trace'],
  ['{"v":1,"kind":"header"}\n{', 'line 2 is not JSON'],
  ['{"v":2,"kind":"header"}', 'version 2'],
  ['{"v":1,"kind":"header"}\n{"op":"attach"}', 'line 2 is not an operation'],
])('refuses %j', (text, message) => expect(() => parseTrace(text)).toThrow(message));

const more = shared('oracle', 'mprog');
describe.skipIf('reason' in more)(`further traces${'reason' in more ? ` (${more.reason})` : ''}`, () => {
  test.each('path' in more ? tracesIn(more.path) : [])('%s', (_, path) => expect(differences(read(path))).toEqual([]));
});
