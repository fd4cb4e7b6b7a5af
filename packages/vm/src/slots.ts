/** The one function table of a kernel: a function pointer is a slot number. */

/**
 * Slots of a WebAssembly.Table of functions. Slot 0 is never given out, so that 0 means "no function".
 * A program owns two slots in a row: `slot`, of type (ctx: i32) -> i64, starts a run of its own; `slot + 1`, of the same type,
 * continues the tail-call count of the run that it is called from. A callback has type (i32, i32, i32, i32, i32) -> i32.
 */
export class FunctionTable {
  readonly #table: WebAssembly.Table;
  readonly #functions: (Function | null)[] = [null];
  #next = 1;
  /** Free runs of slots by their length. */
  readonly #free: Map<number, number[]> = new Map();
  #fill: (() => void) | undefined;

  constructor() {
    this.#table = new WebAssembly.Table({ element: 'anyfunc', initial: 64 });
  }

  /** What instances import. In a fork, asking for it puts the functions in place first. */
  get table(): WebAssembly.Table {
    this.settle();
    return this.#table;
  }

  /** `count` slots in a row; returns the first. They hold no function yet. */
  allocate(count = 1): number {
    const reused = this.#free.get(count)?.pop();
    if (reused !== undefined) return reused;
    const slot = this.#next;
    this.#next += count;
    if (this.#next > this.#table.length) this.#table.grow(Math.max(this.#table.length, this.#next - this.#table.length));
    return slot;
  }

  /** Puts a WebAssembly function (or null) into a slot. */
  set(slot: number, fn: Function | null): void {
    this.#table.set(slot, fn as never);
    this.#functions[slot] = fn;
  }

  /** What a slot holds, callable from JavaScript; null where it is empty. */
  get(slot: number): Function | null {
    this.settle();
    return this.#functions[slot] ?? null;
  }

  /** Empties `count` slots from `slot` on and gives them back. */
  free(slot: number, count = 1): void {
    for (let index = slot; index < slot + count; index++) this.set(index, null);
    const list = this.#free.get(count);
    if (list) list.push(slot);
    else this.#free.set(count, [slot]);
  }

  /** An empty table with the same slots given out; `fill` sets their functions when one is first needed. */
  fork(fill: (table: FunctionTable) => void): FunctionTable {
    const copy = new FunctionTable();
    copy.#next = this.#next;
    for (const [count, list] of this.#free) copy.#free.set(count, [...list]);
    if (copy.#table.length < this.#table.length) copy.#table.grow(this.#table.length - copy.#table.length);
    copy.#fill = () => fill(copy);
    return copy;
  }

  /** Does now what a fork has put off. */
  settle(): void {
    const fill = this.#fill;
    this.#fill = undefined;
    fill?.();
  }
}
