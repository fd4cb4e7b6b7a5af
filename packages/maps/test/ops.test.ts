/** Element commands on every map type against what the live kernel answered; see tools/oracle/record_map_ops.py. */

import { readFileSync } from 'node:fs';

import { Kernel } from '@libbpf-ts/kernel';
import { schedClsOps } from '@libbpf-ts/verifier/protos';
import { expect, test } from 'vitest';

import { maps, setDeviceDirectory } from '../src/index.ts';
import { replay, type Case } from './support/replay.ts';

const lines = readFileSync(new URL('oracle/ops.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const cases = lines.slice(1).map((line) => JSON.parse(line) as Case);

/** What is not answered as the recorded kernel answered, and why. */
const DIFFERENT: Readonly<Record<string, string>> = {
  sk_storage: 'sockets belong to the network',
  inode_storage: 'there are no inodes',
};

test.for(cases.map((recorded): [string, Case] => [recorded.name, recorded]))('%s', ([name, recorded], context) => {
  if (name in DIFFERENT) context.skip(DIFFERENT[name]);
  const kernel = new Kernel({ subsystems: [maps] });
  kernel.progTypes.register(3, { type: 3, name: 'sched_cls', verifier: schedClsOps });
  kernel.progTypes.register(6, { type: 6, name: 'xdp', verifier: { ...schedClsOps, name: 'xdp' } });
  setDeviceDirectory(kernel, { exists: (_task, ifindex) => ifindex === 1 });
  const task = kernel.task();
  const before = kernel.arena.used;
  expect(replay(task, recorded)).toEqual([]);
  task.exit();
  expect(kernel.leaks()).toEqual([]);
  expect(kernel.arena.used - before).toBeLessThan(4096);
});
