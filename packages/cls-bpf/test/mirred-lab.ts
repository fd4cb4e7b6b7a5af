/** Scenes of mirred on veth pairs, and two laboratories to play them in: one in this process, one on the running kernel. */

import { netOf, Socket, udp } from '@libbpf-ts/net';
import { addVethPair, deleteDevice, linuxKernel, NetNamespace, RouteSocket, setDeviceUp } from '@libbpf-ts/linux';
import {
  addFilter,
  addQdisc,
  dumpFilters,
  removeQdisc,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  type ActionRow,
  type RouteSyscalls,
} from '@libbpf-ts/uapi';
import { writeFileSync } from 'node:fs';

import { boot } from '../../tcx/test/kit.ts';

export interface SceneAction {
  readonly mode: 'redirect' | 'mirror';
  readonly direction: 'egress' | 'ingress';
  readonly dev: string;
  readonly action?: number;
}

export interface Scene {
  readonly hook: 'ingress' | 'egress';
  readonly actions: readonly SceneAction[];
  /** What happens to the target x0 once the filter is there. */
  readonly after?: 'down' | 'gone';
}

/** Packets that came past tc at each device, and what the actions counted. */
export interface Seen {
  readonly arrived: Readonly<Record<string, number>>;
  readonly stats: readonly string[];
}

export interface Lab {
  readonly sys: RouteSyscalls;
  ifindex(name: string): number;
  addPair(name: string, peer: string): void;
  remove(name: string): void;
  setUp(name: string, up: boolean): void;
  /** A frame comes into a0 from b0, or leaves by a0; the result counts IPv4 packets by device. */
  send(hook: Scene['hook']): Record<string, number>;
  close(): void;
}

const WATCHED = ['a0', 'b0', 'c0', 'd0', 'f0', 'y0'];
const ALL = [{ code: 6, jt: 0, jf: 0, k: 1 }];
const PARENTS = { ingress: TC_H_MIN_INGRESS, egress: TC_H_MIN_EGRESS };
const frame = udp({ payload: 'hello', ttl: 64 });

/** One filter with the actions; behind it one that sends a copy to f0, and in chain 5 one that sends two. */
export function play(lab: Lab, scene: Scene): Seen {
  const [ifindex, parent] = [lab.ifindex('a0'), PARENTS[scene.hook]];
  lab.addPair('x0', 'y0');
  must(addQdisc(lab.sys, { ifindex, kind: 'clsact' }).result);
  const add = (prio: number, actions: readonly SceneAction[], chain?: number): void => {
    const requests = actions.map(({ dev, ...action }) => ({ kind: 'mirred', ifindex: lab.ifindex(dev), ...action }) as const);
    const where = { ifindex, parent, ...(chain === undefined ? {} : { chain }) };
    must(addFilter(lab.sys, { ...where, protocol: 3, prio, create: true, ops: ALL, actions: requests }).result);
  };
  const copy = { mode: 'mirror', direction: 'egress', dev: 'e0' } as const;
  add(1, scene.actions);
  add(2, [{ ...copy, action: 0 }]);
  add(1, [copy, { ...copy, action: 0 }], 5);
  if (scene.after === 'gone') lab.remove('x0');
  if (scene.after === 'down') lab.setUp('x0', false);
  const arrived = lab.send(scene.hook);
  const row = dumpFilters(lab.sys, { ifindex, parent, chain: 0, prio: 1 }).find(({ handle }) => handle !== 0);
  must(removeQdisc(lab.sys, { ifindex }).result);
  if (scene.after !== 'gone') lab.remove('x0');
  return { arrived, stats: (row?.actions ?? []).map(statsText) };
}

const statsText = ({ stats: { packets, drops, overlimits } }: ActionRow): string =>
  `${packets} packets ${drops} drops ${overlimits} overlimits`;

function must(result: number): void {
  if (result < 0) throw new Error(`refused with errno ${-result}`);
}

export function simulatedLab(): Lab {
  const { kernel, task, dev } = boot();
  const netns = netOf(kernel).init;
  netns.removeDevice(dev);
  const pair = (a: string, b: string): void => void netns.addVeth({ name: a }, { name: b });
  pair('a0', 'b0');
  pair('c0', 'd0');
  pair('e0', 'f0');
  return {
    sys: task,
    ifindex: (name) => task.ifNameToIndex(name),
    addPair: pair,
    remove: (name) => netns.removeDevice(netns.get(name)),
    setUp: (name, up) => void (netns.get(name).up = up),
    send: (hook) => {
      const sockets = new Map<string, Socket>();
      for (const name of WATCHED) {
        const device = netns.byName(name);
        if (device) sockets.set(name, new Socket(netns, { type: 'packet', protocol: 0x800, device }));
      }
      netns.get(hook === 'ingress' ? 'b0' : 'a0').transmit(frame);
      const counts = Object.fromEntries(
        [...sockets].map(([name, { received }]) => [name, received.length]).filter(([, n]) => n !== 0),
      );
      for (const socket of sockets.values()) socket.close();
      return counts as Record<string, number>;
    },
    close: () => {
      task.exit();
      for (const device of netns.devices) if (device.kind !== 'loopback') netns.removeDevice(device);
      const leaks = kernel.leaks();
      if (leaks.length > 0) throw new Error(leaks[0]!.text);
    },
  };
}

