/** What a run of the interpreter is made of: registers, frames, and everything that an instruction does beyond them. */

import { opcodeOf } from '@libbpf-ts/isa';

import type { Arena } from '../arena.ts';
import { BPF_MAX_LOOPS, CELL, MAX_BPF_STACK, MAX_CALL_FRAMES, MAX_TAIL_CALL_CNT } from '../cells.ts';
import { VmTrap } from '../errors.ts';
import type { VmTrapReason } from '../errors.ts';
import { MAP_HEADER } from '../map-header.ts';
import type { VmRuntime } from '../runtime.ts';
import { CallSite } from './call-site.ts';
import { execute } from './loop.gen.ts';
import { STRIDE } from './predecode.ts';
import { InterpretedProgram } from './program.ts';

/** Kinds of access, for the guard. */
export const READ = 0;
export const WRITE = 1;

/** Offsets in a saved frame: where to go on, r6 to r9, the frame's may_goto count, the deepest frame of its program. */
const FRAME = { at: 0, saved: 1, mayGoto: 9, limit: 10, words: 11 } as const;
const FP = 20;
/** Instructions that the loop runs before it looks up; an int32 that V8 keeps unboxed. */
const CHUNK = 0x3fff_ffff;

export class Machine {
  /** Register r is regs[2r] (low half) and regs[2r + 1]. */
  readonly regs: Int32Array = new Int32Array(22);
  readonly arena: Arena;
  /** Every access goes through `check`. */
  readonly guarded: boolean;
  program: InterpretedProgram;
  /** The code that runs now, predecoded, and the index in it of the next instruction. */
  code: Int32Array;
  at = 0;
  /** Instructions left of the budget. */
  left = 0;
  done = false;
  /** Frames below the current one. */
  depth = 0;
  readonly #runtime: VmRuntime;
  #frames: Int32Array = new Int32Array(FRAME.words * MAX_CALL_FRAMES);
  readonly #callers: InterpretedProgram[] = [];
  #limit = MAX_CALL_FRAMES;
  #mayGoto = BPF_MAX_LOOPS;
  /** Fuel beyond `left`. */
  #reserve = 0;
  #inHelper = false;

  constructor(program: InterpretedProgram) {
    this.program = program;
    this.code = program.code;
    this.guarded = program.guarded;
    this.#runtime = program.runtime;
    this.arena = program.runtime.arena;
  }

  /** Readies a run of `subprogram` with up to five u32 arguments, on top of the BPF stack as it is. */
  start(program: InterpretedProgram, subprogram: number, a = 0, b = 0, c = 0, d = 0, e = 0): void {
    const { regs } = this;
    regs.fill(0);
    regs[2] = a;
    regs[4] = b;
    regs[6] = c;
    regs[8] = d;
    regs[10] = e;
    regs[FP] = this.#word('stackPointer');
    this.program = program;
    this.code = program.code;
    this.at = program.program.subprograms[subprogram]!.start * STRIDE;
    this.depth = 0;
    this.#limit = MAX_CALL_FRAMES;
    this.#mayGoto = BPF_MAX_LOOPS;
    this.#inHelper = false;
    this.done = false;
    program.watch?.begins(program.program, subprogram, [a, b, c, d, e]);
  }

