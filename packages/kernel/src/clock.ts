/** The time that a kernel shows to its programs. */

export interface Clock {
  /** ns since boot (CLOCK_MONOTONIC). */
  now(): bigint;
  /** The clock of a fork: it goes on from here on its own. */
  fork(): Clock;
}

/** Stands still until it is told to move. */
export class VirtualClock implements Clock {
  #now: bigint;

  /** One second after boot by default. */
  constructor(now = 1_000_000_000n) {
    this.#now = now;
  }

  now(): bigint {
    return this.#now;
  }

  /** Moves forward by `ns`; throws on a negative number, since monotonic time never goes back. */
  advance(ns: bigint): void {
    if (ns < 0n) throw new RangeError('time does not go back');
    this.#now += ns;
  }

  /** Moves forward to `now`; earlier times are ignored. */
  moveTo(now: bigint): void {
    if (now > this.#now) this.#now = now;
  }

  fork(): VirtualClock {
    return new VirtualClock(this.#now);
  }
}

/** The host's time. */
export class HostClock implements Clock {
  now(): bigint {
    return BigInt(Math.round(performance.now() * 1e6));
  }
  fork(): HostClock {
    return this;
  }
}
