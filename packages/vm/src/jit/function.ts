/** Translates one subprogram into the body of one WebAssembly function. */

import { BPF_MAX_LOOPS, MAX_BPF_STACK, MAX_CALL_FRAMES, TRAP_REASON } from '../cells.ts';
import { CodeWriter } from '../wasm/code.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import { analyse, promotedSlots } from './analysis.ts';
import type { Facts } from './analysis.ts';
import { BlockBuilder } from './block.ts';
import type { FunctionContext, ModuleContext } from './context.ts';
import { Emitter } from './emit.ts';
import type { PlaceRecorder } from './emit.ts';
import type { Graph } from './graph.ts';
import { isLive } from './liveness.ts';
import type { Liveness } from './liveness.ts';
import type { Order } from './order.ts';
import { writeStructure } from './structure.ts';

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
  /** Something that it calls may start another run, so the stack pointer must be right. */
  readonly nests: boolean;
}

/** Throws VmError where an instruction can't be translated. */
export function translate(input: FunctionInput, record?: PlaceRecorder): FunctionBody {
  const { graph, order, live } = input;
  const { context, facts } = prepare(input);
  const code = new CodeWriter(1024);
  const locals = new FunctionFrame(input, context);
  const restore = (): void => {
    if (input.nests) code.i32(input.module.cell('stackPointer')).get(locals.frame).i32(graph.frameSize).op(OP.i32_add).access(OP.i32_store);
  };
  const emitter = new Emitter(code, context, locals, restore, record);
  locals.enter(code);
  writeStructure(graph, order, code, {
    negate: () => code.op(OP.i32_eqz),
    block(id) {
      const builder = new BlockBuilder(context, graph.blocks[id]!, facts[id]!);
      const block = builder.build();
      const { term } = graph.blocks[id]!;
      if (term.kind === 'return') {
        emitter.returning(block, builder.variable(0));
        restore();
        code.op(OP.return);
      } else {
        emitter.block(block, (variable) => variable >= context.registerVars || isLive(live.out[id]!, variable));
        if (term.kind === 'unreachable') {
          code.i32(input.module.cell('trapReason')).i32(TRAP_REASON.unreachable).access(OP.i32_store).op(OP.unreachable);
        }
      }
    },
  });
  return { code, locals: locals.types };
}

/** Runs the analysis, and decides about stack slots with its result. */
function prepare({ module, graph, order, live, args }: FunctionInput): { context: FunctionContext; facts: readonly Facts[] } {
  const registerVars = graph.vars;
  const first: FunctionContext = { module, graph, slots: new Map(), stackEscapes: true, registerVars, mayGoto: registerVars };
  const entry: Facts = [];
  if (args === 'main') entry[1] = { kind: 'value', bits: 32, nonzero: false };
  const analysis = analyse(first, order, live, entry);
  const { slots, escapes } = promotedSlots(graph, order, analysis, registerVars + 1);
  const context: FunctionContext = { ...first, slots, stackEscapes: escapes };
  for (const facts of analysis.facts) {
    for (const { variable, size } of slots.values()) facts[variable] = { kind: 'value', bits: size * 8, nonzero: false };
  }
  return { context, facts: analysis.facts };
}

/** The function's locals, and its first instructions. */
class FunctionFrame {
  readonly types: ValueType[] = [];
  readonly frame: number;
  readonly #input: FunctionInput;
  readonly #context: FunctionContext;
  readonly #params: number;
  readonly #variables: Map<number, number> = new Map();

  constructor(input: FunctionInput, context: FunctionContext) {
    this.#input = input;
    this.#context = context;
    const { args } = input;
    this.#params = args === 'main' ? 1 : 1 + args.length;
    if (args !== 'main') args.forEach((register, index) => this.#variables.set(register, index + 1));
    this.frame = this.add(I32);
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
    const { module, graph, args, nests } = this.#input;
    const main = args === 'main';
    const usesFrame = graph.frameSize > 0 || nests;
    if (main && usesFrame) code.i32(module.cell('stackPointer')).access(OP.i32_load).i32(graph.frameSize).op(OP.i32_sub).set(this.frame);
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
    code.i32(module.cell('frameBase')).access(OP.i32_load).get(this.frame).op(OP.i32_sub).i32(MAX_CALL_FRAMES * MAX_BPF_STACK).op(OP.i32_gt_s);
    code.open(OP.if).i32(module.cell('trapReason')).i32(TRAP_REASON['call-depth']).access(OP.i32_store).op(OP.unreachable).end();
  }

  #hasMayGoto(): boolean {
    return this.#input.graph.blocks.some(({ term }) => term.kind === 'may_goto');
  }
}

