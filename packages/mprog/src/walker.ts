/** Runs the walk over a hook's active array from JavaScript: pins it, and counts nesting. */

import { CELL, VmTrap, type VmRuntime } from '@libbpf-ts/vm';

import { MAX_NESTED_WALKS, type ArrayPool, type ProgArrays } from './arrays.ts';
import { walkModule, type WalkRule } from './walk-module.ts';

type Walk = (ctx: number, array: number) => number;
type Trace = (ctx: number, array: number, ring: number) => number;

/** Where a rule's two walks are in the function table; a fork has them in the same slots. */
export interface WalkSlots {
  readonly walk: number;
  readonly trace: number;
}

/** Puts the walks of a rule into the function table. */
export function installWalk(runtime: VmRuntime, rule: WalkRule): WalkSlots {
  const slots = { walk: runtime.functions.allocate(), trace: runtime.functions.allocate() };
  runtime.install({ module: new WebAssembly.Module(walkModule(rule)), slots });
  return slots;
}

/** The walks of one rule in one kernel. */
export class Walker {
  readonly #runtime: VmRuntime;
  readonly #pool: ArrayPool;
  readonly #slots: WalkSlots;
  #walk: Walk | undefined;
  #trace: Trace | undefined;

  constructor(runtime: VmRuntime, pool: ArrayPool, slots: WalkSlots) {
    this.#runtime = runtime;
    this.#pool = pool;
    this.#slots = slots;
  }

  get slots(): WalkSlots {
    return this.#slots;
  }

  /** Runs the programs in order until the rule ends it. The last return code, int32. Only for a hook with at least one program. */
  run(arrays: ProgArrays, ctx: number): number {
    const walk = (this.#walk ??= this.#runtime.functions.get(this.#slots.walk) as Walk);
    const array = this.#enter(arrays);
    const { stackPointer, tailCalls } = this;
    try {
      return walk(ctx, array);
    } catch (error) {
      throw this.#stopped(error, stackPointer, tailCalls);
    } finally {
      this.#pool.unpin();
    }
  }

  /** As `run`, writing each step into the ring at address `ring`. */
  trace(arrays: ProgArrays, ctx: number, ring: number): number {
    const trace = (this.#trace ??= this.#runtime.functions.get(this.#slots.trace) as Trace);
    const array = this.#enter(arrays);
    const { stackPointer, tailCalls } = this;
    try {
      return trace(ctx, array, ring);
    } catch (error) {
      throw this.#stopped(error, stackPointer, tailCalls);
    } finally {
      this.#pool.unpin();
    }
  }

  private get stackPointer(): number {
    return this.#runtime.arena.i32[(this.#runtime.block + CELL.stackPointer) >> 2]!;
  }
  private get tailCalls(): number {
    return this.#runtime.arena.i32[(this.#runtime.block + CELL.tailCalls) >> 2]!;
  }

  /** A program stopped before its exit: the runtime is as before the walk, and the engine's own error has a name. */
  #stopped(error: unknown, stackPointer: number, tailCalls: number): unknown {
    const { arena, block } = this.#runtime;
    arena.i32[(block + CELL.stackPointer) >> 2] = stackPointer;
    arena.i32[(block + CELL.tailCalls) >> 2] = tailCalls;
    arena.i32[(block + CELL.trapReason) >> 2] = 0;
    return error instanceof WebAssembly.RuntimeError
      ? new VmTrap('access', 'a program of the hook', {}, { cause: error })
      : error;
  }

  #enter(arrays: ProgArrays): number {
    if (this.#pool.depth >= MAX_NESTED_WALKS) throw new Error(`more than ${MAX_NESTED_WALKS} hooks inside each other`);
    const array = arrays.active;
    this.#pool.pin(array);
    return array;
  }
}
