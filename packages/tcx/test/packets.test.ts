import { addFilter, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS } from '@libbpf-ts/cls-bpf';
import { ETH_P_ALL, ethernet, Socket, udp, type NetDevice } from '@libbpf-ts/net';
import { describe, expect, test } from 'vitest';

import { attach, boot, clsact, leaksAfter, link, load, returns, type World } from './kit.ts';

const frame = udp({ payload: 'hello' });

/** What a live kernel does with each return code: whether the packet arrives, and whether what comes after tcx runs. */
const CODES: [code: number, arrives: boolean, clsRuns: boolean, verdict: string][] = [
  [-1, true, true, 'TCX_NEXT'],
  [0, true, false, 'TCX_PASS'],
  [1, true, true, 'TCX_NEXT'],
  [2, false, false, 'TCX_DROP'],
  [3, true, true, 'TCX_NEXT'],
  [4, true, true, 'TCX_NEXT'],
  [5, true, true, 'TCX_NEXT'],
  [6, true, true, 'TCX_NEXT'],
  [7, false, false, 'TCX_REDIRECT'],
  [8, true, true, 'TCX_NEXT'],
  [9, true, true, 'TCX_NEXT'],
  [100, true, true, 'TCX_NEXT'],
  [-2, true, true, 'TCX_NEXT'],
  [0x10000000, true, true, 'TCX_NEXT'],
  [0x20000000, true, true, 'TCX_NEXT'],
];

const send = (dev: NetDevice, direction: 'ingress' | 'egress'): ReturnType<NetDevice['receive']> =>
  direction === 'ingress' ? dev.receive(frame) : dev.transmit(frame);

