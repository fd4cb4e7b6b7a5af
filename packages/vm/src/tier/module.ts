/**
 * The module of the first tier: an interpreter. It is instantiated once a program (and once a callback), with the address of its
 * instructions as a global; V8 compiles the code once.
 */

import { BPF_LOOP_PARAMS } from '../bpf-loop.ts';
import { BPF_MAX_LOOPS, CELL, TRAP_REASON } from '../cells.ts';
import { CodeWriter } from '../wasm/code.ts';
import { ModuleWriter } from '../wasm/module.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import { Handler, LOCAL, LOCAL_TYPES, SLICE, STATUS } from './handler.ts';
import type { TierModule, TierVariant } from './handler.ts';
import { OPERATIONS } from './operation.ts';
import { FRAME, HEADER, MOVED, RECORD } from './record.ts';

const FIVE: readonly ValueType[] = [I32, I32, I32, I32, I32];

/** What an instance imports besides the memory: `p` are i32 and i64 globals, `h` functions. `s` is an instance of `slots.ts`. */
export interface TierImports {
  readonly p: Readonly<Record<'header' | 'start' | 'slot' | 'frames' | 'floor', number>> &
    Readonly<Record<'region' | 'places1' | 'places2' | 'places4' | 'places8', bigint>>;
  readonly h: {
    /** A helper by its site. */
    readonly call: (site: number) => void;
    /** A helper by its number. */
    readonly dynamic: (id: number) => void;
    readonly packet: (ctx: number, offset: number, size: number) => number;
    /** The program has become hot. Not 0: its slots have been given to another engine. */
    readonly hot: () => number;
  };
}

/** Exports `entry` and `tail` (ctx: i32) -> i64, and `callback` (i32 × 5) -> i32. `block` is the address of the runtime's words. */
export function tierModule(variant: TierVariant, block: number): Uint8Array<ArrayBuffer> {
  const writer = new ModuleWriter();
  const unary = writer.type([I32], []);
  const programType = writer.type([I32], [I64]);
  const callbackType = writer.type(FIVE, [I32]);
  const global = (name: string, type: ValueType): number => writer.importGlobal('p', name, type);
  const helper = writer.importFunction('h', 'call', unary);
  const dynamic = writer.importFunction('h', 'dynamic', unary);
  const packet = writer.importFunction('h', 'packet', writer.type([I32, I32, I32], [I32]));
  const hot = writer.importFunction('h', 'hot', writer.type([], [I32]));
  const program = writer.importFunction('s', 'program', writer.type([I32, I32], [I64]));
  const lookup = writer.importFunction('s', 'lookup', writer.type([I32, I32, I32], [I32]));
  const loop = writer.importFunction('s', 'loop', writer.type(BPF_LOOP_PARAMS, [I32]));
  writer.importMemory('vm', 'memory');
  const module: TierModule = {
    variant,
    block,
    trap: writer.declare(writer.type([I32, I32], [])),
    helper,
    dynamic,
    packet,
    loop,
    program,
    lookup,
    header: global('header', I32),
    frames: global('frames', I32),
    regionStart: global('region', I64),
    places: { 1: global('places1', I64), 2: global('places2', I64), 4: global('places4', I64), 8: global('places8', I64) },
  };
  const globals = {
    header: module.header,
    start: global('start', I32),
    frames: module.frames,
    slot: global('slot', I32),
    floor: global('floor', I32),
  };
  const step = writer.declare(writer.type([I32, I32, I32], [I32]));
  const go = writer.declare(writer.type(FIVE, [I32]));
  const tail = writer.declare(programType);
  const entry = writer.declare(programType);
  const callback = writer.declare(callbackType);
  writer.define(module.trap, [], trapBody(block));
  writer.define(step, LOCAL_TYPES, stepBody(module));
  writer.define(go, [I32, I32], goBody(module, globals, step));
  writer.define(tail, [], tailBody(block, program, globals, go, hot));
  writer.define(entry, [I32, I64], entryBody(block, tail));
  writer.define(callback, [], callbackBody(block, program, go));
  writer.export('entry', entry);
  writer.export('tail', tail);
  writer.export('callback', callback);
  return writer.finish().bytes;
}

/** (reason, record): notes both. */
function trapBody(block: number): CodeWriter {
  return (
    new CodeWriter()
      .i32(block + CELL.trapReason)
      .get(0)
      .access(OP.i32_store)
      .i32(block + CELL.tierPc)
      .get(1)
      .access(OP.i32_store)
      // Nothing is left of a budget that was overrun.
      .get(0)
      .i32(TRAP_REASON.fuel)
      .op(OP.i32_eq)
      .open(OP.if)
      .i32(block + CELL.fuel)
      .i64(-1n)
      .access(OP.i64_store)
      .end()
  );
}

