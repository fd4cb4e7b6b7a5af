/** A file descriptor with one owner. */

import { BPF_OBJ_PIN, cString, type Syscalls } from '@libbpf-ts/uapi';
import { call } from './call.ts';
import { BpfError } from './errors.ts';

/** What maps, programs and links have in common: they hold a file descriptor until they are closed or released. */
export class Handle implements Disposable {
  readonly sys: Syscalls;
  #fd: number;

  constructor(sys: Syscalls, fd: number) {
    this.sys = sys;
    this.#fd = fd;
  }

  /** The file descriptor; throws once it is closed or released. */
  get fd(): number {
    if (this.#fd < 0) throw new BpfError(9, 'close', 'this object is closed');
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  /** Pins the object in the kernel's bpf file system; it lives until the pin is removed. */
  pin(path: string): this {
    call(this.sys, BPF_OBJ_PIN, { pathname: cString(path), bpf_fd: this.fd }, `cannot pin at ${path}`, { arg: 'pathname' });
    return this;
  }

  /** Gives up ownership: the file descriptor stays open until the process ends. Returns it. */
  release(): number {
    const { fd } = this;
    this.#fd = -1;
    return fd;
  }

  /** Closes the file descriptor. Closing twice is harmless. */
  close(): void {
    if (this.#fd >= 0) this.sys.close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
