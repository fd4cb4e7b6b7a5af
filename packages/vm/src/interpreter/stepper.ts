/** A run that can be stopped: for debuggers, traces and line counts. */

import { CELL, MAX_BPF_STACK } from '../cells.ts';
import type { LoadedProgram, VmRuntime } from '../runtime.ts';
import { execute } from './loop.gen.ts';
import type { Machine } from './machine.ts';
import { InterpretedProgram } from './program.ts';

/** Where a run stands: before instruction `insn` of `program`. */
export interface StepPlace {
  readonly program: string;
  readonly insn: number;
  readonly line: string | undefined;
  /** Calls below this one; 0 in the program's own function. */
  readonly depth: number;
}

export interface StackFrame {
  readonly program: string;
  /** The next instruction of this frame: for callers, where they go on. */
  readonly insn: number;
  /** Value of r10 in this frame. */
  readonly framePointer: number;
  /** A copy of the frame's 512 bytes, from the lowest address; r10 points behind them. */
  readonly bytes: Uint8Array;
}

export type StopReason = 'step' | 'breakpoint' | 'exit';

/**
 * One run of a program that was loaded with an engine of the interpreter. Nothing runs until `step` or `run` is called; end it with
 * `close` unless it came to its exit. A trap is thrown, as by LoadedProgram.run, and ends it too.
 */
export class Stepper {
  /** Instructions of the program before which `run` stops. */
  readonly breakpoints: Set<number> = new Set();
  /** How often each instruction of the program has run, while this stepper ran it. */
  readonly counts: Uint32Array;
  /** Called before each instruction; the run goes on when it returns. */
  onInsn: ((place: StepPlace) => void) | undefined;
  readonly #runtime: VmRuntime;
  readonly #bound: InterpretedProgram;
  readonly #stackPointer: number;
  readonly #tailCalls: number;
  #machine: Machine | undefined;
  #result: bigint | undefined;

  constructor(runtime: VmRuntime, loaded: LoadedProgram, ctx: number) {
    const bound = runtime.boundAt(loaded.slot);
    if (!(bound instanceof InterpretedProgram))
      throw new TypeError(`${loaded.program.name} runs on the engine ${loaded.engine}, which can't step`);
    this.#runtime = runtime;
    this.#bound = bound;
    this.#stackPointer = this.#word('stackPointer');
    this.#tailCalls = this.#word('tailCalls');
    this.#setWord('tailCalls', 0);
    this.counts = new Uint32Array(loaded.program.insns.length);
    this.#machine = bound.machine(0, ctx);
  }

  /** r0 after the exit, unsigned; undefined until then. */
  get result(): bigint | undefined {
    return this.#result;
  }

  /** Where the run stands; undefined after its end. */
  get place(): StepPlace | undefined {
    const machine = this.#machine;
    if (!machine) return undefined;
    const { name, lineOf } = machine.program.program;
    const insn = machine.at >> 2;
    return { program: name, insn, line: lineOf?.(insn), depth: machine.depth };
  }

  /** r0 to r10, unsigned. */
  registers(): bigint[] {
    const regs = this.#live().regs;
    return Array.from({ length: 11 }, (_, r) => (BigInt(regs[2 * r + 1]! >>> 0) << 32n) | BigInt(regs[2 * r]! >>> 0));
  }

  setRegister(register: number, value: bigint): void {
    if (!(register >= 0 && register < 10)) throw new RangeError(`register ${register} can't be written`);
    const { regs } = this.#live();
    regs[2 * register] = Number(BigInt.asIntN(32, value));
    regs[2 * register + 1] = Number(BigInt.asIntN(32, value >> 32n));
  }

  /** The frames of the run, innermost first. */
  stack(): StackFrame[] {
    const { u8 } = this.#runtime.arena;
    return this.#live()
      .frames()
      .map(({ program, insn, fp }) => ({
        program: program.program.name,
        insn,
        framePointer: fp,
        bytes: u8.slice(fp - MAX_BPF_STACK, fp),
      }));
  }

  /** One instruction; a helper call is one. */
  step(): StopReason {
    const machine = this.#live();
    if (machine.program === this.#bound) this.counts[machine.at >> 2]!++;
    this.onInsn?.(this.place!);
    try {
      execute(machine, 1);
    } catch (error) {
      this.close();
      throw error;
    }
    if (!machine.done) return 'step';
    this.#result = (BigInt(machine.regs[1]! >>> 0) << 32n) | BigInt(machine.regs[0]! >>> 0);
    this.close();
    return 'exit';
  }

  /** Over the calls that the next instruction makes, to the instruction after it. */
  stepOver(): StopReason {
    const depth = this.#live().depth;
    for (;;) {
      const reason = this.step();
      if (reason === 'exit' || this.#machine!.depth <= depth) return reason;
      if (this.#atBreakpoint()) return 'breakpoint';
    }
  }

  /** To the next breakpoint or the exit. */
  run(): 'breakpoint' | 'exit' {
    for (;;) {
      if (this.step() === 'exit') return 'exit';
      if (this.#atBreakpoint()) return 'breakpoint';
    }
  }

  /** How often each source line has run, by the text of the line. An instruction counts for its line; a line counts as its most frequent one. */
  lineCounts(): Map<string, number> {
    const lines = new Map<string, number>();
    const { lineOf } = this.#bound.program;
    this.counts.forEach((count, insn) => {
      const line = lineOf?.(insn);
      if (line !== undefined) lines.set(line, Math.max(lines.get(line) ?? 0, count));
    });
    return lines;
  }

  /** Ends the run where it stands. */
  close(): void {
    if (!this.#machine) return;
    this.#bound.idle(this.#machine);
    this.#machine = undefined;
    this.#setWord('stackPointer', this.#stackPointer);
    this.#setWord('tailCalls', this.#tailCalls);
  }

  #atBreakpoint(): boolean {
    const machine = this.#machine!;
    return machine.program === this.#bound && this.breakpoints.has(machine.at >> 2);
  }

  #live(): Machine {
    if (!this.#machine) throw new Error('the run is over');
    return this.#machine;
  }

  #word(name: 'stackPointer' | 'tailCalls'): number {
    return this.#runtime.arena.i32[(this.#runtime.block + CELL[name]) >> 2]!;
  }

  #setWord(name: 'stackPointer' | 'tailCalls', value: number): void {
    this.#runtime.arena.i32[(this.#runtime.block + CELL[name]) >> 2] = value;
  }
}
