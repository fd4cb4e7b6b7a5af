/** State that a subsystem keeps in a kernel, so that a fork can have its own copy. */

import type { Fork } from './fork.ts';
import type { Kernel } from './kernel.ts';

/** Names a piece of state and carries its type. One constant a subsystem: `const hooks = stateKey<TcxHooks>('tcx.hooks')`. */
export interface StateKey<T> {
  readonly name: string;
  /** Never there; it makes keys of different types different. */
  readonly type?: T;
}

export function stateKey<T>(name: string): StateKey<T> {
  return { name };
}

export interface StateOps<T> {
  /** Makes the first value. Whatever the subsystem allocates (arena, slots, devices) is allocated here, since a fork does not come here. */
  create(kernel: Kernel): T;
  /**
   * The value for a fork. Memory is copied already and addresses and slots are the same; objects are replaced by `fork.twin(object)`.
   * The value must not share anything that changes with the original.
   */
  clone(value: T, fork: Fork): T;
}
