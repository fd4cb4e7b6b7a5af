/** Ids of two states, matched up while the states are compared. */

/** Ids of the old state against ids of the new: a one-to-one renaming found on the way. */
export class IdMap {
  readonly #old: number[] = [];
  readonly #new: number[] = [];
  #fresh = 0;

  reset(idGen: number): void {
    this.#old.length = 0;
    this.#new.length = 0;
    this.#fresh = idGen;
  }

  check(old: number, cur: number): boolean {
    if ((old !== 0) !== (cur !== 0)) return false;
    if (old === 0) return true;
    for (let i = 0; i < this.#old.length; i++) {
      if (this.#old[i] === old) return this.#new[i] === cur;
      if (this.#new[i] === cur) return false;
    }
    this.#old.push(old);
    this.#new.push(cur);
    return true;
  }

  /** A scalar without an id is only linked to itself. */
  checkScalar(old: number, cur: number): boolean {
    return this.check(old || ++this.#fresh, cur || ++this.#fresh);
  }
}
