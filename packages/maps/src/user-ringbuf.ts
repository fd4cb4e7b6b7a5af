/** BPF_MAP_TYPE_USER_RINGBUF: records from user space to programs. Mirrors the user_ringbuf half of kernel/bpf/ringbuf.c. */

import type { BpfMap, MapTypeOps } from '@libbpf-ts/kernel';
import { BPF_MAP_TYPE_USER_RINGBUF, KernelError } from '@libbpf-ts/uapi';
import { BUSY, DISCARD, RECORD_HEADER, RING } from '@libbpf-ts/vm';

import { E2BIG, EINVAL, ENODATA, ENOTSUPP, EPERM } from './errno.ts';
import { keepPermanentFlags } from './header.ts';
import { dataAt, PAGE_SIZE, position, recordBytes, ringAllocate, ringRange, setPosition } from './ring.ts';
import { checkRingAttr, type RingbufData } from './ringbuf.ts';

export const userRingbufMapOps: MapTypeOps<RingbufData> = {
  type: BPF_MAP_TYPE_USER_RINGBUF,
  name: 'user_ringbuf',
  canBeInner: true,
  allocCheck: checkRingAttr,
  alloc(map) {
    keepPermanentFlags(map);
    const ring = ringAllocate(map.kernel.arena, map.address, map.maxEntries);
    map.setHeader('data', ring);
    return { ring, listeners: new Set() };
  },
  free(map) {
    map.kernel.arena.free(map.data.ring);
  },
  clone: ({ ring }) => ({ ring, listeners: new Set() }),
  userLookup: () => -ENOTSUPP,
  userUpdate: () => -ENOTSUPP,
  userDelete: () => -ENOTSUPP,
  getNextKey: () => -ENOTSUPP,
  // The kernel's position is not user space's to write.
  mmap: (map, offset, length, writable) =>
    writable && offset === 0 ? -EPERM : ringRange(map.data.ring, map.maxEntries, offset, length),
  memUsage: (map) => map.maxEntries + 3 * PAGE_SIZE,
};

/** A record that a program may read, or the refusal of what user space wrote. */
export interface UserSample {
  readonly error: number;
  readonly address: number;
  readonly size: number;
}

/** `__bpf_user_ringbuf_peek`: user space is not trusted, so every word is checked. Discarded records are passed over. */
export function peekUserSample(map: BpfMap): UserSample {
  const { arena } = map.kernel;
  const ring = map.header('data');
  for (;;) {
    const produced = position(arena, ring + RING.producer);
    const consumed = position(arena, ring + RING.consumer);
    if (produced % 8 !== 0) return { error: -EINVAL, address: 0, size: 0 };
    if (consumed >= produced) return { error: -ENODATA, address: 0, size: 0 };
    const header = dataAt(arena, ring, consumed);
    const length = arena.u32[header >> 2]!;
    const size = length % DISCARD;
    const bytes = recordBytes(size);
    if (length >= BUSY) return { error: -ENODATA, address: 0, size: 0 };
    if (bytes > produced - consumed) return { error: -EINVAL, address: 0, size: 0 };
    if (bytes > arena.u32[(ring + RING.mask) >> 2]! + 1) return { error: -E2BIG, address: 0, size: 0 };
    if (length < DISCARD) return { error: 0, address: header + RECORD_HEADER, size };
    setPosition(arena, ring + RING.consumer, consumed + bytes);
  }
}

/** The sample of the last `peekUserSample` has been read. */
export function releaseUserSample(map: BpfMap, size: number): void {
  const { arena } = map.kernel;
  const at = map.header('data') + RING.consumer;
  setPosition(arena, at, position(arena, at) + recordBytes(size));
}

/** User space's side, as libbpf's `user_ring_buffer__reserve` and `__submit`. */
export class UserRingbufWriter {
  readonly #map: BpfMap<RingbufData>;

  constructor(map: BpfMap) {
    if (map.type !== BPF_MAP_TYPE_USER_RINGBUF) throw new KernelError('EINVAL', `map ${map.id} is no user ring buffer`, 'map');
    this.#map = map;
  }

  /** Writes one record. Throws ENOSPC where there is no room, E2BIG where there never will be. */
  write(record: Uint8Array): void {
    const { arena } = this.#map.kernel;
    const { ring } = this.#map.data;
    const bytes = recordBytes(record.length);
    const room = arena.u32[(ring + RING.mask) >> 2]! + 1;
    if (bytes > room) throw new KernelError('E2BIG', `the ring has ${room} bytes in all`, 'record');
    const produced = position(arena, ring + RING.producer);
    if (produced + bytes - position(arena, ring + RING.consumer) > room)
      throw new KernelError('ENOSPC', 'the ring is full', 'record');
    const header = dataAt(arena, ring, produced);
    arena.u32[header >> 2] = record.length;
    arena.u32[(header + 4) >> 2] = 0;
    arena.u8.set(record, header + RECORD_HEADER);
    setPosition(arena, ring + RING.producer, produced + bytes);
  }
}
