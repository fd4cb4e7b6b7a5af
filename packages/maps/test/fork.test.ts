/** A fork has maps of its own: what happens to one is never seen in the other, and both give everything back. */

import { Kernel, type BpfMap, type Task } from '@libbpf-ts/kernel';
import { expect, test } from 'vitest';

import { maps, openPerfEvent, perfEvent, RingbufReader, setDeviceDirectory } from '../src/index.ts';
import { engines, loadProgram, makeMap } from './support/program.ts';

const KEYED: readonly (readonly [name: string, type: number, keySize: number, valueSize: number, flags: number])[] = [
  ['hash', 1, 4, 8, 0],
  ['array', 2, 4, 8, 0],
  ['percpu_hash', 5, 4, 8, 0],
  ['percpu_array', 6, 4, 8, 0],
  ['lru_hash', 9, 4, 8, 0],
  ['lru_percpu_hash', 10, 4, 8, 0],
  ['lpm_trie', 11, 8, 8, 1],
  ['queue', 22, 0, 8, 0],
  ['stack', 23, 0, 8, 0],
  ['bloom_filter', 30, 0, 8, 0],
  ['devmap', 14, 4, 4, 0],
  ['devmap_hash', 25, 4, 4, 0],
];

function boot(): Kernel {
  return new Kernel({ subsystems: [maps, (kernel) => setDeviceDirectory(kernel, { exists: () => true })] });
}

const keyOf = (keySize: number, n: number): Uint32Array | null =>
  keySize === 0 ? null : keySize === 8 ? new Uint32Array([32, n]) : new Uint32Array([n]);

function put(task: Task, fd: number, keySize: number, valueSize: number, n: number): number {
  return task.bpf(2, { map_fd: fd, key: keyOf(keySize, n), value: new Uint32Array(Math.max(2, valueSize / 4)).fill(n + 1) });
}

/** All that user space can read of a map. */
function contents(task: Task, fd: number, map: BpfMap): string {
  const rows: string[] = [];
  for (let n = 0; n < 16; n++) {
    const value = new Uint8Array(map.userValueSize);
    if (map.type === 30) value.set([n + 1, 0, 0, 0, n + 1]);
    rows.push(`${task.bpf(1, { map_fd: fd, key: keyOf(map.keySize, n), value })} ${value.join(',')}`);
  }
  return rows.join('\n');
}

test.each(KEYED)('%s', (_, type, keySize, valueSize, map_flags) => {
  const kernel = boot();
  const task = kernel.task();
  const map = makeMap(task, type, keySize, valueSize, 16, { map_flags });
  const size = map.userValueSize;
  for (let n = 0; n < 6; n++) expect(put(task, 3, keySize, size, n)).toBe(0);
  const before = contents(task, 3, map);
  const fork = kernel.fork();
  const other = fork.twin(task);
  const twin = fork.twin(map);
  expect(contents(other, 3, twin)).toBe(before);
  for (let n = 6; n < 12; n++) put(other, 3, keySize, size, n);
  if (keySize > 0) other.bpf(3, { map_fd: 3, key: keyOf(keySize, 1) });
  if (type === 22) expect(other.bpf(21, { map_fd: 3, value: new Uint8Array(8) })).toBe(0);
  const changed = contents(other, 3, twin);
  expect(changed).not.toBe(before);
  expect(contents(task, 3, map)).toBe(before);
  for (let n = 2; n < 9; n++) put(task, 3, keySize, size, n);
  expect(contents(other, 3, twin)).toBe(changed);
  for (const one of [kernel, fork]) {
    for (const each of one.tasks.values()) each.exit();
    expect(one.leaks()).toEqual([]);
  }
});

