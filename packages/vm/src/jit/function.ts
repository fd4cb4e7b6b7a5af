/** Translates one subprogram into the body of one WebAssembly function. */

import { BPF_MAX_LOOPS, MAX_BPF_STACK, MAX_CALL_FRAMES, TRAP_REASON } from '../cells.ts';
import { CodeWriter } from '../wasm/code.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import { analyse, promotedSlots, slotLiveness } from './analysis.ts';
import type { Facts } from './analysis.ts';
import { BlockBuilder } from './block.ts';
import type { BlockCode, Fact, FunctionContext, ModuleContext, Slot, State } from './context.ts';
import { Emitter } from './emit.ts';
import type { Paths, PlaceRecorder } from './emit.ts';
import type { Graph } from './graph.ts';
import { has } from './liveness.ts';
import type { Liveness } from './liveness.ts';
import { MOST_ROUNDS } from './long-loops.ts';
import type { Resume } from './long-loops.ts';
import { NODE } from './node.ts';
import type { Node } from './node.ts';
import { intervalsOf } from './order.ts';
import type { Order } from './order.ts';
import { writeStructure } from './structure.ts';
import type { StructureWriter } from './structure.ts';

export interface FunctionBody {
  readonly code: CodeWriter;
  /** Types of the locals after the parameters. */
  readonly locals: readonly ValueType[];
}

export interface FunctionInput {
  readonly module: ModuleContext;
  readonly graph: Graph;
  readonly order: Order;
  readonly live: Liveness;
  /**
   * `main`: (ctx: i32) -> i64, its frame on top of the BPF stack. Otherwise (frame pointer: i32, arguments: i64…) -> i64 with the
   * argument registers given.
   */
  readonly args: 'main' | readonly number[];
  /**
   * Set where it goes on from a loop's header of another function, as that one's translation knew it there: (frame: i32,
   * variables: i64…) -> i64, `args` being the variables.
   */
  readonly resumes?: { readonly of: Prepared; readonly header: number };
  /** Something that it calls may start another run, so the stack pointer must be right. */
  readonly nests: boolean;
}

/** Writes a function that has been prepared. `leaves`: headers of loops that it leaves when they run long. */
export function translate(
  input: FunctionInput,
  prepared: Prepared,
  leaves: ReadonlyMap<number, Resume>,
  record?: PlaceRecorder,
): FunctionBody {
  const { graph, order } = input;
  const code = new CodeWriter(512 + 512 * graph.blocks.length);
  const locals = new FunctionFrame(input, prepared.context, leaves.size > 0);
  const restore = (): void => {
    if (input.nests)
      code.i32(input.module.cell('stackPointer')).get(locals.frame).i32(graph.frameSize).op(OP.i32_add).access(OP.i32_store);
  };
  const emitter = new Emitter(code, prepared.context, locals, pathsOf(graph, order), restore, record);
  locals.enter(code);
  writeStructure(graph, order, code, new BodyWriter(input, prepared, emitter, restore, locals, leaves));
  return { code, locals: locals.types };
}

/** Writes blocks and jumps where the structure says. */
class BodyWriter implements StructureWriter {
  readonly #input: FunctionInput;
  readonly #prepared: Prepared;
  readonly #emitter: Emitter;
  readonly #restore: () => void;
  readonly #paths: Paths;
  readonly #locals: FunctionFrame;
  readonly #leaves: ReadonlyMap<number, Resume>;
  readonly #states: State[] = [];

  constructor(
    input: FunctionInput,
    prepared: Prepared,
    emitter: Emitter,
    restore: () => void,
    locals: FunctionFrame,
    leaves: ReadonlyMap<number, Resume>,
  ) {
    this.#input = input;
    this.#prepared = prepared;
    this.#emitter = emitter;
    this.#restore = restore;
    this.#paths = emitter.paths;
    this.#locals = locals;
    this.#leaves = leaves;
  }

