/** What the runtime asks of an engine. */

import type { VmTrapPlace } from './errors.ts';
import type { VmProgram } from './program.ts';
import type { VmRuntime } from './runtime.ts';

/** Addresses [start, end) that a program may touch. */
export interface Region {
  readonly start: number;
  readonly end: number;
}

export interface LoadOptions {
  /** Name of an engine of the runtime; its first, `tiered`, by default. */
  readonly engine?: string;
  /** Counts instructions against `runtime.fuel`, for programs whose end nobody has proved. */
  readonly fuel?: boolean;
  /** Checks every access against these addresses (an address is all 64 bits of the register), for programs that nobody has verified. */
  readonly region?: Region;
}

/** One way to run programs. Stateless: what it makes of a program can be bound to many runtimes. */
export interface Engine {
  readonly name: string;
  /** Translates. Throws VmError where the engine can't run the program. */
  prepare(program: VmProgram, options: LoadOptions, runtime: VmRuntime, slots: ProgramSlots): PreparedProgram;
}

/** A translation, holding nothing of a runtime but its constants (addresses and slots, which a fork shares). */
export interface PreparedProgram {
  /**
   * Ties it to a runtime: the one it was prepared for, or a fork of it. `program` has that runtime's helpers. `replace` puts other
   * functions into the program's slots, later, between two runs.
   */
  bind(runtime: VmRuntime, program: VmProgram, slots: ProgramSlots, replace: (bound: BoundProgram) => void): BoundProgram;
  /** The program is unloaded from that runtime: gives back what `prepare` took of its arena, which a fork has a copy of. */
  release?(runtime: VmRuntime): void;
}

/** Where a program's functions go in the function table. */
export interface ProgramSlots {
  /** The program's two slots: `slot` and `slot + 1`; see FunctionTable. */
  readonly slot: number;
  /** By subprogram: the slot of its callback function, 0 where its address is not taken. */
  readonly callbacks: readonly number[];
}

export interface BoundProgram {
  /** Name of the engine whose functions these are. */
  readonly engine: string;
  /**
   * For engines in JavaScript; the others are run through the gate and their slots. Low half of r0 as int32; the high half in
   * `runtime.r0High`. A run of its own: tail calls counted from 0, restored after.
   */
  readonly run?: (ctx: number) => number;
  /** `count` (≥ 1) runs in a row; the last one's result. */
  readonly repeat?: (ctx: number, count: number) => number;
  /** As `run`, but tail calls count on. Used where an engine in JavaScript makes a tail call. */
  readonly continue?: (ctx: number) => number;
  /** For the two slots: WebAssembly functions of type (i32) -> i64. `entry` as run, `tailEntry` as continue. */
  readonly entry: Function;
  readonly tailEntry: Function;
  /** By subprogram whose address is taken: a WebAssembly function of type (i32, i32, i32, i32, i32) -> i32. */
  readonly callbacks: readonly (Function | null)[];
  /** The place of a trap that `run` threw as WebAssembly.RuntimeError or RangeError, where the JavaScript engine tells. */
  readonly placeOf?: (error: Error) => VmTrapPlace;
  /** Of the first tier: the instruction of a record, where it is one of this program's. */
  readonly insnAt?: (record: number) => number | undefined;
}