test('maps of maps, ring buffers, perf events and the programs over them', () => {
  const kernel = boot();
  const task = kernel.task();
  makeMap(task, 1, 4, 8, 4);
  const outer = makeMap(task, 13, 4, 4, 4, { inner_map_fd: 3 });
  const ring = makeMap(task, 27, 0, 0, 4096);
  const events = makeMap(task, 4, 4, 4, 2);
  const fd = openPerfEvent(task, 0);
  expect(task.bpf(2, { map_fd: 4, key: new Uint32Array([1]), value: new Uint32Array([3]) })).toBe(0);
  expect(task.bpf(2, { map_fd: 6, key: new Uint32Array([0]), value: new Uint32Array([fd]) })).toBe(0);
  const fork = kernel.fork();
  const inner = fork.twin(outer).lookup(keyIn(fork, 1));
  expect(fork.mapAt(inner)).toBe(fork.twin(kernel.mapAt(inner)));
  for (const engine of engines) {
    const text = `
      r2 = r10
      r2 += -8
      *(u64 *)(r10 -8) = 7
      r1 = map(ring)
      r3 = 8
      r4 = 0
      call bpf_ringbuf_output#130
      r1 = 0
      r2 = map(events)
      r3 = 0
      r4 = r10
      r4 += -8
      r5 = 8
      call bpf_perf_event_output#25
      exit`;
    expect(loadProgram(fork, text, { ring: fork.twin(ring), events: fork.twin(events) }, engine).run(0)).toBe(0);
  }
  expect([new RingbufReader(fork.twin(ring)).consume(() => {}), new RingbufReader(ring).consume(() => {})]).toEqual([
    engines.length,
    0,
  ]);
  expect([perfEvent(fork.twin(task), fd).drain().length, perfEvent(task, fd).drain().length]).toEqual([engines.length, 0]);
});

function keyIn(kernel: Kernel, key: number): number {
  const address = kernel.arena.allocate(8);
  kernel.arena.u32[address >> 2] = key;
  return address;
}

test('memory comes with elements, and all of it goes back', () => {
  const kernel = boot();
  const task = kernel.task();
  const before = kernel.arena.used;
  const map = makeMap(task, 1, 16, 256, 1_000_000);
  expect(kernel.arena.used - before).toBeLessThan(2048);
  for (let n = 0; n < 5000; n++)
    expect(task.bpf(2, { map_fd: 3, key: new Uint32Array([n, 0, 0, 0]), value: new Uint8Array(256) })).toBe(0);
  const full = kernel.arena.used;
  expect(full - before).toBeGreaterThan(5000 * 280);
  for (let n = 0; n < 5000; n++) expect(task.bpf(3, { map_fd: 3, key: new Uint32Array([n, 0, 0, 0]) })).toBe(0);
  for (let n = 0; n < 5000; n++) task.bpf(2, { map_fd: 3, key: new Uint32Array([n, 1, 0, 0]), value: new Uint8Array(256) });
  expect(kernel.arena.used).toBe(full);
  expect(map.header('count')).toBe(5000);
  task.close(3);
  expect(kernel.arena.used - before).toBeLessThan(2048);
});

test('a walk by get_next_key is whole while the table grows under it', () => {
  const kernel = boot();
  const task = kernel.task();
  makeMap(task, 1, 4, 8, 10_000);
  const add = (key: number): number => task.bpf(2, { map_fd: 3, key: new Uint32Array([key]), value: new Uint32Array(2) });
  for (let key = 0; key < 100; key++) add(key);
  const seen = new Map<number, number>();
  let fresh = 1000;
  for (let key: Uint32Array | null = null; ;) {
    const next_key: Uint32Array = new Uint32Array(1);
    if (task.bpf(4, { map_fd: 3, key, next_key }) !== 0) break;
    key = next_key;
    seen.set(key[0]!, (seen.get(key[0]!) ?? 0) + 1);
    if (fresh < 1600) for (let more = 0; more < 10; more++) add(fresh++);
  }
  expect([...seen.values()].every((times) => times === 1)).toBe(true);
  for (let key = 0; key < 100; key++) expect(seen.has(key)).toBe(true);
});
