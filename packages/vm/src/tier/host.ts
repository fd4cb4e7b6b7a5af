/** What the first tier of one runtime needs: its modules, and the frames of its runs. */

import { CELL } from '../cells.ts';
import type { VmRuntime } from '../runtime.ts';
import type { TierVariant } from './handler.ts';
import { tierModule } from './module.ts';
import { SANDBOX_MODULE, TRUSTED_MODULE } from './modules.gen.ts';
import { FRAME } from './record.ts';
import { instantiateSlots, slotsModule } from './slots.ts';
import { compileOwn } from '../wasm/compile.ts';

/** The key of the module that is none of the variants. */
const SLOTS = -1;

/** Where a runtime has its words if they are the first that it takes of a new arena: what the modules at hand are made for. */
export const TIER_BLOCK = 65_600;

/** Held by the runtime. A fork, whose addresses are the same, has its own with the same modules. */
export class TierHost {
  /** What to add to a frame pointer / 8 for the address of its FRAME. */
  readonly frames: number;
  readonly #block: number;
  readonly #modules: Map<number, WebAssembly.Module>;
  readonly #runtime: VmRuntime;
  #slots: WebAssembly.Exports | undefined;

  constructor(runtime: VmRuntime, origin?: TierHost) {
    this.#runtime = runtime;
    this.#modules = origin === undefined ? new Map() : origin.#modules;
    const { stackStart, block, frames } = runtime;
    this.#block = block;
    this.frames = frames - (stackStart >> 3) + FRAME.size;
  }

  module(variant: TierVariant): WebAssembly.Module {
    return this.#module((variant.fuel ? 1 : 0) + (variant.region ? 2 : 0), () => this.#bytes(variant));
  }

  /** What the instances of programs call slots by. */
  get slots(): WebAssembly.Exports {
    return (this.#slots ??= instantiateSlots(this.#module(SLOTS, slotsModule), this.#runtime));
  }

  #module(key: number, bytes: () => Uint8Array<ArrayBuffer>): WebAssembly.Module {
    const known = this.#modules.get(key);
    if (known) return known;
    const module = compileOwn(bytes());
    this.#modules.set(key, module);
    return module;
  }

  /** To make a module takes some milliseconds of a cold process, which is what this tier is there to save. */
  #bytes(variant: TierVariant): Uint8Array<ArrayBuffer> {
    if (this.#block === TIER_BLOCK && variant.fuel === variant.region)
      return bytesOf(variant.fuel ? SANDBOX_MODULE : TRUSTED_MODULE);
    return tierModule(variant, this.#block);
  }
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** The record that the first tier trapped at, and 0 from now on; 0 where it did not. */
export function takeTrapRecord(runtime: VmRuntime): number {
  const words = runtime.arena.i32;
  const at = (runtime.block + CELL.tierPc) >> 2;
  const record = words[at]!;
  words[at] = 0;
  return record;
}
