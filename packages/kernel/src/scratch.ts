/** Room in the arena for the keys and values that cross the bpf(2) border. */

import type { Arena } from '@libbpf-ts/vm';

/** Three buffers that grow as needed. What is in them lasts for one call. */
export class Scratch {
  readonly #arena: Arena;
  readonly #addresses: [number, number, number] = [0, 0, 0];
  readonly #sizes: [number, number, number] = [0, 0, 0];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Address of at least `size` bytes for a key. Throws ENOMEM. */
  key(size: number): number {
    return this.#sizes[0] >= size ? this.#addresses[0] : this.#grow(0, size);
  }
  /** For a second key. */
  nextKey(size: number): number {
    return this.#sizes[1] >= size ? this.#addresses[1] : this.#grow(1, size);
  }
  value(size: number): number {
    return this.#sizes[2] >= size ? this.#addresses[2] : this.#grow(2, size);
  }

  fork(arena: Arena): Scratch {
    const copy = new Scratch(arena);
    this.#addresses.forEach((address, index) => (copy.#addresses[index] = address));
    this.#sizes.forEach((size, index) => (copy.#sizes[index] = size));
    return copy;
  }

  #grow(index: 0 | 1 | 2, size: number): number {
    const room = Math.max(64, 2 ** Math.ceil(Math.log2(size)));
    const address = this.#arena.allocate(room, 16);
    if (this.#addresses[index] !== 0) this.#arena.free(this.#addresses[index]);
    this.#sizes[index] = room;
    return (this.#addresses[index] = address);
  }
}
