/** The stepping interpreter as an engine. */

import type { BoundProgram, Engine, LoadOptions, PreparedProgram, ProgramSlots } from '../engine.ts';
import type { VmProgram } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';
import { predecode } from './predecode.ts';
import { InterpretedProgram } from './program.ts';
import type { Guard, Watch } from './program.ts';
import { compileStubs } from './stubs.ts';

/** Runs programs one instruction after the other, in TypeScript: can stop anywhere, and tells where it is. */
export const interpreterEngine: Engine = engine('interpreter', undefined);

/**
 * The interpreter with every access outside of the stack put before `guard`, for runs that look for holes in a verifier:
 * what it refuses is a VmTrap `access`. A `Watch` is asked about the stack too, and told where runs begin. Its name is `paranoid`.
 */
export function paranoidEngine(guard: Guard | Watch): Engine {
  return engine('paranoid', guard);
}

function engine(name: string, guard: Guard | Watch | undefined): Engine {
  return {
    name,
    prepare: (program, options, runtime, slots) =>
      new PreparedInterpretation(predecode(program, slots), options, compileStubs(runtime, slots), guard),
  };
}

class PreparedInterpretation implements PreparedProgram {
  readonly #code: Int32Array;
  readonly #options: LoadOptions;
  readonly #stubs: WebAssembly.Module;
  readonly #guard: Guard | Watch | undefined;

  constructor(code: Int32Array, options: LoadOptions, stubs: WebAssembly.Module, guard: Guard | Watch | undefined) {
    this.#code = code;
    this.#options = options;
    this.#stubs = stubs;
    this.#guard = guard;
  }

  bind(runtime: VmRuntime, program: VmProgram, slots: ProgramSlots): BoundProgram {
    return new InterpretedProgram(runtime, program, this.#code, this.#options, slots, this.#stubs, this.#guard);
  }
}
