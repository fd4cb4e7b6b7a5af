/** A world on the running kernel: a network namespace of its own, with nothing of the host in it. */

import { mkdirSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  addVethPair,
  BpfFs,
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
  readonly #socket: RouteSocket;
  readonly #open: Set<number> = new Set();

  constructor(kernel: LinuxKernel, socket: RouteSocket) {
    this.#kernel = kernel;
    this.#socket = socket;
  }

  bpf: Syscalls['bpf'] = (cmd, attr) => {
    const result = this.#kernel.bpf(cmd, attr);
    if (result > 2 && MAKES_FD.has(cmd)) this.#open.add(result);
    return result;
  };
  bpfRaw: Syscalls['bpfRaw'] = (cmd, attr, size, memory) => this.#kernel.bpfRaw(cmd, attr, size, memory);
  ifNameToIndex: Syscalls['ifNameToIndex'] = (name) => this.#kernel.ifNameToIndex(name);
  fdInfo: Syscalls['fdInfo'] = (fd) => this.#kernel.fdInfo(fd);
  rtnetlink: Syscalls['rtnetlink'] = (request) => this.#socket.send(request);
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

/** Commands that return an fd: map and program load, OBJ_GET, GET_FD_BY_ID of three kinds, LINK_CREATE. */
const MAKES_FD: ReadonlySet<number> = new Set([0, 5, 7, 13, 14, 28, 30]);

/** Runs `work` with this thread inside a new namespace of the running kernel. Throws LinuxUnavailableError where that cannot be. */
export function inLinuxNamespace<T>(work: (makeWorld: () => World) => T): T {
  const kernel = linuxKernel();
  const namespace = new NetNamespace(kernel.ffi);
  const bpffs = new BpfFs(kernel.ffi);
  try {
    return namespace.run(() => {
      const socket = new RouteSocket(kernel.ffi);
      try {
        quiet();
        // The root of a bpffs has files of the kernel's own.
        const pins = join(bpffs.path, 'oracle');
        mkdirSync(pins);
        return work(() => linuxWorld(kernel, socket, pins));
      } finally {
        socket[Symbol.dispose]();
      }
    });
  } finally {
    bpffs[Symbol.dispose]();
    namespace[Symbol.dispose]();
  }
}

/** No IPv6 in this namespace: its devices send nothing by themselves. */
function quiet(): void {
  writeFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', '1');
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
}

function linuxWorld(kernel: LinuxKernel, socket: RouteSocket, bpffs: string): World {
  const tasks = new Set<OwnedFds>();
  const devices = new Set<number>();
  return {
    // A process is the set of its fds: what its end does to bpf objects is that they are closed.
    task: () => {
      const sys = new OwnedFds(kernel, socket);
      tasks.add(sys);
      return {
        sys,
        exit: () => {
          sys.closeAll();
          tasks.delete(sys);
        },
      };
    },
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
    bpffs,
    unlink: (path) => {
      try {
        unlinkSync(path);
        return 0;
      } catch (error) {
        return (error as { readonly errno?: number }).errno ?? -1;
      }
    },
    close: () => {
      for (const sys of tasks) sys.closeAll();
      for (const name of readdirSync(bpffs)) unlinkSync(join(bpffs, name));
      for (const ifindex of devices) deleteDevice(socket, ifindex);
    },
  };
}
