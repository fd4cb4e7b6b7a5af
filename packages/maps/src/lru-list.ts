/**
 * Which element an LRU map takes for a new key. Mirrors kernel/bpf/bpf_lru_list.c step by step, since what it evicts is behaviour: an
 * active and an inactive list, rotated as needed; and, unless every CPU has lists of its own (BPF_F_NO_COMMON_LRU), a free and a
 * pending list a CPU, so that elements are freed in batches.
 *
 * Everything is in the arena. Lists are rings through a head; a head and an element have their links at the same offsets: the word 8
 * bytes before is the one before it, `own` the one after it. The word 4 bytes before an element is the address of its list's head.
 */

import type { BpfMap } from '@libbpf-ts/kernel';
import { HASH_ELEMENT } from '@libbpf-ts/vm';

import { slabTake } from './slab.ts';

/** Bytes before an element. */
export const LRU_PREFIX = 8;

/** Lists of one map. Addresses are of arena words. */
export interface LruLists {
  /** First of the shared blocks: one, or one a CPU. */
  readonly shared: number;
  /** First of the CPUs' free and pending lists; 0 where the shared blocks are the CPUs' own. */
  readonly local: number;
  /** Bytes of a new element, its prefix included. */
  readonly bytes: number;
  /** How many elements a CPU takes at once. */
  readonly target: number;
  /** Most elements that one rotation or search looks at. */
  readonly scans: number;
}

const PREVIOUS = -8;
const LIST = -4;
const NEXT = HASH_ELEMENT.own;
const REFERENCED = HASH_ELEMENT.referenced;

/** A head has 8 bytes before it, its count in its first word, and ends with its NEXT. */
const HEAD_BYTES = 32;
const COUNT = 0;
const ACTIVE = 8;
const INACTIVE = ACTIVE + HEAD_BYTES;
const FREE = INACTIVE + HEAD_BYTES;
/** In a shared block: where the next rotation of the inactive list begins, and how many elements were never used. */
const ROTATION = FREE + HEAD_BYTES;
const UNUSED = ROTATION + 4;
const SHARED_BYTES = 112;
/** In a CPU's block, besides its two lists: whom it robs next when nothing is left. */
const LOCAL_FREE = 8;
const LOCAL_PENDING = LOCAL_FREE + HEAD_BYTES;
const NEXT_STEAL = LOCAL_PENDING + HEAD_BYTES;
const LOCAL_BYTES = 80;

/** LOCAL_FREE_TARGET and PERCPU_FREE_TARGET, which are the scans too. */
const COMMON_TARGET = 128;
const PER_CPU_TARGET = 4;

/** `bpf_lru_init` and `bpf_lru_populate`: lists for `map.maxEntries` elements of `bytes` bytes. */
export function lruAlloc(map: BpfMap, bytes: number, perCpu: boolean): LruLists {
  const { arena, cpus } = map.kernel;
  const blocks = perCpu ? cpus : 1;
  const shared = arena.allocate(SHARED_BYTES * blocks + (perCpu ? 0 : LOCAL_BYTES * cpus));
  const local = perCpu ? 0 : shared + SHARED_BYTES;
  for (let block = shared; block < shared + SHARED_BYTES * blocks; block += SHARED_BYTES) {
    for (const list of [ACTIVE, INACTIVE, FREE]) clear(arena.u32, block + list);
    arena.u32[(block + ROTATION) >> 2] = block + INACTIVE;
    arena.u32[(block + UNUSED) >> 2] = perCpu ? Math.ceil(map.maxEntries / cpus) : map.maxEntries;
  }
  for (let cpu = 0; cpu < cpus && local !== 0; cpu++) {
    for (const list of [LOCAL_FREE, LOCAL_PENDING]) clear(arena.u32, local + cpu * LOCAL_BYTES + list);
    arena.u32[(local + cpu * LOCAL_BYTES + NEXT_STEAL) >> 2] = cpu;
  }
  const target = perCpu ? PER_CPU_TARGET : Math.min(COMMON_TARGET, Math.max(1, Math.floor(map.maxEntries / cpus / 2)));
  return { shared, local, bytes, target, scans: perCpu ? PER_CPU_TARGET : COMMON_TARGET };
}

export function lruFree(map: BpfMap, { shared }: LruLists): void {
  map.kernel.arena.free(shared);
}

/** Takes one element out of the table: the map type's part of an eviction. */
export type Evict = (element: number) => void;

/** An element for a new key (`bpf_lru_pop_free`); elements that are in the way are evicted. 0 where there is none. */
export function lruTake(map: BpfMap, lists: LruLists, evict: Evict): number {
  return new Lru(map, lists, evict).take();
}

/** An element that was taken is not needed any more, and is in no table (`bpf_lru_push_free`). */
export function lruGive(map: BpfMap, lists: LruLists, element: number): void {
  new Lru(map, lists, () => {}).give(element);
}