  block(id: number): void {
    const { graph, module } = this.#input;
    const { context, facts } = this.#prepared;
    const { code } = this.#emitter;
    const block = graph.blocks[id]!;
    const parent = this.#paths.parent[id]!;
    const resume = this.#leaves.get(id);
    // Only where paths meet are all values in their locals. An outer loop that is entered in its middle may have its header elsewhere.
    if (resume && parent < 0) this.#leave(resume);
    const root = this.#paths.root[id]!;
    const builder = new BlockBuilder(context, block, facts[root]!, parent < 0 ? undefined : this.#states[parent]);
    const state = builder.build();
    // Its effects are not needed any more once they are written; the values are, on the way to other blocks.
    this.#states[id] = { values: state.values, entry: state.entry, stored: state.stored };
    const last = block.term.kind === 'return' ? builder.variable(0) : state.condition;
    this.#emitter.block(id, state.effects, last, this.#liveNodes(id, state));
    if (block.term.kind === 'return') {
      this.#restore();
      code.op(OP.return);
    } else if (block.term.kind === 'unreachable') {
      code.i32(module.cell('trapReason')).i32(TRAP_REASON.unreachable).access(OP.i32_store).op(OP.unreachable);
    }
  }

  /** Counts a round of a loop, and goes on elsewhere when there have been many. */
  #leave({ index, variables }: Resume): void {
    const { code } = this.#emitter;
    const { rounds, frame } = this.#locals;
    code.get(rounds).i32(1).op(OP.i32_sub).tee(rounds).op(OP.i32_eqz).open(OP.if).get(frame);
    for (const variable of variables) code.get(this.#locals.variable(variable));
    code.returnCall(index).end();
  }

  negate(): void {
    this.#emitter.code.op(OP.i32_eqz);
  }

  hasMoves(from: number, to: number): boolean {
    return this.#paths.parent[to] !== from && this.#movesOf(from, to).length > 0;
  }

  moves(from: number, to: number): void {
    if (this.#paths.parent[to] === from) return;
    const moves = this.#movesOf(from, to);
    if (moves.length > 0) this.#emitter.moves(from, moves);
  }

  #movesOf(from: number, to: number): [number, Node][] {
    const { values } = this.#states[from]!;
    const moves: [number, Node][] = [];
    for (let variable = 0; variable < values.length; variable++) {
      const node = values[variable];
      if (node && !(node.op === NODE.variable && node.k === variable) && this.#prepared.isLiveIn(to, variable))
        moves.push([variable, node]);
    }
    return moves;
  }

  /** What must not be computed twice: values that a successor needs, and what loads from the stack may be answered with. */
  #liveNodes(id: number, { values, stored }: BlockCode): Node[] {
    const live: Node[] = [];
    const note = (node: Node): void => {
      if (node.liveAt === id) return;
      node.liveAt = id;
      live.push(node);
    };
    for (const next of this.#input.order.succs[id]!) {
      for (let variable = 0; variable < values.length; variable++) {
        const node = values[variable];
        if (node && node.op !== NODE.const && node.op !== NODE.variable && this.#prepared.isLiveIn(next, variable)) note(node);
      }
      if (this.#paths.parent[next] === id) for (const { value } of stored.values()) note(value);
    }
    return live;
  }
}

/** Blocks with one predecessor go on with its state, as one path with it. */
function pathsOf(graph: Graph, order: Order): Paths {
  const count = graph.blocks.length;
  const parent = new Int32Array(count).fill(-1);
  const root = new Int32Array(count);
  for (let block = 0; block < count; block++) root[block] = block;
  for (const block of order.rpo) {
    const [pred, more] = order.preds[block]!;
    if (pred === undefined || more !== undefined || order.place[pred]! >= order.place[block]!) continue;
    parent[block] = pred;
    root[block] = root[pred]!;
  }
  return { parent, root, ...intervalsOf(order, parent) };
}

/** What the analysis found. */
export interface Prepared {
  readonly context: FunctionContext;
  readonly facts: readonly Facts[];
  readonly isLiveIn: (block: number, variable: number) => boolean;
  /** Variables there are, those of stack slots included. */
  readonly variables: number;
}

/** Runs the analysis, and decides about stack slots with its result. Throws VmError where an instruction can't be translated. */
export function prepare({ module, graph, order, live, args, resumes }: FunctionInput): Prepared {
  const registerVars = graph.vars;
  const first: FunctionContext = {
    module,
    graph,
    slots: new Map(),
    slotFacts: [],
    stackEscapes: true,
    registerVars,
    mayGoto: registerVars,
  };
  const entry: Facts = resumes ? resumes.of.facts[resumes.header]!.slice() : [];
  if (args === 'main') entry[1] = { kind: 'value', bits: 32, nonzero: false };
  const analysis = analyse(first, order, live, entry);
  const { slots, escapes } = resumes ? slotsOf(resumes.of) : promotedSlots(graph, order, analysis, registerVars + 1);
  const slotFacts: (Fact | undefined)[] = [];
  for (const { variable, size } of slots.values()) slotFacts[variable] = { kind: 'value', bits: size * 8, nonzero: false };
  const context: FunctionContext = { ...first, slots, slotFacts, stackEscapes: escapes };
  const slotLive = slotLiveness(graph, order, analysis, slots);
  const isLiveIn = (block: number, variable: number): boolean => {
    if (variable < registerVars) return has(live.in, block, variable);
    return variable === registerVars || has(slotLive, block, variable - registerVars - 1);
  };
  return { context, facts: analysis.facts, isLiveIn, variables: registerVars + 1 + slots.size };
}

function slotsOf({ context }: Prepared): { slots: ReadonlyMap<number, Slot>; escapes: boolean } {
  return { slots: context.slots, escapes: context.stackEscapes };
}

/** The function's locals, and its first instructions. */
class FunctionFrame {
  readonly types: ValueType[] = [];
  readonly frame: number;
  /** Rounds left of the loops that it leaves. */
  readonly rounds: number;
  readonly #input: FunctionInput;
  readonly #context: FunctionContext;
  readonly #params: number;
  readonly #variables: Map<number, number> = new Map();

  constructor(input: FunctionInput, context: FunctionContext, leaves: boolean) {
    this.#input = input;
    this.#context = context;
    const { args } = input;
    this.#params = args === 'main' ? 1 : 1 + args.length;
    if (args !== 'main') args.forEach((register, index) => this.#variables.set(register, index + 1));
    this.frame = this.add(I32);
    this.rounds = leaves ? this.add(I32) : -1;
  }

  add(type: ValueType): number {
    this.types.push(type);
    return this.#params + this.types.length - 1;
  }

  variable = (variable: number): number => {
    const known = this.#variables.get(variable);
    if (known !== undefined) return known;
    const local = this.add(I64);
    this.#variables.set(variable, local);
    return local;
  };

  enter(code: CodeWriter): void {
    const { module, graph, args, nests, resumes } = this.#input;
    if (this.rounds >= 0) code.i32(MOST_ROUNDS).set(this.rounds);
    if (resumes) return void code.get(0).set(this.frame);
    const main = args === 'main';
    const usesFrame = graph.frameSize > 0 || nests;
    if (main && usesFrame)
      code.i32(module.cell('stackPointer')).access(OP.i32_load).i32(graph.frameSize).op(OP.i32_sub).set(this.frame);
    if (main) code.get(0).op(OP.i64_extend_i32_u).set(this.variable(1));
    else code.get(0).i32(graph.frameSize).op(OP.i32_sub).set(this.frame);
    if (module.countsFrames) this.#countFrames(code, main);
    if (nests) code.i32(module.cell('stackPointer')).get(this.frame).access(OP.i32_store);
    if (this.#hasMayGoto()) code.i64(BigInt(BPF_MAX_LOOPS)).set(this.variable(this.#context.mayGoto));
  }

  #countFrames(code: CodeWriter, main: boolean): void {
    const { module, graph } = this.#input;
    if (main) {
      code.i32(module.cell('frameBase')).get(this.frame).i32(graph.frameSize).op(OP.i32_add).access(OP.i32_store);
      return;
    }
    code
      .i32(module.cell('frameBase'))
      .access(OP.i32_load)
      .get(this.frame)
      .op(OP.i32_sub)
      .i32(MAX_CALL_FRAMES * MAX_BPF_STACK)
      .op(OP.i32_gt_s);
    code
      .open(OP.if)
      .i32(module.cell('trapReason'))
      .i32(TRAP_REASON['call-depth'])
      .access(OP.i32_store)
      .op(OP.unreachable)
      .end();
  }

  #hasMayGoto(): boolean {
    return this.#input.graph.blocks.some(({ term }) => term.kind === 'may_goto');
  }
}
