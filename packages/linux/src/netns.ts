/** Network namespaces that a process makes for itself: nothing outside them is touched. */

import { closeSync, openSync } from 'node:fs';
import { callFailed } from './errors.ts';
import type { Ffi } from './ffi.ts';

const CLONE_NEWNET = 0x4000_0000;

/** A network namespace held by an fd; it ends when the last fd and the last process in it are gone. */
export class NetNamespace {
  readonly #ffi: Ffi;
  readonly #own: number;
  readonly #home: number;

  /** unshare(2) of the network, on this thread, and back: the new namespace holds a loopback device that is down. */
  constructor(ffi: Ffi) {
    this.#ffi = ffi;
    this.#home = openSync('/proc/thread-self/ns/net', 'r');
    const result = ffi.call('unshare', CLONE_NEWNET);
    if (result < 0) {
      closeSync(this.#home);
      throw callFailed('unshare(CLONE_NEWNET)', result, 'CAP_SYS_ADMIN');
    }
    this.#own = openSync('/proc/thread-self/ns/net', 'r');
    this.#enter(this.#home);
  }

  /** Runs a function with this thread in the namespace. It must be synchronous. */
  run<T>(work: () => T): T {
    this.#enter(this.#own);
    try {
      return work();
    } finally {
      this.#enter(this.#home);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#own);
    closeSync(this.#home);
  }

  #enter(fd: number): void {
    const result = this.#ffi.call('setns', fd, CLONE_NEWNET);
    if (result < 0) throw callFailed('setns', result, 'CAP_SYS_ADMIN');
  }
}
