/** The rules of the RFC for links that own cls_bpf filters, one by one. No mainline kernel has them, so none can be asked. */

import { ETH_P_ALL, ETH_P_IP, udp } from '@libbpf-ts/net';
import {
  BPF_F_REPLACE,
  BPF_LINK_CREATE,
  BPF_LINK_DETACH,
  BPF_LINK_GET_FD_BY_ID,
  BPF_LINK_GET_NEXT_ID,
  bpf_link_info,
  BPF_LINK_UPDATE,
  BPF_OBJ_GET_INFO_BY_FD,
  BPF_OBJ_PIN,
  BPF_PROG_GET_FD_BY_ID,
  BPF_PROG_TYPE_XDP,
  BufferMemory,
  cString,
  errnoName,
} from '@libbpf-ts/uapi';
import { describe, expect, test, vi } from 'vitest';

import {
  addFilter,
  addQdisc,
  BPF_LINK_TYPE_CLS_BPF,
  BPF_TC_FILTER,
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

test('a priority with one such filter among others is not deleted by netlink, none of it', () => {
  const world = linked();
  const { task, place } = world;
  const mine = { ...place, prio: 1, handle: 2, protocol: ETH_P_ALL };
  addFilter(task, { ...mine, create: true, flags: 1, fd: load(task, returns(0)) });
  expect(errnoName(deleteFilter(task, { ...place, prio: 1 }).result)).toBe('EPERM');
  expect(filters(world)).toBe('1:2 1:1*');
  expect(deleteFilter(task, mine).result).toBe(0);
  expect(filters(world)).toBe('1:1*');
  expect(leaksAfter(world)).toEqual([]);
});

test.each<[how: string, request: { create?: boolean; excl?: boolean; flags?: number; protocol?: number }, code: string]>([
  ['without NLM_F_CREATE', { create: false }, 'EPERM'],
  ['with NLM_F_EXCL', { excl: true }, 'EEXIST'],
  ['without direct action', { flags: 0 }, 'EPERM'],
  ['of another protocol', { protocol: ETH_P_IP }, 'EINVAL'],
])('a request for its handle %s leaves it as it was', (_, request, code) => {
  const world = linked();
  const { task, place } = world;
  const before = dumpFilters(task, place);
  const base = { ...place, prio: 1, handle: 1, protocol: ETH_P_ALL, create: true, flags: 1, fd: load(task, returns(0)) };
  expect(errnoName(addFilter(task, { ...base, ...request }).result)).toBe(code);
  expect(dumpFilters(task, place)).toEqual(before);
  expect(leaksAfter(world)).toEqual([]);
});

describe('handle and priority', () => {
  const chosen = (request: { handle?: number; priority?: number }, prepare?: (world: World) => void): string | undefined => {
    const world = linked();
    prepare?.(world);
    const fd = createFilterLink(world.task, { ...world.place, progFd: load(world.task, returns(0)), ...request });
    const result = fd < 0 ? errnoName(fd) : filters(world);
    expect(leaksAfter(world)).toEqual([]);
    return result;
  };
  const ofIpv4 = ({ task, dev }: World): void => {
    const place = { ifindex: dev.ifindex, parent: TC_H_MIN_INGRESS, prio: 7, handle: 1, protocol: ETH_P_IP };
    expect(addFilter(task, { ...place, create: true, flags: 1, fd: load(task, returns(0)) }).result).toBe(0);
  };

  test.each<[what: string, request: { handle?: number; priority?: number }, result: string]>([
    ['both as asked', { handle: 5, priority: 9 }, '1:1* 9:5*'],
    ['lower priorities come first', { handle: 5, priority: 65535 }, '1:1* 65535:5*'],
    ['no handle: the least free one', { priority: 1 }, '1:2* 1:1*'],
    ['no priority: as netlink chooses', {}, '1:1* 49152:1*'],
    ['a priority that does not fit 16 bits', { priority: 65537 }, 'EINVAL'],
  ])('%s', (_, request, result) => expect(chosen(request)).toBe(result));

  test('a priority of another protocol is refused', () => expect(chosen({ priority: 7, handle: 2 }, ofIpv4)).toBe('EINVAL'));
});

test('others see the link by its id, and may not take its filter by it', () => {
  const world = linked();
  const { kernel, task, place } = world;
  const other = kernel.task('other');
  const next = { start_id: 0, next_id: 0 };
  expect(other.bpf(BPF_LINK_GET_NEXT_ID, next)).toBe(0);
  expect(next.next_id).toBe(dumpFilters(task, place)[1]!.link);
  const fd = other.bpf(BPF_LINK_GET_FD_BY_ID, { link_id: next.next_id });
  const info = new Uint8Array(bpf_link_info.size);
  expect(other.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: fd, info, info_len: info.length })).toBe(0);
  expect(bpf_link_info.read(new DataView(info.buffer))).toMatchObject({
    type: BPF_LINK_TYPE_CLS_BPF,
    id: next.next_id,
    prog_id: dumpFilters(task, place)[1]!.id,
  });
  expect(other.fdInfo(fd)).toContain('filter:\ttc ingress dev d0 chain 0 pref 1 handle 0x1\n');
  // The second fd holds the filter when the first owner crashes.
  task.exit();
  expect(world.dev.receive(frame).outcome).toBe('dropped');
  other.exit();
  expect([world.dev.receive(frame).outcome, kernel.links.size]).toEqual(['delivered', 0]);
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

test('a severed link holds its program to the end, and is not in the way of its successor', () => {
  const world = linked();
  const { task, kernel, dev, fd, place } = world;
  task.bpf(BPF_OBJ_PIN, { pathname: cString('/sys/fs/bpf/filter'), bpf_fd: fd });
  removeQdisc(task, place);
  expect([dev.ingress.cls, dev.receive(frame).outcome]).toEqual([null, 'delivered']);
  clsact(world, dev);
  const progFd = load(task, returns(2), undefined, 'successor');
  expect(createFilterLink(task, { ...place, progFd, priority: 1, handle: 1 })).toBeGreaterThan(0);
  task.unlink('/sys/fs/bpf/filter');
  task.close(fd);
  expect(kernel.links.size).toBe(1);
  expect(dev.receive(frame)).toMatchObject({ outcome: 'dropped', path: [{ prog: 'successor' }] });
  expect(leaksAfter(world)).toEqual([]);
});

test('a flush of the chain by netlink takes filters with and without a link; other chains stay', () => {
  const world = linked();
  const { task, place } = world;
  const fd = load(task, returns(0));
  addFilter(task, { ...place, prio: 2, handle: 1, protocol: ETH_P_ALL, create: true, flags: 1, fd });
  addFilter(task, { ...place, chain: 4, prio: 3, handle: 1, protocol: ETH_P_ALL, create: true, flags: 1, fd });
  expect(deleteFilter(task, { ...place, chain: 4 }).result).toBe(0);
  expect(filters(world)).toBe('1:1* 2:1');
  expect(deleteFilter(task, place).result).toBe(0);
  expect([filters(world), world.dev.ingress.cls]).toEqual(['', null]);
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

  test('leaves no moment in which no program runs', () => {
    const world = linked();
    const { task, kernel, dev, fd } = world;
    const ran: string[] = [];
    const packet = (): void =>
      void ran.push(
        dev
          .receive(frame)
          .path.map(({ prog }) => prog)
          .join('+'),
      );
    const next = load(task, returns(2), undefined, 'next');
    const prog = task.prog(next, 'new_prog_fd');
    const old = task.link(fd, 'link_fd').prog!;
    // A packet arrives at every step that an update consists of.
    for (const [object, step] of [
      [kernel.audit, 'add'],
      [prog, 'acquire'],
      [old, 'release'],
    ] as const) {
      const real = (object as never as Record<string, (...args: unknown[]) => unknown>)[step]!.bind(object);
      vi.spyOn(object as never as Record<string, (...args: unknown[]) => unknown>, step).mockImplementation((...args) => {
        packet();
        const result = real(...args);
        packet();
        return result;
      });
    }
    expect(task.bpf(BPF_LINK_UPDATE, { link_fd: fd, new_prog_fd: next })).toBe(0);
    vi.restoreAllMocks();
    expect(ran.join(' ')).toMatch(/^(drop ){4}(next ?)*$/);
    expect(ran).toHaveLength(6);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('to the program that runs already changes nothing', () => {
    const world = linked();
    const { task, kernel, fd, place } = world;
    const same = task.bpf(BPF_PROG_GET_FD_BY_ID, { prog_id: dumpFilters(task, place)[1]!.id! });
    const entries = kernel.audit.entries.length;
    const attr = { link_fd: fd, new_prog_fd: same, flags: BPF_F_REPLACE, old_prog_fd: same };
    expect(task.bpf(BPF_LINK_UPDATE, attr)).toBe(0);
    expect(kernel.audit.entries).toHaveLength(entries);
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

test('the link of a shared block is severed by the end of its last qdisc, not of the one before', () => {
  const world = boot();
  const { task, dev, net } = world;
  const other = net.init.addDevice({ name: 'd1' });
  for (const device of [dev, other]) addQdisc(task, { ifindex: device.ifindex, kind: 'clsact', egressBlock: 3 });
  const fd = createFilterLink(task, { block: 3, progFd: load(task, returns(2)), priority: 4, handle: 1 });
  expect(errnoName(deleteFilter(task, { block: 3, prio: 4, handle: 1 }).result)).toBe('EPERM');
  removeQdisc(task, { ifindex: dev.ifindex, parent: TC_H_MIN_INGRESS });
  expect([dev.transmit(frame).outcome, other.transmit(frame).outcome]).toEqual(['sent', 'dropped']);
  net.init.removeDevice(other);
  expect(task.fdInfo(fd)).toContain('filter:\tnone');
  expect(task.close(fd)).toBe(0);
  expect(leaksAfter(world)).toEqual([]);
});

test.each<[what: string, offset: number, value: number, code: string]>([
  ['a program of another type', 0, -1, 'EINVAL'],
  ['flags', 12, 1, 'EINVAL'],
])('the bare request with %s is refused', (_, offset, value, code) => {
  const world = linked();
  const { task, dev } = world;
  const attr = new Uint8Array(28);
  const view = new DataView(attr.buffer);
  [load(task, returns(0)), dev.ifindex, BPF_TC_FILTER, 0, TC_H_MIN_INGRESS, 9, 9].forEach((word, at) =>
    view.setUint32(at * 4, word, true),
  );
  view.setUint32(offset, value < 0 ? load(task, returns(2), BPF_PROG_TYPE_XDP) : value, true);
  expect(errnoName(task.bpfRaw(BPF_LINK_CREATE, attr, attr.length, new BufferMemory()))).toBe(code);
  expect(filters(world)).toBe('1:1*');
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
