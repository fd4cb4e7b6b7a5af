import { assemble, encode } from '@libbpf-ts/isa';
import { Kernel, type Task } from '@libbpf-ts/kernel';
import { maps } from '@libbpf-ts/maps';
import {
  BPF_F_AFTER,
  BPF_F_BEFORE,
  BPF_F_ID,
  BPF_F_REPLACE,
  BPF_LINK_CREATE,
  BPF_LINK_UPDATE,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
  BPF_PROG_TEST_RUN,
  cString,
  errnoName,
  struct,
  u16,
  u32,
} from '@libbpf-ts/uapi';
import { verify } from '@libbpf-ts/verifier';
import { describe, expect, test } from 'vitest';

import { BPF_F_FIRST, BPF_F_LAST, defineHook, FIRST_PRIVATE_NUMBER, type PlacePolicy } from '../src/index.ts';

const request = struct('request', { data: u32, data_end: u32, method: u32, status: u16, cost: u32 });
const NUMBER = 0x1_0100;

const define = (options: { bounds?: boolean; policy?: PlacePolicy } = {}) =>
  defineHook({
    name: 'request',
    number: NUMBER,
    context: request,
    writable: ['status', 'cost'],
    codes: { NEXT: -1, ALLOW: 0, DENY: 1 },
    next: 'NEXT',
    fallback: 'ALLOW',
    ...options,
  });

function boot(options?: Parameters<typeof define>[0]) {
  const hook = define(options);
  const kernel = new Kernel({ subsystems: [maps, hook.subsystem], verify });
  const point = hook.open(kernel, 'gateway');
  return { hook, kernel, point, task: kernel.task('test') };
}

function load(task: Task, text: string, prog_name = ''): number {
  const insns = encode(assemble(text.split(';').join('\n')));
  const log_buf = new Uint8Array(8192);
  const attr = {
    prog_type: NUMBER,
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
    prog_name,
    log_level: 1,
    log_buf,
    log_size: log_buf.length,
  };
  return task.bpf(BPF_PROG_LOAD, attr);
}

type World = ReturnType<typeof boot>;
const returns = (value: number): string => `r0 = ${value};exit`;

/** Attaches by a link; a negative result is the errno. */
function link({ task, point }: World, prog: number, flags = 0): number {
  return task.bpf(BPF_LINK_CREATE, { prog_fd: prog, target_ifindex: point.target, attach_type: NUMBER, flags });
}

function attach({ task, point }: World, prog: number, flags = 0, more: Record<string, number> = {}): string {
  const result = task.bpf(BPF_PROG_ATTACH, {
    target_ifindex: point.target,
    attach_bpf_fd: prog,
    attach_type: NUMBER,
    attach_flags: flags,
    ...more,
  });
  return result < 0 ? errnoName(result)! : 'OK';
}

function leaks({ kernel, task, hook, point }: World): string[] {
  task.exit();
  hook.close(kernel, point.target);
  return kernel.leaks().map(({ text }) => text);
}

test('numbers of the ABI are refused', () => {
  expect(() =>
    defineHook({ name: 'x', number: FIRST_PRIVATE_NUMBER - 1, context: request, codes: { A: 0 }, next: 'A' }),
  ).toThrow(RangeError);
});

test('programs run in order over one context, and the first decision counts', () => {
  const world = boot();
  const { hook, task, point } = world;
  link(world, load(task, 'r2 = *(u32 *)(r1 + 16);r2 += 5;*(u32 *)(r1 + 16) = r2;r0 = -1;exit', 'meter'));
  link(
    world,
    load(task, 'r0 = -1;r2 = *(u32 *)(r1 + 8);if r2 != 2 goto pc+2;*(u16 *)(r1 + 12) = 403;r0 = 1;exit', 'deny_posts'),
  );
  link(world, load(task, returns(0), 'allow'));
  expect(point.order).toEqual(['meter', 'deny_posts', 'allow']);
  expect(hook.run(point, { method: 1, cost: 1 })).toMatchObject({
    verdict: 'ALLOW',
    code: 0,
    context: { cost: 6, status: 0 },
    path: [
      { prog: 'meter', ret: -1 },
      { prog: 'deny_posts', ret: -1 },
      { prog: 'allow', ret: 0 },
    ],
  });
  expect(hook.run(point, { method: 2 })).toMatchObject({
    verdict: 'DENY',
    context: { status: 403 },
    path: [{}, { prog: 'deny_posts', ret: 1 }],
  });
  expect(leaks(world)).toEqual([]);
});

