/** Makes the WebAssembly module of a program: decides about inlining, numbers functions, translates each. */

import { opcodeOf } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';

import { BPF_LOOP_LOCALS, BPF_LOOP_PARAMS, bpfLoop } from '../bpf-loop.ts';
import { CELL, MAX_BPF_STACK, MAX_CALL_FRAMES } from '../cells.ts';
import type { LoadOptions } from '../engine.ts';
import { emitLookup } from '../map-lookup/emit.ts';
import { emitArrayUpdate } from '../map-lookup/update.ts';
import { LOOKUP_FIELDS } from '../map-lookup/layout.ts';
import type { MapLookupKind } from '../map-lookup/layout.ts';
import { MAP_HEADER } from '../map-header.ts';
import type { KnownMap, VmHelper, VmProgram } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';
import { CodeWriter } from '../wasm/code.ts';
import { ModuleWriter } from '../wasm/module.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import type { MapFacts, ModuleContext } from './context.ts';
import type { Callee } from './effect.ts';
import { prepare, translate } from './function.ts';
import type { FunctionInput, Prepared } from './function.ts';
import { buildGraph, subprogramAt } from './graph.ts';
import type { Graph } from './graph.ts';
import { makeReducible, threadJumps } from './irreducible.ts';
import { has, livenessOf } from './liveness.ts';
import type { Liveness } from './liveness.ts';
import { longLoops, resumeGraph } from './long-loops.ts';
import type { Resume } from './long-loops.ts';
import { isReducible, loopsOf, orderOf } from './order.ts';
import type { Order } from './order.ts';
import { callGraph, hasTailCall, inlineDecider } from './plan.ts';
import type { CallGraph } from './plan.ts';
import { unrollLoops } from './unroll.ts';

/** Where each instruction's code is in the module: sorted offsets, and the instruction whose code ends there. */
export interface PlaceTable {
  readonly offsets: readonly number[];
  readonly insns: readonly number[];
}

export interface CompiledModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Helpers to import as `h.0`, `h.1` …, by the call instruction whose target it is (-1: the packet load). */
  readonly imports: readonly number[];
  readonly usesDynamicHelper: boolean;
  /** Subprograms with a callback function, exported as `cb<index>`. */
  readonly callbacks: readonly number[];
  readonly places: PlaceTable | undefined;
}

/** Translates a program for a runtime. With `wantPlaces`, also where each instruction went: the bytes are the same. */
export function compileModule(
  program: VmProgram,
  options: LoadOptions,
  runtime: VmRuntime,
  callbackSlots: readonly number[],
  wantPlaces = false,
): CompiledModule {
  return new ModuleCompiler(program, options, runtime, callbackSlots, wantPlaces).compile();
}

/** Where the instructions of a function that may trap are in its code. */
interface Recorded {
  readonly index: number;
  readonly places: [number, number][];
}

interface PlannedFunction {
  readonly subprogram: number;
  readonly index: number;
  readonly args: 'main' | readonly number[];
  readonly graph: Graph;
  readonly order: Order;
  readonly live: Liveness;
}

class ModuleCompiler {
  readonly #program: VmProgram;
  readonly #options: LoadOptions;
  readonly #runtime: VmRuntime;
  readonly #callbackSlots: readonly number[];
  readonly #wantPlaces: boolean;
  readonly #writer: ModuleWriter = new ModuleWriter();
  readonly #calls: CallGraph;
  readonly #inlines: (caller: number, callee: number) => boolean;
  readonly #imports: { readonly helper: VmHelper; readonly insn: number; readonly callee: Callee }[] = [];
  #dynamic: Callee | undefined;
  #loopFunction: Callee | undefined;
  readonly #functions: Map<number, PlannedFunction> = new Map();
  /** Functions of maps: lookups and updates. */
  readonly #lookups: Map<string, Callee> = new Map();
  readonly #context: ModuleContext;

  constructor(
    program: VmProgram,
    options: LoadOptions,
    runtime: VmRuntime,
    callbackSlots: readonly number[],
    wantPlaces: boolean,
  ) {
    this.#program = program;
    this.#options = options;
    this.#runtime = runtime;
    this.#callbackSlots = callbackSlots;
    this.#wantPlaces = wantPlaces;
    this.#calls = callGraph(program);
    this.#inlines = this.#countsFrames ? (): boolean => false : inlineDecider(program, this.#calls);
    this.#context = this.#makeContext();
  }