/** One step on the lists of one map. */
class Lru {
  readonly #map: BpfMap;
  readonly #lists: LruLists;
  readonly #evict: Evict;
  #words: Uint32Array;

  constructor(map: BpfMap, lists: LruLists, evict: Evict) {
    this.#map = map;
    this.#lists = lists;
    this.#evict = evict;
    this.#words = map.kernel.arena.u32;
  }

  take(): number {
    const { local, shared } = this.#lists;
    const { cpu } = this.#map.kernel.runtime;
    return local === 0 ? this.#takeOwn(shared + cpu * SHARED_BYTES) : this.#takeCommon(cpu);
  }

  give(element: number): void {
    const list = this.#words[(element + LIST) >> 2]!;
    const { local, shared } = this.#lists;
    if (local !== 0 && list >= local) {
      // It was pending: straight back to its CPU's free list.
      this.#moveTo(element, list - LOCAL_PENDING + LOCAL_FREE);
      this.#words[(element + REFERENCED) >> 2] = 0;
      return;
    }
    const block = shared + Math.floor((list - shared) / SHARED_BYTES) * SHARED_BYTES;
    this.#move(block, element, FREE);
  }

  /** `bpf_percpu_lru_pop_free`. */
  #takeOwn(block: number): number {
    this.#rotate(block);
    if (this.#isEmpty(block + FREE) && !this.#unuse(block, block + FREE)) this.#shrink(block, this.#lists.target, block + FREE);
    const element = this.#first(block + FREE);
    if (element === 0) return 0;
    this.#move(block, element, INACTIVE);
    return element;
  }