/** (record, frame pointer, frame pointer of the entry) -> STATUS. A loop over one `br_table`. */
function stepBody(module: TierModule): CodeWriter {
  const code = new CodeWriter(16_384);
  const written = OPERATIONS.filter(({ access }) => access !== 'frame' || module.variant.region);
  const labels = new Map(written.map((operation, index) => [operation, index]));
  const outer = new Handler(module, code, 0);
  code.i32(SLICE).set(LOCAL.slice);
  outer.loadFuel();
  code.open(OP.block).open(OP.loop);
  if (module.variant.fuel) {
    code.get(LOCAL.left).i64(1n).op(OP.i64_sub).tee(LOCAL.left).i64(0n).op(OP.i64_lt_s).open(OP.if);
    outer.trap('fuel');
    code.end();
  }
  for (let index = 0; index < written.length; index++) code.open(OP.block);
  code.get(LOCAL.pc).access(OP.i32_load16_u, RECORD.operation);
  code.brTable(
    OPERATIONS.map((operation) => labels.get(operation) ?? 0),
    0,
  );
  written.forEach(({ write }, index) => {
    code.end();
    write(new Handler(module, code, written.length - 1 - index));
  });
  code.end().end();
  outer.leave(STATUS.pause);
  return code.op(OP.unreachable);
}

/** (five arguments) -> STATUS: runs from the instance's first record on top of the BPF stack. */
function goBody({ block, frames }: TierModule, { floor, start }: Globals, step: number): CodeWriter {
  const [fp, status] = [5, 6];
  const register = (number: number): number => block + CELL.tierRegisters + number * 8;
  const code = new CodeWriter()
    .i32(block + CELL.stackPointer)
    .access(OP.i32_load)
    .tee(fp)
    .global(floor)
    .op(OP.i32_lt_s);
  code
    .open(OP.if)
    .i32(block + CELL.trapReason)
    .i32(TRAP_REASON['call-depth'])
    .access(OP.i32_store)
    .op(OP.unreachable)
    .end();
  for (const number of [0, 6, 7, 8, 9]) code.i32(register(number)).i64(0n).access(OP.i64_store);
  for (let arg = 0; arg < 5; arg++)
    code
      .i32(register(arg + 1))
      .get(arg)
      .op(OP.i64_extend_i32_u)
      .access(OP.i64_store);
  code.i32(register(10)).get(fp).op(OP.i64_extend_i32_u).access(OP.i64_store);
  code.get(fp).i32(3).op(OP.i32_shr_u).global(frames).op(OP.i32_add).i32(BPF_MAX_LOOPS).access(OP.i32_store, FRAME.mayGoto);
  code.global(start).get(fp).get(fp).call(step).tee(status).i32(STATUS.pause).op(OP.i32_eq);
  code.open(OP.if).open(OP.loop);
  code
    .i32(block + CELL.tierNext)
    .access(OP.i32_load)
    .i32(block + CELL.tierWith)
    .access(OP.i32_load)
    .get(fp);
  code.call(step).tee(status).i32(STATUS.pause).op(OP.i32_eq).brIf(0).end().end();
  return code.get(status);
}

interface Globals {
  readonly header: number;
  readonly start: number;
  readonly floor: number;
  readonly slot: number;
}

/** A run that counts tail calls on. A program that is hot goes to its better engine first. */
function tailBody(block: number, program: number, { header, slot }: Globals, go: number, hot: number): CodeWriter {
  const next = (code: CodeWriter): CodeWriter => code.returnCall(program).end();
  const code = new CodeWriter();
  code.global(header).global(header).access(OP.i32_load, HEADER.heat);
  code.global(header).access(OP.i32_load, HEADER.run).op(OP.i32_add).access(OP.i32_store, HEADER.heat);
  code.global(header).access(OP.i32_load, HEADER.heat).global(header).access(OP.i32_load, HEADER.limit).op(OP.i32_gt_u);
  code.open(OP.if).global(header).access(OP.i32_load, HEADER.limit).i32(MOVED).op(OP.i32_eq);
  code.open(OP.if, I32).i32(1).op(OP.else).call(hot).end();
  code.open(OP.if).get(0).global(slot).i32(1).op(OP.i32_add);
  next(code).end();
  code.get(0).i32(0).i32(0).i32(0).i32(0).call(go).i32(STATUS.tail).op(OP.i32_eq).open(OP.if);
  next(
    code
      .i32(block + CELL.tierWith)
      .access(OP.i32_load)
      .i32(block + CELL.tierNext)
      .access(OP.i32_load),
  );
  return code.i32(block + CELL.tierRegisters).access(OP.i64_load);
}

/** A run of its own: its tail calls are counted from 0, and the old count comes back. */
function entryBody(block: number, tail: number): CodeWriter {
  const count = block + CELL.tailCalls;
  const code = new CodeWriter().i32(count).access(OP.i32_load).set(1).i32(count).i32(0).access(OP.i32_store);
  return code.get(0).call(tail).set(2).i32(count).get(1).access(OP.i32_store).get(2);
}

function callbackBody(block: number, program: number, go: number): CodeWriter {
  const code = new CodeWriter().get(0).get(1).get(2).get(3).get(4).call(go).i32(STATUS.tail).op(OP.i32_eq).open(OP.if, I32);
  code
    .i32(block + CELL.tierWith)
    .access(OP.i32_load)
    .i32(block + CELL.tierNext)
    .access(OP.i32_load);
  code.call(program).op(OP.i32_wrap_i64);
  return code
    .op(OP.else)
    .i32(block + CELL.tierRegisters)
    .access(OP.i32_load)
    .end();
}
