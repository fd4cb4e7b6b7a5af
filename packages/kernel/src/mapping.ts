/** mmap(2) of maps. Mirrors bpf_map_mmap. */

import { errnoName, isKernelError, KernelError, type Mapping } from '@libbpf-ts/uapi';

import type { Fork } from './fork.ts';
import type { Holder } from './holder.ts';
import type { BpfMap } from './map.ts';
import type { Task } from './task.ts';

const PAGE_SIZE = 4096;

/** What of the arena a mapping shows. */
export interface MappedRange {
  readonly address: number;
  /** May be less than was asked for: behind it the last page has nothing of the map. */
  readonly length: number;
}

interface MapRequest {
  readonly fd: number;
  readonly length: number;
  readonly offset: number;
  readonly writable: boolean;
}

/** The memory of a map, or `-errno`. The mapping holds the map until it is unmapped or the task ends. */
export function mmapMap(task: Task, mappings: Mappings, request: MapRequest): Mapping | number {
  task.lastError = undefined;
  try {
    const map = mappable(task, request);
    const range = map.ops.mmap!(map, request.offset, roundToPages(request.length), request.writable);
    if (typeof range === 'number')
      throw new KernelError(errnoName(range) ?? 'EINVAL', `map ${map.id} has no such memory`, 'offset');
    return new MapMapping(mappings, map, range, request);
  } catch (error) {
    if (!isKernelError(error)) throw error;
    task.lastError = error;
    return -error.errno;
  }
}

const roundToPages = (length: number): number => Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;

/** The checks before the map type's own, in the kernel's order. */
function mappable(task: Task, { fd, length, offset, writable }: MapRequest): BpfMap {
  if (offset % PAGE_SIZE !== 0) throw new KernelError('EINVAL', `${offset} is no whole number of pages`, 'offset');
  const file = task.file(fd);
  if (file === undefined) throw new KernelError('EBADF', `fd ${fd} is not open`, 'fd');
  if (length <= 0) throw new KernelError('EINVAL', 'a mapping has at least one byte', 'length');
  if (file.object?.kind !== 'map') throw new KernelError('ENODEV', `fd ${fd} has no memory to map`, 'fd');
  const map = file.object as BpfMap;
  if (!map.ops.mmap) throw new KernelError('ENOTSUPP', `maps of type ${map.ops.name} have no memory to map`, 'fd');
  if (writable && map.frozen) throw new KernelError('EPERM', `map ${map.id} is frozen`, 'fd');
  if (writable && !file.canWrite) throw new KernelError('EACCES', `fd ${fd} is read-only`, 'fd');
  if (!file.canRead) throw new KernelError('EACCES', `fd ${fd} is write-only`, 'fd');
  return map;
}

interface Held {
  readonly map: BpfMap;
  readonly holder: Holder;
  readonly writable: boolean;
}

/** The mappings of one task. */
export class Mappings {
  readonly #task: number;
  readonly #held: Map<number, Held> = new Map();
  #next = 1;

  constructor(task: number) {
    this.#task = task;
  }

  hold(map: BpfMap, writable: boolean): number {
    const at = this.#next++;
    const holder: Holder = { kind: 'mapping', task: this.#task, at };
    map.acquire(holder);
    if (writable) map.writers++;
    this.#held.set(at, { map, holder, writable });
    return at;
  }

  has(at: number): boolean {
    return this.#held.has(at);
  }

  unmap(at: number): void {
    const held = this.#held.get(at);
    if (!held) return;
    this.#held.delete(at);
    if (held.writable) held.map.writers--;
    held.map.release(held.holder);
  }

  unmapAll(): void {
    for (const at of Array.from(this.#held.keys())) this.unmap(at);
  }

  /** A fork's task has the same memory mapped, so that its end lets go of it; nobody has the buffers. */
  copyFrom(other: Mappings, fork: Fork): void {
    this.#next = other.#next;
    for (const [at, held] of other.#held) this.#held.set(at, { ...held, map: fork.twin(held.map) });
  }
}

class MapMapping implements Mapping {
  readonly length: number;
  readonly #map: BpfMap;
  readonly #address: number;
  readonly #mappings: Mappings;
  readonly #at: number;

  constructor(mappings: Mappings, map: BpfMap, range: MappedRange, { length, writable }: MapRequest) {
    this.#map = map;
    this.#address = range.address;
    this.length = Math.min(length, range.length);
    this.#mappings = mappings;
    this.#at = mappings.hold(map, writable);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    if (!this.#mappings.has(this.#at)) throw new Error('this memory is unmapped');
    return this.#map.kernel.arena.u8.subarray(this.#address, this.#address + this.length) as Uint8Array<ArrayBuffer>;
  }

  unmap(): void {
    this.#mappings.unmap(this.#at);
  }

  [Symbol.dispose](): void {
    this.unmap();
  }
}
