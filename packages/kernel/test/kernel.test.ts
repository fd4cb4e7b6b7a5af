import { Kernel, MissingHelperError, VirtualClock } from '@libbpf-ts/kernel';
import { describe, expect, test } from 'vitest';

import { createLink, createMap, fakeKernel, FAKE_HOOK, hooksKey, loadProg, progOf } from './support/fake.ts';

describe('lifetimes', () => {
  test('an object lives as long as somebody holds it; its id is gone with the last', () => {
    const kernel = fakeKernel();
    const task = kernel.task('a');
    const map = createMap(task);
    const copy = task.dup(map);
    task.close(map);
    expect(kernel.leaks().map(({ text }) => text)).toEqual([`map 1 held by fd ${copy} of task a`]);
    task.close(copy);
    expect(kernel.leaks()).toEqual([]);
    expect(task.bpf(14, { map_id: 1 })).toBe(-2);
    createMap(task);
    expect([...kernel.maps].map(({ id }) => id)).toEqual([2]);
  });

  test('the last fd of a link detaches it, and a crash closes every fd', () => {
    const kernel = fakeKernel();
    const task = kernel.task('agent');
    createLink(task, loadProg(task));
    expect(kernel.stateOf(hooksKey).attached).toBeDefined();
    expect(createLink(task, loadProg(task))).toBe(-16);
    task.exit();
    expect(kernel.stateOf(hooksKey).attached).toBeUndefined();
    expect(kernel.leaks()).toEqual([]);
    expect(kernel.tasks.size).toBe(0);
  });

  test('what is freed during a run goes back when the outermost run ends', () => {
    const kernel = fakeKernel();
    const task = kernel.task();
    const map = createMap(task);
    const used = kernel.arena.used;
    kernel.enterRun();
    kernel.enterRun();
    task.close(map);
    kernel.leaveRun();
    expect(kernel.arena.used).toBe(used);
    expect(kernel.leaks()).toEqual([]);
    kernel.leaveRun();
    expect(kernel.arena.used).toBeLessThan(used);
  });

  test('a hold without a holder is a bug', () => {
    const kernel = fakeKernel();
    const task = kernel.task();
    const prog = progOf(task, loadProg(task));
    expect(() => prog.release({ kind: 'pin', path: '/x' })).toThrow(/does not hold/);
    prog.release({ kind: 'fd', task: task.id, fd: 3 });
    expect(() => prog.acquire({ kind: 'pin', path: '/x' })).toThrow(/dead/);
  });

  test('a task without room for an fd leaves nothing behind', () => {
    const kernel = fakeKernel();
    const task = kernel.task('small', { fdLimit: 4 });
    expect(createMap(task)).toBe(3);
    expect(createMap(task)).toBe(-24);
    expect(loadProg(task)).toBe(-24);
    expect(kernel.leaks()).toHaveLength(1);
  });
});

describe('forks', () => {
  test('state, links and clocks are copies', () => {
    const clock = new VirtualClock(5n);
    const kernel = fakeKernel({ clock });
    const task = kernel.task();
    const link = createLink(task, loadProg(task, 7));
    const fork = kernel.fork();
    clock.advance(10n);
    expect([kernel.clock.now(), fork.clock.now()]).toEqual([15n, 5n]);
    expect(fork.stateOf(hooksKey).attached).toBe(fork.twin(task.file(link)!.object as never));
    task.close(link);
    expect(kernel.stateOf(hooksKey).attached).toBeUndefined();
    expect(fork.stateOf(hooksKey).attached!.prog!.run(0)).toBe(7);
    expect(fork.twin(task).dup(link)).toBeGreaterThan(0);
  });

  test('a fork of a fork, and ids that go on', () => {
    const kernel = fakeKernel();
    const task = kernel.task();
    createMap(task);
    const second = kernel.fork().fork();
    const there = [...second.tasks.values()][0]!;
    createMap(there);
    expect([...second.maps].map(({ id }) => id)).toEqual([1, 2]);
    expect([...kernel.maps].map(({ id }) => id)).toEqual([1]);
  });

  test('not while a program runs', () => {
    const kernel = fakeKernel();
    kernel.enterRun();
    expect(() => kernel.fork()).toThrow(/while no program runs/);
  });
});

describe('privileges', () => {
  test.each<[string, object, boolean, number]>([
    ['root', {}, true, 3],
    ['CAP_BPF alone may make maps', { sysAdmin: false, netAdmin: false, perfmon: false }, true, 3],
    ['nobody', { bpf: false, sysAdmin: false }, true, -1],
    ['nobody, where it is allowed', { bpf: false, sysAdmin: false }, false, -1],
  ])('%s', (_, capabilities, unprivilegedBpfDisabled, result) => {
    const task = fakeKernel({ unprivilegedBpfDisabled }).task('t', { capabilities });
    expect(createMap(task)).toBe(result);
  });
});

test('helpers that this kernel lacks trap by name, and only when they are called', () => {
  const kernel = fakeKernel();
  const task = kernel.task();
  const prog = progOf(task, loadProg(task, [0x85, 0, 0, 0, 5, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]));
  expect(() => prog.run(0)).toThrow(MissingHelperError);
  expect(() => prog.run(0)).toThrow(/bpf_helper_5 for fake programs/);
});

test("a contribution to the kernel's BTF comes before its first use", () => {
  const kernel = fakeKernel();
  kernel.install((k) => k.btfContributions.register('early', (builder) => void builder.int('int', 4, 1)));
  expect(kernel.kernelBtf.btf.find('int')?.kind).toBe('INT');
  expect(() => kernel.install((k) => k.btfContributions.register('late', () => {}))).toThrow(/before any program is loaded/);
  expect(kernel.fork().kernelBtf.btf.find('int')?.kind).toBe('INT');
});

test('a kernel is disposed of with its tasks', () => {
  const kernel = fakeKernel();
  createLink(kernel.task(), loadProg([...kernel.tasks.values()][0]!));
  kernel[Symbol.dispose]();
  expect(kernel.leaks()).toEqual([]);
});

test('the refusal of the last call in words', () => {
  const task = fakeKernel().task();
  expect(task.bpf(28, { prog_fd: 99, attach_type: FAKE_HOOK })).toBe(-9);
  expect(task.lastError).toMatchObject({ code: 'EBADF', argument: 'prog_fd', detail: 'fd 99 is not open' });
  createMap(task);
  expect(task.lastError).toBeUndefined();
});

test('kernels share nothing', () => {
  const [a, b] = [fakeKernel(), new Kernel()];
  createMap(a.task());
  expect([...b.maps]).toEqual([]);
  expect(b.mapTypes.keys()).toEqual([]);
});