describe.each(['ingress', 'egress'] as const)('%s', (direction) => {
  test.each(CODES)('a program that returns %i', (code, arrives, clsRuns, verdict) => {
    const world = boot();
    const { task, dev } = world;
    attach(world, dev, load(task, returns(code), undefined, 'first'), direction);
    attach(world, dev, load(task, returns(-1), undefined, 'second'), direction);
    clsact(world, dev);
    const parent = direction === 'ingress' ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
    const fd = load(task, returns(-1), undefined, 'classic');
    expect(
      addFilter(task, { ifindex: dev.ifindex, parent, protocol: ETH_P_ALL, prio: 1, create: true, fd, flags: 1 }).result,
    ).toBe(0);
    const result = send(dev, direction);
    expect(result.verdict).toBe(verdict);
    expect(result.outcome !== 'dropped').toBe(arrives);
    const ran = ['first', ...(code === -1 ? ['second'] : []), ...(clsRuns ? ['classic'] : [])];
    expect(result.path.map(({ prog }) => prog)).toEqual(ran);
    expect(result.path[0]!.ret).toBe(code);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('classic tc sees mark, cb and tc_index of tcx, and no tc_classid', () => {
    const world = boot();
    const { task, dev } = world;
    const writes = '*(u32 *)(r1 + 8) = 7; *(u32 *)(r1 + 48) = 11; *(u32 *)(r1 + 44) = 5; *(u32 *)(r1 + 72) = 3; r0 = -1; exit';
    attach(world, dev, load(task, writes), direction);
    clsact(world, dev);
    const reads =
      'r0 = *(u32 *)(r1 + 8); r2 = *(u32 *)(r1 + 48); r0 += r2; r2 = *(u32 *)(r1 + 44); r0 += r2; r2 = *(u32 *)(r1 + 72); r0 += r2; exit';
    const parent = direction === 'ingress' ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
    addFilter(task, {
      ifindex: dev.ifindex,
      parent,
      protocol: ETH_P_ALL,
      prio: 1,
      create: true,
      fd: load(task, reads),
      flags: 1,
    });
    expect(send(dev, direction).path.at(-1)!.ret).toBe(7 + 11 + 5);
    expect(leaksAfter(world)).toEqual([]);
  });
});

test('the outer VLAN tag is in the context, and inline again in what leaves', () => {
  const world = boot();
  const { task, dev } = world;
  const tagged = udp({ vlan: [{ tci: 0x2005 }, { tci: 7 }] });
  attach(world, dev, load(task, 'r0 = *(u32 *)(r1 + 24); exit'));
  const first = dev.receive(tagged);
  expect(first.path[0]!.ret).toBe(0x2005);
  expect(first.frame).toEqual(tagged);
  const protocol = load(task, 'r0 = *(u32 *)(r1 + 16); exit');
  attach(world, dev, protocol, 'ingress', true);
  expect(dev.receive(tagged).path[0]!.ret).toBe(0x0081);
  expect(dev.receive(udp()).path[0]!.ret).toBe(0x0008);
  expect(leaksAfter(world)).toEqual([]);
});

test('direct packet access reads the frame', () => {
  const world = boot();
  const { task, dev } = world;
  const text =
    'r2 = *(u32 *)(r1 + 76); r3 = *(u32 *)(r1 + 80); r4 = r2; r4 += 14; if r4 > r3 goto pc+2; r0 = *(u8 *)(r2 + 12); exit; r0 = -1; exit';
  attach(world, dev, load(task, text));
  expect(dev.receive(frame).path[0]!.ret).toBe(8);
  expect(dev.receive(ethernet(0x86dd, new Uint8Array(46))).path[0]!.ret).toBe(0x86);
  expect(leaksAfter(world)).toEqual([]);
});

test('bpf_redirect sends a packet out of another device, or into it', () => {
  const world = boot();
  const { net, task, dev } = world;
  const out = net.init.addDevice({ name: 'out' });
  const other = net.addNamespace('other');
  const [a, b] = net.init.addVeth({ name: 'va' }, { name: 'vb', addresses: ['10.0.0.2/24'] }, other);
  const redirect = (ifindex: number, flags = 0): number =>
    load(task, `r1 = ${ifindex}; r2 = ${flags}; call bpf_redirect#23; exit`);
  attach(world, dev, redirect(out.ifindex));
  expect(dev.receive(frame).outcome).toBe('redirected');
  expect(out.sent).toEqual([frame]);

  const socket = new Socket(other, { type: 'udp', port: 53 });
  const toB = udp({ payload: 'hello', dst: b.mac });
  attach(world, dev, redirect(a.ifindex), 'ingress', true);
  expect(dev.receive(toB).outcome).toBe('redirected');
  expect(socket.received.map(({ bytes }) => new TextDecoder().decode(bytes))).toEqual(['hello']);

  attach(world, dev, redirect(999), 'ingress', true);
  expect(dev.receive(toB).outcome).toBe('dropped');

  const loop = redirect(out.ifindex, 1);
  attach(world, dev, loop, 'ingress', true);
  attach(world, out, load(task, returns(2), undefined, 'at_out'));
  expect(dev.receive(frame).outcome).toBe('redirected');
  expect(out.stats.rx_dropped).toBe(1);
  socket.close();
  expect(leaksAfter(world)).toEqual([]);
});

test('bpf_clone_redirect nests, up to its limit', () => {
  const world = boot();
  const { net, task, dev } = world;
  const text = `r6 = r1; r2 = ${dev.ifindex}; r3 = 0; call bpf_clone_redirect#13; r0 = 0; exit`;
  attach(world, dev, load(task, text), 'egress');
  const result = dev.transmit(frame);
  expect(result.outcome).toBe('sent');
  // As on Linux 6.18: ten programs run, the tenth may not send its copy, and its own packet is dropped too.
  expect(dev.sent).toHaveLength(9);
  expect(dev.stats.tx_dropped).toBe(2);
  expect(net.skbs.inUse).toBe(0);
  expect(leaksAfter(world)).toEqual([]);
});

test('a hook without programs is not there for packets', () => {
  const world = boot();
  const { task, dev } = world;
  const prog = load(task, returns(0));
  const fd = link(world, dev, prog);
  expect(dev.ingress.tcx).not.toBeNull();
  task.close(fd);
  expect(dev.ingress.tcx).toBeNull();
  clsact(world, dev);
  expect([dev.ingress.tcx, dev.ingress.cls]).toEqual([null, null]);
  expect(dev.receive(frame)).toMatchObject({ verdict: 'TCX_NEXT', code: -1, path: [] });
  expect(leaksAfter(world)).toEqual([]);
});

test('a fork has its own hooks, devices and links', () => {
  const world: World = boot();
  const { kernel, task, dev } = world;
  const fd = link(world, dev, load(task, returns(2), undefined, 'drop'));
  attach(world, dev, load(task, returns(0), undefined, 'pass'));
  const fork = kernel.fork();
  const twin = fork.twin(dev);
  expect(twin.receive(frame)).toMatchObject({ verdict: 'TCX_DROP' });
  fork.twin(task).close(fd);
  twin.net.tracing = true;
  expect(twin.receive(frame)).toMatchObject({ verdict: 'TCX_PASS', path: [{ prog: 'pass', ret: 0 }] });
  expect(dev.receive(frame)).toMatchObject({ verdict: 'TCX_DROP', path: [{ prog: 'drop', ret: 2 }] });
  twin.netns.removeDevice(twin);
  fork.twin(task).exit();
  expect(fork.leaks()).toEqual([]);
  expect(dev.receive(frame)).toMatchObject({ verdict: 'TCX_DROP' });
  expect(leaksAfter(world)).toEqual([]);
});
