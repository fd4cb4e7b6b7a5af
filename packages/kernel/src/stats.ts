/** Run counts and times, off unless somebody asked for them (BPF_ENABLE_STATS). */

import type { Kernel } from './kernel.ts';
import type { BpfProg } from './prog.ts';

/** Programs are measured where they are entered: from JavaScript here, through their slot by a wrapper in WebAssembly. */
export class RunStats {
  readonly #kernel: Kernel;
  #users = 0;
  /** By slot: what the wrapper stands in front of. */
  readonly #entries: Map<number, Function> = new Map();
  readonly #starts: number[] = [];
  #module: WebAssembly.Module | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  get enabled(): boolean {
    return this.#users > 0;
  }
  get users(): number {
    return this.#users;
  }

  /** One more that wants statistics; give it back with `disable`. */
  enable(): void {
    if (this.#users++ === 0) for (const prog of this.#kernel.progs) this.track(prog);
  }

  disable(): void {
    if (--this.#users === 0) for (const prog of this.#kernel.progs) this.untrack(prog);
  }

  /** Runs it from JavaScript, measured. */
  measure(prog: BpfProg, ctx: number): number {
    const start = performance.now();
    try {
      return prog.loaded.run(ctx);
    } finally {
      this.#add(prog, start);
    }
  }

  /** The outermost run ended: what a trap left begun is forgotten. */
  settle(): void {
    this.#starts.length = 0;
  }

  /** Puts the wrapper in front of a program's slot. */
  track(prog: BpfProg): void {
    const { slot } = prog;
    if (!this.enabled || slot === 0 || this.#entries.has(slot)) return;
    const { functions } = this.#kernel.runtime;
    const entry = functions.get(slot);
    if (entry === null) return;
    const before = (): void => void this.#starts.push(performance.now());
    const after = (): void => this.#add(prog, this.#starts.pop()!);
    this.#module ??= new WebAssembly.Module(WRAPPER);
    const { exports } = new WebAssembly.Instance(this.#module, { e: { entry, before, after } });
    this.#entries.set(slot, entry);
    functions.set(slot, exports['run'] as Function);
  }

  untrack(prog: BpfProg): void {
    const entry = this.#entries.get(prog.slot);
    if (!entry) return;
    this.#entries.delete(prog.slot);
    // It may have changed engines meanwhile.
    const { runtime } = this.#kernel;
    runtime.functions.set(prog.slot, runtime.boundAt(prog.slot)?.entry ?? entry);
  }

  /** For forks: the same number of users. Call it when the programs are there. */
  copyFrom(from: RunStats): void {
    this.#users = from.#users;
    if (this.enabled) for (const prog of this.#kernel.progs) this.track(prog);
  }

  #add(prog: BpfProg, start: number): void {
    prog.runCnt++;
    prog.runTimeNs += BigInt(Math.max(0, Math.round((performance.now() - start) * 1e6)));
  }
}

/**
 * (module (import "e" "entry" (func (param i32) (result i64))) (import "e" "before" (func)) (import "e" "after" (func))
 *   (func (export "run") (param i32) (result i64) call 1  local.get 0  call 0  call 2))
 */
const WRAPPER: Uint8Array<ArrayBuffer> = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 9, 2, 0x60, 1, 0x7f, 1, 0x7e, 0x60, 0, 0, 2, 32, 3, 1, 0x65, 5, 0x65, 0x6e, 0x74, 0x72,
  0x79, 0, 0, 1, 0x65, 6, 0x62, 0x65, 0x66, 0x6f, 0x72, 0x65, 0, 1, 1, 0x65, 5, 0x61, 0x66, 0x74, 0x65, 0x72, 0, 1, 3, 2, 1, 0,
  7, 7, 1, 3, 0x72, 0x75, 0x6e, 0, 3, 10, 12, 1, 10, 0, 0x10, 1, 0x20, 0, 0x10, 0, 0x10, 2, 0x0b,
]);