const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK = 3 | 0o4000;
const QUIET_MS = 8;

/** Runs `work` in a namespace of the running kernel with the same pairs. */
export function inLinuxLab<T>(work: (lab: Lab) => T): T {
  const kernel = linuxKernel();
  const namespace = new NetNamespace(kernel.ffi);
  const clock = new Int32Array(new SharedArrayBuffer(4));
  try {
    return namespace.run(() => {
      const route = new RouteSocket(kernel.ffi);
      for (const scope of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, '1');
      for (const [a, b] of [
        ['a0', 'b0'],
        ['c0', 'd0'],
        ['e0', 'f0'],
      ] as const)
        must(addVethPair(route, a, b).result);
      // Native memory: a buffer for frames, and an address behind it.
      const memory = kernel.ffi.map(8192);
      const bytes = kernel.ffi.view(memory, 8192);
      const address = (ifindex: number): bigint => {
        const view = new DataView(bytes.buffer, bytes.byteOffset + 4096, 20);
        view.setUint16(0, AF_PACKET, true);
        view.setUint16(2, 0x800, false);
        view.setInt32(4, ifindex, true);
        return memory + 4096n;
      };
      const open = (ifindex: number): number => {
        const fd = kernel.ffi.call('socket', AF_PACKET, SOCK_RAW_NONBLOCK, 0x0008);
        must(fd);
        must(kernel.ffi.call('bind', fd, address(ifindex), 20));
        return fd;
      };
      const lab: Lab = {
        sys: kernel,
        ifindex: (name) => kernel.ifNameToIndex(name),
        addPair: (a, b) => must(addVethPair(route, a, b).result),
        remove: (name) => must(deleteDevice(route, kernel.ifNameToIndex(name)).result),
        setUp: (name, up) => must(setDeviceUp(route, kernel.ifNameToIndex(name), up).result),
        send: (hook) => {
          const fds = WATCHED.map((name) => [name, kernel.ifNameToIndex(name)] as const)
            .filter(([, ifindex]) => ifindex > 0)
            .map(([name, ifindex]) => [name, open(ifindex)] as const);
          const from = kernel.ifNameToIndex(hook === 'ingress' ? 'b0' : 'a0');
          const sender = kernel.ffi.call('socket', AF_PACKET, SOCK_RAW_NONBLOCK, 0);
          bytes.set(frame);
          // What the kernel answers is not looked at: a redirect may drop the packet before sendto(2) returns.
          kernel.ffi.call('sendto', sender, memory, frame.length, 0, address(from), 20);
          Atomics.wait(clock, 0, 0, QUIET_MS);
          const counts: Record<string, number> = {};
          for (const [name, fd] of fds) {
            let count = 0;
            while (kernel.ffi.call('recvfrom', fd, memory, 4096, 0, 0, 0) > 0) count++;
            if (count > 0) counts[name] = count;
          }
          for (const fd of [sender, ...fds.map(([, each]) => each)]) kernel.close(fd);
          return counts;
        },
        close: () => route[Symbol.dispose](),
      };
      try {
        return work(lab);
      } finally {
        lab.close();
        kernel.ffi.call('munmap', memory, 8192);
      }
    });
  } finally {
    namespace[Symbol.dispose]();
  }
}

const ACTIONS = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, -2, 0x1000_0000, 0x1000_0001, 0x1000_0005, 0x2000_0005, 0x2000_0009];
const HOOKS = ['ingress', 'egress'] as const;
const MODES = ['redirect', 'mirror'] as const;

/** Every mode, direction and code at both hooks; lists with jumps; targets that are down, gone, or the device itself. */
export const scenes: readonly Scene[] = HOOKS.flatMap((hook) => [
  ...MODES.flatMap((mode) =>
    HOOKS.flatMap((direction) => [
      ...ACTIONS.filter((action) => action !== 6).map((action): Scene => ({
        hook,
        actions: [{ mode, direction, dev: 'c0', action }],
      })),
      { hook, actions: [{ mode, direction, dev: 'c0' }] },
      ...(['down', 'gone'] as const).flatMap((after): Scene[] => [
        { hook, after, actions: [{ mode, direction, dev: 'x0' }] },
        { hook, after, actions: [{ mode, direction, dev: 'x0', action: 0 }] },
        {
          hook,
          after,
          actions: [
            { mode, direction, dev: 'x0', action: 3 },
            { mode: 'mirror', direction: 'egress', dev: 'c0', action: 0 },
          ],
        },
      ]),
    ]),
  ),
  ...[0x1000_0001, 0x1000_0002, 0x1000_0003, 0x1000_0009].map((action): Scene => ({
    hook,
    actions: [
      { mode: 'mirror', direction: 'egress', dev: 'c0', action },
      { mode: 'mirror', direction: 'ingress', dev: 'c0' },
      { mode: 'redirect', direction: 'egress', dev: 'c0' },
    ],
  })),
  {
    hook,
    actions: [
      { mode: 'mirror', direction: 'egress', dev: 'c0' },
      { mode: 'mirror', direction: 'ingress', dev: 'c0' },
      { mode: 'mirror', direction: 'egress', dev: 'e0', action: 2 },
    ],
  },
]);
