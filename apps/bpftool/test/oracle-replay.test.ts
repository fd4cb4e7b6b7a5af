import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { noLiveKernel, shared } from '@libbpf-ts/testkit';
import { beforeEach, describe, expect, test } from 'vitest';

import { inLinuxNamespace } from '../src/oracle/linux-world.ts';
import { Pair } from '../src/oracle/pair.ts';
import { RandomOps } from '../src/oracle/random-ops.ts';
import { replay } from '../src/oracle/replay.ts';
import { parseTrace, type Trace } from '../src/oracle/trace.ts';
import { simulatedWorld } from '../src/oracle/world.ts';

const folder = (path: string): string => fileURLToPath(new URL(`../../../packages/${path}/test/oracle`, import.meta.url));
const tracesIn = (folder: string): [string, string][] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => [name, join(folder, name)]);
const own = ['tcx', 'cls-bpf'].flatMap((name) => tracesIn(folder(name)));
const read = (path: string): Trace => parseTrace(readFileSync(path, 'utf8'));

function differences(trace: Trace): unknown[] {
  const world = simulatedWorld();
  const found = replay(trace, world);
  world.close();
  expect(world.kernel.leaks()).toEqual([]);
  return found;
}

describe('traces recorded on a live kernel', () => {
  test.each(own)('%s', (_, path) => expect(differences(read(path))).toEqual([]));
});

test('a changed expectation is one difference', () => {
  const trace = read(own[0]![1]);
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

describe('the same operations on the running kernel', () => {
  beforeEach((context) => {
    const reason = noLiveKernel();
    if (reason) context.skip(reason);
  });

  test.each(own)('%s', (_, path) => {
    inLinuxNamespace((linux) => {
      const { header, ops } = read(path);
      const pair = new Pair(header.preamble.fillers, linux, header.preamble.tc === true);
      try {
        for (const line of ops) {
          const { differs } = pair.step(line);
          expect(differs, JSON.stringify(line)).toBeUndefined();
        }
      } finally {
        pair.close();
      }
    });
  });

  test.each([false, true])('random ones have the same answers and leave the same state (classic tc: %s)', (tc) => {
    inLinuxNamespace((linux) => {
      const random = new RandomOps(7, 0, tc);
      const pair = new Pair(0, linux, tc);
      try {
        for (let i = 0; i < 400; i++) {
          const op = random.next();
          const { answer, differs } = pair.step(op);
          expect(differs, JSON.stringify(op)).toBeUndefined();
          random.note(op, answer.res);
        }
      } finally {
        pair.close();
      }
    });
  });
});
