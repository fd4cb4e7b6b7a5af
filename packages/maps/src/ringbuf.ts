/** BPF_MAP_TYPE_RINGBUF: records from programs to user space. Mirrors kernel/bpf/ringbuf.c. */

import type { BpfMap, Kernel, MapCreateAttr, MapTypeOps } from '@libbpf-ts/kernel';
import {
  BPF_F_NUMA_NODE,
  BPF_MAP_TYPE_RINGBUF,
  BPF_RB_AVAIL_DATA,
  BPF_RB_CONS_POS,
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  BPF_RB_PROD_POS,
  BPF_RB_RING_SIZE,
  KernelError,
} from '@libbpf-ts/uapi';

import { BUSY, DISCARD, MAX_RECORD, RECORD_HEADER, RING } from '@libbpf-ts/vm';

import { checkFlags, checkKeySize, checkMaxEntries, checkValueSize } from './alloc-check.ts';
import { copyBytes } from './bytes.ts';
import { EAGAIN, EINVAL, ENOTSUPP, EPERM } from './errno.ts';
import { keepPermanentFlags } from './header.ts';
import {
  dataAt,
  distance,
  PAGE_SIZE,
  position,
  recordBytes,
  ringAllocate,
  ringRange,
  ringOfSample,
  setPosition,
} from './ring.ts';

/** What a ring buffer keeps outside of the arena: who waits for data. A fork has nobody who waits. */
export interface RingbufData {
  readonly ring: number;
  readonly listeners: Set<() => void>;
}

/** `ringbuf_map_alloc`'s checks, of both directions. */
export function checkRingAttr(attr: MapCreateAttr): void {
  checkFlags(attr, BPF_F_NUMA_NODE);
  checkKeySize(attr, 0);
  checkValueSize(attr, 0);
  const { max_entries } = attr;
  checkMaxEntries(attr);
  if ((max_entries & (max_entries - 1)) !== 0 || max_entries % PAGE_SIZE !== 0) {
    throw new KernelError('EINVAL', 'max_entries is no power of two that pages divide', 'max_entries');
  }
}

export const ringbufMapOps: MapTypeOps<RingbufData> = {
  type: BPF_MAP_TYPE_RINGBUF,
  name: 'ringbuf',
  canBeInner: true,
  allocCheck: checkRingAttr,
  alloc(map) {
    keepPermanentFlags(map);
    const ring = ringAllocate(map.kernel.arena, map.address, map.maxEntries);
    map.setHeader('data', ring);
    return { ring, listeners: new Set() };
  },
  free(map) {
    map.kernel.runtime.wakers.delete(map.data.ring);
    map.kernel.arena.free(map.data.ring);
  },
  clone: ({ ring }) => ({ ring, listeners: new Set() }),
  userLookup: () => -ENOTSUPP,
  userUpdate: () => -ENOTSUPP,
  userDelete: () => -ENOTSUPP,
  getNextKey: () => -ENOTSUPP,
  // User space may write where it has read up to, nothing else.
  mmap: (map, offset, length, writable) =>
    writable && (offset !== 0 || length !== PAGE_SIZE) ? -EPERM : ringRange(map.data.ring, map.maxEntries, offset, length),
  memUsage: (map) => map.maxEntries + 3 * PAGE_SIZE,
};

/** Address of `size` bytes for a record, or 0 where there is no room (`__bpf_ringbuf_reserve`). */
export function reserve(map: BpfMap, size: number): number {
  if (size > MAX_RECORD) return 0;
  const { arena } = map.kernel;
  const ring = map.header('data');
  const bytes = recordBytes(size);
  const mask = arena.u32[(ring + RING.mask) >> 2]!;
  if (bytes > mask + 1) return 0;
  const produced = position(arena, ring + RING.producer);
  const end = produced + bytes;
  const pending = passComplete(map, ring, produced);
  if (distance(arena, end, ring + RING.consumer) > mask || end - pending > mask) return 0;
  const header = dataAt(arena, ring, produced);
  arena.i32[header >> 2] = size | BUSY;
  arena.i32[(header + 4) >> 2] = (header - ring) >>> 12;
  setPosition(arena, ring + RING.producer, end);
  return header + RECORD_HEADER;
}

