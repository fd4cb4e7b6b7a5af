/** What a replay acts on: bpf(2) of one process, and the devices around it. */

import { clsBpf, removeQdisc, addQdisc } from '@libbpf-ts/cls-bpf';
import { Kernel } from '@libbpf-ts/kernel';
import { maps } from '@libbpf-ts/maps';
import { netOf, type NetDevice } from '@libbpf-ts/net';
import { tcx } from '@libbpf-ts/tcx';
import type { Syscalls } from '@libbpf-ts/uapi';
import { verify } from '@libbpf-ts/verifier';
import { xdp } from '@libbpf-ts/xdp';

export interface World {
  readonly sys: Syscalls;
  /** Makes a device and returns its ifindex. */
  addDevice(name: string): number;
  removeDevice(ifindex: number): void;
  /** 0 or -errno. */
  addClsact(ifindex: number): number;
  removeClsact(ifindex: number): number;
  /** Ends the process and takes the devices away: nothing is left after it. */
  close(): void;
}

/** A world in this process. */
export function simulatedWorld(): World & { readonly kernel: Kernel } {
  const kernel = new Kernel({ subsystems: [maps, tcx, clsBpf, xdp], verify });
  const netns = netOf(kernel).init;
  const task = kernel.task('replay');
  const device = (ifindex: number): NetDevice | undefined => netns.byIndex(ifindex);
  return {
    kernel,
    sys: task,
    addDevice: (name) => netns.addDevice({ name }).ifindex,
    removeDevice: (ifindex) => {
      const found = device(ifindex);
      if (found) netns.removeDevice(found);
    },
    addClsact: (ifindex) => addQdisc(task, { ifindex, kind: 'clsact' }).result,
    removeClsact: (ifindex) => removeQdisc(task, { ifindex, kind: 'clsact' }).result,
    close: () => {
      task.exit();
      for (const each of netns.devices) if (each.kind !== 'loopback') netns.removeDevice(each);
    },
  };
}
