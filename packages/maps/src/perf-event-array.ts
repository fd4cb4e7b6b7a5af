/** BPF_MAP_TYPE_PERF_EVENT_ARRAY, and the perf events (of type software / BPF output) that its entries name. */

import {
  stateKey,
  type BpfMap,
  type Fork,
  type Kernel,
  type MapTypeOps,
  type OpenFile,
  type StateKey,
  type Task,
} from '@libbpf-ts/kernel';
import { BPF_F_CURRENT_CPU, BPF_F_PRESERVE_ELEMS, BPF_MAP_TYPE_PERF_EVENT_ARRAY, KernelError } from '@libbpf-ts/uapi';
import { mapCheckNoBtf } from '@libbpf-ts/kernel';

import { arrayNextKey } from './array.ts';
import { E2BIG, ENOENT, ENOSPC, ENOTSUPP, EOPNOTSUPP } from './errno.ts';
import { checkFdArrayAttr, checkFdArrayUpdate, fdArrayAlloc, fdArrayFree, setEntry, u32At } from './fd-array.ts';

/** A sample as its reader gets it: raw data, padded with zeros as perf pads it. */
export type PerfSample = Uint8Array;

/** An open perf event (PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT, PERF_SAMPLE_RAW) of one CPU, with its buffer. */
export class PerfEvent implements OpenFile {
  readonly kind = 'perf_event';
  readonly canRead = true;
  readonly canWrite = true;
  readonly cpu: number;
  readonly #capacity: number;
  #samples: PerfSample[] = [];
  #bytes = 0;
  #lost = 0;
  readonly #listeners: Set<() => void> = new Set();

  /** `capacity` in bytes: what does not fit is lost, and counted. */
  constructor(cpu: number, capacity: number) {
    this.cpu = cpu;
    this.#capacity = capacity;
  }

  opened(): void {}
  closed(): void {}

  /** Adds a sample of `data`. Returns 0, or -ENOSPC where the buffer is full. */
  write(data: Uint8Array): number {
    // A record is a header (8), the size (4) and the data, in whole u64.
    const record = (8 + 4 + data.length + 7) & ~7;
    if (this.#bytes + record > this.#capacity) {
      this.#lost++;
      return -ENOSPC;
    }
    const padded = new Uint8Array(record - 12);
    padded.set(data);
    this.#samples.push(padded);
    this.#bytes += record;
    for (const listener of this.#listeners) listener();
    return 0;
  }

  /** Takes all samples out, oldest first. */
  drain(): PerfSample[] {
    const samples = this.#samples;
    this.#samples = [];
    this.#bytes = 0;
    return samples;
  }

  /** How many samples were lost since the last call (PERF_RECORD_LOST). */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  onData(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  twin(fork: Fork): PerfEvent {
    const known = fork.find(this) as PerfEvent | undefined;
    if (known) return known;
    const twin = new PerfEvent(this.cpu, this.#capacity);
    twin.#samples = [...this.#samples];
    twin.#bytes = this.#bytes;
    twin.#lost = this.#lost;
    fork.bind(this, twin);
    return twin;
  }
}

/** perf_event_open(2) for BPF output: an fd. `bytes` is the size of its buffer. Throws EINVAL, EMFILE. */
export function openPerfEvent(task: Task, cpu: number, bytes = 65_536): number {
  if (cpu < 0 || cpu >= task.kernel.cpus) throw new KernelError('EINVAL', `there is no CPU ${cpu}`, 'cpu');
  return task.installFd(new PerfEvent(cpu, bytes));
}

/** The perf event behind an fd. Throws EBADF. */
export function perfEvent(task: Task, fd: number): PerfEvent {
  const file = task.file(fd);
  if (file?.kind !== 'perf_event') throw new KernelError('EBADF', `fd ${fd} is no perf event`, 'fd');
  return file as PerfEvent;
}

/** An entry lasts as long as the fd of the map through which it was set, unless the map has BPF_F_PRESERVE_ELEMS. */
interface Entry {
  readonly event: PerfEvent;
}

export const perfEventArrayMapOps: MapTypeOps<Map<number, Entry>> = {
  type: BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  name: 'perf_event_array',
  canBeInner: true,
  allocCheck(attr) {
    checkFdArrayAttr(attr, BPF_F_PRESERVE_ELEMS);
  },
  alloc(map) {
    fdArrayAlloc(map);
    return new Map();
  },
  free: fdArrayFree,
  clone: (data, fork) => new Map([...data].map(([index, { event }]) => [index, { event: event.twin(fork) }])),
  lookup: () => 0,
  userLookup: () => -ENOTSUPP,
  getNextKey: arrayNextKey,
  userUpdate(map, key, value, flags, task) {
    const index = u32At(map, key);
    const refusal = checkFdArrayUpdate(map, index, flags);
    if (refusal !== 0) return refusal;
    const file = task.file(u32At(map, value) | 0);
    if (file?.kind !== 'perf_event') return -new KernelError('EBADF', 'no perf event').errno;
    map.data.set(index, { event: file as PerfEvent });
    setEntry(map, index, 1);
    return 0;
  },
  userDelete(map, key) {
    const index = u32At(map, key);
    if (index >= map.maxEntries) return -E2BIG;
    if (!map.data.delete(index)) return -ENOENT;
    setEntry(map, index, 0);
    return 0;
  },
  lastUserRefGone(map) {
    if ((map.flags & BPF_F_PRESERVE_ELEMS) !== 0) return;
    for (const index of map.data.keys()) setEntry(map, index, 0);
    map.data.clear();
  },
  checkBtf: mapCheckNoBtf,
  memUsage: (map) => map.maxEntries * 8 + 320,
};

/** One array of bytes for samples under construction; a kernel's runs never overlap here. */
const buffersKey: StateKey<{ bytes: Uint8Array }> = stateKey<{ bytes: Uint8Array }>('maps.perf');

/**
 * `__bpf_perf_event_output` after the flags were checked: sends `size` bytes at `data`, and `extra` bytes that `copyExtra` writes behind
 * them (a packet), to the entry that `flags` name. Returns 0 or -errno.
 */
export function perfEventOutput(
  map: BpfMap,
  flags: number,
  data: number,
  size: number,
  extra = 0,
  copyExtra?: (to: Uint8Array, at: number) => void,
): number {
  const { kernel } = map;
  const event = perfEventEntry(map, flags);
  if (typeof event === 'number') return event;
  if (event.cpu !== kernel.runtime.cpu) return -EOPNOTSUPP;
  const sample = sampleBuffer(kernel, size + extra);
  sample.set(kernel.arena.u8.subarray(data, data + size));
  copyExtra?.(sample, size);
  return event.write(sample);
}

/** The event that the index in `flags` (or BPF_F_CURRENT_CPU) names, or -E2BIG, -ENOENT. */
export function perfEventEntry(map: BpfMap, flags: number): PerfEvent | number {
  const wanted = flags % 0x1_0000_0000;
  const index = wanted === CURRENT_CPU ? map.kernel.runtime.cpu : wanted;
  if (index >= map.maxEntries) return -E2BIG;
  return (map.data as Map<number, Entry>).get(index)?.event ?? -ENOENT;
}

const CURRENT_CPU = Number(BPF_F_CURRENT_CPU);

function sampleBuffer(kernel: Kernel, size: number): Uint8Array {
  const state = kernel.state(buffersKey, {
    create: () => ({ bytes: new Uint8Array(4096) }),
    clone: () => ({ bytes: new Uint8Array(4096) }),
  });
  if (state.bytes.length < size) state.bytes = new Uint8Array(size * 2);
  return state.bytes.subarray(0, size);
}