  /** Runs to the exit; low half of r0, the high half left in its cell. */
  finish(): number {
    const { fuel } = this.program;
    while (!this.done) {
      if (fuel) this.#takeFuel();
      else this.left = CHUNK;
      this.left = execute(this, this.left);
      if (fuel) this.#runtime.fuel = this.#reserve + this.left;
    }
    this.arena.i32[(this.#runtime.block + CELL.returnHigh) >> 2] = this.regs[1]!;
    return this.regs[0]!;
  }

  /** A call from program to program; it returns to `returnAt`. */
  enter(returnAt: number): void {
    const { regs, depth } = this;
    if (depth + 1 >= this.#limit) throw this.#trap('call-depth');
    const frame = depth * FRAME.words;
    if (frame + FRAME.words > this.#frames.length) this.#moreFrames();
    const frames = this.#frames;
    frames[frame + FRAME.at] = returnAt;
    for (let half = 0; half < 8; half++) frames[frame + FRAME.saved + half] = regs[12 + half]!;
    frames[frame + FRAME.mayGoto] = this.#mayGoto;
    frames[frame + FRAME.limit] = this.#limit;
    this.#callers[depth] = this.program;
    this.#mayGoto = BPF_MAX_LOOPS;
    this.depth = depth + 1;
    regs[FP] = regs[FP]! - MAX_BPF_STACK;
  }

  /** Back to the caller, or to the end of the run. */
  leave(): void {
    if (this.depth === 0) {
      this.done = true;
      return;
    }
    const { regs } = this;
    const depth = --this.depth;
    const frames = this.#frames;
    const frame = depth * FRAME.words;
    for (let half = 0; half < 8; half++) regs[12 + half] = frames[frame + FRAME.saved + half]!;
    this.#mayGoto = frames[frame + FRAME.mayGoto]!;
    this.#limit = frames[frame + FRAME.limit]!;
    this.at = frames[frame + FRAME.at]!;
    this.program = this.#callers[depth]!;
    this.code = this.program.code;
    regs[FP] = regs[FP]! + MAX_BPF_STACK;
    this.#clobber();
  }

  /** The helper or kfunc that instruction `insn` calls. */
  call(insn: number): void {
    const site = this.program.calls[insn]!;
    if (site.tail) this.#tailCall(site);
    else this.#invoke(site);
  }

  /** callx: the helper's number is in a register. */
  callRegister(d: number): void {
    const helper = this.program.program.fixups.helpersById?.get(this.regs[d]!);
    if (!helper) throw this.#trap('call');
    this.#invoke(new CallSite({ helper }));
  }

  /** ld_abs and ld_ind: r0 = bytes of the packet; without them the function ends with 0. */
  packetLoad(): void {
    const { regs } = this;
    const { insns, fixups } = this.program.program;
    const insn = insns[this.at / STRIDE]!;
    const opcode = opcodeOf(insn);
    if (opcode?.kind !== 'ld_packet') throw this.#trap('unreachable');
    const offset = opcode.mode === 'ind' ? (regs[2 * insn.src_reg]! + insn.imm) | 0 : insn.imm;
    this.#beforeHelper();
    const low = fixups.packetLoad!.run(regs[12]!, offset, opcode.size);
    this.#afterHelper();
    const missing = this.#runtime.returnHigh.value !== 0;
    regs[0] = missing ? 0 : low;
    regs[1] = 0;
    if (missing) this.leave();
    else this.at += STRIDE;
  }

  /** Whether this may_goto goes: it does once its frame has used up its loops. */
  mayGoto(): boolean {
    return this.#mayGoto-- === 0;
  }

  /** Throws unless `size` bytes at `address` may be accessed. `base` is the register that the address came from, times two. */
  check(address: number, size: number, kind: typeof READ | typeof WRITE, base: number): void {
    const fp = this.regs[FP]!;
    const { watch } = this.program;
    if (watch) {
      if (!watch.access(address >>> 0, size, kind === WRITE, fp, this.program.program)) this.refuse();
      return;
    }
    if (base === FP && address >= fp - MAX_BPF_STACK && address + size <= fp) return;
    const { region, guard } = this.program;
    if (region && (address < region.start || address + size > region.end)) this.refuse();
    if (!guard || (address >= fp - MAX_BPF_STACK && address + size <= this.#runtime.stackEnd)) return;
    if (address < 0 || !guard(address, size, kind === WRITE, this.program.program)) this.refuse();
  }

  /** The access of the instruction at hand is not allowed. The loop makes a trap of it. */
  refuse(): never {
    throw new RangeError('access');
  }

  invalid(): never {
    throw this.#trap('unreachable');
  }

  /** What follows an error in the loop: where to go on after a load that may fault, else a throw. `at` is the instruction. */
  recover(error: unknown): number {
    if (this.#inHelper || !(error instanceof RangeError)) throw error;
    const insn = this.at / STRIDE;
    if (!this.program.program.fixups.probeLoads?.has(insn)) throw this.#trap('access', error);
    const d = (this.code[this.at]! >>> 8) & 0xff;
    this.regs[d] = this.regs[d + 1] = 0;
    return this.at + STRIDE;
  }

  #invoke(site: CallSite): void {
    const { regs } = this;
    this.#beforeHelper();
    const low = site.invoke(regs, 0);
    this.#afterHelper();
    const { returns } = site;
    regs[0] = returns === 'void' ? 0 : low;
    regs[1] = returns === 's32' ? low >> 31 : returns === 'u64' ? this.#runtime.returnHigh.value : 0;
    this.#clobber();
    this.at += STRIDE;
  }

  /** A helper may start runs of its own: they find the stack above this frame, and the fuel that is left. */
  #beforeHelper(): void {
    this.#inHelper = true;
    this.#setWord('stackPointer', this.regs[FP]! - MAX_BPF_STACK);
    if (this.program.fuel) this.#runtime.fuel = this.#reserve + this.left;
  }

  #afterHelper(): void {
    this.#inHelper = false;
    if (this.program.fuel) this.#takeFuel();
  }

  #takeFuel(): void {
    const { fuel } = this.#runtime;
    if (fuel <= 0) {
      this.#runtime.fuel = -1;
      throw this.#trap('fuel');
    }
    this.left = Math.min(fuel, CHUNK);
    this.#reserve = fuel - this.left;
  }

  #tailCall({ map }: CallSite): void {
    const { regs, arena } = this;
    const address = regs[4]!;
    const index = regs[6]! >>> 0;
    const maxEntries = map ? map.max_entries : arena.u32[(address + MAP_HEADER.max_entries) >> 2]!;
    const count = this.#word('tailCalls');
    const slot =
      index < maxEntries && count < MAX_TAIL_CALL_CNT
        ? arena.u32[(arena.u32[(address + MAP_HEADER.data) >> 2]! >> 2) + index]!
        : 0;
    if (slot === 0) {
      regs[0] = regs[1] = 0;
      this.#clobber();
      this.at += STRIDE;
      return;
    }
    this.#setWord('tailCalls', count + 1);
    const target = this.#runtime.boundAt(slot);
    if (target instanceof InterpretedProgram && target.guarded === this.guarded) this.#become(target);
    else this.#continueElsewhere(slot);
  }

  /** The frame goes on as the first of another program of this engine. */
  #become(target: InterpretedProgram): void {
    const { regs } = this;
    const [ctx, fp] = [regs[2]!, regs[FP]!];
    regs.fill(0);
    regs[2] = ctx;
    regs[FP] = fp;
    this.program = target;
    this.code = target.code;
    this.at = 0;
    this.#limit = this.depth + MAX_CALL_FRAMES;
    this.#mayGoto = BPF_MAX_LOOPS;
  }

  #continueElsewhere(slot: number): void {
    const { regs } = this;
    this.#inHelper = true;
    this.#setWord('stackPointer', regs[FP]!);
    regs[0] = this.#runtime.continueAt(slot, regs[2]!);
    regs[1] = this.#runtime.r0High;
    this.#inHelper = false;
    this.leave();
  }

