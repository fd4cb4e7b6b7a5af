/** The making of a fork: every object that the origin knows gets one twin. */

import type { Kernel } from './kernel.ts';

/** Something that knows how to make its own twin. */
export interface Twinnable {
  /**
   * Makes the twin: creates the empty object, calls `fork.bind(this, it)`, and only then fills it, because what it refers to may refer
   * back to it.
   */
  makeTwin(fork: Fork): Twinnable;
}

export class Fork {
  /** The kernel that is copied. */
  readonly origin: Kernel;
  /** The copy. Its arena and function table are complete; its tables may not be yet. */
  readonly kernel: Kernel;
  readonly #twins: Map<object, object> = new Map();

  constructor(origin: Kernel, kernel: Kernel) {
    this.origin = origin;
    this.kernel = kernel;
  }

  /** The object in the fork that stands for `object` of the origin; made when first asked for. */
  twin<T extends Twinnable>(object: T): T {
    const known = this.#twins.get(object);
    if (known) return known as T;
    const made = object.makeTwin(this);
    this.bind(object, made);
    return made as T;
  }

  /** As `twin`, for what may be missing. */
  twinOf<T extends Twinnable>(object: T | undefined): T | undefined {
    return object === undefined ? undefined : this.twin(object);
  }

  /** Notes a twin before it is complete. */
  bind(object: object, twin: object): void {
    this.#twins.set(object, twin);
  }

  /** A twin that exists already. */
  find(object: object): object | undefined {
    return this.#twins.get(object);
  }
}
