import { Socket, udp, ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 } from '@libbpf-ts/net';
import { BPF_MAP_CREATE, BPF_PROG_TYPE_SCHED_ACT, BPF_PROG_TYPE_XDP, errnoName } from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import {
  addFilter,
  addQdisc,
  deleteFilter,
  dumpFilters,
  dumpQdiscs,
  filterText,
  parseClassic,
  removeQdisc,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  type FilterRequest,
  type TcAnswer,
} from '../src/index.ts';
import { boot, clsact, leaksAfter, load, returns, type World } from '../../tcx/test/kit.ts';

const frame = udp({ payload: 'hello' });
const says = ({ result, extack }: TcAnswer): string =>
  result === 0 ? 'OK' : `${errnoName(result)}${extack ? ` ${extack}` : ''}`;

function withClsact(): World {
  const world = boot();
  clsact(world, world.dev);
  return world;
}

function filter(world: World, request: Partial<FilterRequest> & { fd?: number }): TcAnswer {
  const { dev, task } = world;
  return addFilter(task, {
    ifindex: dev.ifindex,
    parent: TC_H_MIN_INGRESS,
    protocol: ETH_P_ALL,
    prio: 1,
    create: true,
    flags: 1,
    ...request,
  } as FilterRequest);
}

describe('direct action', () => {
  test.each<[code: number, arrives: boolean, second: boolean]>([
    [-1, true, true],
    [0, true, false],
    [1, true, true],
    [2, false, false],
    [3, true, true],
    [4, false, false],
    [5, true, true],
    [6, true, true],
    [7, false, false],
    [8, false, false],
    [9, true, true],
    [100, true, true],
    [-2, true, true],
    [0x10000000, true, true],
    [0x20000000, true, true],
  ])('a program that returns %i', (code, arrives, second) => {
    const world = withClsact();
    const { task, dev } = world;
    for (const [parent, send] of [
      [TC_H_MIN_INGRESS, () => dev.receive(frame)],
      [TC_H_MIN_EGRESS, () => dev.transmit(frame)],
    ] as const) {
      filter(world, { parent, prio: 1, fd: load(task, returns(code), undefined, 'first') });
      filter(world, { parent, prio: 2, fd: load(task, returns(0), undefined, 'second') });
      const { outcome, path } = send();
      expect(['delivered', 'sent'].includes(outcome)).toBe(arrives);
      expect(path.map(({ prog }) => prog)).toEqual(second ? ['first', 'second'] : ['first']);
    }
    expect(leaksAfter(world)).toEqual([]);
  });
});

test.each<[value: number, second: boolean, tcIndex: number]>([
  [0, true, 0],
  [-1, false, 0x11],
  [5, false, 5],
  [65538, false, 2],
])('a classifier that returns %i', (value, second, tcIndex) => {
  const world = withClsact();
  const { task, dev, net } = world;
  filter(world, { prio: 1, flags: 0, classid: 0x1_0011, fd: load(task, returns(value), undefined, 'first') });
  filter(world, { prio: 2, flags: 0, fd: load(task, returns(0), undefined, 'second') });
  const skb = net.skbs.fromBytes(frame);
  skb.readEthernet(dev.mac);
  expect(dev.ingress.cls!.run(skb, dev)).toBe(second ? -1 : 0);
  expect(skb.get('tc_index')).toBe(second ? 0 : tcIndex);
  net.skbs.free(skb);
  expect(dev.receive(frame)).toMatchObject({ outcome: 'delivered', path: second ? [{}, {}] : [{}] });
  expect(leaksAfter(world)).toEqual([]);
});

test('priorities ascend; within one the newest handle is first; a change keeps its place', () => {
  const world = withClsact();
  const { task, dev } = world;
  const named = (name: string): number => load(task, returns(-1), undefined, name);
  const order = (): string =>
    dev
      .receive(frame)
      .path.map(({ prog }) => prog)
      .join(' ');
  for (const [handle, name] of [
    [5, 'h5'],
    [1, 'h1'],
    [3, 'h3'],
    [0, 'auto'],
  ] as const)
    expect(says(filter(world, { handle, prio: 10, fd: named(name), name }))).toBe('OK');
  filter(world, { prio: 5, fd: named('early') });
  expect(order()).toBe('early auto h3 h1 h5');
  expect(says(filter(world, { handle: 5, prio: 10, fd: named('again'), excl: true }))).toBe('EEXIST Filter already exists');
  expect(says(filter(world, { handle: 3, prio: 10, fd: named('changed') }))).toBe('OK');
  expect(order()).toBe('early auto changed h1 h5');
  const rows = dumpFilters(task, { ifindex: dev.ifindex, parent: TC_H_MIN_INGRESS });
  expect(rows.map(({ prio, handle }) => [prio, handle])).toEqual([
    [5, 0],
    [5, 1],
    [10, 0],
    [10, 2],
    [10, 3],
    [10, 1],
    [10, 5],
  ]);
  expect(rows[3]).toMatchObject({ name: 'auto', flags: 1, flagsGen: 8, protocol: 3, kind: 'bpf' });
  expect(rows[3]!.tag).toMatch(/^[0-9a-f]{16}$/);
  expect(filterText(rows.slice(2, 4))).toMatch(
    /^filter protocol all pref 10 bpf chain 0\nfilter protocol all pref 10 bpf chain 0 handle 0x2 auto direct-action not_in_hw id \d+ /,
  );
  expect(leaksAfter(world)).toEqual([]);
});

