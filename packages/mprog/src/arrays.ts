/**
 * The fast path of a hook: program slots in the arena, which WebAssembly walks. The control path (who owns what) is a plain list.
 * Each hook has a pair of arrays. A change fills the one that is not walked and swaps; so a detach allocates nothing, and a walk
 * that is under way goes on over the array that it began with, however many changes happen meanwhile.
 */

import { BPF_MPROG_MAX } from '@libbpf-ts/uapi';
import type { Arena } from '@libbpf-ts/vm';

/** Byte offsets within one array. */
export const MPROG_ARRAY: {
  readonly hook: number;
  readonly count: number;
  readonly slots: number;
  readonly ids: number;
  readonly size: number;
} = {
  /** What the trace records as the hook of a step. */
  hook: 0,
  count: 4,
  /** u32[64]: program slots, ended by 0. */
  slots: 8,
  /** u32[64]: ids of the same programs, for traces only. */
  ids: 8 + 4 * BPF_MPROG_MAX,
  size: 8 + 8 * BPF_MPROG_MAX,
};

/** Most walks that may be under way at once, each inside a program of the one before. */
export const MAX_NESTED_WALKS = 16;

/** What the fast path holds of a program. */
export interface FastProg {
  readonly id: number;
  /** Slot of the function table, of type (ctx: i32) -> i64. */
  readonly slot: number;
}

/**
 * The arrays of one kernel: how often each is being walked, and spare ones.
 * A walk pins one array, and walks nest at most MAX_NESTED_WALKS deep. A change needs an array that nobody walks: the hook's other
 * one or a spare. With as many spares as walks there always is one, so a change never allocates and never waits.
 */
export class ArrayPool {
  readonly #arena: Arena;
  /** The arrays of the walks under way, the innermost last: walks end in the reverse order of their beginning. */
  readonly #walked: number[] = [];
  readonly #spares: number[];

  constructor(arena: Arena, from?: ArrayPool) {
    this.#arena = arena;
    this.#spares = from ? [...from.#spares] : Array.from({ length: MAX_NESTED_WALKS }, () => arena.allocate(MPROG_ARRAY.size));
  }

  get arena(): Arena {
    return this.#arena;
  }

  /** Walks under way. */
  get depth(): number {
    return this.#walked.length;
  }

  /** A walk begins. */
  pin(array: number): void {
    this.#walked.push(array);
  }

  /** The innermost walk ends. */
  unpin(): void {
    this.#walked.pop();
  }

  pinned(array: number): boolean {
    return this.#walked.includes(array);
  }

  /** Gives back `idle` if nobody walks it, else a spare in exchange for it. */
  exchange(idle: number): number {
    if (!this.pinned(idle)) return idle;
    const at = this.#spares.findIndex((spare) => !this.pinned(spare));
    if (at < 0) throw new Error('more walks under way than arrays kept for them');
    const [spare] = this.#spares.splice(at, 1, idle);
    return spare!;
  }

  /** Frees an array, or lets a spare go in its stead while it is walked. */
  release(array: number): void {
    this.#arena.free(this.exchange(array));
  }
}

/** The pair of one hook. */
export class ProgArrays {
  readonly #pool: ArrayPool;
  #active: number;
  #idle: number;

  /** Throws ENOMEM. */
  constructor(pool: ArrayPool, hook: number, pair?: readonly [number, number]) {
    this.#pool = pool;
    if (pair) [this.#active, this.#idle] = pair;
    else {
      this.#active = pool.arena.allocate(MPROG_ARRAY.size);
      this.#idle = pool.arena.tryAllocate(MPROG_ARRAY.size);
      if (this.#idle === 0) {
        pool.arena.free(this.#active);
        this.#idle = pool.arena.allocate(MPROG_ARRAY.size);
      }
      pool.arena.u32[(this.#active + MPROG_ARRAY.hook) >> 2] = hook;
    }
  }

  /** The array that a walk which starts now begins with. */
  get active(): number {
    return this.#active;
  }

  get count(): number {
    return this.#pool.arena.u32[(this.#active + MPROG_ARRAY.count) >> 2]!;
  }

  /** Makes these programs the active ones. Cannot fail. */
  publish(progs: readonly FastProg[]): void {
    const next = this.#pool.exchange(this.#idle);
    const words = this.#pool.arena.u32;
    const slots = (next + MPROG_ARRAY.slots) >> 2;
    const ids = (next + MPROG_ARRAY.ids) >> 2;
    progs.forEach((prog, index) => {
      words[slots + index] = prog.slot;
      words[ids + index] = prog.id;
    });
    words[slots + progs.length] = 0;
    words[(next + MPROG_ARRAY.count) >> 2] = progs.length;
    words[(next + MPROG_ARRAY.hook) >> 2] = words[(this.#active + MPROG_ARRAY.hook) >> 2]!;
    this.#idle = this.#active;
    this.#active = next;
  }

  /** The same pair over a fork's memory. */
  twin(pool: ArrayPool): ProgArrays {
    return new ProgArrays(pool, 0, [this.#active, this.#idle]);
  }

  free(): void {
    this.#pool.release(this.#idle);
    this.#pool.release(this.#active);
  }
}