  /** A call leaves nothing in the argument registers. */
  #clobber(): void {
    const { regs } = this;
    regs[2] = regs[3] = regs[4] = regs[5] = regs[6] = regs[7] = regs[8] = regs[9] = regs[10] = regs[11] = 0;
  }

  #moreFrames(): void {
    const frames = new Int32Array(this.#frames.length * 2);
    frames.set(this.#frames);
    this.#frames = frames;
  }

  #word(name: keyof typeof CELL): number {
    return this.arena.i32[(this.#runtime.block + CELL[name]) >> 2]!;
  }

  #setWord(name: keyof typeof CELL, value: number): void {
    this.arena.i32[(this.#runtime.block + CELL[name]) >> 2] = value;
  }

  #trap(reason: VmTrapReason, cause?: unknown): VmTrap {
    const { name, lineOf } = this.program.program;
    const insn = this.at / STRIDE;
    return new VmTrap(reason, name, { insn, line: lineOf?.(insn) }, cause === undefined ? undefined : { cause });
  }

  /** Frames from the innermost: program, next instruction, frame pointer. For those who look while it stands still. */
  frames(): { readonly program: InterpretedProgram; readonly insn: number; readonly fp: number }[] {
    const list = [{ program: this.program, insn: this.at / STRIDE, fp: this.regs[FP]! }];
    for (let depth = this.depth - 1; depth >= 0; depth--) {
      const fp = this.regs[FP]! + MAX_BPF_STACK * (this.depth - depth);
      list.push({ program: this.#callers[depth]!, insn: this.#frames[depth * FRAME.words + FRAME.at]! / STRIDE, fp });
    }
    return list;
  }
}
