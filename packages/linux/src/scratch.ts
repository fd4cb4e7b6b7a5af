/**
 * Native memory for the arguments of system calls. Each argument lies right before a page that is not mapped, so a kernel that
 * reaches beyond a buffer gets -EFAULT instead of somebody else's bytes.
 */

import type { Ffi } from './ffi.ts';

const PAGE = 4096;
const SLOT = 16 * PAGE;
const SLOTS = 16;

/** One buffer handed to a system call: where it lies natively, and the bytes of JavaScript that it stands for. */
interface Loan {
  readonly native: Uint8Array;
  readonly buffer: Uint8Array;
}

/** Room for the arguments of one system call at a time. */
export class Scratch {
  readonly #ffi: Ffi;
  readonly #slots: { readonly address: bigint; readonly bytes: Uint8Array }[] = [];
  #loans: Loan[] = [];
  #large: { readonly address: bigint; readonly length: number }[] = [];

  constructor(ffi: Ffi) {
    this.#ffi = ffi;
    for (let i = 0; i < SLOTS; i++) this.#slots.push(this.#guarded(SLOT));
  }

  /** Copies a buffer into native memory until `finish`; returns its native address. */
  lend(buffer: Uint8Array): bigint {
    const slot =
      buffer.length <= SLOT && this.#loans.length < SLOTS ? this.#slots[this.#loans.length]! : this.#largeSlot(buffer.length);
    const start = slot.bytes.length - buffer.length;
    const native = slot.bytes.subarray(start);
    native.set(buffer);
    this.#loans.push({ native, buffer });
    return slot.address + BigInt(start);
  }

  /** Copies what the kernel wrote back into the buffers that were lent, and takes the native memory back. */
  finish(): void {
    for (const { native, buffer } of this.#loans) buffer.set(native);
    for (const { address, length } of this.#large) this.#ffi.call('munmap', address, length);
    this.#loans = [];
    this.#large = [];
  }

  /** Gives all of the memory back: the object must not be used any more. */
  release(): void {
    for (const { address, bytes } of this.#slots.splice(0)) this.#ffi.call('munmap', address, bytes.length + PAGE);
  }

  #largeSlot(length: number): { readonly address: bigint; readonly bytes: Uint8Array } {
    const size = Math.ceil(Math.max(length, 1) / PAGE) * PAGE;
    const slot = this.#guarded(size);
    this.#large.push({ address: slot.address, length: size + PAGE });
    return slot;
  }

  #guarded(length: number): { readonly address: bigint; readonly bytes: Uint8Array } {
    const address = this.#ffi.map(length + PAGE);
    this.#ffi.call('mprotect', address + BigInt(length), PAGE, 0);
    return { address, bytes: this.#ffi.view(address, length) };
  }
}