  /** `bpf_common_lru_pop_free`. */
  #takeCommon(cpu: number): number {
    const own = this.#lists.local + cpu * LOCAL_BYTES;
    let element = this.#first(own + LOCAL_FREE);
    if (element === 0) {
      this.#refill(own);
      element = this.#first(own + LOCAL_FREE) || this.#steal(own);
    }
    if (element === 0) return 0;
    this.#moveTo(element, own + LOCAL_PENDING);
    this.#words[(element + REFERENCED) >> 2] = 0;
    return element;
  }

  /** `bpf_lru_list_pop_free_to_local`: pending elements join the shared lists, and a batch of free ones comes back. */
  #refill(own: number): void {
    const { shared, target } = this.#lists;
    this.#flush(own);
    this.#rotate(shared);
    let taken = 0;
    for (; taken < target; taken++) {
      const element = this.#first(shared + FREE);
      if (element !== 0) this.#moveTo(element, own + LOCAL_FREE);
      else if (!this.#unuse(shared, own + LOCAL_FREE)) break;
    }
    if (taken < target) this.#shrink(shared, target - taken, own + LOCAL_FREE);
  }

  /** `__local_list_flush`. */
  #flush(own: number): void {
    const words = this.#words;
    for (let element = this.#last(own + LOCAL_PENDING); element !== 0; element = this.#last(own + LOCAL_PENDING)) {
      const list = words[(element + REFERENCED) >> 2] !== 0 ? ACTIVE : INACTIVE;
      words[(element + REFERENCED) >> 2] = 0;
      this.#moveTo(element, this.#lists.shared + list);
    }
  }

  /** `__bpf_lru_list_rotate`. */
  #rotate(block: number): void {
    const words = this.#words;
    if (words[(block + INACTIVE + COUNT) >> 2]! < words[(block + ACTIVE + COUNT) >> 2]!) this.#rotateActive(block);
    this.#rotateInactive(block);
  }

  /** What was not looked up since leaves the active list. */
  #rotateActive(block: number): void {
    const words = this.#words;
    const first = this.#first(block + ACTIVE);
    let element = this.#last(block + ACTIVE);
    for (let scans = this.#lists.scans; element !== 0 && scans > 0; scans--) {
      const before = words[(element + PREVIOUS) >> 2]!;
      const done = element === first;
      this.#move(block, element, words[(element + REFERENCED) >> 2] !== 0 ? ACTIVE : INACTIVE);
      if (done || before === block + ACTIVE) break;
      element = before;
    }
  }

  /** What was looked up leaves the inactive list; the next rotation goes on where this one ends. */
  #rotateInactive(block: number): void {
    const words = this.#words;
    const head = block + INACTIVE;
    if (this.#isEmpty(head)) return;
    let at = words[(block + ROTATION) >> 2]!;
    let last = words[(at + NEXT) >> 2]!;
    if (last === head) last = words[(last + NEXT) >> 2]!;
    let next = head;
    for (let scans = this.#lists.scans; scans > 0;) {
      if (at === head) {
        at = words[(at + PREVIOUS) >> 2]!;
        continue;
      }
      next = words[(at + PREVIOUS) >> 2]!;
      if (words[(at + REFERENCED) >> 2] !== 0) this.#move(block, at, ACTIVE);
      if (at === last) break;
      at = next;
      scans--;
    }
    words[(block + ROTATION) >> 2] = next;
  }

  /** `__bpf_lru_list_shrink`: evicts up to `target` inactive elements that were not looked up, else any one. */
  #shrink(block: number, target: number, to: number): void {
    if (this.#shrinkInactive(block, target, to) > 0) return;
    const list = this.#isEmpty(block + INACTIVE) ? ACTIVE : INACTIVE;
    const element = this.#last(block + list);
    if (element !== 0) this.#evictTo(block, element, to);
  }

  #shrinkInactive(block: number, target: number, to: number): number {
    const words = this.#words;
    let evicted = 0;
    let element = this.#last(block + INACTIVE);
    for (let scans = this.#lists.scans; element !== 0 && scans > 0; scans--) {
      const before = words[(element + PREVIOUS) >> 2]!;
      if (words[(element + REFERENCED) >> 2] !== 0) this.#move(block, element, ACTIVE);
      else {
        this.#evictTo(block, element, to);
        if (++evicted === target) break;
      }
      element = before === block + INACTIVE ? 0 : before;
    }
    return evicted;
  }

  #evictTo(block: number, element: number, to: number): void {
    this.#evict(element);
    this.#passRotation(block, element);
    this.#moveTo(element, to);
  }

  /** Another CPU's free element, or one of its pending ones, evicted; round robin. */
  #steal(own: number): number {
    const { local } = this.#lists;
    const { cpus } = this.#map.kernel;
    const words = this.#words;
    const start = words[(own + NEXT_STEAL) >> 2]!;
    let from = start;
    let element = 0;
    do {
      const block = local + from * LOCAL_BYTES;
      element = this.#first(block + LOCAL_FREE) || this.#evictPending(block);
      from = (from + 1) % cpus;
    } while (element === 0 && from !== start);
    words[(own + NEXT_STEAL) >> 2] = from;
    return element;
  }

  #evictPending(block: number): number {
    const words = this.#words;
    const head = block + LOCAL_PENDING;
    let element = this.#last(head);
    while (element !== 0 && words[(element + REFERENCED) >> 2] !== 0) {
      const before = words[(element + PREVIOUS) >> 2]!;
      element = before === head ? 0 : before;
    }
    element ||= this.#last(head);
    if (element !== 0) this.#evict(element);
    return element;
  }

  /** `__bpf_lru_node_move`. */
  #move(block: number, element: number, list: number): void {
    this.#words[(element + REFERENCED) >> 2] = 0;
    this.#passRotation(block, element);
    this.#moveTo(element, block + list);
  }

  /** A rotation never begins at an element that has left its place. */
  #passRotation(block: number, element: number): void {
    const words = this.#words;
    if (words[(block + ROTATION) >> 2] === element) words[(block + ROTATION) >> 2] = words[(element + PREVIOUS) >> 2]!;
  }

  #isEmpty(head: number): boolean {
    return this.#words[(head + NEXT) >> 2] === head;
  }
  #first(head: number): number {
    const element = this.#words[(head + NEXT) >> 2]!;
    return element === head ? 0 : element;
  }
  #last(head: number): number {
    const element = this.#words[(head + PREVIOUS) >> 2]!;
    return element === head ? 0 : element;
  }

  /** From its list to the head of another. */
  #moveTo(element: number, head: number): void {
    const words = this.#words;
    const previous = words[(element + PREVIOUS) >> 2]!;
    const next = words[(element + NEXT) >> 2]!;
    words[(previous + NEXT) >> 2] = next;
    words[(next + PREVIOUS) >> 2] = previous;
    words[(words[(element + LIST) >> 2]! + COUNT) >> 2]!--;
    this.#insert(element, head);
  }

  #insert(element: number, head: number): void {
    const words = this.#words;
    const after = words[(head + NEXT) >> 2]!;
    words[(element + PREVIOUS) >> 2] = head;
    words[(element + NEXT) >> 2] = after;
    words[(head + NEXT) >> 2] = element;
    words[(after + PREVIOUS) >> 2] = element;
    words[(element + LIST) >> 2] = head;
    words[(head + COUNT) >> 2]!++;
  }

  /** The kernel has all elements from the start; here memory comes when one is first needed. False where none is left. */
  #unuse(block: number, head: number): boolean {
    if (this.#words[(block + UNUSED) >> 2] === 0) return false;
    const memory = slabTake(this.#map, this.#lists.bytes);
    if (memory === 0) return false;
    this.#words = this.#map.kernel.arena.u32;
    this.#words[(block + UNUSED) >> 2]!--;
    this.#insert(memory + LRU_PREFIX, head);
    return true;
  }
}

function clear(words: Uint32Array, head: number): void {
  words[(head + NEXT) >> 2] = head;
  words[(head + PREVIOUS) >> 2] = head;
}