  get #countsFrames(): boolean {
    return this.#calls.depth > MAX_CALL_FRAMES;
  }

  compile(): CompiledModule {
    const writer = this.#writer;
    this.#importHelpers();
    writer.importMemory('vm', 'memory');
    const taken = this.#program.subprograms.flatMap(({ addressTaken }, index) => (addressTaken ? [index] : []));
    this.#plan(0, true);
    for (const index of taken) this.#plan(index, false);
    const nests = this.#imports.length > 0 || this.#dynamic !== undefined || this.#program.fixups.calls.size > 0;
    const recorded: Recorded[] = [];
    for (const fn of this.#functions.values()) {
      const input = { ...fn, module: this.#context, nests: nests && this.#nests(fn) };
      this.#translate(fn, input, prepare(input), recorded);
    }
    this.#exportEntries(taken);
    // Each import of the table makes every later change of a slot slower.
    if (writer.callsTable) writer.importTable('vm', 'table');
    const { bytes, places } = writer.finish();
    const table = this.#wantPlaces ? placeTable(recorded, places) : undefined;
    return {
      bytes,
      imports: this.#imports.map(({ insn }) => insn),
      usesDynamicHelper: this.#dynamic !== undefined,
      callbacks: taken,
      places: table,
    };
  }

  /** The function, and those that go on from its loops where nothing says that these are short. */
  #translate(fn: PlannedFunction, input: FunctionInput, prepared: Prepared, recorded: Recorded[]): void {
    const { graph, order } = fn;
    if (!this.#runsLong(graph)) return this.#write(fn.index, input, prepared, new Map(), recorded);
    const loops = loopsOf(order);
    const headers = longLoops(graph, order, loops);
    const leaves = new Map(headers.map((header) => [header, this.#declareResume(header, prepared)]));
    this.#write(fn.index, input, prepared, leaves, recorded);
    for (const [header, { index, variables }] of leaves) {
      const { graph: rest, copies } = resumeGraph(graph, order, loops, header);
      const restOrder = orderOf(rest);
      const live = livenessOf(rest, restOrder, this.#program.insns, (at, insn) => this.#callUses(at, insn, fn.subprogram));
      const resumes = { of: prepared, header };
      const restInput: FunctionInput = { ...input, graph: rest, order: restOrder, live, args: variables, resumes };
      const places = new Map<number, Resume>();
      for (const [block, resume] of leaves) {
        places.set(block + 1, resume);
        if (copies.has(block)) places.set(copies.get(block)!, resume);
      }
      this.#write(index, restInput, prepare(restInput), places, recorded);
    }
  }

  #write(
    index: number,
    input: FunctionInput,
    prepared: Prepared,
    leaves: ReadonlyMap<number, Resume>,
    recorded: Recorded[],
  ): void {
    const places: [number, number][] = [];
    recorded.push({ index, places });
    const record = this.#wantPlaces ? (offset: number, insn: number): void => void places.push([offset, insn]) : undefined;
    const body = translate(input, prepared, leaves, record);
    this.#writer.define(index, body.locals, body.code);
  }

  #declareResume(header: number, { isLiveIn, variables }: Prepared): Resume {
    const live: number[] = [];
    for (let variable = 0; variable < variables; variable++) if (isLiveIn(header, variable)) live.push(variable);
    const type = this.#writer.type([I32, ...live.map((): ValueType => I64)], [I64]);
    return { index: this.#writer.declare(type), variables: live };
  }

  /**
   * A verified program without may_goto ends within a million instructions, which is too short for other code to be worth it. Only
   * loops over open-coded iterators go on; what they do each round is a call, whose cost no compiler changes.
   */
  #runsLong({ blocks }: Graph): boolean {
    return this.#context.fuel || blocks.some(({ term }) => term.kind === 'may_goto');
  }

  /** Only what calls out of the module, or into functions that may, keeps the stack pointer. */
  #nests({ graph }: PlannedFunction): boolean {
    const { insns, fixups } = this.#program;
    return graph.blocks.some(({ start, end }) => {
      for (let index = start; index < end; index++) {
        const opcode = opcodeOf(insns[index]!);
        if (opcode?.kind === 'ld_packet') return true;
        if (opcode?.kind !== 'call') continue;
        const intrinsic = fixups.calls.get(index)?.helper.intrinsic;
        if (intrinsic !== 'smp_processor_id' && !(intrinsic === 'map_lookup' && fixups.calls.get(index)!.map)) return true;
      }
      return false;
    });
  }

  /** One import for each helper that some instruction calls: of its function in JavaScript, or of the one in its slot. */
  #importHelpers(): void {
    const { fixups, insns } = this.#program;
    const seen = new Set<VmHelper>();
    const add = (helper: VmHelper, insn: number): void => {
      if (
        seen.has(helper) ||
        (helper.intrinsic !== undefined && helper.intrinsic !== 'map_lookup' && helper.intrinsic !== 'map_update')
      )
        return;
      seen.add(helper);
      const params = helper.args.flatMap((type): ValueType[] => {
        if (type === 'u32') return [I32];
        return helper.slot === undefined ? [I32, I32] : [I64];
      });
      const wide = helper.slot !== undefined && helper.returns === 'u64';
      const returns = helper.returns === 'void' ? 'void' : wide ? 'i64' : 'i32';
      const type = this.#writer.type(params, returns === 'void' ? [] : [wide ? I64 : I32]);
      const index = this.#writer.importFunction('h', `${this.#imports.length}`, type);
      this.#imports.push({
        helper,
        insn,
        callee: { index, returns },
      });
    };
    for (const [insn, { helper }] of fixups.calls) add(helper, insn);
    if (fixups.packetLoad && insns.some((insn) => opcodeOf(insn)?.kind === 'ld_packet')) add(fixups.packetLoad, -1);
    if (insns.some(isDynamicCall)) {
      const type = this.#writer.type(new Array<ValueType>(11).fill(I32), [I32]);
      this.#dynamic = { index: this.#writer.importFunction('h', 'x', type), returns: 'i32' };
    }
  }

  /** Numbers a subprogram's function and builds its graph; then the functions that it calls. */
  #plan(subprogram: number, main: boolean): PlannedFunction {
    const known = this.#functions.get(subprogram);
    if (known) return known;
    const { insns } = this.#program;
    const graph = buildGraph(this.#program, subprogram, {
      inlines: this.#inlines,
      depthOf: (index) => this.#frameDepth(index),
    });
    threadJumps(graph);
    let order = orderOf(graph);
    if (!isReducible(order)) {
      makeReducible(graph);
      order = orderOf(graph);
    } else if (unrollLoops(graph, order, this.#program, !this.#options.fuel)) order = orderOf(graph);
    const live = livenessOf(graph, order, insns, (index, insn) => this.#callUses(index, insn, subprogram));
    const args = main ? 'main' : [1, 2, 3, 4, 5].filter((register) => has(live.in, 0, register));
    const params: ValueType[] = args === 'main' ? [I32] : [I32, ...args.map((): ValueType => I64)];
    const index = this.#writer.declare(this.#writer.type(params, [I64]));
    const planned: PlannedFunction = { subprogram, index, args, graph, order, live };
    this.#functions.set(subprogram, planned);
    return planned;
  }

  #frameDepth(subprogram: number): number {
    if (this.#options.region) return MAX_BPF_STACK;
    const depth = this.#program.subprograms[subprogram]!.stackDepth ?? MAX_BPF_STACK;
    return (depth + 15) & ~15;
  }

  /** Argument registers that a call reads, as a mask. A recursive callee is taken to read all. */
  #callUses(index: number, insn: BpfInsn, caller: number): number {
    const opcode = opcodeOf(insn);
    if (opcode?.kind !== 'call') return 0;
    if (opcode.target === 'register') return 0b11_1110 | (1 << insn.dst_reg);
    if (opcode.target !== 'subprogram') return maskOf(this.#program.fixups.calls.get(index)?.helper.args.length ?? 5);
    const callee = subprogramAt(this.#program, index + 1 + insn.imm);
    if (this.#calls.recursive.has(callee) || callee === caller || callee === 0) return maskOf(5);
    const { args } = this.#plan(callee, false);
    return args === 'main' ? maskOf(5) : args.reduce((mask, register) => mask | (1 << register), 0);
  }

  #exportEntries(callbacks: readonly number[]): void {
    const writer = this.#writer;
    const main = this.#functions.get(0)!.index;
    const tailCalls = hasTailCall(this.#program);
    const entry = tailCalls ? this.#wrapEntry(main) : main;
    writer.export('entry', entry);
    writer.export('tail', main);
    for (const subprogram of callbacks) writer.export(`cb${subprogram}`, this.#wrapCallback(this.#functions.get(subprogram)!));
  }

  /** A run of its own: counts its tail calls from 0 and gives the old count back. */
  #wrapEntry(main: number): number {
    const cell = this.#context.cell('tailCalls');
    const code = new CodeWriter().i32(cell).access(OP.i32_load).set(1).i32(cell).i32(0).access(OP.i32_store);
    code.get(0).call(main).i32(cell).get(1).access(OP.i32_store);
    return this.#define([I32], [I64], [I32], code);
  }

  /** (five u32) -> low half of r0, on top of the BPF stack as it is. */
  #wrapCallback({ index, args }: PlannedFunction): number {
    const code = new CodeWriter();
    if (args === 'main') code.get(0);
    else {
      code.i32(this.#context.cell('stackPointer')).access(OP.i32_load);
      for (const register of args) code.get(register - 1).op(OP.i64_extend_i32_u);
    }
    code.call(index).op(OP.i32_wrap_i64);
    return this.#define([I32, I32, I32, I32, I32], [I32], [], code);
  }

  #define(params: ValueType[], results: ValueType[], locals: ValueType[], code: CodeWriter): number {
    const index = this.#writer.declare(this.#writer.type(params, results));
    this.#writer.define(index, locals, code);
    return index;
  }

  #makeContext(): ModuleContext {
    return {
      program: this.#program,
      region: this.#options.region,
      fuel: this.#options.fuel ?? false,
      countsFrames: this.#countsFrames,
      cell: (name) => this.#runtime.block + CELL[name],
      helper: (helper) => this.#helper(helper),
      dynamicHelper: () => this.#dynamic!,
      loop: () => this.#loop(),
      lookup: (kind, keySize) => this.#lookup(kind, keySize),
      arrayUpdate: (map) => this.#arrayUpdate(map),
      lookupAny: (helper) => this.#lookupAny(helper),
      programType: this.#writer.type([I32], [I64]),
      mapFacts: (map) => this.#mapFacts(map),
      subprogram: (index) => {
        const fn = this.#plan(index, false);
        return { index: fn.index, args: fn.args === 'main' ? [1] : fn.args };
      },
      callbackSlot: (subprogram) => this.#callbackSlots[subprogram] ?? 0,
    };
  }

  #helper(helper: VmHelper): Callee {
    return this.#imports.find((entry) => entry.helper === helper)!.callee;
  }

  #loop(): Callee {
    const callback = this.#writer.type([I32, I32, I32, I32, I32], [I32]);
    this.#loopFunction ??= {
      index: this.#define([...BPF_LOOP_PARAMS], [I32], [...BPF_LOOP_LOCALS], bpfLoop(callback)),
      returns: 'i32',
    };
    return this.#loopFunction;
  }

  #lookup(kind: MapLookupKind, keySize: number): Callee {
    const key = `${kind} ${keySize}`;
    const known = this.#lookups.get(key);
    if (known) return known;
    const { code, locals } = emitLookup(kind, { cpuCell: this.#runtime.block + CELL.cpu, keySize });
    const callee: Callee = { index: this.#define([I32, I32], [I32], [...locals], code), returns: 'i32' };
    this.#lookups.set(key, callee);
    return callee;
  }

  #arrayUpdate(map: KnownMap): Callee {
    const key = `update ${map.address}`;
    const known = this.#lookups.get(key);
    if (known) return known;
    const { data, stride, cpuStride } = this.#mapFacts(map);
    const code = emitArrayUpdate({
      data,
      stride,
      cpuStride,
      cpuCell: this.#runtime.block + CELL.cpu,
      valueSize: map.value_size,
      maxEntries: map.max_entries,
    });
    const callee: Callee = { index: this.#define([I32, I32], [I32], [I32], code), returns: 'i32' };
    this.#lookups.set(key, callee);
    return callee;
  }

  #lookupAny(helper: VmHelper): Callee {
    const known = this.#lookups.get('any');
    if (known) return known;
    const [map, key, slot] = [0, 1, 2];
    const type = this.#writer.type([I32, I32], [I32]);
    const code = new CodeWriter().get(map).access(OP.i32_load, MAP_HEADER.lookup_slot).tee(slot).open(OP.if);
    code.get(map).get(key).get(slot).callIndirect(type).op(OP.return).end().get(map).get(key);
    code.call(this.#helper(helper).index);
    const callee: Callee = { index: this.#define([I32, I32], [I32], [I32], code), returns: 'i32' };
    this.#lookups.set('any', callee);
    return callee;
  }

  #mapFacts(map: KnownMap): MapFacts {
    const words = this.#runtime.arena.u32;
    const field = (offset: number): number => words[(map.address + offset) >> 2] ?? 0;
    const kind = this.#runtime.lookupKinds.get(field(MAP_HEADER.lookup_slot));
    const fields: readonly string[] = kind ? LOOKUP_FIELDS[kind] : [];
    const of = (name: 'data' | 'stride' | 'cpu_stride'): number =>
      fields.includes(name) || name === 'data' ? field(MAP_HEADER[name]) : 0;
    return { kind, data: of('data'), stride: of('stride'), cpuStride: of('cpu_stride') };
  }
}

function isDynamicCall(insn: BpfInsn): boolean {
  const opcode = opcodeOf(insn);
  return opcode?.kind === 'call' && opcode.target === 'register';
}

const maskOf = (args: number): number => ((1 << args) - 1) << 1;

function placeTable(recorded: readonly Recorded[], starts: readonly { index: number; start: number }[]): PlaceTable {
  const start = new Map(starts.map((place) => [place.index, place.start]));
  const all = recorded.flatMap(({ index, places }) =>
    places.map(([offset, insn]): [number, number] => [offset + start.get(index)!, insn]),
  );
  all.sort((a, b) => a[0] - b[0]);
  return { offsets: all.map(([offset]) => offset), insns: all.map(([, insn]) => insn) };
}
