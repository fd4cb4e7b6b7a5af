/** The real kernel behind the syscall border. */

import {
  BPF_ATTR_SIZE,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_SOCKET_FILTER,
  BpfProgLoadAttr,
  bpfTyped,
  ERRNO,
  type BpfAttr,
  type BpfCmdNumber,
  type Mapping,
  type NetlinkAnswer,
  type NetlinkRequest,
  type Syscalls,
  type UserMemory,
} from '@libbpf-ts/uapi';
import { readFileSync, readlinkSync } from 'node:fs';
import { deviceIndex } from './devices.ts';
import { LinuxUnavailableError } from './errors.ts';
import { loadFfi, type Ffi } from './ffi.ts';
import { mapShared } from './mapping.ts';
import { RouteSocket } from './netlink.ts';
import { attrPointers, infoPointers } from './pointers.ts';
import { Scratch } from './scratch.ts';

const BPF_OBJ_GET_INFO_BY_FD = 15;
/** Longest buffer that a pointer is followed for. */
const REACH = 1 << 30;

/** bpf(2) and its companions of the running kernel, with the rights of this process. */
export class LinuxKernel implements Syscalls {
  readonly ffi: Ffi;
  readonly #scratch: Scratch;

  constructor(ffi: Ffi) {
    this.ffi = ffi;
    this.#scratch = new Scratch(ffi);
  }

  bpf<C extends BpfCmdNumber>(cmd: C, attr: BpfAttr<C>): number {
    return bpfTyped((number, bytes, size, memory) => this.bpfRaw(number, bytes, size, memory), cmd, attr);
  }

  bpfRaw(cmd: number, attr: Uint8Array, size: number, memory: UserMemory): number {
    const native = new Uint8Array(attr);
    const view = new DataView(native.buffer);
    const before = new Map<number, bigint>();
    for (const offset of attrPointers(cmd, view)) {
      if (offset + 8 > native.length) continue;
      const address = view.getBigUint64(offset, true);
      before.set(offset, address);
      view.setBigUint64(offset, this.#translate(address, memory, cmd, view), true);
    }
    const result = this.ffi.call('bpf', cmd, this.#scratch.lend(native), size);
    this.#scratch.finish();
    for (const [offset, address] of before) view.setBigUint64(offset, address, true);
    attr.set(native);
    return result;
  }

  close(fd: number): number {
    return this.ffi.call('close', fd);
  }

  /** Asks the kernel in the namespace that this thread is in: sysfs shows that of whoever mounted it. */
  ifNameToIndex(name: string): number {
    return this.#withSocket((socket) => deviceIndex(socket, name));
  }

  rtnetlink(request: NetlinkRequest): NetlinkAnswer {
    return this.#withSocket((socket) => socket.send(request));
  }

  mmap(fd: number, length: number, offset: number, writable: boolean): Mapping | number {
    return mapShared(this.ffi, fd, length, offset, writable);
  }

  fdInfo(fd: number): string | number {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
    } catch {
      return -ERRNO.EBADF;
    }
  }

  /** A socket stays in the namespace that it was made in, and this thread may be in another one by now: so each request has its own. */
  #withSocket<T>(use: (socket: RouteSocket) => T): T {
    const socket = new RouteSocket(this.ffi, this.#scratch);
    try {
      return use(socket);
    } finally {
      socket[Symbol.dispose]();
    }
  }

  #translate(address: bigint, memory: UserMemory, cmd: number, attr: DataView): bigint {
    const buffer = address === 0n ? undefined : memory.viewUpTo(address, REACH);
    if (buffer === undefined) return address;
    if (cmd === BPF_OBJ_GET_INFO_BY_FD) return this.#lendInfo(buffer, attr.getUint32(0, true), memory);
    return this.#scratch.lend(buffer);
  }

  /** Lends an info structure, whose own pointers are translated while the kernel sees it. */
  #lendInfo(buffer: Uint8Array, fd: number, memory: UserMemory): bigint {
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const nested: { offset: number; address: bigint; native: bigint }[] = [];
    for (const offset of infoPointers(kindOf(fd))) {
      if (offset + 8 > buffer.length) continue;
      const address = view.getBigUint64(offset, true);
      const target = address === 0n ? undefined : memory.viewUpTo(address, REACH);
      if (target !== undefined) nested.push({ offset, address, native: this.#scratch.lend(target) });
    }
    for (const { offset, native } of nested) view.setBigUint64(offset, native, true);
    const lent = this.#scratch.lend(buffer);
    for (const { offset, address } of nested) view.setBigUint64(offset, address, true);
    return lent;
  }
}

function kindOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/**
 * The running kernel. Throws {@link LinuxUnavailableError} where this is not Linux, koffi is missing, or bpf(2) is refused.
 * Objects live as their fds do: closing (or the end of the process) lets them go, as for any process.
 */
export function linuxKernel(): LinuxKernel {
  const kernel = new LinuxKernel(loadFfi());
  checkAvailable(kernel);
  return kernel;
}

/**
 * Loads a socket filter whose instructions and license are nowhere: EFAULT, unless rights are missing, which is said before.
 * (A map of no type would be EINVAL for everybody.)
 */
export function checkAvailable(kernel: Pick<Syscalls, 'bpfRaw'>): void {
  const attr = new Uint8Array(BPF_ATTR_SIZE);
  BpfProgLoadAttr.write(new DataView(attr.buffer), { prog_type: BPF_PROG_TYPE_SOCKET_FILTER, insn_cnt: 1 });
  const result = kernel.bpfRaw(BPF_PROG_LOAD, attr, attr.length, { view: () => undefined, viewUpTo: () => undefined });
  if (result === -ERRNO.ENOSYS)
    throw new LinuxUnavailableError('no-bpf', 'this kernel has no bpf(2)', 'use a kernel with CONFIG_BPF_SYSCALL');
  if (result === -ERRNO.EPERM) {
    throw new LinuxUnavailableError(
      'no-permission',
      'bpf(2) is refused with EPERM',
      'run as root or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN',
    );
  }
}
