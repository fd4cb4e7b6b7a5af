/** Tables that subsystems fill when they install themselves. */

export class Registry<K extends number | string, V> {
  readonly #what: string;
  readonly #rows: Map<K, V> = new Map();

  constructor(what: string) {
    this.#what = what;
  }

  /** Adds a row; throws where the key is taken, since two subsystems would then fight over it. */
  register(key: K, value: V): void {
    if (this.#rows.has(key)) throw new Error(`${this.#what} ${key} is registered already`);
    this.#rows.set(key, value);
  }

  /** Adds a row, or replaces the one there: for those who override on purpose. */
  override(key: K, value: V): void {
    this.#rows.set(key, value);
  }

  get(key: K): V | undefined {
    return this.#rows.get(key);
  }

  has(key: K): boolean {
    return this.#rows.has(key);
  }

  keys(): K[] {
    return [...this.#rows.keys()];
  }

  entries(): [K, V][] {
    return [...this.#rows.entries()];
  }
}
