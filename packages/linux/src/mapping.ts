/** Memory of maps, shared with the running kernel. */

import type { Mapping } from '@libbpf-ts/uapi';
import type { Ffi } from './ffi.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;

/** mmap(2), MAP_SHARED: the mapping, or `-errno`. */
export function mapShared(ffi: Ffi, fd: number, length: number, offset: number, writable: boolean): Mapping | number {
  const address = ffi.mapFile(fd, length, offset, writable ? PROT_READ | PROT_WRITE : PROT_READ);
  return address < 0n && address > -4096n ? Number(address) : new NativeMapping(ffi, address, length);
}

class NativeMapping implements Mapping {
  readonly length: number;
  readonly #ffi: Ffi;
  readonly #address: bigint;
  #view: Uint8Array<ArrayBuffer> | undefined;

  constructor(ffi: Ffi, address: bigint, length: number) {
    this.#ffi = ffi;
    this.#address = address;
    this.length = length;
    this.#view = ffi.view(address, length) as Uint8Array<ArrayBuffer>;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    if (!this.#view) throw new Error('this memory is unmapped');
    return this.#view;
  }

  /** Views that were given out must not be used any more: their memory is gone. */
  unmap(): void {
    if (!this.#view) return;
    this.#view = undefined;
    this.#ffi.call('munmap', this.#address, this.length);
  }

  [Symbol.dispose](): void {
    this.unmap();
  }
}
