/** What the first tier of one runtime needs: its modules, and the frames of its runs. */

import { CELL } from '../cells.ts';
import type { VmRuntime } from '../runtime.ts';
import type { TierVariant } from './handler.ts';
import { tierModule } from './module.ts';
import { FRAME } from './record.ts';

/** Held by the runtime, and by its forks, whose addresses are the same. */
export class TierHost {
  /** What to add to a frame pointer / 8 for the address of its FRAME. */
  readonly frames: number;
  readonly #block: number;
  readonly #modules: Map<number, WebAssembly.Module> = new Map();

  constructor(runtime: VmRuntime) {
    const { arena, stackStart, stackEnd, block } = runtime;
    this.#block = block;
    this.frames = arena.allocate(((stackEnd - stackStart) >> 3) + 2 * FRAME.size) - (stackStart >> 3) + FRAME.size;
  }

  module(variant: TierVariant): WebAssembly.Module {
    const key = (variant.fuel ? 1 : 0) + (variant.region ? 2 : 0);
    let module = this.#modules.get(key);
    if (!module) {
      module = new WebAssembly.Module(tierModule(variant, this.#block));
      this.#modules.set(key, module);
    }
    return module;
  }
}

/** The record that the first tier trapped at, and 0 from now on; 0 where it did not. */
export function takeTrapRecord(runtime: VmRuntime): number {
  const words = runtime.arena.i32;
  const at = (runtime.block + CELL.tierPc) >> 2;
  const record = words[at]!;
  words[at] = 0;
  return record;
}
