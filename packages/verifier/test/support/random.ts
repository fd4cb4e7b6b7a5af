/** Seeded random numbers, so that a program can be made again from its number. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761) | 0;
    this.below(2);
    this.below(2);
  }

  /** A whole number in 0..limit−1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** A number that comparisons and masks like: small, near a power of two, or negative. */
  odd(): number {
    switch (this.below(6)) {
      case 0:
        return this.below(8);
      case 1:
        return this.below(64);
      case 2:
        return (1 << this.below(31)) + this.below(3) - 1;
      case 3:
        return -this.below(64);
      case 4:
        return this.of([0, 1, -1, 255, 256, 65535, 0x7fffffff, -0x80000000]);
      default:
        return this.below(1 << 16);
    }
  }
}
