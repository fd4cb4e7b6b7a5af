/**
 * The one way from JavaScript into compiled programs: a WebAssembly function that calls a slot. JavaScript engines call a function that
 * is always the same much faster than one of many.
 */

import type { Arena } from './arena.ts';
import { CELL } from './cells.ts';
import type { FunctionTable } from './slots.ts';
import { CodeWriter } from './wasm/code.ts';
import { ModuleWriter } from './wasm/module.ts';
import { I32, I64, OP } from './wasm/op.ts';
import { compileOwn } from './wasm/compile.ts';

/** Both leave the high half of the (last) r0 in its cell and return the low half. */
export interface Gate {
  readonly run: (slot: number, ctx: number) => number;
  /** `count` (≥ 1) runs in a row. */
  readonly repeat: (slot: number, ctx: number, count: number) => number;
}

/** A gate over the table for a runtime whose block of words is at `block`. */
export function openGate(arena: Arena, functions: FunctionTable, block: number): Gate {
  const module = compileOwn(gateModule(block + CELL.returnHigh));
  const { exports } = new WebAssembly.Instance(module, { vm: { memory: arena.memory, table: functions.table } });
  return exports as unknown as Gate;
}

function gateModule(returnHigh: number): Uint8Array<ArrayBuffer> {
  const writer = new ModuleWriter();
  writer.importMemory('vm', 'memory');
  writer.importTable('vm', 'table');
  const program = writer.type([I32], [I64]);
  const finish = (code: CodeWriter, result: number): CodeWriter =>
    code
      .i32(returnHigh)
      .get(result)
      .i64(32n)
      .op(OP.i64_shr_u, OP.i32_wrap_i64)
      .access(OP.i32_store)
      .get(result)
      .op(OP.i32_wrap_i64);
  const run = writer.declare(writer.type([I32, I32], [I32]));
  writer.define(run, [I64], finish(new CodeWriter().get(1).get(0).callIndirect(program).set(2), 2));
  const repeat = writer.declare(writer.type([I32, I32, I32], [I32]));
  const loop = new CodeWriter().open(OP.loop).get(1).get(0).callIndirect(program).set(3);
  writer.define(repeat, [I64], finish(loop.get(2).i32(1).op(OP.i32_sub).tee(2).brIf(0).end(), 3));
  writer.export('run', run);
  writer.export('repeat', repeat);
  return writer.finish().bytes;
}
