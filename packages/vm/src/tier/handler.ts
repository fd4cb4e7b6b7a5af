/** Writes the code of one operation: what all of them share. */

import { CELL, MAX_BPF_STACK, TRAP_REASON } from '../cells.ts';
import type { CodeWriter } from '../wasm/code.ts';
import { I32, I64, OP } from '../wasm/op.ts';
import type { ValueType } from '../wasm/op.ts';
import { FRAME, HEADER, RECORD } from './record.ts';

/** What a module is for. The plain one trusts the verifier. */
export interface TierVariant {
  /** Counts each instruction against the runtime's fuel. */
  readonly fuel: boolean;
  /** Checks each access against the region. */
  readonly region: boolean;
}

/** Functions, globals and addresses of the module that is being made. */
export interface TierModule {
  readonly variant: TierVariant;
  /** Address of the runtime's words. */
  readonly block: number;
  /** (reason: i32, record: i32) -> (), before `unreachable`. */
  readonly trap: number;
  /** (site: i32) -> (): a helper, its arguments and its result in the registers. */
  readonly helper: number;
  /** (number: i32) -> (): a helper by its number. */
  readonly dynamic: number;
  /** (ctx: i32, offset: i32, size: i32) -> i32. */
  readonly packet: number;
  /** (count: i32, slot: i32, ctx: i32, flags: i64) -> i32. */
  readonly loop: number;
  /** (ctx: i32, slot: i32) -> i64: what a slot of a program holds. */
  readonly program: number;
  /** (map: i32, key: i32, slot: i32) -> i32. */
  readonly lookup: number;
  /** Globals: the program's block; what to add to a frame pointer / 8 for its FRAME; where the region starts. */
  readonly header: number;
  readonly frames: number;
  readonly regionStart: number;
  /** Globals by size in bytes: how many places of the region such an access has. */
  readonly places: Readonly<Record<1 | 2 | 4 | 8, number>>;
}

/** How the function that runs instructions ends: at the exit, in the middle after a SLICE, or with a tail call to make. */
export const STATUS = { exit: 0, pause: 1, tail: 2 } as const;
/**
 * Bytes of records that a slice runs, as far as jumps tell: each counts for its own record and, where it goes back, for all records
 * between. After that the function is called anew: that is how a long run gets into V8's better code.
 */
export const SLICE: number = 65_536 * RECORD.size;

/** Locals of the function that runs instructions; the first three are its parameters. */
export const LOCAL = { pc: 0, fp: 1, base: 2, slice: 3, d: 4, at: 5, x: 6, y: 7, a: 8, b: 9, left: 10 } as const;
export const LOCAL_TYPES: readonly ValueType[] = [I32, I32, I32, I32, I32, I64, I64, I64];

export class Handler {
  readonly module: TierModule;
  readonly code: CodeWriter;
  /** Labels between here and the loop. */
  readonly #loop: number;
  #open = 0;

  constructor(module: TierModule, code: CodeWriter, loop: number) {
    this.module = module;
    this.code = code;
    this.#loop = loop;
  }

  cell(name: keyof typeof CELL): number {
    return this.module.block + CELL[name];
  }

  /** `if`, closed by `end`. */
  if(type?: ValueType): this {
    this.code.open(OP.if, type);
    this.#open++;
    return this;
  }
  else(): this {
    this.code.op(OP.else);
    return this;
  }
  end(): this {
    this.code.end();
    this.#open--;
    return this;
  }

  /** To the next instruction: the local `pc` is set. */
  dispatch(): void {
    this.code.br(this.#loop + this.#open);
  }
  advance(records = 1): void {
    this.code
      .get(LOCAL.pc)
      .i32(records * RECORD.size)
      .op(OP.i32_add)
      .set(LOCAL.pc);
    this.dispatch();
  }
  /** To the record that the offset names. A slice is over after so many jumps. */
  jump(): void {
    const { code } = this;
    const next = this.#loop + this.#open;
    code.get(LOCAL.slice).get(LOCAL.pc);
    code.get(LOCAL.pc).access(OP.i32_load, RECORD.offset).tee(LOCAL.pc).op(OP.i32_sub).tee(LOCAL.x);
    code.i32(-1).get(LOCAL.x).i32(31).op(OP.i32_shr_s, OP.i32_xor, OP.i32_and);
    code.i32(RECORD.size).op(OP.i32_add, OP.i32_sub).tee(LOCAL.slice).i32(0).op(OP.i32_gt_s).brIf(next);
    code.br(next + 1);
  }

  /** The register's place, to be stored to: `store64` or `store32` follow the value. Also in the local `d`. */
  place(): this {
    this.code.get(LOCAL.pc).access(OP.i32_load8_u, RECORD.dst).tee(LOCAL.d);
    return this;
  }
  store64(): void {
    this.code.access(OP.i64_store, this.cell('tierRegisters'));
  }
  /** Zero-extends. */
  store32(): void {
    this.code.op(OP.i64_extend_i32_u).access(OP.i64_store, this.cell('tierRegisters'));
  }
  /** Value of dst, after `place`. */
  dst(wide: boolean): this {
    this.code.get(LOCAL.d).access(wide ? OP.i64_load : OP.i32_load, this.cell('tierRegisters'));
    return this;
  }
  dstField(wide: boolean): this {
    this.code.get(LOCAL.pc).access(OP.i32_load8_u, RECORD.dst);
    this.code.access(wide ? OP.i64_load : OP.i32_load, this.cell('tierRegisters'));
    return this;
  }
  srcField(wide: boolean): this {
    this.code.get(LOCAL.pc).access(OP.i32_load8_u, RECORD.src);
    this.code.access(wide ? OP.i64_load : OP.i32_load, this.cell('tierRegisters'));
    return this;
  }
  imm(wide: boolean): this {
    this.code.get(LOCAL.pc).access(wide ? OP.i64_load : OP.i32_load, RECORD.imm);
    return this;
  }
  operand(source: 'k' | 'x', wide: boolean): this {
    return source === 'k' ? this.imm(wide) : this.srcField(wide);
  }

  #registerAt(register: number): number {
    return this.cell('tierRegisters') + register * 8;
  }