test('nobody decides: the fallback', () => {
  const world = boot();
  const { hook, task, point } = world;
  expect(hook.run(point, {})).toMatchObject({ verdict: 'ALLOW', path: [] });
  link(world, load(task, returns(-1)));
  expect(hook.run(point, {})).toMatchObject({ verdict: 'ALLOW', path: [{ ret: -1 }] });
  expect(leaks(world)).toEqual([]);
});

test('a payload is read like a packet', () => {
  const world = boot();
  const { hook, task, point } = world;
  const text =
    'r2 = *(u32 *)(r1 + 0);r3 = *(u32 *)(r1 + 4);r0 = 0;r4 = r2;r4 += 2;if r4 > r3 goto pc+3;r5 = *(u8 *)(r2 + 1);if r5 != 97 goto pc+1;r0 = 1;exit';
  link(world, load(task, text));
  const run = (path: string): string | undefined => hook.run(point, {}, new TextEncoder().encode(path)).verdict;
  expect([run('/admin'), run('/public'), run('/'), run('')]).toEqual(['DENY', 'ALLOW', 'ALLOW', 'ALLOW']);
  expect(leaks(world)).toEqual([]);
});

test.each([
  ['an unknown code', returns(7)],
  ['a read outside of the context', 'r0 = *(u32 *)(r1 + 20);exit'],
  ['a write to a field that is not writable', '*(u32 *)(r1 + 8) = 1;r0 = 0;exit'],
  ['a payload byte without a check', 'r2 = *(u32 *)(r1 + 0);r0 = *(u8 *)(r2 + 0);exit'],
])('the verifier refuses %s', (_, text) => {
  const world = boot();
  expect(['EINVAL', 'EACCES']).toContain(errnoName(load(world.task, text)));
  expect(leaks(world)).toEqual([]);
});

test('revisions, query and links as on tcx', () => {
  const world = boot();
  const { task, point, kernel } = world;
  const [a, b] = [load(task, returns(-1), 'a'), load(task, returns(-1), 'b')];
  expect(attach(world, a)).toBe('OK');
  const fd = link(world, b);
  const [prog_ids, link_ids] = [new Uint32Array(4), new Uint32Array(4)];
  const query = { target_ifindex: point.target, attach_type: NUMBER, prog_ids, link_ids, count: 4, revision: 0n };
  expect(task.bpf(BPF_PROG_QUERY, query)).toBe(0);
  expect([query.count, query.revision, link_ids[0], link_ids[1]! > 0]).toEqual([2, 3n, 0, true]);
  expect(
    errnoName(
      task.bpf(BPF_PROG_ATTACH, {
        target_ifindex: point.target,
        attach_bpf_fd: load(task, returns(0)),
        attach_type: NUMBER,
        expected_revision: 9n,
      }),
    ),
  ).toBe('ESTALE');
  expect(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: load(task, returns(1), 'c') })).toBe(0);
  expect(point.order).toEqual(['a', 'c']);
  expect(errnoName(task.bpf(BPF_PROG_DETACH, { target_ifindex: point.target, attach_type: NUMBER }))).toBe('EBUSY');
  expect(attach(world, load(task, returns(0)), 0, { target_ifindex: 99 })).toBe('ENODEV');
  task.close(fd);
  expect(point.order).toEqual(['a']);
  expect(kernel.whyAlive({ prog: prog_ids[0]! }).length).toBeGreaterThan(0);
  expect(leaks(world)).toEqual([]);
});

test('closing the place severs its links', () => {
  const world = boot();
  const { hook, kernel, task, point } = world;
  const prog = load(task, returns(0));
  const fd = link(world, prog);
  hook.close(kernel, point.target);
  expect(errnoName(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: prog }))).toBe('ENOLINK');
  task.exit();
  expect(kernel.leaks()).toEqual([]);
});

