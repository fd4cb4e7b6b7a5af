/** The rules of the RFC for links that own cls_bpf filters, one by one. No mainline kernel has them, so none can be asked. */

import { ETH_P_ALL, udp } from '@libbpf-ts/net';
import {
  BPF_F_REPLACE,
  BPF_LINK_DETACH,
  BPF_LINK_UPDATE,
  BPF_OBJ_PIN,
  BPF_PROG_TYPE_XDP,
  cString,
  errnoName,
} from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import {
  addFilter,
  addQdisc,
  createFilterLink,
  deleteFilter,
  dumpFilters,
  removeQdisc,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
} from '../src/index.ts';
import { boot, clsact, leaksAfter, load, returns, type World } from '../../tcx/test/kit.ts';

const frame = udp({ payload: 'hello' });

function linked(): World & { readonly fd: number; readonly place: { readonly ifindex: number; readonly parent: number } } {
  const world = boot();
  clsact(world, world.dev);
  const { task, dev } = world;
  const place = { ifindex: dev.ifindex, parent: TC_H_MIN_INGRESS };
  const fd = createFilterLink(task, { ...place, progFd: load(task, returns(2), undefined, 'drop'), priority: 1, handle: 1 });
  expect(fd).toBeGreaterThan(0);
  return { ...world, fd, place };
}

const filters = ({ task, place }: Pick<ReturnType<typeof linked>, 'task' | 'place'>): string =>
  dumpFilters(task, place)
    .filter(({ handle }) => handle !== 0)
    .map(({ prio, handle, link }) => `${prio}:${handle}${link ? '*' : ''}`)
    .join(' ');

test('the filter is direct-action, of every protocol, in chain 0', () => {
  const world = linked();
  expect(dumpFilters(world.task, world.place)[1]).toMatchObject({
    chain: 0,
    prio: 1,
    protocol: ETH_P_ALL,
    handle: 1,
    flags: 1,
  });
  expect(world.dev.receive(frame)).toMatchObject({ outcome: 'dropped', path: [{ prog: 'drop', ret: 2 }] });
  expect(leaksAfter(world)).toEqual([]);
});

test('netlink can neither delete nor replace it', () => {
  const world = linked();
  const { task, place } = world;
  const fd = load(task, returns(0));
  expect(errnoName(deleteFilter(task, { ...place, prio: 1, handle: 1 }).result)).toBe('EPERM');
  expect(errnoName(deleteFilter(task, { ...place, prio: 1 }).result)).toBe('EPERM');
  expect(
    errnoName(addFilter(task, { ...place, prio: 1, handle: 1, protocol: ETH_P_ALL, create: true, flags: 1, fd }).result),
  ).toBe('EPERM');
  expect(filters(world)).toBe('1:1*');
  expect(world.dev.receive(frame).outcome).toBe('dropped');
  expect(leaksAfter(world)).toEqual([]);
});

test('a link never takes the place of a filter that is there', () => {
  const world = linked();
  const { task, place } = world;
  const progFd = load(task, returns(0));
  expect(errnoName(createFilterLink(task, { ...place, progFd, priority: 1, handle: 1 }))).toBe('EEXIST');
  addFilter(task, { ...place, prio: 1, handle: 2, protocol: ETH_P_ALL, create: true, flags: 1, fd: progFd });
  expect(errnoName(createFilterLink(task, { ...place, progFd, priority: 1, handle: 2 }))).toBe('EEXIST');
  expect(filters(world)).toBe('1:2 1:1*');
  expect(leaksAfter(world)).toEqual([]);
});

test.each<[what: string, sever: (world: ReturnType<typeof linked>) => void]>([
  ['deleting the qdisc', ({ task, place }) => void removeQdisc(task, place)],
  ['flushing the chain', ({ task, place }) => void deleteFilter(task, place)],
  ['removing the device', ({ net, dev }) => net.init.removeDevice(dev)],
])('%s severs the link: it stays, without a filter', (_, sever) => {
  const world = linked();
  const { task, kernel, fd } = world;
  sever(world);
  expect(kernel.links.size).toBe(1);
  expect(errnoName(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: load(task, returns(0)) }))).toBe('ENOLINK');
  expect(task.bpf(BPF_LINK_DETACH, { link_fd: fd })).toBe(0);
  expect(task.fdInfo(fd)).toContain('filter:\tnone');
  task.close(fd);
  expect(kernel.links.size).toBe(0);
  expect(leaksAfter(world)).toEqual([]);
});

