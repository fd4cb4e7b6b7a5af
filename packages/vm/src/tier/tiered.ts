/** The first tier until a program has shown that it runs often, then the JIT. */

import type { BoundProgram, Engine, LoadOptions, PreparedProgram, ProgramSlots } from '../engine.ts';
import { VmError } from '../errors.ts';
import { jitEngine } from '../jit/engine.ts';
import type { VmProgram } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';
import { prepareTier } from './engine.ts';
import type { PreparedTierProgram } from './engine.ts';

export interface TieredOptions {
  /**
   * Instructions after which the next run is the JIT's, estimated: those that jumps go back over, and for each run a quarter of the
   * program. By default as many as the JIT's work on the program is worth. The same program and inputs change engines at the same run,
   * always.
   */
  readonly heat?: number;
  /** The engine of hot programs; the JIT by default. */
  readonly hot?: Engine;
}

/** To translate and compile one instruction takes about as long as to run so many in the first tier. */
const WORK_AN_INSN = 1000;
/** What is to be done for any program. */
const WORK_A_PROGRAM = 50_000;

/**
 * Runs a program at once by the first tier, and hands it over to the JIT when it is hot: between two runs, by its slots. What the JIT
 * can't take (a body over the host's limits) stays where it is.
 */
export function tieredEngine({ heat, hot = jitEngine }: TieredOptions = {}): Engine {
  return {
    name: 'tiered',
    prepare: (program, options, runtime, slots) =>
      new PreparedTiers(prepareTier(program, options, runtime, slots), options, heat, hot),
  };
}

class PreparedTiers implements PreparedProgram {
  readonly #first: PreparedTierProgram;
  readonly #options: LoadOptions;
  readonly #heat: number | undefined;
  readonly #hot: Engine;
  /** The same for a runtime and its forks. */
  #second: PreparedProgram | 'refused' | undefined;

  constructor(first: PreparedTierProgram, options: LoadOptions, heat: number | undefined, hot: Engine) {
    this.#first = first;
    this.#options = options;
    this.#heat = heat;
    this.#hot = hot;
  }

  bind(runtime: VmRuntime, program: VmProgram, slots: ProgramSlots, replace: (bound: BoundProgram) => void): BoundProgram {
    let cold = true;
    const heat = this.#heat ?? WORK_A_PROGRAM + program.insns.length * WORK_AN_INSN;
    const first: BoundProgram = this.#first.bindUntil(runtime, program, slots, heat, () => {
      if (cold) {
        const second = this.#compiled(runtime, program, slots);
        if (second === undefined) return false;
        cold = false;
        // A run of the first tier may be under way still, and trap.
        replace({ ...second.bind(runtime, program, slots, replace), ...(first.insnAt ? { insnAt: first.insnAt } : {}) });
      }
      return true;
    });
    return first;
  }

  release(runtime: VmRuntime): void {
    this.#first.release(runtime);
  }

  #compiled(runtime: VmRuntime, program: VmProgram, slots: ProgramSlots): PreparedProgram | undefined {
    if (this.#second === undefined) {
      try {
        this.#second = this.#hot.prepare(program, this.#options, runtime, slots);
      } catch (error) {
        // Too large, or with an instruction that only this tier takes. Anything else would be a mistake of ours.
        if (!(error instanceof VmError) || (error.reason !== 'too-large' && error.insn === undefined)) throw error;
        this.#second = 'refused';
      }
    }
    return this.#second === 'refused' ? undefined : this.#second;
  }
}
