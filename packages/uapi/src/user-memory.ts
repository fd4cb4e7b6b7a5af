/** The memory of a calling process, as a kernel sees it through user pointers. */

/** Resolves user pointers. A kernel never keeps a view beyond the call that it came from. */
export interface UserMemory {
  /** The `length` bytes at `address`, live, or `undefined` where any of them is not mapped (-EFAULT). */
  view(address: bigint, length: number): Uint8Array | undefined;
  /** Like `view`, but shorter where the mapping ends before `length` bytes: for strings. `undefined` where nothing is mapped. */
  viewUpTo(address: bigint, length: number): Uint8Array | undefined;
}

/** A process memory made of buffers: each gets an address when it is mapped, with unmapped space between them. */
export class BufferMemory implements UserMemory {
  readonly #regions: { readonly start: bigint; readonly bytes: Uint8Array }[] = [];
  #next = 0x7f00_0000_0000n;

  /** Maps a buffer and returns its address; the same buffer mapped twice has two addresses. `null` is address 0. */
  map(buffer: ArrayBufferView | null | undefined): bigint {
    if (!buffer) return 0n;
    const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const start = this.#next;
    this.#regions.push({ start, bytes });
    this.#next += (BigInt(bytes.length) + 0x1fffn) & ~0xfffn;
    return start;
  }

  view(address: bigint, length: number): Uint8Array | undefined {
    const found = this.viewUpTo(address, length);
    return found && found.length === length ? found : undefined;
  }

  viewUpTo(address: bigint, length: number): Uint8Array | undefined {
    for (const { start, bytes } of this.#regions) {
      if (address < start || address > start + BigInt(bytes.length)) continue;
      const offset = Number(address - start);
      if (offset === bytes.length && length > 0) continue;
      return bytes.subarray(offset, Math.min(offset + length, bytes.length));
    }
    return undefined;
  }
}
