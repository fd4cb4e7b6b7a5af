/** The ring that traced walks write: which program of which hook returned what. It stops at its end; `lost` says how many steps had no room. */

import type { Arena } from '@libbpf-ts/vm';

import { TRACE_RECORD_SIZE, TRACE_RING_HEADER } from './walk-module.ts';

export interface TraceStep {
  readonly hook: number;
  readonly prog: number;
  /** The program's return value as int32. */
  readonly ret: number;
}

export class TraceRing {
  readonly #arena: Arena;
  readonly address: number;

  /** Allocates room for `steps`; or wraps the ring at `address`, as a fork does. */
  constructor(arena: Arena, steps: number, address?: number) {
    this.#arena = arena;
    this.address = address ?? arena.allocate(TRACE_RING_HEADER + steps * TRACE_RECORD_SIZE);
    if (address === undefined) arena.u32[(this.address >> 2) + 1] = steps;
  }

  /** Steps since the last `reset`, those without room included. */
  get count(): number {
    return this.#arena.u32[this.address >> 2]!;
  }

  get lost(): number {
    return Math.max(0, this.count - this.#arena.u32[(this.address >> 2) + 1]!);
  }

  reset(): void {
    this.#arena.u32[this.address >> 2] = 0;
  }

  /** The steps from number `from` on. */
  read(from = 0): TraceStep[] {
    const steps: TraceStep[] = [];
    for (let index = from; index < this.count - this.lost; index++) {
      const at = (this.address + TRACE_RING_HEADER + index * TRACE_RECORD_SIZE) >> 2;
      steps.push({ hook: this.#arena.u32[at]!, prog: this.#arena.u32[at + 1]!, ret: this.#arena.i32[at + 2]! });
    }
    return steps;
  }

  /** Adds a step from JavaScript, for programs that run outside of a walk. */
  push(hook: number, prog: number, ret: number): void {
    const index = this.count;
    this.#arena.u32[this.address >> 2] = index + 1;
    if (index >= this.#arena.u32[(this.address >> 2) + 1]!) return;
    const at = (this.address + TRACE_RING_HEADER + index * TRACE_RECORD_SIZE) >> 2;
    this.#arena.u32[at] = hook;
    this.#arena.u32[at + 1] = prog;
    this.#arena.i32[at + 2] = ret;
  }

  free(): void {
    this.#arena.free(this.address);
  }
}
