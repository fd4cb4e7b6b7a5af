/** The helpers on ring buffers, once a runtime, in slots that all programs share. */

import type { VmRuntime } from '../runtime.ts';
import { CodeWriter } from '../wasm/code.ts';
import { compileOwn } from '../wasm/compile.ts';
import { ModuleWriter } from '../wasm/module.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import { emitCommit, emitOutput, emitReserve } from './emit.ts';
import type { RingBody } from './emit.ts';
import { DISCARD } from './layout.ts';

/** For `slot` of the helper of that name. */
export type RingSlots = Readonly<Record<'output' | 'reserve' | 'submit' | 'discard', number>>;

/** Emits the functions, puts them into slots of `runtime` and returns these. Once a runtime; a fork has them in the same slots. */
export function installRingbuf(runtime: VmRuntime): RingSlots {
  const writer = new ModuleWriter();
  const wake = writer.importFunction('vm', 'wake', writer.type([I32], []));
  writer.importMemory('vm', 'memory');
  const define = (params: readonly ValueType[], results: readonly ValueType[], { code, locals }: RingBody): number => {
    const index = writer.declare(writer.type(params, results));
    writer.define(index, locals, code);
    return index;
  };
  const reserve = define([I32, I64], [I32], emitReserve());
  const commit = define([I32, I32, I32], [], emitCommit(wake));
  const complete = (discard: number): RingBody => ({
    code: new CodeWriter().get(0).get(1).op(OP.i32_wrap_i64).i32(discard).call(commit),
    locals: [],
  });
  const withoutFlags = new CodeWriter()
    .get(2)
    .op(OP.i64_eqz)
    .open(OP.if, I32)
    .get(0)
    .get(1)
    .call(reserve)
    .op(OP.else)
    .i32(0)
    .end();
  const exported: Record<keyof RingSlots, number> = {
    output: define([I32, I32, I64, I64], [I32], emitOutput(reserve, commit)),
    reserve: define([I32, I64, I64], [I32], { code: withoutFlags, locals: [] }),
    submit: define([I32, I64], [], complete(0)),
    discard: define([I32, I64], [], complete(DISCARD)),
  };
  const slots = { output: 0, reserve: 0, submit: 0, discard: 0 };
  for (const name of Object.keys(slots) as (keyof RingSlots)[]) {
    writer.export(name, exported[name]);
    slots[name] = runtime.functions.allocate();
  }
  runtime.install({ module: compileOwn(writer.finish().bytes), slots });
  return slots;
}
