/** The JIT as an engine: eBPF to one WebAssembly module a program. */

import type { BoundProgram, Engine, LoadOptions, PreparedProgram, ProgramSlots } from '../engine.ts';
import { VmError, VmTrap } from '../errors.ts';
import type { VmTrapPlace } from '../errors.ts';
import type { VmHelper, VmProgram } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';
import { compileModule } from './module.ts';
import type { CompiledModule, PlaceTable } from './module.ts';

/** Translates when a program is loaded; V8 compiles when it first runs, and again when it runs often. */
export const jitEngine: Engine = {
  name: 'jit',
  prepare(program, options, runtime, slots) {
    const compiled = compileModule(program, options, runtime, slots.callbacks);
    let module: WebAssembly.Module;
    try {
      module = new WebAssembly.Module(compiled.bytes);
    } catch (error) {
      const { message } = error as Error;
      // Anything but a limit of the host would be a mistake of ours, which must not go unnoticed in another engine.
      throw new VmError(
        /maximum|too large|exceed|limit/i.test(message) ? 'too-large' : 'invalid',
        program.name,
        `WebAssembly refuses the program: ${message}`,
      );
    }
    return new PreparedModule(module, compiled, options);
  },
};

class PreparedModule implements PreparedProgram {
  readonly #module: WebAssembly.Module;
  readonly #imports: readonly number[];
  readonly #callbacks: readonly number[];
  readonly #usesDynamicHelper: boolean;
  readonly #options: LoadOptions;

  constructor(module: WebAssembly.Module, compiled: CompiledModule, options: LoadOptions) {
    this.#module = module;
    this.#imports = compiled.imports;
    this.#callbacks = compiled.callbacks;
    this.#usesDynamicHelper = compiled.usesDynamicHelper;
    this.#options = options;
  }

  bind(runtime: VmRuntime, program: VmProgram, slots: ProgramSlots): BoundProgram {
    const helpers: Record<string, Function> = {};
    this.#imports.forEach((insn, index) => {
      const { slot, run } = helperAt(program, insn);
      helpers[index] = slot === undefined ? run : runtime.functions.get(slot)!;
    });
    if (this.#usesDynamicHelper) helpers['x'] = dynamicHelper(runtime, program);
    const imports = { vm: { memory: runtime.arena.memory, table: runtime.functions.table }, h: helpers };
    const { exports } = new WebAssembly.Instance(this.#module, imports as WebAssembly.Imports);
    const callbacks: (Function | null)[] = program.subprograms.map(() => null);
    for (const subprogram of this.#callbacks) callbacks[subprogram] = exports[`cb${subprogram}`] as Function;
    return {
      engine: jitEngine.name,
      entry: exports['entry'] as Function,
      tailEntry: exports['tail'] as Function,
      callbacks,
      placeOf: (error) =>
        placeOf(error, () => compileModule(program, this.#options, runtime, slots.callbacks, true).places!, program),
    };
  }
}

function helperAt(program: VmProgram, insn: number): VmHelper {
  const helper = insn < 0 ? program.fixups.packetLoad : program.fixups.calls.get(insn)?.helper;
  if (!helper) throw new VmError('invalid', program.name, 'a helper is missing', insn);
  return helper;
}

/** What callx calls: the helper of that number with its arguments, its result as low half, the high half in its cell. */
function dynamicHelper(runtime: VmRuntime, program: VmProgram): (id: number, ...halves: number[]) => number {
  return (id, ...halves) => {
    const helper = program.fixups.helpersById?.get(id);
    if (!helper) throw new VmTrap('call', program.name);
    const args: number[] = [];
    helper.args.forEach((type, index) => {
      args.push(halves[index * 2]!);
      if (type === 'u64') args.push(halves[index * 2 + 1]!);
    });
    const low = helper.run(...args);
    if (helper.returns !== 'u64') runtime.returnHigh.value = helper.returns === 's32' && low < 0 ? -1 : 0;
    return helper.returns === 'void' ? 0 : low;
  };
}

/**
 * The instruction that trapped, where the stack trace has the offset in the module, as V8's has. The table of offsets is not kept:
 * translating the program again gives the same bytes.
 */
function placeOf(error: Error, places: () => PlaceTable, program: VmProgram): VmTrapPlace {
  const match = /wasm-function\[\d+\]:0x([0-9a-f]+)/.exec(error.stack ?? '');
  if (!match) return {};
  const offset = Number.parseInt(match[1]!, 16);
  const { offsets, insns } = places();
  const index = offsets.findIndex((end) => end > offset);
  const insn = index < 0 ? undefined : insns[index];
  return insn === undefined || insn < 0 ? {} : { insn, line: program.lineOf?.(insn) };
}
