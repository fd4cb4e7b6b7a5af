import type { Kernel, Task } from '@libbpf-ts/kernel';
import { netOf } from '@libbpf-ts/net';
import {
  BPF_ENABLE_STATS,
  BPF_LINK_CREATE,
  BPF_LINK_DETACH,
  BPF_LINK_UPDATE,
  BPF_MAP_CREATE,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_ELEM,
  BPF_OBJ_GET_INFO_BY_FD,
  BPF_OBJ_PIN,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_TCX_INGRESS,
  bpf_prog_info,
  cString,
} from '@libbpf-ts/uapi';
import { tieredEngine } from '@libbpf-ts/vm';
import { createKernel } from '@libbpf-ts/vmlinux';
import { beforeEach, describe, expect, test } from 'vitest';

import { smallProgram, u32Bytes } from './support/storm.ts';

let kernel: Kernel;
let cilium: Task;

beforeEach(() => {
  kernel = createKernel();
  cilium = kernel.task('cilium');
});

function load(task: Task, mapFd?: number): number {
  const insns = smallProgram(mapFd);
  return task.bpf(BPF_PROG_LOAD, {
    prog_type: BPF_PROG_TYPE_SCHED_CLS,
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
  });
}

const idOf = (task: Task, fd: number): number => task.file(fd)!.object!.id;
const link = (task: Task, prog_fd: number): number =>
  task.bpf(BPF_LINK_CREATE, { prog_fd, target_ifindex: 1, attach_type: BPF_TCX_INGRESS });
const chains = (what: Parameters<Kernel['whyAlive']>[0]): string[] => kernel.whyAlive(what).map(({ text }) => text);

describe('why is it alive', () => {
  test('a link, its fd, a map and a pin', () => {
    const map = cilium.bpf(BPF_MAP_CREATE, { map_type: 2, key_size: 4, value_size: 8, max_entries: 1 });
    const prog = load(cilium, map);
    const attached = link(cilium, prog);
    cilium.close(map);
    cilium.close(prog);
    expect(chains({ prog: 1 })).toEqual([`prog 1 ← link 1 ← fd ${attached} of task cilium`]);
    expect(chains({ map: 1 })).toEqual([`map 1 ← prog 1 ← link 1 ← fd ${attached} of task cilium`]);
    cilium.bpf(BPF_OBJ_PIN, { bpf_fd: attached, pathname: cString('/sys/fs/bpf/keep') });
    cilium.exit();
    expect(chains({ prog: 1 })).toEqual(['prog 1 ← link 1 ← pin /sys/fs/bpf/keep']);
    expect(kernel.leaks().map(({ text }) => text)).toEqual([
      'prog 1 held by link 1',
      'map 1 held by prog 1',
      'link 1 (tcx) held by pin /sys/fs/bpf/keep',
    ]);
    kernel.task('rm').unlink('/sys/fs/bpf/keep');
    expect(kernel.leaks()).toEqual([]);
    expect(chains({ prog: 1 })).toEqual([]);
  });

  test('a program in a prog_array that it uses itself', () => {
    const calls = cilium.bpf(BPF_MAP_CREATE, { map_type: 3, key_size: 4, value_size: 4, max_entries: 2, map_name: 'calls' });
    const prog = load(cilium, calls);
    expect(cilium.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: calls, key: u32Bytes(1), value: u32Bytes(prog) })).toBe(0);
    cilium.close(prog);
    const found = kernel.whyAlive({ prog: 1 });
    expect(found.map(({ circular }) => circular).sort()).toEqual([false, true]);
    expect(found.find(({ circular }) => !circular)!.text).toContain(`fd ${calls} of task cilium`);
    // The last fd of a prog_array empties it, so the circle does not keep itself alive.
    cilium.close(calls);
    expect(kernel.leaks()).toEqual([]);
  });
});

test('the audit log says who, what and why', () => {
  const [a, b] = [load(cilium), load(cilium)];
  const attached = link(cilium, a);
  cilium.bpf(BPF_LINK_UPDATE, { link_fd: attached, new_prog_fd: b });
  cilium.bpf(BPF_PROG_ATTACH, { attach_bpf_fd: a, target_ifindex: 1, attach_type: BPF_TCX_INGRESS });
  const other = kernel.task('other');
  other.bpf(BPF_PROG_DETACH, { target_ifindex: 1, attach_type: BPF_TCX_INGRESS });
  cilium.exit();
  expect(kernel.audit.entries.map(({ action, task, reason, prog, link: id }) => [action, task, reason, prog, id])).toEqual([
    ['attach', 'cilium', 'BPF_LINK_CREATE', 1, 1],
    ['replace', 'cilium', 'BPF_LINK_UPDATE', 2, 1],
    ['attach', 'cilium', 'BPF_PROG_ATTACH', 1, undefined],
    ['detach', 'other', 'BPF_PROG_DETACH', 1, undefined],
    ['detach', 'cilium', 'exit', 2, 1],
  ]);
});

