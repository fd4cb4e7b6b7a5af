/** What programs, maps, links and BTF objects have in common: an id, and references with names. */

import { holderKey, isUserHolder, type Holder } from './holder.ts';
import type { Kernel } from './kernel.ts';

export type ObjectKind = 'prog' | 'map' | 'link' | 'btf';

interface Hold {
  readonly holder: Holder;
  count: number;
}

/**
 * A reference-counted object. A new one has no holder yet: the first `acquire` makes it live, and the last `release` frees it.
 * Its id is gone at once; its memory goes back when the outermost program run ends.
 */
export abstract class KernelObject {
  abstract readonly kind: ObjectKind;
  readonly kernel: Kernel;
  #id = 0;
  #refs = 0;
  #userRefs = 0;
  #dead = false;
  readonly #holds: Map<string, Hold> = new Map();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** 0 before it has one. It stays readable when the object is dead. */
  get id(): number {
    return this.#id;
  }
  /** For the id tables. */
  set id(id: number) {
    this.#id = id;
  }

  abstract readonly name: string;

  get refs(): number {
    return this.#refs;
  }

  /** References by fds and pins. */
  get userRefs(): number {
    return this.#userRefs;
  }

  /** True from the last release on. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Who holds it; a holder with two references appears twice. */
  holders(): Holder[] {
    return [...this.#holds.values()].flatMap(({ holder, count }) => Array.from({ length: count }, () => holder));
  }

  /** Takes a reference under this name. */
  acquire(holder: Holder): void {
    if (this.#dead) throw new Error(`${this.kind} ${this.#id} is dead; ${holderKey(holder)} can't hold it`);
    const key = holderKey(holder);
    const hold = this.#holds.get(key);
    if (hold) hold.count++;
    else this.#holds.set(key, { holder, count: 1 });
    this.#refs++;
    if (isUserHolder(holder)) this.#userRefs++;
  }

  /** Gives one reference of this name back; throws where the holder has none (a bug). */
  release(holder: Holder): void {
    const key = holderKey(holder);
    const hold = this.#holds.get(key);
    if (!hold) throw new Error(`${key} does not hold ${this.kind} ${this.#id}`);
    if (--hold.count === 0) this.#holds.delete(key);
    this.#refs--;
    if (isUserHolder(holder) && --this.#userRefs === 0) this.lastUserRefGone();
    if (this.#refs === 0) this.#die();
  }

  /** Frees an object that nobody ever held: the way out of a failed creation. */
  abandon(): void {
    if (this.#refs !== 0) throw new Error(`${this.kind} ${this.#id} is held`);
    this.#die();
  }

  #die(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.kernel.forget(this);
    this.free();
  }

  /** `bpf_map_ops::map_release_uref`: no fd and no pin is left, though programs or links may hold on. */
  protected lastUserRefGone(): void {}

  /** Gives back what it holds. What a running program may still see is freed through `kernel.defer`. */
  protected abstract free(): void;

  /** For forks: the same holders. */
  protected copyHolds(from: KernelObject): void {
    this.#id = from.#id;
    this.#refs = from.#refs;
    this.#userRefs = from.#userRefs;
    this.#dead = from.#dead;
    for (const [key, { holder, count }] of from.#holds) this.#holds.set(key, { holder, count });
  }
}
