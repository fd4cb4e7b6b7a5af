/** What all programs of one kernel share while they run, and how one is loaded. */

import { Arena } from './arena.ts';
import { CELL, CELL_BLOCK_SIZE, TRAP_REASON } from './cells.ts';
import type { BoundProgram, Engine, LoadOptions, PreparedProgram, ProgramSlots, Region } from './engine.ts';
import { defaultEngines } from './engines.ts';
import { isVmTrap, VmError, VmTrap } from './errors.ts';
import type { VmTrapPlace, VmTrapReason } from './errors.ts';
import type { MapLookupKind } from './map-lookup/layout.ts';
import { openGate } from './gate.ts';
import type { Gate } from './gate.ts';
import type { ReturnHigh, VmProgram } from './program.ts';
import { FunctionTable } from './slots.ts';
import { takeTrapRecord, TierHost } from './tier/host.ts';
import { frameBytes } from './tier/record.ts';

export interface VmRuntimeOptions {
  readonly arena?: Arena;
  /** Bytes of BPF stack for all nested runs, 256 KiB by default. */
  readonly stackBytes?: number;
  /** The BPF stack, where it is not the runtime that allocates it; 44 KiB at least. Asked for when the runtime has its own words. */
  readonly stack?: () => Region;
  /** The engines by name; the first is the default. */
  readonly engines?: readonly Engine[];
}

/** A program in its slots, ready to run. */
export interface LoadedProgram {
  /** The first of its two slots; see FunctionTable. */
  readonly slot: number;
  readonly program: VmProgram;
  /** Name of the engine that runs it now. */
  readonly engine: string;
  /** Slot of the callback function of a subprogram whose address is taken. */
  callbackSlot(subprogram: number): number;
  /** Runs with r1 = `ctx`. Low half of r0 as int32; the high half in `runtime.r0High`. Throws VmTrap. */
  run(ctx: number): number;
  /** As `run`, but all of r0, unsigned. */
  run64(ctx: number): bigint;
  /** `count` runs in a row inside the engine; low half of the last r0. */
  repeat(ctx: number, count: number): number;
  unload(): void;
}

/** WebAssembly that is not a program (map lookups, hook walkers): it may import `vm.memory`, `vm.table` and `vm.wake`. */
export interface InstalledModule {
  readonly module: WebAssembly.Module;
  /** Export name -> slot that it goes into. */
  readonly slots: Readonly<Record<string, number>>;
}

/** Room that a run must find on the BPF stack: 33 tail calls and 8 frames fit twice. */
const STACK_RESERVE = 2 * (33 + 8) * 512;

export class VmRuntime {
  readonly arena: Arena;
  readonly functions: FunctionTable;
  /** Address of the runtime's words; see CELL. */
  readonly block: number;
  /** The BPF stack: [stackStart, stackEnd), used from the end down. */
  readonly stackStart: number;
  readonly stackEnd: number;
  /** Memory of as many first-tier frames as the stack has room for; see FRAME. */
  readonly frames: number;
  /** Where a helper puts the high half of a `u64` result, and where the engine puts it for JavaScript. */
  readonly returnHigh: ReturnHigh;
  /** Slots that hold one of our own lookup functions, by kind: what such a map's layout is, an engine knows. */
  readonly lookupKinds: Map<number, MapLookupKind> = new Map();
  /** By the address of what it is woken by (a ring's first page): who in JavaScript waits. A fork has nobody who waits. */
  readonly wakers: Map<number, () => void> = new Map();
  readonly #engines: readonly Engine[];
  #gate: Gate | undefined;
  #tier: TierHost | undefined;
  readonly #programs: Map<number, Loaded> = new Map();
  readonly #installed: InstalledModule[] = [];

