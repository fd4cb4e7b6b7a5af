/** A helper as the interpreter calls it: which halves of which registers are its arguments, worked out once. */

import { CELL } from '../cells.ts';
import type { CallTarget, KnownMap, VmHelper } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';

type Run = VmHelper['run'];

export class CallSite {
  readonly tail: boolean;
  readonly map: KnownMap | undefined;
  readonly returns: VmHelper['returns'];
  readonly #run: Run;
  readonly #halves: readonly number[];

  constructor({ helper, map }: CallTarget) {
    this.tail = helper.intrinsic === 'tail_call';
    this.map = map;
    this.returns = helper.returns;
    this.#run = helper.run;
    this.#halves = helper.args.flatMap((type, index) => (type === 'u32' ? [2 * index + 2] : [2 * index + 2, 2 * index + 3]));
  }

  /** With the first tier's registers, and the result into its r0. */
  callAt(runtime: VmRuntime): void {
    const base = (runtime.block + CELL.tierRegisters) >> 2;
    const low = this.invoke(runtime.arena.i32, base);
    const words = runtime.arena.i32;
    const { returns } = this;
    words[base] = returns === 'void' ? 0 : low;
    words[base + 1] = returns === 's32' ? low >> 31 : returns === 'u64' ? runtime.returnHigh.value : 0;
  }

  /** Low half of the result. Register r is words[base + 2r] and the word after it. */
  invoke(words: Int32Array, base: number): number {
    const run = this.#run;
    const at = this.#halves;
    switch (at.length) {
      case 0:
        return run();
      case 1:
        return run(words[base + at[0]!]!);
      case 2:
        return run(words[base + at[0]!]!, words[base + at[1]!]!);
      case 3:
        return run(words[base + at[0]!]!, words[base + at[1]!]!, words[base + at[2]!]!);
      case 4:
        return run(words[base + at[0]!]!, words[base + at[1]!]!, words[base + at[2]!]!, words[base + at[3]!]!);
      case 5:
        return run(
          words[base + at[0]!]!,
          words[base + at[1]!]!,
          words[base + at[2]!]!,
          words[base + at[3]!]!,
          words[base + at[4]!]!,
        );
      default:
        return run(...at.map((half) => words[base + half]!));
    }
  }
}