test('test runs give the context back', () => {
  const world = boot();
  const { task } = world;
  const fd = load(task, '*(u32 *)(r1 + 16) = 9;r0 = 1;exit');
  const [ctx_in, ctx_out] = [new Uint8Array(request.size), new Uint8Array(request.size)];
  const attr = { prog_fd: fd, ctx_in, ctx_size_in: ctx_in.length, ctx_out, ctx_size_out: ctx_out.length, retval: 0 };
  expect([task.bpf(BPF_PROG_TEST_RUN, attr), attr.retval, request.read(new DataView(ctx_out.buffer)).cost]).toEqual([0, 1, 9]);
  expect(errnoName(task.bpf(BPF_PROG_TEST_RUN, { prog_fd: fd, ctx_in, ctx_size_in: 4 }))).toBe('EINVAL');
  expect(leaks(world)).toEqual([]);
});

test('a fork has its own places', () => {
  const world = boot({ bounds: true });
  const { hook, kernel, task, point } = world;
  const fd = link(world, load(task, returns(1), 'deny'), BPF_F_FIRST);
  const fork = kernel.fork();
  const twin = hook.at(fork, point.target);
  fork.twin(task).close(fd);
  expect([hook.run(twin, {}).verdict, hook.run(point, {}).verdict]).toEqual(['ALLOW', 'DENY']);
  fork.twin(task).exit();
  expect(fork.leaks()).toEqual([]);
  expect(leaks(world)).toEqual([]);
});

describe('FIRST and LAST', () => {
  /** Attaches `name flags` one by one; the order in the end, or the errno of the last. */
  function order(...steps: readonly [name: string, flags: number][]): string {
    const world = boot({ bounds: true });
    let last = 'OK';
    for (const [name, flags] of steps) {
      const result = link(world, load(world.task, returns(-1), name), flags);
      last = result < 0 ? errnoName(result)! : 'OK';
    }
    const shown = world.point.order.join(' ');
    expect(leaks(world)).toEqual([]);
    return last === 'OK' ? shown : `${last}: ${shown}`;
  }
  const [F, L, B, A] = [BPF_F_FIRST, BPF_F_LAST, BPF_F_BEFORE, BPF_F_AFTER];

  test.each<[rule: string, steps: [string, number][], result: string]>([
    [
      'FIRST goes to the head',
      [
        ['a', 0],
        ['f', F],
      ],
      'f a',
    ],
    [
      'LAST goes to the tail',
      [
        ['l', L],
        ['a', 0],
      ],
      'a l',
    ],
    [
      'before + 0 stays behind FIRST',
      [
        ['f', F],
        ['a', 0],
        ['m', B],
      ],
      'f m a',
    ],
    [
      'after + 0 stays before LAST',
      [
        ['a', 0],
        ['l', L],
        ['m', A],
      ],
      'a m l',
    ],
    [
      'between both',
      [
        ['f', F],
        ['l', L],
        ['a', 0],
        ['b', B],
      ],
      'f b a l',
    ],
    [
      'a second FIRST is refused',
      [
        ['f', F],
        ['g', F],
      ],
      'EBUSY: f',
    ],
    [
      'a second LAST is refused',
      [
        ['l', L],
        ['m', L],
      ],
      'EBUSY: l',
    ],
    [
      'both mean the only program',
      [
        ['s', F | L],
        ['a', 0],
      ],
      'EBUSY: s',
    ],
    [
      'nor before it',
      [
        ['s', F | L],
        ['a', B],
      ],
      'EBUSY: s',
    ],
    [
      'the only program needs an empty hook',
      [
        ['a', 0],
        ['s', F | L],
      ],
      'EBUSY: a',
    ],
  ])('%s', (_, steps, result) => expect(order(...steps)).toBe(result));

  test('nothing goes before a FIRST or behind a LAST by name either', () => {
    const world = boot({ bounds: true });
    const { task, point, kernel } = world;
    link(world, load(task, returns(-1), 'f'), F);
    link(world, load(task, returns(-1), 'l'), L);
    const [first, last] = point.hook.list.items.map(({ prog }) => prog.id);
    const extra = load(task, returns(-1), 'x');
    expect(attach(world, extra, B | BPF_F_ID, { relative_fd: first! })).toBe('EBUSY');
    expect(attach(world, extra, A | BPF_F_ID, { relative_fd: last! })).toBe('EBUSY');
    expect(attach(world, extra, A | BPF_F_ID, { relative_fd: first! })).toBe('OK');
    expect(point.order).toEqual(['f', 'x', 'l']);
    expect(kernel.progs.size).toBe(3);
    expect(leaks(world)).toEqual([]);
  });

  test('an admin may override: detach of the link, replace of the program', () => {
    const world = boot({ bounds: true });
    const { task, point } = world;
    const plain = load(task, returns(-1), 'stubborn');
    expect(attach(world, plain, F)).toBe('OK');
    expect(attach(world, load(task, returns(-1), 'other'), BPF_F_REPLACE, { replace_bpf_fd: plain })).toBe('OK');
    expect(link(world, load(task, returns(-1), 'mine'), F)).toBeGreaterThan(0);
    expect(point.order).toEqual(['mine', 'other']);
    expect(leaks(world)).toEqual([]);
  });

  test('the update of a link keeps its place and its promise', () => {
    const world = boot({ bounds: true });
    const { task, point } = world;
    const fd = link(world, load(task, returns(-1), 'old'), F);
    expect(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: load(task, returns(-1), 'new') })).toBe(0);
    expect(errnoName(link(world, load(task, returns(-1), 'late'), F))).toBe('EBUSY');
    expect(point.order).toEqual(['new']);
    expect(leaks(world)).toEqual([]);
  });

  test('without the option the flags are unknown', () => {
    const world = boot();
    expect(attach(world, load(world.task, returns(0)), F)).toBe('EINVAL');
    expect(leaks(world)).toEqual([]);
  });
});

