/** The WebAssembly functions that stand in a program's slots and lead to the interpreter. */

import { CELL } from '../cells.ts';
import type { ProgramSlots } from '../engine.ts';
import type { VmRuntime } from '../runtime.ts';
import { CodeWriter } from '../wasm/code.ts';
import { ModuleWriter } from '../wasm/module.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import { compileOwn } from '../wasm/compile.ts';

interface Target {
  readonly run: (ctx: number) => number;
  readonly continue: (ctx: number) => number;
  readonly callback: (subprogram: number, a: number, b: number, c: number, d: number, e: number) => number;
}

const FIVE = [I32, I32, I32, I32, I32] as const;

/** `entry` and `tail` of type (i32) -> i64, and `cb<n>` of type (five i32) -> i32 for each subprogram with a slot. */
export function compileStubs(runtime: VmRuntime, slots: ProgramSlots): WebAssembly.Module {
  const writer = new ModuleWriter();
  const low = writer.type([I32], [I32]);
  const program = writer.type([I32], [I64]);
  const callback = writer.type(FIVE, [I32]);
  const run = writer.importFunction('i', 'run', low);
  const tail = writer.importFunction('i', 'continue', low);
  const back = writer.importFunction('i', 'callback', writer.type([I32, ...FIVE], [I32]));
  writer.importMemory('vm', 'memory');
  const define = (name: string, type: number, code: CodeWriter): void => {
    const index = writer.declare(type);
    writer.define(index, [], code);
    writer.export(name, index);
  };
  const whole = (target: number): CodeWriter =>
    new CodeWriter()
      .get(0)
      .call(target)
      .op(OP.i64_extend_i32_u)
      .i32(runtime.block + CELL.returnHigh)
      .access(OP.i64_load32_u)
      .i64(32n)
      .op(OP.i64_shl, OP.i64_or);
  define('entry', program, whole(run));
  define('tail', program, whole(tail));
  slots.callbacks.forEach((slot, index) => {
    if (slot !== 0) define(`cb${index}`, callback, new CodeWriter().i32(index).get(0).get(1).get(2).get(3).get(4).call(back));
  });
  return compileOwn(writer.finish().bytes);
}

export function instantiateStubs(module: WebAssembly.Module, runtime: VmRuntime, target: Target): WebAssembly.Exports {
  const i = { run: target.run, continue: target.continue, callback: target.callback };
  return new WebAssembly.Instance(module, { vm: { memory: runtime.arena.memory }, i }).exports;
}
