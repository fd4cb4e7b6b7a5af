/**
 * Calls by slot, for the first tier. V8 gives each instance that imports a table a copy of it: one instance a runtime has it, and the
 * programs' instances call that one.
 */

import { BPF_LOOP_LOCALS, BPF_LOOP_PARAMS, bpfLoop } from '../bpf-loop.ts';
import type { VmRuntime } from '../runtime.ts';
import { CodeWriter } from '../wasm/code.ts';
import { ModuleWriter } from '../wasm/module.ts';
import { I32, I64 } from '../wasm/op.ts';

/** Exports `program`, `lookup` and `loop`, as TierModule describes them. */
export function slotsModule(): Uint8Array<ArrayBuffer> {
  const writer = new ModuleWriter();
  writer.importTable('vm', 'table');
  const program = writer.type([I32], [I64]);
  const lookup = writer.type([I32, I32], [I32]);
  const callback = writer.type([I32, I32, I32, I32, I32], [I32]);
  const define = (name: string, type: number, locals: readonly (typeof I32)[], code: CodeWriter): void => {
    const index = writer.declare(type);
    writer.define(index, locals, code);
    writer.export(name, index);
  };
  define('program', writer.type([I32, I32], [I64]), [], new CodeWriter().get(0).get(1).returnCallIndirect(program));
  define('lookup', writer.type([I32, I32, I32], [I32]), [], new CodeWriter().get(0).get(1).get(2).callIndirect(lookup));
  define('loop', writer.type(BPF_LOOP_PARAMS, [I32]), BPF_LOOP_LOCALS, bpfLoop(callback));
  return writer.finish().bytes;
}

export function instantiateSlots(module: WebAssembly.Module, runtime: VmRuntime): WebAssembly.Exports {
  return new WebAssembly.Instance(module, { vm: { table: runtime.functions.table } }).exports;
}
