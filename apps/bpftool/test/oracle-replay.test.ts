import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { noLiveKernel, shared } from '@libbpf-ts/testkit';
import { beforeEach, describe, expect, test } from 'vitest';

import { inLinuxNamespace } from '../src/oracle/linux-world.ts';
import { RandomOps, emptyTrace } from '../src/oracle/random-ops.ts';
import { canonical, replay, Replay } from '../src/oracle/replay.ts';
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

describe('the same operations on the running kernel', () => {
  beforeEach((context) => {
    const reason = noLiveKernel();
    if (reason) context.skip(reason);
  });

  test.each(tracesIn(own))('%s', (_, path) => {
    inLinuxNamespace((linux) => {
      const world = linux();
      try {
        expect(replay(read(path), world)).toEqual([]);
      } finally {
        world.close();
      }
    });
  });

  test('random ones have the same answers and leave the same state', () => {
    inLinuxNamespace((linux) => {
      const random = new RandomOps(7, 0);
      const worlds = [simulatedWorld(), linux()];
      const replays = worlds.map((world) => new Replay(world, emptyTrace(7, 0)));
      for (const each of replays) each.prepare();
      for (let i = 0; i < 500; i++) {
        const op = random.next();
        // What the running kernel frees through RCU may be seen for a moment longer: ids are asked in the long comparison only.
        if (op.op === 'id_to_fd') continue;
        const [here, there] = replays.map((each) => canonical({ ...each.execute(op), state: each.state() }));
        expect(there, JSON.stringify(op)).toBe(here);
        random.note(op, (JSON.parse(here!) as { res: string }).res);
      }
      for (const world of worlds) world.close();
    });
  });
});
