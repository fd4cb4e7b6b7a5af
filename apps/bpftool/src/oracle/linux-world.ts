/** A world on the running kernel: a network namespace of its own, with nothing of the host in it. */

import {
  addVethPair,
  deleteDevice,
  deviceIndex,
  linuxKernel,
  NetNamespace,
  RouteSocket,
  type LinuxKernel,
} from '@libbpf-ts/linux';
import { addQdisc, removeQdisc, type Syscalls } from '@libbpf-ts/uapi';

import type { World } from './world.ts';

/** Closes whatever was opened through it and not closed. */
class OwnedFds implements Syscalls {
  readonly #kernel: LinuxKernel;
  readonly #open: Set<number> = new Set();

  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
  }

  bpf: Syscalls['bpf'] = (cmd, attr) => {
    const result = this.#kernel.bpf(cmd, attr);
    if (result > 2 && MAKES_FD.has(cmd)) this.#open.add(result);
    return result;
  };
  bpfRaw: Syscalls['bpfRaw'] = (cmd, attr, size, memory) => this.#kernel.bpfRaw(cmd, attr, size, memory);
  ifNameToIndex: Syscalls['ifNameToIndex'] = (name) => this.#kernel.ifNameToIndex(name);
  fdInfo: Syscalls['fdInfo'] = (fd) => this.#kernel.fdInfo(fd);
  rtnetlink: Syscalls['rtnetlink'] = (request) => this.#kernel.rtnetlink(request);
  mmap: Syscalls['mmap'] = (fd, length, offset, writable) => this.#kernel.mmap(fd, length, offset, writable);

  close(fd: number): number {
    this.#open.delete(fd);
    return this.#kernel.close(fd);
  }

  closeAll(): void {
    for (const fd of this.#open) this.#kernel.close(fd);
    this.#open.clear();
  }
}

/** Commands that return an fd: map and program load, GET_FD_BY_ID of three kinds, LINK_CREATE. */
const MAKES_FD: ReadonlySet<number> = new Set([0, 5, 13, 14, 28, 30]);

/** Runs `work` with this thread inside a new namespace of the running kernel. Throws LinuxUnavailableError where that cannot be. */
export function inLinuxNamespace<T>(work: (makeWorld: () => World) => T): T {
  const kernel = linuxKernel();
  const namespace = new NetNamespace(kernel.ffi);
  try {
    return namespace.run(() => {
      const socket = new RouteSocket(kernel.ffi);
      try {
        return work(() => linuxWorld(kernel, socket));
      } finally {
        socket[Symbol.dispose]();
      }
    });
  } finally {
    namespace[Symbol.dispose]();
  }
}

function linuxWorld(kernel: LinuxKernel, socket: RouteSocket): World {
  const sys = new OwnedFds(kernel);
  const devices = new Set<number>();
  return {
    sys,
    addDevice: (name) => {
      const made = addVethPair(socket, name, `${name}p`);
      if (made.result < 0) throw new Error(`no device ${name}: errno ${-made.result} ${made.extack ?? ''}`);
      const index = deviceIndex(socket, name);
      devices.add(index);
      return index;
    },
    removeDevice: (ifindex) => {
      devices.delete(ifindex);
      deleteDevice(socket, ifindex);
    },
    addClsact: (ifindex) => addQdisc(kernel, { ifindex, kind: 'clsact' }).result,
    removeClsact: (ifindex) => removeQdisc(kernel, { ifindex, kind: 'clsact' }).result,
    close: () => {
      sys.closeAll();
      for (const ifindex of devices) deleteDevice(socket, ifindex);
    },
  };
}
