/** What a replay acts on: the system calls of some processes, and the devices around them. */

import { addQdisc, clsBpf, removeQdisc } from '@libbpf-ts/cls-bpf';
import { Kernel } from '@libbpf-ts/kernel';
import { maps } from '@libbpf-ts/maps';
import { netOf, type NetDevice } from '@libbpf-ts/net';
import { tcx } from '@libbpf-ts/tcx';
import type { Syscalls } from '@libbpf-ts/uapi';
import { verify } from '@libbpf-ts/verifier';
import { xdp } from '@libbpf-ts/xdp';

/** A process: its system calls, and its end. */
export interface WorldTask {
  readonly sys: Syscalls;
  /** As a crash: fds are closed, nothing else is undone. */
  exit(): void;
}

export interface World {
  /** Starts a process. */
  task(name: string): WorldTask;
  /** Makes a device and returns its ifindex. */
  addDevice(name: string): number;
  removeDevice(ifindex: number): void;
  /** 0 or -errno. */
  addClsact(ifindex: number): number;
  removeClsact(ifindex: number): number;
  /** A directory of bpffs of this world's own. */
  readonly bpffs: string;
  /** unlink(2): 0 or -errno. */
  unlink(path: string): number;
  /** Ends the processes and takes devices and pins away: nothing is left after it. */
  close(): void;
}

/** A world in this process. */
export function simulatedWorld(): World & { readonly kernel: Kernel } {
  const kernel = new Kernel({ subsystems: [maps, tcx, clsBpf, xdp], verify });
  const netns = netOf(kernel).init;
  const admin = kernel.task('admin');
  const device = (ifindex: number): NetDevice | undefined => netns.byIndex(ifindex);
  const bpffs = '/sys/fs/bpf/oracle';
  admin.mkdir(bpffs);
  return {
    kernel,
    task: (name) => {
      const task = kernel.task(name);
      return { sys: task, exit: () => task.exit() };
    },
    addDevice: (name) => netns.addDevice({ name }).ifindex,
    removeDevice: (ifindex) => {
      const found = device(ifindex);
      if (found) netns.removeDevice(found);
    },
    addClsact: (ifindex) => addQdisc(admin, { ifindex, kind: 'clsact' }).result,
    removeClsact: (ifindex) => removeQdisc(admin, { ifindex, kind: 'clsact' }).result,
    bpffs,
    unlink: (path) => admin.unlink(path),
    close: () => {
      for (const task of Array.from(kernel.tasks.values())) if (task !== admin) task.exit();
      const pins = admin.readdir(bpffs);
      if (typeof pins !== 'number') for (const name of pins) admin.unlink(`${bpffs}/${name}`);
      admin.exit();
      for (const each of netns.devices) if (each.kind !== 'loopback') netns.removeDevice(each);
    },
  };
}