  constructor(options: VmRuntimeOptions = {}, origin?: { from: VmRuntime; rebind: (loaded: LoadedProgram) => VmProgram }) {
    this.arena = options.arena ?? new Arena();
    this.#engines = options.engines ?? (origin ? origin.from.#engines : defaultEngines);
    if (origin) {
      const { from } = origin;
      this.block = from.block;
      this.stackStart = from.stackStart;
      this.stackEnd = from.stackEnd;
      this.frames = from.frames;
      this.functions = from.functions.fork(() => this.#adopt());
      for (const [slot, loaded] of from.#programs) this.#programs.set(slot, loaded.twin(this, origin.rebind));
      this.#installed.push(...from.#installed);
      if (from.#tier) this.#tier = new TierHost(this, from.#tier);
      for (const [slot, kind] of from.lookupKinds) this.lookupKinds.set(slot, kind);
    } else {
      this.functions = new FunctionTable();
      this.block = this.arena.allocate(CELL_BLOCK_SIZE, 64);
      const stackBytes = options.stackBytes ?? 256 * 1024;
      const stack = options.stack?.();
      this.stackStart = stack?.start ?? this.arena.allocate(stackBytes, 64);
      this.stackEnd = stack?.end ?? this.stackStart + stackBytes;
      this.frames = this.arena.allocate(frameBytes(this.stackEnd - this.stackStart));
      this.arena.u32[(this.block + CELL.stackPointer) >> 2] = this.stackEnd;
    }
    this.returnHigh = new ReturnHighCell(this.arena, this.block + CELL.returnHigh);
  }

  /** Puts a program into two slots of its own. Throws VmError. */
  load(program: VmProgram, options: LoadOptions = {}): LoadedProgram {
    const engine = options.engine === undefined ? this.#engines[0] : this.#engines.find(({ name }) => name === options.engine);
    const next = this.#engines[1];
    if (engine && next && options.engine === undefined) {
      try {
        return this.#loadWith(engine, program, options);
      } catch (error) {
        // A host refuses code that is too large; an engine that does not compile still runs it.
        if (!(error instanceof VmError) || error.reason !== 'too-large') throw error;
        return this.#loadWith(next, program, options);
      }
    }
    if (!engine) throw new VmError('unknown-engine', program.name, `there is no engine ${options.engine}`);
    return this.#loadWith(engine, program, options);
  }

  /**
   * A runtime over a fork of this one's arena, with the same slots. Programs and installed modules are instantiated when the fork
   * first needs one; `rebind` then gives each program with the fork's own helpers.
   */
  fork(arena: Arena, rebind: (loaded: LoadedProgram) => VmProgram): VmRuntime {
    this.functions.settle();
    return new VmRuntime({ arena }, { from: this, rebind });
  }

  /** The program whose first slot this is. */
  programAt(slot: number): LoadedProgram | undefined {
    return this.#programs.get(slot);
  }

  /** For engines in JavaScript: what a tail call into `slot` reaches, as its engine has it. */
  boundAt(slot: number): BoundProgram | undefined {
    return this.#programs.get(slot)?.bound;
  }

  /** For engines in JavaScript: runs what a tail call into `slot` reaches, its tail calls counted on. Throws VmTrap where nothing is there. */
  continueAt(slot: number, ctx: number): number {
    const loaded = this.#programs.get(slot);
    if (!loaded) throw new VmTrap('call', `slot ${slot}`);
    const { bound } = loaded;
    return bound.continue ? bound.continue(ctx) : this.gate.run(slot + 1, ctx);
  }

  /** Calls a callback slot: up to five u32 arguments, low half of the result. */
  callback(slot: number, a = 0, b = 0, c = 0, d = 0, e = 0): number {
    const fn = this.functions.get(slot);
    if (fn === null) throw new VmTrap('call', `slot ${slot}`);
    return fn(a, b, c, d, e) as number;
  }

  /** Instantiates a module with `{ vm: { memory, table, wake } }` and puts its exports into slots; forks get their own instance. */
  install(installed: InstalledModule): void {
    this.functions.settle();
    this.#installed.push(installed);
    this.#instantiate(installed);
  }

  /** What the first tier needs of this runtime, from its first program on. */
  get tier(): TierHost {
    return (this.#tier ??= new TierHost(this));
  }

  /** Where the first tier has trapped; undefined where it has not. */
  takeTierPlace(): VmTrapPlace | undefined {
    const record = takeTrapRecord(this);
    if (record === 0) return undefined;
    for (const { program, bound } of this.#programs.values()) {
      const insn = bound.insnAt?.(record);
      if (insn !== undefined) return { program: program.name, insn, line: program.lineOf?.(insn) };
    }
    return undefined;
  }

  /** Runs compiled programs by their slots. */
  get gate(): Gate {
    return (this.#gate ??= openGate(this.arena, this.functions, this.block));
  }

  /** High half of the last result, as int32. */
  get r0High(): number {
    return this.arena.i32[(this.block + CELL.returnHigh) >> 2]!;
  }

  /** The simulated CPU that programs run on. */
  get cpu(): number {
    return this.arena.u32[(this.block + CELL.cpu) >> 2]!;
  }
  set cpu(cpu: number) {
    this.arena.u32[(this.block + CELL.cpu) >> 2] = cpu;
  }

  /** Instructions that programs loaded with `fuel` may still run; negative once it is used up. */
  get fuel(): number {
    return Number(BigInt.asIntN(64, this.arena.u64[(this.block + CELL.fuel) >> 3]!));
  }
  set fuel(instructions: number) {
    this.arena.u64[(this.block + CELL.fuel) >> 3] = BigInt(instructions);
  }

  /** Gives slots back. */
  release({ slot, callbacks }: ProgramSlots): void {
    this.#programs.delete(slot);
    this.functions.free(slot, 2);
    for (const callback of callbacks) if (callback !== 0) this.functions.free(callback);
  }

  #loadWith(engine: Engine, program: VmProgram, options: LoadOptions): LoadedProgram {
    const slots: ProgramSlots = {
      slot: this.functions.allocate(2),
      callbacks: program.subprograms.map(({ addressTaken }) => (addressTaken ? this.functions.allocate() : 0)),
    };
    let prepared: PreparedProgram | undefined;
    try {
      prepared = engine.prepare(program, options, this, slots);
      const loaded = new Loaded(this, program, prepared, slots);
      loaded.place();
      this.#programs.set(slots.slot, loaded);
      return loaded;
    } catch (error) {
      this.release(slots);
      prepared?.release?.(this);
      throw error;
    }
  }

  #adopt(): void {
    for (const installed of this.#installed) this.#instantiate(installed);
    for (const loaded of this.#programs.values()) loaded.place();
  }

  #instantiate({ module, slots }: InstalledModule): void {
    const wake = (address: number): void => this.wakers.get(address >>> 0)?.();
    const instance = new WebAssembly.Instance(module, {
      vm: { memory: this.arena.memory, table: this.functions.table, wake },
    });
    for (const [name, slot] of Object.entries(slots)) this.functions.set(slot, instance.exports[name] as Function);
  }
}

class ReturnHighCell implements ReturnHigh {
  readonly #arena: Arena;
  readonly #index: number;

  constructor(arena: Arena, address: number) {
    this.#arena = arena;
    this.#index = address >> 2;
  }
  get value(): number {
    return this.#arena.i32[this.#index]!;
  }
  set value(high: number) {
    this.#arena.i32[this.#index] = high;
  }
}

class Loaded implements LoadedProgram {
  readonly program: VmProgram;
  readonly #runtime: VmRuntime;
  readonly #prepared: PreparedProgram;
  readonly #slots: ProgramSlots;
  #bound: BoundProgram | undefined;
  #unloaded = false;

  constructor(runtime: VmRuntime, program: VmProgram, prepared: PreparedProgram, slots: ProgramSlots) {
    this.program = program;
    this.#runtime = runtime;
    this.#prepared = prepared;
    this.#slots = slots;
  }

  get slot(): number {
    return this.#slots.slot;
  }

  get engine(): string {
    return this.bound.engine;
  }

  callbackSlot(subprogram: number): number {
    return this.#slots.callbacks[subprogram] ?? 0;
  }

  get bound(): BoundProgram {
    if (this.#bound === undefined) this.#runtime.functions.settle();
    if (this.#bound === undefined) throw new VmError('unloaded', this.program.name, 'the program is not loaded any more');
    return this.#bound;
  }

  /** Binds to the runtime and fills the slots. */
  place(): void {
    if (this.#unloaded) return;
    this.#put(this.#prepared.bind(this.#runtime, this.program, this.#slots, (bound) => this.#put(bound)));
  }

  /** Fills the slots. One that holds what somebody else has put there since (a wrapper, a replacement) is left to them. */
  #put(bound: BoundProgram): void {
    if (this.#unloaded) return;
    const { functions } = this.#runtime;
    const { slot, callbacks } = this.#slots;
    const before = this.#bound;
    const put = (at: number, fn: Function | null, old: Function | null | undefined): void => {
      if (before === undefined || functions.get(at) === old) functions.set(at, fn);
    };
    put(slot, bound.entry, before?.entry);
    put(slot + 1, bound.tailEntry, before?.tailEntry);
    callbacks.forEach((at, index) => {
      if (at !== 0) put(at, bound.callbacks[index] ?? null, before?.callbacks[index]);
    });
    this.#bound = bound;
  }

  /** The same program in a fork, to be placed when the fork first needs it. */
  twin(runtime: VmRuntime, rebind: (loaded: LoadedProgram) => VmProgram): Loaded {
    return new Loaded(runtime, rebind(this), this.#prepared, this.#slots);
  }

  run(ctx: number): number {
    const bound = this.#bound ?? this.bound;
    const runtime = this.#runtime;
    const words = runtime.arena.i32;
    const stackPointer = words[(runtime.block + CELL.stackPointer) >> 2]!;
    const tailCalls = words[(runtime.block + CELL.tailCalls) >> 2]!;
    if (stackPointer - runtime.stackStart < STACK_RESERVE) throw new VmTrap('stack', this.program.name);
    try {
      return bound.run === undefined ? runtime.gate.run(this.#slots.slot, ctx) : bound.run(ctx);
    } catch (error) {
      throw this.#trap(error, stackPointer, tailCalls);
    }
  }

  run64(ctx: number): bigint {
    const low = this.run(ctx);
    return (BigInt(this.#runtime.r0High >>> 0) << 32n) | BigInt(low >>> 0);
  }

  repeat(ctx: number, count: number): number {
    const bound = this.#bound ?? this.bound;
    const words = this.#runtime.arena.i32;
    const stackPointer = words[(this.#runtime.block + CELL.stackPointer) >> 2]!;
    const tailCalls = words[(this.#runtime.block + CELL.tailCalls) >> 2]!;
    try {
      return bound.repeat === undefined ? this.#runtime.gate.repeat(this.#slots.slot, ctx, count) : bound.repeat(ctx, count);
    } catch (error) {
      throw this.#trap(error, stackPointer, tailCalls);
    }
  }

  unload(): void {
    if (this.#unloaded) return;
    this.#unloaded = true;
    this.#bound = undefined;
    this.#runtime.release(this.#slots);
    this.#prepared.release?.(this.#runtime);
  }

  /** A trap that compiled code's own function has thrown knows its program, and the stack trace the instruction. */
  #placed(trap: VmTrap): VmTrap {
    if (trap.reason !== 'call' || trap.insn !== undefined || trap.program !== this.program.name) return trap;
    const place = this.#bound?.placeOf?.(trap);
    return place === undefined ? trap : new VmTrap(trap.reason, trap.program, place, { cause: trap });
  }

  /** Restores what the run had changed of the runtime, and says what the error means. */
  #trap(error: unknown, stackPointer: number, tailCalls: number): unknown {
    const { arena, block } = this.#runtime;
    const words = arena.i32;
    words[(block + CELL.stackPointer) >> 2] = stackPointer;
    words[(block + CELL.tailCalls) >> 2] = tailCalls;
    const reason = words[(block + CELL.trapReason) >> 2]!;
    words[(block + CELL.trapReason) >> 2] = 0;
    const place = this.#runtime.takeTierPlace();
    if (isVmTrap(error)) return this.#placed(error);
    const deep = error instanceof RangeError && /call stack/i.test(error.message);
    if (!deep && !(error instanceof WebAssembly.RuntimeError)) return error;
    return new VmTrap(
      deep ? 'call-depth' : reasonOf(reason, error as Error),
      this.program.name,
      place ?? this.#bound?.placeOf?.(error as Error),
      {
        cause: error,
      },
    );
  }
}

function reasonOf(cell: number, error: Error): VmTrapReason {
  for (const [reason, number] of Object.entries(TRAP_REASON)) if (number === cell) return reason as VmTrapReason;
  return /unreachable/.test(error.message)
    ? 'unreachable'
    : /table|signature|null function/.test(error.message)
      ? 'call'
      : 'access';
}