test('a filter runs only for its protocol', () => {
  const world = withClsact();
  const { task, dev } = world;
  filter(world, { prio: 1, protocol: ETH_P_IPV6, fd: load(task, returns(2), undefined, 'six') });
  filter(world, { prio: 2, protocol: ETH_P_IP, fd: load(task, returns(-1), undefined, 'four') });
  expect(dev.receive(frame).path.map(({ prog }) => prog)).toEqual(['four']);
  expect(says(filter(world, { prio: 2, protocol: ETH_P_ALL, fd: load(task, returns(0)) }))).toMatch(/^EINVAL/);
  expect(leaksAfter(world)).toEqual([]);
});

test.each<[what: string, request: (world: World) => Partial<FilterRequest>, answer: string]>([
  ['a bad fd', () => ({ fd: 999 }), 'EBADF'],
  ['an XDP program', ({ task }) => ({ fd: load(task, returns(2), BPF_PROG_TYPE_XDP) }), 'EINVAL'],
  ['an action program', ({ task }) => ({ fd: load(task, returns(0), BPF_PROG_TYPE_SCHED_ACT) }), 'EINVAL'],
  [
    'a map',
    ({ task }) => ({ fd: task.bpf(BPF_MAP_CREATE, { map_type: 2, key_size: 4, value_size: 4, max_entries: 1 }) }),
    'EINVAL',
  ],
  ['neither program nor instructions', () => ({}), 'EINVAL'],
  ['both', ({ task }) => ({ fd: load(task, returns(0)), ops: parseClassic('1,6 0 0 0') }), 'EINVAL'],
  ['an unknown flag', ({ task }) => ({ fd: load(task, returns(0)), flags: 3 }), 'EINVAL'],
  ['skip_hw', ({ task }) => ({ fd: load(task, returns(0)), flagsGen: 1 }), 'OK'],
  ['skip_sw', ({ task }) => ({ fd: load(task, returns(0)), flagsGen: 2 }), 'EOPNOTSUPP'],
  ['skip_hw and skip_sw', ({ task }) => ({ fd: load(task, returns(0)), flagsGen: 3 }), 'EINVAL'],
  [
    'no CREATE',
    ({ task }) => ({ fd: load(task, returns(0)), create: false }),
    'ENOENT Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter',
  ],
  [
    'protocol 0',
    ({ task }) => ({ fd: load(task, returns(0)), protocol: 0 }),
    'EINVAL Filter kind and protocol must be specified',
  ],
  ['priority 0', ({ task }) => ({ fd: load(task, returns(0)), prio: 0 }), 'OK'],
  ['classic instructions', () => ({ flags: 0, ops: parseClassic('1,6 0 0 0') }), 'OK'],
  ['classic instructions as direct action', () => ({ ops: parseClassic('1,6 0 0 0') }), 'OK'],
  ['an unknown device', ({ task }) => ({ fd: load(task, returns(0)), ifindex: 999 }), 'ENODEV'],
])('%s', (_, request, answer) => {
  const world = withClsact();
  expect(says(filter(world, request(world)))).toBe(answer);
  expect(leaksAfter(world)).toEqual([]);
});

test('the kernel counts down from 49152 where it chooses the priority', () => {
  const world = withClsact();
  const { task, dev } = world;
  for (let i = 0; i < 3; i++) filter(world, { prio: 0, fd: load(task, returns(-1)) });
  const prios = dumpFilters(task, { ifindex: dev.ifindex, parent: TC_H_MIN_INGRESS })
    .filter(({ handle }) => handle !== 0)
    .map(({ prio }) => prio);
  expect(prios).toEqual([49150, 49151, 49152]);
  expect(leaksAfter(world)).toEqual([]);
});

