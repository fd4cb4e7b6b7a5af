/** A helper as the interpreter calls it: which halves of which registers are its arguments, worked out once. */

import type { CallTarget, KnownMap, VmHelper } from '../program.ts';

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

  /** Low half of the result. */
  invoke(regs: Int32Array): number {
    const run = this.#run;
    const at = this.#halves;
    switch (at.length) {
      case 0:
        return run();
      case 1:
        return run(regs[at[0]!]!);
      case 2:
        return run(regs[at[0]!]!, regs[at[1]!]!);
      case 3:
        return run(regs[at[0]!]!, regs[at[1]!]!, regs[at[2]!]!);
      case 4:
        return run(regs[at[0]!]!, regs[at[1]!]!, regs[at[2]!]!, regs[at[3]!]!);
      case 5:
        return run(regs[at[0]!]!, regs[at[1]!]!, regs[at[2]!]!, regs[at[3]!]!, regs[at[4]!]!);
      default:
        return run(...at.map((half) => regs[half]!));
    }
  }
}