test('a device that goes away severs its links, and the log says so', () => {
  const { init } = netOf(kernel);
  const device = init.addDevice({ name: 'eth0' });
  const prog = load(cilium);
  const attached = cilium.bpf(BPF_LINK_CREATE, { prog_fd: prog, target_ifindex: device.ifindex, attach_type: BPF_TCX_INGRESS });
  init.removeDevice(device);
  expect(cilium.bpf(BPF_LINK_UPDATE, { link_fd: attached, new_prog_fd: load(cilium) })).toBe(-67);
  expect(cilium.bpf(BPF_LINK_DETACH, { link_fd: attached })).toBe(0);
  expect(kernel.audit.entries.at(-1)).toMatchObject({ action: 'detach', reason: 'device eth0 removed', task: undefined });
});

test('a fork has the same objects under the same names, and its own lives', () => {
  const map = cilium.bpf(BPF_MAP_CREATE, { map_type: 1, key_size: 4, value_size: 8, max_entries: 8 });
  const attached = link(cilium, load(cilium, map));
  cilium.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: map, key: u32Bytes(1), value: new Uint8Array(8).fill(1) });
  const fork = kernel.fork();
  const twin = fork.twin(cilium);
  const linkTwin = fork.twin(cilium.file(attached)!.object as never);
  expect(linkTwin).not.toBe(cilium.file(attached)!.object);
  expect((linkTwin as { id: number }).id).toBe(idOf(cilium, attached));
  twin.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: map, key: u32Bytes(1), value: new Uint8Array(8).fill(2) });
  const value = new Uint8Array(8);
  cilium.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: map, key: u32Bytes(1), value });
  expect(value[0]).toBe(1);
  cilium.exit();
  expect(kernel.leaks()).toEqual([]);
  expect(fork.leaks()).toHaveLength(3);
  twin.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: map, key: u32Bytes(1), value });
  expect(value[0]).toBe(2);
  expect(run(twin, load(twin, map))).toBe(0);
  expect(netOf(fork).init.byIndex(1)!.name).toBe('lo');
  twin.exit();
  expect(fork.leaks()).toEqual([]);
  expect(() => fork.twin(kernel.task('young'))).toThrow(/younger/);
});

function run(task: Task, prog_fd: number): number {
  return task.bpf(BPF_PROG_TEST_RUN, { prog_fd, data_in: new Uint8Array(64), data_size_in: 64, repeat: 3 });
}

test('run statistics count while somebody wants them', () => {
  const prog = load(cilium);
  const runs = (): bigint => {
    const info = new Uint8Array(bpf_prog_info.size);
    cilium.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: prog, info, info_len: info.length });
    return bpf_prog_info.read(new DataView(info.buffer)).run_cnt;
  };
  link(cilium, prog);
  const device = netOf(kernel).init.byIndex(1)!;
  const frame = new Uint8Array(64);
  netOf(kernel).receive(device, frame);
  expect(runs()).toBe(0n);
  const stats = cilium.bpf(BPF_ENABLE_STATS, { type: 0 });
  for (let i = 0; i < 5; i++) netOf(kernel).receive(device, frame);
  expect(runs()).toBe(5n);
  const fork = kernel.fork();
  netOf(fork).receive(netOf(fork).init.byIndex(1)!, frame);
  expect(fork.progs.get(1)!.runCnt).toBe(6n);
  expect(runs()).toBe(5n);
  cilium.close(stats);
  netOf(kernel).receive(device, frame);
  expect(runs()).toBe(5n);
});

test('a program that changes engines is counted on, and a hook runs it on', () => {
  kernel = createKernel({ engines: [tieredEngine({ heat: 10 })] });
  const task = kernel.task('agent');
  const attached = link(task, load(task));
  const prog = kernel.progs.get(1)!;
  const device = netOf(kernel).init.byIndex(1)!;
  const receive = (times: number): void => {
    for (let count = 0; count < times; count++) netOf(kernel).receive(device, new Uint8Array(64));
  };
  const stats = task.bpf(BPF_ENABLE_STATS, { type: 0 });
  receive(5);
  expect([prog.loaded.engine, prog.runCnt]).toEqual(['first-tier', 5n]);
  receive(15);
  expect([prog.loaded.engine, prog.runCnt]).toEqual(['jit', 20n]);
  task.close(stats);
  receive(3);
  expect([prog.loaded.engine, prog.runCnt]).toEqual(['jit', 20n]);
  task.close(attached);
  task.exit();
  expect(kernel.leaks()).toEqual([]);
});
