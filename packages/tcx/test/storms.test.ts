/** Processes die at any moment: whatever they had attached, pinned or half undone, nothing is left when the devices are gone too. */

import { addFilter, addQdisc, createFilterLink, deleteFilter, removeQdisc, TC_H_MIN_INGRESS } from '@libbpf-ts/cls-bpf';
import type { Task } from '@libbpf-ts/kernel';
import { ETH_P_ALL, openSocket, udp } from '@libbpf-ts/net';
import {
  BPF_LINK_CREATE,
  BPF_LINK_DETACH,
  BPF_LINK_UPDATE,
  BPF_OBJ_PIN,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  BPF_PROG_GET_FD_BY_ID,
  BPF_PROG_TYPE_XDP,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  BPF_XDP,
  cString,
} from '@libbpf-ts/uapi';
import { expect, test } from 'vitest';

import { boot, leaksAfter, load, returns, type World } from './kit.ts';

/** Small numbers from a seed (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

interface Actor {
  readonly task: Task;
  readonly progs: number[];
  readonly links: number[];
}

/** What `STEER` finds and takes a reference to. */
const CONNECTION = { type: 'tcp', address: '10.0.0.2', port: 80, remote: { address: '10.0.0.1', port: 80 } } as const;

/** Looks the connection up and steers the packet to it. */
const STEER = `r6 = r1; *(u32 *)(r10 - 16) = 0x0100000a; *(u32 *)(r10 - 12) = 0x0200000a; *(u32 *)(r10 - 8) = 0x50005000;
  r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; call bpf_sk_lookup_tcp#84; if r0 == 0 goto pc+9;
  r7 = r0; r1 = r6; r2 = r7; r3 = 0; call bpf_sk_assign#124; r1 = r7; call bpf_sk_release#86; r0 = -1; exit; r0 = -1; exit`;

function act(world: World, { task, progs, links }: Actor, pick: (below: number) => number): void {
  const { net } = world;
  const devices = net.init.devices.filter(({ kind }) => kind === 'capture');
  const target_ifindex = devices[pick(devices.length)]?.ifindex ?? 999;
  const attach_type = pick(2) ? BPF_TCX_INGRESS : BPF_TCX_EGRESS;
  const place = { ifindex: target_ifindex, parent: TC_H_MIN_INGRESS };
  const prog = progs[pick(progs.length)]!;
  const link = links[pick(Math.max(1, links.length))] ?? 999;
  const made = (fd: number): void => void (fd >= 0 && links.push(fd));
  switch (pick(16)) {
    case 0:
      task.bpf(BPF_PROG_ATTACH, { target_ifindex, attach_bpf_fd: prog, attach_type });
      break;
    case 1:
      task.bpf(BPF_PROG_DETACH, { target_ifindex, attach_bpf_fd: pick(2) ? prog : 0, attach_type });
      break;
    case 2:
    case 3:
      made(task.bpf(BPF_LINK_CREATE, { target_ifindex, prog_fd: prog, attach_type }));
      break;
    case 4:
      task.bpf(BPF_LINK_UPDATE, { link_fd: link, new_prog_fd: prog });
      break;
    case 5:
      task.bpf(BPF_LINK_DETACH, { link_fd: link });
      break;
    case 6:
      task.close(link);
      break;
    case 7:
      task.bpf(BPF_OBJ_PIN, { pathname: cString(`/sys/fs/bpf/p${pick(8)}`), bpf_fd: pick(2) ? link : prog });
      break;
    case 8:
      task.unlink(`/sys/fs/bpf/p${pick(8)}`);
      break;
    case 9:
      if (pick(2)) addQdisc(task, { ifindex: target_ifindex, kind: 'clsact' });
      else removeQdisc(task, { ifindex: target_ifindex });
      break;
    case 10:
      addFilter(task, { ...place, protocol: ETH_P_ALL, prio: 1 + pick(3), handle: pick(4), create: true, flags: 1, fd: prog });
      break;
    case 11:
      made(createFilterLink(task, { ...place, progFd: prog, priority: 1 + pick(3), handle: pick(4) }));
      break;
    case 12:
      deleteFilter(task, { ...place, prio: pick(4) });
      break;
    case 13:
      made(openSocket(task, { type: 'udp', port: 53 + pick(2) }));
      break;
    case 14:
      made(openSocket(task, CONNECTION));
      break;
    default:
      made(task.bpf(BPF_LINK_CREATE, { target_ifindex, prog_fd: progs[0]!, attach_type: BPF_XDP }));
  }
}

function storm(world: World, ids: readonly number[], seed: number): void {
  const { kernel, net } = world;
  const pick = random(seed);
  const devices = ['a', 'b'].map((name) => net.init.addDevice({ name }));
  const start = (name: string): Actor => {
    const task = kernel.task(name);
    return { task, links: [], progs: ids.map((prog_id) => task.bpf(BPF_PROG_GET_FD_BY_ID, { prog_id })) };
  };
  const actors = ['one', 'two'].map(start);
  for (let step = 0; step < 30; step++) {
    const which = pick(actors.length);
    if (pick(12) === 0) {
      actors[which]!.task.exit();
      actors[which] = start('again');
    } else if (pick(15) === 0) {
      const device = devices[pick(devices.length)]!;
      if (device.registered) net.init.removeDevice(device);
    } else act(world, actors[which]!, pick);
    if (pick(6) === 0) for (const device of devices) if (device.registered) device.receive(udp());
  }
  for (const { task } of actors) task.exit();
  for (const device of devices) if (device.registered) net.init.removeDevice(device);
  const admin = kernel.task('admin');
  for (let pin = 0; pin < 8; pin++) admin.unlink(`/sys/fs/bpf/p${pin}`);
  admin.exit();
}

/** Few by default: each is some thirty system calls and packets. */
const STORMS = process.env['LIBBPF_TS_LONG'] ? 1000 : 250;

test(`${STORMS} storms leave nothing`, () => {
  const world = boot();
  const { kernel, net, task } = world;
  net.init.removeDevice(world.dev);
  // Loaded once, since that is what takes time; every process has fds of its own.
  const fds = [
    load(task, returns(2), BPF_PROG_TYPE_XDP),
    ...[-1, 0, 2].map((code) => load(task, returns(code))),
    load(task, STEER),
  ];
  const ids = fds.map((fd) => task.prog(fd, 'fd').id);
  let used = 0;
  for (let seed = 1; seed <= STORMS; seed++) {
    storm(world, ids, seed);
    const left = kernel
      .leaks()
      .filter(({ holders }) =>
        holders.some(({ kind, ...holder }) => kind !== 'fd' || !('task' in holder) || holder.task !== task.id),
      );
    if (left.length > 0) expect({ seed, left: left.map(({ text }) => text) }).toEqual({ seed, left: [] });
    if (seed === 20) ({ used } = kernel.arena);
  }
  // What pools keep stops growing.
  expect(kernel.arena.used).toBeLessThan(used + 50_000);
  expect(net.skbs.inUse).toBe(0);
  expect(leaksAfter(world)).toEqual([]);
});