test('deleting: one, a priority, the chain, the qdisc', () => {
  const world = withClsact();
  const { task, dev, kernel } = world;
  const place = { ifindex: dev.ifindex, parent: TC_H_MIN_INGRESS };
  for (const [prio, handle] of [
    [1, 1],
    [1, 2],
    [2, 1],
    [3, 1],
  ] as const) {
    const fd = load(task, returns(-1));
    filter(world, { prio, handle, fd });
    task.close(fd);
  }
  const left = (): string =>
    dumpFilters(task, place)
      .filter(({ handle }) => handle !== 0)
      .map(({ prio, handle }) => `${prio}:${handle}`)
      .join(' ');
  expect(left()).toBe('1:2 1:1 2:1 3:1');
  expect(says(deleteFilter(task, { ...place, prio: 1, handle: 1 }))).toBe('OK');
  expect(says(deleteFilter(task, { ...place, prio: 1, handle: 1 }))).toBe('ENOENT Specified filter handle not found');
  expect(says(deleteFilter(task, { ...place, prio: 2 }))).toBe('OK');
  expect(left()).toBe('1:2 3:1');
  expect(kernel.progs.size).toBe(2);
  expect(says(deleteFilter(task, place))).toBe('OK');
  // Flushing what is empty is no refusal; naming a priority of it is one.
  expect(says(deleteFilter(task, place))).toBe('OK');
  expect(says(deleteFilter(task, { ...place, prio: 3 }))).toBe('ENOENT Cannot find specified filter chain');
  expect([left(), kernel.progs.size, dev.ingress.cls]).toEqual(['', 0, null]);
  const fd = load(task, returns(2));
  filter(world, { fd });
  expect(dumpQdiscs(task)).toEqual([{ ifindex: dev.ifindex, kind: 'clsact' }]);
  expect(says(addQdisc(task, { ifindex: dev.ifindex, kind: 'ingress' }))).toBe('EEXIST Exclusivity flag on, cannot modify');
  expect(says(removeQdisc(task, { ifindex: dev.ifindex, kind: 'clsact' }))).toBe('OK');
  expect(dev.receive(frame).outcome).toBe('delivered');
  expect(leaksAfter(world)).toEqual([]);
});

test('a shared block serves several devices', () => {
  const world = boot();
  const { task, dev, net } = world;
  const other = net.init.addDevice({ name: 'd1' });
  for (const device of [dev, other])
    expect(says(addQdisc(task, { ifindex: device.ifindex, kind: 'clsact', ingressBlock: 9 }))).toBe('OK');
  expect(
    says(addFilter(task, { block: 9, protocol: ETH_P_ALL, prio: 1, create: true, flags: 1, fd: load(task, returns(2)) })),
  ).toBe('OK');
  expect([dev.receive(frame).outcome, other.receive(frame).outcome]).toEqual(['dropped', 'dropped']);
  removeQdisc(task, { ifindex: dev.ifindex });
  expect([dev.receive(frame).outcome, other.receive(frame).outcome]).toEqual(['delivered', 'dropped']);
  expect(leaksAfter(world)).toEqual([]);
});

describe('actions', () => {
  test('gact decides for a classifier that matched', () => {
    const world = withClsact();
    filter(world, { flags: 0, fd: load(world.task, returns(-1)), actions: [{ kind: 'gact', action: 2 }] });
    expect(world.dev.receive(frame).outcome).toBe('dropped');
    expect(leaksAfter(world)).toEqual([]);
  });

  test('mirred mirrors a copy and goes on, or redirects', () => {
    const world = withClsact();
    const { task, dev, net } = world;
    const out = net.init.addDevice({ name: 'out' });
    const socket = new Socket(net.init, { type: 'packet', device: dev, protocol: ETH_P_IP });
    filter(world, {
      flags: 0,
      handle: 1,
      fd: load(task, returns(-1)),
      actions: [{ kind: 'mirred', mode: 'mirror', direction: 'egress', ifindex: out.ifindex }],
    });
    expect(dev.receive(frame).outcome).toBe('delivered');
    expect([out.sent.length, socket.received.length]).toEqual([1, 1]);
    filter(world, {
      flags: 0,
      handle: 1,
      fd: load(task, returns(-1)),
      actions: [{ kind: 'mirred', mode: 'redirect', direction: 'egress', ifindex: out.ifindex }],
    });
    expect(dev.receive(frame).outcome).toBe('consumed');
    expect([out.sent.length, socket.received.length]).toEqual([2, 1]);
    socket.close();
    expect(leaksAfter(world)).toEqual([]);
  });

  test.each([
    [0, 'delivered'],
    [2, 'dropped'],
    [-1, 'dropped'],
    [100, 'delivered'],
  ])('act_bpf that returns %i, SHOT by default', (ret, outcome) => {
    const world = withClsact();
    const { task } = world;
    const action = load(task, returns(ret), BPF_PROG_TYPE_SCHED_ACT);
    filter(world, { flags: 0, fd: load(task, returns(-1)), actions: [{ kind: 'bpf', fd: action, action: 2 }] });
    task.close(action);
    expect(world.dev.receive(frame).outcome).toBe(outcome);
    expect(leaksAfter(world)).toEqual([]);
  });
});

test('a fork has its own filters', () => {
  const world = withClsact();
  const { kernel, task, dev } = world;
  filter(world, { handle: 1, fd: load(task, returns(2)) });
  filter(world, { prio: 7, flags: 0, ops: parseClassic('1,6 0 0 0') });
  const fork = kernel.fork();
  const twin = fork.twin(dev);
  const twinTask = fork.twin(task);
  expect(twin.receive(frame).outcome).toBe('dropped');
  deleteFilter(twinTask, { ifindex: dev.ifindex, parent: TC_H_MIN_INGRESS, prio: 1 });
  expect([twin.receive(frame).outcome, dev.receive(frame).outcome]).toEqual(['delivered', 'dropped']);
  twinTask.exit();
  twin.netns.removeDevice(twin);
  expect(fork.leaks()).toEqual([]);
  expect(leaksAfter(world)).toEqual([]);
});
