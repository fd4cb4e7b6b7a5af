/** A program tied to a runtime, as the interpreter runs it. */

import { CELL } from '../cells.ts';
import type { BoundProgram, LoadOptions, ProgramSlots, Region } from '../engine.ts';
import type { VmProgram } from '../program.ts';
import type { VmRuntime } from '../runtime.ts';
import { CallSite } from './call-site.ts';
import { Machine } from './machine.ts';
import { instantiateStubs } from './stubs.ts';

/** Says whether a program may access `size` bytes at `address`. Stack frames in use are never asked about. */
export type Guard = (address: number, size: number, write: boolean, program: VmProgram) => boolean;

/** Watches runs: every access, those of the stack too, and where each run begins. */
export interface Watch {
  /** Whether `size` bytes at `address` may be accessed; `frame` is the frame pointer (r10) of the function that does. */
  access(address: number, size: number, write: boolean, frame: number, program: VmProgram): boolean;
  /** A run begins, of a program or of a function that a helper calls back, with up to five arguments. */
  begins(program: VmProgram, subprogram: number, args: readonly number[]): void;
}

export class InterpretedProgram implements BoundProgram {
  readonly engine: string;
  readonly runtime: VmRuntime;
  readonly program: VmProgram;
  readonly code: Int32Array;
  /** By instruction. */
  readonly calls: (CallSite | undefined)[] = [];
  readonly fuel: boolean;
  readonly region: Region | undefined;
  readonly guard: Guard | undefined;
  readonly watch: Watch | undefined;
  readonly guarded: boolean;
  readonly entry: Function;
  readonly tailEntry: Function;
  readonly callbacks: readonly (Function | null)[];
  /** Machines that no run uses now; more than one where runs nest. */
  readonly #idle: Machine[] = [];

  constructor(
    runtime: VmRuntime,
    program: VmProgram,
    code: Int32Array,
    options: LoadOptions,
    slots: ProgramSlots,
    stubs: WebAssembly.Module,
    guard: Guard | Watch | undefined,
  ) {
    this.runtime = runtime;
    this.program = program;
    this.code = code;
    this.fuel = options.fuel ?? false;
    this.region = options.region;
    this.guard = typeof guard === 'function' ? guard : undefined;
    this.watch = typeof guard === 'object' ? guard : undefined;
    this.engine = guard ? 'paranoid' : 'interpreter';
    this.guarded = this.region !== undefined || guard !== undefined;
    for (const [insn, target] of program.fixups.calls) this.calls[insn] = new CallSite(target);
    const exports = instantiateStubs(stubs, runtime, this);
    this.entry = exports['entry'] as Function;
    this.tailEntry = exports['tail'] as Function;
    this.callbacks = slots.callbacks.map((slot, index) => (slot === 0 ? null : (exports[`cb${index}`] as Function)));
  }

  /** A machine at the first instruction, for a run of its own. Give it back to `idle`. */
  machine(subprogram: number, a: number, b = 0, c = 0, d = 0, e = 0): Machine {
    const machine = this.#idle.pop() ?? new Machine(this);
    machine.start(this, subprogram, a, b, c, d, e);
    return machine;
  }

  /** The machine is not used any more. */
  idle(machine: Machine): void {
    this.#idle.push(machine);
  }

  readonly run = (ctx: number): number => {
    const { arena, block } = this.runtime;
    const index = (block + CELL.tailCalls) >> 2;
    const tailCalls = arena.i32[index]!;
    arena.i32[index] = 0;
    const result = this.continue(ctx);
    arena.i32[index] = tailCalls;
    return result;
  };

  readonly continue = (ctx: number): number => this.#go(0, ctx);

  readonly callback = (subprogram: number, a: number, b: number, c: number, d: number, e: number): number =>
    this.#go(subprogram, a, b, c, d, e);

  readonly repeat = (ctx: number, count: number): number => {
    let result = 0;
    for (let left = count; left > 0; left--) result = this.run(ctx);
    return result;
  };

  #go(subprogram: number, a: number, b = 0, c = 0, d = 0, e = 0): number {
    const machine = this.machine(subprogram, a, b, c, d, e);
    const { arena, block } = this.runtime;
    const stackPointer = arena.i32[(block + CELL.stackPointer) >> 2]!;
    try {
      return machine.finish();
    } finally {
      arena.i32[(block + CELL.stackPointer) >> 2] = stackPointer;
      this.#idle.push(machine);
    }
  }
}