/** Two pods on one node: a DDoS filter that must see every packet first, and a monitor that wants to be early. */
describe('the Kubernetes story', () => {
  const start = (world: World, name: string, flags: number): Task => {
    const pod = world.kernel.task(name);
    expect(link({ ...world, task: pod }, load(pod, returns(-1), name), flags)).toBeGreaterThan(0);
    return pod;
  };
  const ddos = (world: World): Task => start(world, 'ddos', BPF_F_FIRST);
  const monitor = (world: World): Task => start(world, 'monitor', BPF_F_BEFORE);

  test.each<[string, ((world: World) => Task)[]]>([
    ['filter first', [ddos, monitor]],
    ['monitor first', [monitor, ddos]],
  ])('starts in any order: %s', (_, pods) => {
    const world = boot({ bounds: true });
    const tasks = pods.map((pod) => pod(world));
    expect(world.point.order).toEqual(['ddos', 'monitor']);
    for (const task of tasks) task.exit();
    expect(leaks(world)).toEqual([]);
  });

  test('rolling upgrades keep the order', () => {
    const world = boot({ bounds: true });
    let [filter, watcher] = [ddos(world), monitor(world)];
    for (let round = 0; round < 3; round++) {
      watcher.exit();
      watcher = monitor(world);
      expect(world.point.order).toEqual(['ddos', 'monitor']);
      filter.exit();
      filter = ddos(world);
      expect(world.point.order).toEqual(['ddos', 'monitor']);
    }
    filter.exit();
    watcher.exit();
    expect(leaks(world)).toEqual([]);
  });

  test('without FIRST the last one to start wins', () => {
    const world = boot();
    const tasks = [start(world, 'ddos', BPF_F_BEFORE), start(world, 'monitor', BPF_F_BEFORE)];
    expect(world.point.order).toEqual(['monitor', 'ddos']);
    for (const task of tasks) task.exit();
    expect(leaks(world)).toEqual([]);
  });
});

describe('a policy', () => {
  test('vetoes with a reason', () => {
    const world = boot({ policy: ({ task }) => (task.name === 'guest' ? { refuse: 'guests may not attach' } : undefined) });
    const guest = world.kernel.task('guest');
    const result = link({ ...world, task: guest }, load(guest, returns(0)));
    expect([errnoName(result), guest.lastError?.detail, world.point.revision]).toEqual(['EPERM', 'guests may not attach', 1n]);
    guest.exit();
    expect(leaks(world)).toEqual([]);
  });

  test('chooses the place', () => {
    const byName: PlacePolicy = ({ prog, items }) => ({ index: items.filter((item) => item.prog.name < prog.name).length });
    const world = boot({ policy: byName });
    for (const name of ['m', 'a', 'z', 'c']) link(world, load(world.task, returns(-1), name));
    expect(world.point.order).toEqual(['a', 'c', 'm', 'z']);
    expect(leaks(world)).toEqual([]);
  });
});