describe('the filter lives as long as the link', () => {
  test('closing the last fd removes it', () => {
    const world = linked();
    world.task.close(world.fd);
    expect([filters(world), world.dev.ingress.cls]).toEqual(['', null]);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('detaching removes it', () => {
    const world = linked();
    world.task.bpf(BPF_LINK_DETACH, { link_fd: world.fd });
    expect(filters(world)).toBe('');
    expect(leaksAfter(world)).toEqual([]);
  });

  test('a pin keeps it when its process crashes', () => {
    const world = linked();
    const { task, kernel, fd } = world;
    expect(task.bpf(BPF_OBJ_PIN, { pathname: cString('/sys/fs/bpf/filter'), bpf_fd: fd })).toBe(0);
    task.exit();
    expect(world.dev.receive(frame).outcome).toBe('dropped');
    const admin = kernel.task('admin');
    admin.unlink('/sys/fs/bpf/filter');
    expect(world.dev.receive(frame).outcome).toBe('delivered');
    admin.exit();
    expect(leaksAfter(world)).toEqual([]);
  });
});

describe('an update', () => {
  test('swaps the program inside the filter', () => {
    const world = linked();
    const { task, fd } = world;
    const before = dumpFilters(task, world.place)[1]!;
    expect(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: load(task, returns(0), undefined, 'pass') })).toBe(0);
    const after = dumpFilters(task, world.place)[1]!;
    expect({ ...after, id: 0, tag: '' }).toEqual({ ...before, id: 0, tag: '' });
    expect(world.dev.receive(frame)).toMatchObject({ outcome: 'delivered', path: [{ prog: 'pass' }] });
    expect(leaksAfter(world)).toEqual([]);
  });

  test('is refused where the old program is another, or the new one of another type', () => {
    const world = linked();
    const { task, fd } = world;
    const [other, xdp] = [load(task, returns(0)), load(task, returns(2), BPF_PROG_TYPE_XDP)];
    expect(
      errnoName(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: other, flags: BPF_F_REPLACE, old_prog_fd: other })),
    ).toBe('EPERM');
    expect(errnoName(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: xdp }))).toBe('EINVAL');
    expect(world.dev.receive(frame)).toMatchObject({ path: [{ prog: 'drop' }] });
    expect(leaksAfter(world)).toEqual([]);
  });
});

test.each<[what: string, request: Record<string, number>, code: string]>([
  ['an unknown device', { ifindex: 999, parent: TC_H_MIN_INGRESS }, 'ENODEV'],
  ['a parent that is no hook', { parent: 0x10000 }, 'EINVAL'],
  ['no program', { progFd: 999 }, 'EBADF'],
  ['an unknown block', { block: 77 }, 'EINVAL'],
])('is refused with %s', (_, request, code) => {
  const world = linked();
  const base = { ...world.place, progFd: load(world.task, returns(0)) };
  const full = 'block' in request ? { progFd: base.progFd, ...request } : { ...base, ...request };
  expect(errnoName(createFilterLink(world.task, full as never))).toBe(code);
  expect(leaksAfter(world)).toEqual([]);
});

test('without a qdisc there is nothing to link to; on a shared block it serves all its devices', () => {
  const world = boot();
  const { task, dev, net } = world;
  const progFd = load(task, returns(2));
  expect(errnoName(createFilterLink(task, { ifindex: dev.ifindex, parent: TC_H_MIN_EGRESS, progFd }))).toBe('EINVAL');
  const other = net.init.addDevice({ name: 'd1' });
  for (const device of [dev, other]) addQdisc(task, { ifindex: device.ifindex, kind: 'clsact', egressBlock: 3 });
  expect(createFilterLink(task, { block: 3, progFd })).toBeGreaterThan(0);
  expect([dev.transmit(frame).outcome, other.transmit(frame).outcome]).toEqual(['dropped', 'dropped']);
  expect(leaksAfter(world)).toEqual([]);
});

test('a fork has its own', () => {
  const world = linked();
  const { kernel, task, dev, fd } = world;
  const fork = kernel.fork();
  expect(fork.twin(dev).receive(frame).outcome).toBe('dropped');
  fork.twin(task).close(fd);
  expect([fork.twin(dev).receive(frame).outcome, dev.receive(frame).outcome]).toEqual(['delivered', 'dropped']);
  fork.twin(task).exit();
  expect(fork.leaks()).toEqual([]);
  expect(leaksAfter(world)).toEqual([]);
});
