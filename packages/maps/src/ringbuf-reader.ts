/** User space's side of a ring buffer, as libbpf's `ring_buffer__consume` reads the mapped pages. */

import type { BpfMap } from '@libbpf-ts/kernel';
import { BPF_MAP_TYPE_RINGBUF, KernelError } from '@libbpf-ts/uapi';
import { BUSY, DISCARD, RECORD_HEADER, RING } from '@libbpf-ts/vm';

import { listen, type RingbufData } from './ringbuf.ts';
import { dataAt, position, recordBytes, setPosition } from './ring.ts';

export class RingbufReader {
  readonly #map: BpfMap<RingbufData>;

  /** Throws EINVAL where the map is no ring buffer. */
  constructor(map: BpfMap) {
    if (map.type !== BPF_MAP_TYPE_RINGBUF) throw new KernelError('EINVAL', `map ${map.id} is no ring buffer`, 'map');
    this.#map = map;
  }

  /**
   * Gives every complete record to `visit`, oldest first, and frees its room; it stops at a record that is still reserved. The bytes
   * are a copy. `visit` returns true to stop after this record. Returns how many records it gave; discarded ones are passed over.
   */
  consume(visit: (record: Uint8Array) => boolean | void): number {
    const { arena } = this.#map.kernel;
    const { ring } = this.#map.data;
    let at = position(arena, ring + RING.consumer);
    let count = 0;
    while (at < position(arena, ring + RING.producer)) {
      const header = dataAt(arena, ring, at);
      const length = arena.u32[header >> 2]!;
      if (length >= BUSY) break;
      const discarded = length >= DISCARD;
      const size = discarded ? length - DISCARD : length;
      at += recordBytes(size);
      const stop = !discarded && visit(arena.u8.slice(header + RECORD_HEADER, header + RECORD_HEADER + size)) === true;
      setPosition(arena, ring + RING.consumer, at);
      if (!discarded) count++;
      if (stop) break;
    }
    return count;
  }

  /** Calls `listener` when a program wakes readers. Returns the way to stop that. */
  onData(listener: () => void): () => void {
    return listen(this.#map, listener);
  }

  /** Bytes not yet read, unfinished records included. */
  get available(): number {
    const { arena } = this.#map.kernel;
    return position(arena, this.#map.data.ring + RING.producer) - position(arena, this.#map.data.ring + RING.consumer);
  }
}
