/** Ids as the kernel gives them: cyclic from 1, so a freed one is not used again soon. Mirrors the idrs of kernel/bpf/syscall.c. */

import { KernelError } from '@libbpf-ts/uapi';

const INT_MAX = 0x7fff_ffff;

export class IdTable<T extends { id: number }> {
  readonly #byId: Map<number, T> = new Map();
  /** Ids in use, ascending; undefined after an insertion out of order. */
  #sorted: number[] | undefined = [];
  #last = 0;

  get size(): number {
    return this.#byId.size;
  }

  /** Gives the object the next free id after the last one given (`idr_alloc_cyclic`). */
  add(object: T): number {
    this.#last = this.nextId();
    object.id = this.#last;
    this.#put(this.#last, object);
    return this.#last;
  }

  /** The id that the next object gets. Throws ENOSPC. */
  nextId(): number {
    if (this.#byId.size >= INT_MAX - 1) throw new KernelError('ENOSPC', 'no id is left');
    let id = this.#last;
    do id = id === INT_MAX - 1 ? 1 : id + 1;
    while (this.#byId.has(id));
    return id;
  }

  get(id: number): T | undefined {
    return this.#byId.get(id);
  }

  remove(id: number): void {
    if (this.#byId.delete(id)) this.#sorted = undefined;
  }

  /** The least id greater than `id`, or undefined (`bpf_obj_get_next_id`). */
  next(id: number): number | undefined {
    const ids = this.#ids();
    let low = 0;
    let high = ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ids[middle]! <= id) low = middle + 1;
      else high = middle;
    }
    return ids[low];
  }

  /** All objects, by ascending id. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const id of Array.from(this.#ids())) {
      const object = this.#byId.get(id);
      if (object) yield object;
    }
  }

  /** For forks: the same ids, each object replaced by what `twin` gives. */
  copyFrom(from: IdTable<T>, twin: (object: T) => T): void {
    this.#last = from.#last;
    for (const [id, object] of from.#byId) this.#byId.set(id, twin(object));
    this.#sorted = undefined;
  }

  #put(id: number, object: T): void {
    this.#byId.set(id, object);
    const sorted = this.#sorted;
    if (sorted && (sorted.length === 0 || sorted[sorted.length - 1]! < id)) sorted.push(id);
    else this.#sorted = undefined;
  }

  #ids(): number[] {
    return (this.#sorted ??= [...this.#byId.keys()].sort((a, b) => a - b));
  }
}
