/** User space's side of ring buffers, over memory that it shares with the kernel. The same on every kernel that maps it. */

import { BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_USER_RINGBUF, errnoName, type Mapping } from '@libbpf-ts/uapi';
import { BpfError } from './errors.ts';
import { refusal } from './call.ts';
import type { BpfMap } from './map.ts';

/** Bits of a record's length (`BPF_RINGBUF_BUSY_BIT`, `BPF_RINGBUF_DISCARD_BIT`). */
const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;
const HEADER = 8;

export interface RingBufferOptions {
  /** Bytes of the kernel's pages, 4096 where omitted. */
  readonly pageSize?: number | undefined;
}

/** Bytes of a whole record with `size` bytes of data. */
const recordBytes = (size: number): number => (size + HEADER + 7) & ~7;

/** The three parts that the kernel maps: where is read up to, where is written up to, and the data twice in a row. */
class Ring implements Disposable {
  readonly size: number;
  readonly #page: number;
  readonly #consumer: Mapping;
  readonly #rest: Mapping;

  constructor(map: BpfMap, type: number, page: number) {
    if (map.spec.map_type !== type)
      throw new BpfError(22, 'mmap', `map ${map.name} is of type ${map.spec.map_type}, not ${type}`, { arg: 'map' });
    this.size = map.spec.max_entries;
    this.#page = page;
    const writesData = type === BPF_MAP_TYPE_USER_RINGBUF;
    this.#consumer = mapped(map, page, 0, !writesData);
    try {
      this.#rest = mapped(map, page + 2 * this.size, page, writesData);
    } catch (error) {
      this.#consumer.unmap();
      throw error;
    }
  }

  get consumed(): bigint {
    return Atomics.load(position(this.#consumer), 0);
  }
  set consumed(value: bigint) {
    Atomics.store(position(this.#consumer), 0, value);
  }
  get produced(): bigint {
    return Atomics.load(position(this.#rest), 0);
  }
  set produced(value: bigint) {
    Atomics.store(position(this.#rest), 0, value);
  }

  /** The data from a position on; what runs over the end lies behind it. */
  at(where: bigint, length: number): Uint8Array<ArrayBuffer> {
    const start = this.#page + (Number(where & 0xffff_ffffn) & (this.size - 1));
    return this.#rest.bytes().subarray(start, start + length);
  }

  /** The length of the record at a position, with its bits. */
  lengthAt(where: bigint): number {
    const bytes = this.at(where, HEADER);
    return Atomics.load(new Uint32Array(bytes.buffer, bytes.byteOffset, 1), 0);
  }
  setLengthAt(where: bigint, length: number): void {
    const bytes = this.at(where, HEADER);
    Atomics.store(new Uint32Array(bytes.buffer, bytes.byteOffset, 1), 0, length);
  }

  [Symbol.dispose](): void {
    this.#consumer.unmap();
    this.#rest.unmap();
  }
}

function mapped(map: BpfMap, length: number, offset: number, writable: boolean): Mapping {
  const mapping = map.sys.mmap(map.fd, length, offset, writable);
  if (typeof mapping !== 'number') return mapping;
  const what = `of ${length} bytes from ${offset} of map ${map.name}${errnoName(mapping) === 'EPERM' ? ', to write' : ''}`;
  throw refusal(map.sys, mapping, 'mmap', what);
}

function position(mapping: Mapping): BigUint64Array {
  const bytes = mapping.bytes();
  return new BigUint64Array(bytes.buffer, bytes.byteOffset, 1);
}

/** Reads the records that programs put into a BPF_MAP_TYPE_RINGBUF. One reader a map: it moves the position that the kernel frees room by. */
export class RingBuffer implements Disposable {
  readonly #ring: Ring;

  /** Maps the memory of the map. Throws {@link BpfError}: EINVAL for another type of map, what the kernel refuses otherwise. */
  constructor(map: BpfMap, options: RingBufferOptions = {}) {
    this.#ring = new Ring(map, BPF_MAP_TYPE_RINGBUF, options.pageSize ?? 4096);
  }

  /**
   * Gives every complete record to `visit`, oldest first, and frees its room; stops at one that is still reserved. The bytes are a copy.
   * `visit` returns true to stop after this record. Returns how many records it gave; discarded ones are passed over.
   */
  consume(visit: (record: Uint8Array) => boolean | void): number {
    const ring = this.#ring;
    let count = 0;
    for (let at = ring.consumed; at < ring.produced;) {
      const length = ring.lengthAt(at);
      if (length >= BUSY) break;
      const size = length & ~DISCARD;
      const record = length >= DISCARD ? undefined : ring.at(at + BigInt(HEADER), size).slice();
      at += BigInt(recordBytes(size));
      // The room is free before the record is looked at: what `visit` throws loses one record and blocks none.
      ring.consumed = at;
      if (!record) continue;
      count++;
      if (visit(record) === true) break;
    }
    return count;
  }

  /** Waits until there are records, or the time is over, and consumes them. Looks every `intervalMs`, 1 where omitted. */
  async poll(
    visit: (record: Uint8Array) => boolean | void,
    { timeoutMs, intervalMs = 1 }: { readonly timeoutMs: number; readonly intervalMs?: number },
  ): Promise<number> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const count = this.consume(visit);
      if (count > 0 || performance.now() >= deadline) return count;
      await new Promise((resolve) => setTimeout(resolve, intervalMs));
    }
  }

  /** Bytes that are not read yet, unfinished records included. */
  get available(): number {
    return Number(this.#ring.produced - this.#ring.consumed);
  }

  /** Unmaps the memory. The map stays open. */
  close(): void {
    this.#ring[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Writes records into a BPF_MAP_TYPE_USER_RINGBUF, for programs to drain. One writer a map. */
export class UserRingBuffer implements Disposable {
  readonly #ring: Ring;

  /** Throws as {@link RingBuffer} does. */
  constructor(map: BpfMap, options: RingBufferOptions = {}) {
    this.#ring = new Ring(map, BPF_MAP_TYPE_USER_RINGBUF, options.pageSize ?? 4096);
  }

  /** Puts a record in. False where there is no room for it now; throws E2BIG where there never will be. */
  send(record: Uint8Array): boolean {
    const ring = this.#ring;
    const bytes = recordBytes(record.length);
    if (bytes > ring.size)
      throw new BpfError(7, 'mmap', `a record of ${record.length} bytes does not fit a ring of ${ring.size}`, {
        arg: 'record',
      });
    const { produced } = ring;
    if (ring.size - Number(produced - ring.consumed) < bytes) return false;
    ring.setLengthAt(produced, record.length | BUSY);
    ring.produced = produced + BigInt(bytes);
    ring.at(produced + BigInt(HEADER), record.length).set(record);
    ring.setLengthAt(produced, record.length);
    return true;
  }

  /** Bytes that no program has drained yet. */
  get pending(): number {
    return Number(this.#ring.produced - this.#ring.consumed);
  }

  close(): void {
    this.#ring[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}