/** Moves the pending position over the records that are complete by now: data of a busy one may not be overwritten. */
function passComplete(map: BpfMap, ring: number, produced: number): number {
  const { arena } = map.kernel;
  let pending = position(arena, ring + RING.pending);
  while (pending < produced) {
    const length = arena.i32[dataAt(arena, ring, pending) >> 2]!;
    // The sign is the busy bit.
    if (length < 0) break;
    pending += recordBytes(length & ~DISCARD);
  }
  setPosition(arena, ring + RING.pending, pending);
  return pending;
}

/** Completes the record whose data begins at `sample` (`bpf_ringbuf_commit`), and wakes readers as `flags` ask. */
export function commit(map: BpfMap, sample: number, flags: number, discard: boolean): void {
  const { arena } = map.kernel;
  const ring = ringOfSample(arena, sample);
  const header = sample - RECORD_HEADER;
  const length = arena.i32[header >> 2]! & ~BUSY;
  arena.i32[header >> 2] = discard ? length | DISCARD : length;
  const consumed = position(arena, ring + RING.consumer);
  const atReader = dataAt(arena, ring, consumed) === header;
  if ((flags & BPF_RB_FORCE_WAKEUP) !== 0 || (atReader && (flags & BPF_RB_NO_WAKEUP) === 0)) wake(map);
}

/** The map that a sample is of. */
export function mapOfSample(kernel: Kernel, sample: number): BpfMap {
  return kernel.mapAt(kernel.arena.u32[(ringOfSample(kernel.arena, sample) + RING.map) >> 2]!);
}

/** `bpf_ringbuf_output`; `flags` is the low half. */
export function output(map: BpfMap, data: number, size: number, flags: number, flagsHigh = 0): number {
  if (flagsHigh !== 0 || (flags & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) !== 0) return -EINVAL;
  const sample = reserve(map, size);
  if (sample === 0) return -EAGAIN;
  copyBytes(map.kernel.arena, sample, data, size);
  commit(map, sample, flags, false);
  return 0;
}

/** `bpf_ringbuf_query`; 0 for what it does not know. */
export function query(map: BpfMap, what: number): number {
  const { arena } = map.kernel;
  const ring = map.header('data');
  switch (what) {
    case BPF_RB_AVAIL_DATA:
      return position(arena, ring + RING.producer) - position(arena, ring + RING.consumer);
    case BPF_RB_RING_SIZE:
      return arena.u32[(ring + RING.mask) >> 2]! + 1;
    case BPF_RB_CONS_POS:
      return position(arena, ring + RING.consumer);
    case BPF_RB_PROD_POS:
      return position(arena, ring + RING.producer);
    default:
      return 0;
  }
}

/** From now on `listener` is called when a program wakes readers. Returns the way to stop that. */
export function listen(map: BpfMap<RingbufData>, listener: () => void): () => void {
  const { kernel, data } = map;
  const { wakers } = kernel.runtime;
  data.listeners.add(listener);
  const waker = wakers.get(data.ring) ?? ((): void => wake(map));
  // A map that has died has given its ring back.
  if (kernel.mapsByAddress.get(map.address) === map) {
    wakers.set(data.ring, waker);
    setWaited(map, 1);
  }
  return () => {
    data.listeners.delete(listener);
    if (data.listeners.size > 0 || wakers.get(data.ring) !== waker) return;
    wakers.delete(data.ring);
    setWaited(map, 0);
  };
}

/** For the functions in WebAssembly, which leave it only where somebody waits. */
function setWaited({ kernel, data }: BpfMap<RingbufData>, waited: 0 | 1): void {
  kernel.arena.u32[(data.ring + RING.waited) >> 2] = waited;
}

function wake(map: BpfMap<RingbufData>): void {
  for (const listener of map.data.listeners) listener();
}