  /** A register whose number is known. */
  register(register: number, wide: boolean): this {
    this.code.i32(this.#registerAt(register)).access(wide ? OP.i64_load : OP.i32_load);
    return this;
  }
  /** `write` leaves an i64. */
  setRegister(register: number, write: () => void): this {
    this.code.i32(this.#registerAt(register));
    write();
    this.code.access(OP.i64_store);
    return this;
  }
  /** r1 to r5 hold nothing after a call. */
  clobber(): this {
    for (let register = 1; register <= 5; register++) this.setRegister(register, () => this.code.i64(0n));
    return this;
  }

  /** Notes where a trap of the machine itself would be. */
  mark(): this {
    this.code.i32(this.cell('tierPc')).get(LOCAL.pc).access(OP.i32_store);
    return this;
  }
  /** Stops the run. */
  trap(reason: keyof typeof TRAP_REASON): void {
    this.code.i32(TRAP_REASON[reason]).get(LOCAL.pc).call(this.module.trap).op(OP.unreachable);
  }

  /** The current frame's FRAME, into the local `at`. */
  frame(): this {
    this.code.get(LOCAL.fp).i32(3).op(OP.i32_shr_u).global(this.module.frames).op(OP.i32_add).set(LOCAL.at);
    return this;
  }
  /** r6 to r9 to the frame, or back. The local `at` is the frame. */
  saveRegisters(): this {
    for (let register = 6; register <= 9; register++) {
      this.code.get(LOCAL.at);
      this.register(register, true).code.access(OP.i64_store, FRAME.saved + (register - 6) * 8);
    }
    return this;
  }
  restoreRegisters(): this {
    for (let register = 6; register <= 9; register++)
      this.setRegister(register, () => this.code.get(LOCAL.at).access(OP.i64_load, FRAME.saved + (register - 6) * 8));
    return this;
  }
  /** Sets the stack pointer of runs that start now: `below` bytes under the frame pointer. */
  stackPointer(below: number): this {
    this.code.i32(this.cell('stackPointer')).get(LOCAL.fp);
    if (below > 0) this.code.i32(below).op(OP.i32_sub);
    this.code.access(OP.i32_store);
    return this;
  }

  /** What `write` emits may start runs of its own: they find stack, fuel, and use the registers. */
  callOut(write: () => void, below: number = MAX_BPF_STACK): this {
    this.stackPointer(below).frame().saveRegisters();
    this.code.i32(this.cell('tierPc')).i32(0).access(OP.i32_store);
    this.storeFuel();
    write();
    this.loadFuel();
    this.frame().restoreRegisters();
    return this.setRegister(10, () => this.code.get(LOCAL.fp).op(OP.i64_extend_i32_u));
  }
  storeFuel(): void {
    if (this.module.variant.fuel) this.code.i32(this.cell('fuel')).get(LOCAL.left).access(OP.i64_store);
  }
  loadFuel(): void {
    if (this.module.variant.fuel) this.code.i32(this.cell('fuel')).access(OP.i64_load).set(LOCAL.left);
  }

  /** Adds the instructions of this slice to the program's heat. */
  countHeat(): void {
    this.code.global(this.module.header).global(this.module.header).access(OP.i32_load, HEADER.heat);
    this.code.i32(SLICE).get(LOCAL.slice).op(OP.i32_sub).i32(4).op(OP.i32_shr_u, OP.i32_add).access(OP.i32_store, HEADER.heat);
  }

  /** Ends the function that runs instructions; see STATUS. */
  leave(status: number): void {
    if (status === STATUS.pause) {
      this.code.i32(this.cell('tierNext')).get(LOCAL.pc).access(OP.i32_store);
      this.code.i32(this.cell('tierWith')).get(LOCAL.fp).access(OP.i32_store);
    } else this.stackPointer(0);
    this.code.i32(this.cell('tierPc')).i32(0).access(OP.i32_store);
    this.storeFuel();
    this.countHeat();
    this.code.i32(status).op(OP.return);
  }
}
