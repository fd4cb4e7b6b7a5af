/**
 * Random programs whose result is defined: every register and stack byte is written before it is read, every access is in bounds,
 * every loop ends. They read nothing that differs from engine to engine, so any two results that differ are a bug.
 */

import { ALU, ATOMIC, END, JUMP } from '@libbpf-ts/isa';
import type { AluOp, AtomicOp, BpfInsn, EndOp, JumpOp } from '@libbpf-ts/isa';

/** Bytes of the map value that programs work on, and of stack that each function initialises. */
export const VALUE_SIZE = 64;
const STACK_BYTES = 64;

/** Mulberry32: the same numbers for a seed on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 random bits, as int32. */
  bits(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return t ^ (t >>> 14);
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    return (this.bits() >>> 0) % limit;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  /** An immediate, often one at an edge. */
  immediate(): number {
    return this.chance(50)
      ? this.pick([0, 1, -1, 2, 7, 31, 32, 63, 255, 0x7fff, -128, 0x7fff_ffff, -0x8000_0000, 0xffff])
      : this.bits();
  }
}

export interface RandomOptions {
  /** Sequences of the program's own function; 30 by default. */
  readonly length?: number;
  /** Calls of bpf_csum_diff and bpf_map_lookup_elem, which a sched_cls program may make. */
  readonly helpers?: boolean;
  /** Few branches and none in loops, so that a verifier comes to its end. */
  readonly gentle?: boolean;
}

export interface RandomProgram {
  readonly seed: number;
  readonly insns: readonly BpfInsn[];
  /** What can be taken out and leaves a program whose result is defined: first instruction and length. */
  readonly units: readonly (readonly [start: number, length: number])[];
}

/** Several instructions that belong together: jumps lead from sequence to sequence. */
type Sequence = BpfInsn[];
/** A jump whose target is a sequence, until all lengths are known. */
interface Jump extends BpfInsn {
  readonly to?: number;
}

const insn = (code: number, dst_reg: number, src_reg: number, off: number, imm: number): BpfInsn => ({
  code,
  dst_reg,
  src_reg,
  off,
  imm,
});
const movImm = (dst: number, imm: number): BpfInsn => insn(0xb7, dst, 0, 0, imm);
const movReg = (dst: number, src: number): BpfInsn => insn(0xbf, dst, src, 0, 0);
const SIZES = [
  [0x10, 1],
  [0x08, 2],
  [0x00, 4],
  [0x18, 8],
] as const;
/** Pointer to the map value, in every function. */
const VALUE = 6;
const COUNTER = 8;
const SCRATCH = [0, 1, 2, 3, 4, 5, 7, 9] as const;
const ALU_OPS = (Object.keys(ALU) as AluOp[]).filter((op) => op !== 'addr_space_cast');
const JUMP_OPS = Object.keys(JUMP) as JumpOp[];
const ATOMIC_OPS = (Object.keys(ATOMIC) as AtomicOp[]).filter((op) => op !== 'load_acquire' && op !== 'store_release');

/** The program of a seed. Map 0 is an array of one value of VALUE_SIZE bytes. */
export function randomProgram(
  seed: number,
  { length = 30, helpers = false, gentle = false }: RandomOptions = {},
): RandomProgram {
  const random = new Random(seed);
  const callees = random.below(3);
  const written: Written[] = [];
  for (let index = 0; index <= callees; index++) {
    written.push(
      new FunctionWriter(random, index, callees, helpers, gentle).write(
        index === 0 ? 1 + random.below(length) : 1 + random.below(8),
      ),
    );
  }
  const called = reachable(written);
  const functions: BpfInsn[][] = [];
  const units: [number, number][] = [];
  let at = 0;
  written.forEach(({ prologue, sequences }, index) => {
    functions.push(called.has(index) ? [...prologue, ...resolve(sequences)] : []);
    if (!called.has(index)) return;
    at += prologue.length;
    for (const { length: size } of sequences) {
      units.push([at, size]);
      at += size;
    }
    // The last gives the result.
    units.pop();
  });
  return { seed, insns: link(functions), units };
}

interface Written {
  readonly prologue: BpfInsn[];
  readonly sequences: Sequence[];
}

/** Functions that a chain of calls leads to; the verifier refuses others. */
function reachable(written: readonly Written[]): Set<number> {
  const found = new Set([0]);
  for (const index of found) {
    for (const { code, src_reg, imm } of written[index]!.sequences.flat()) if (code === 0x85 && src_reg === 1) found.add(imm);
  }
  return found;
}

/** Joins functions; the immediate of a call is the callee's number until here. */
function link(functions: readonly BpfInsn[][]): BpfInsn[] {
  const starts: number[] = [];
  let at = 0;
  for (const fn of functions) {
    starts.push(at);
    at += fn.length;
  }
  return functions
    .flat()
    .map((one, index) => (one.code === 0x85 && one.src_reg === 1 ? { ...one, imm: starts[one.imm]! - index - 1 } : one));
}

class FunctionWriter {
  readonly #random: Random;
  readonly #index: number;
  readonly #callees: number;
  readonly #helpers: boolean;
  readonly #gentle: boolean;
  /** Whether the loop counter is in use. */
  #looping = false;

  constructor(random: Random, index: number, callees: number, helpers: boolean, gentle: boolean) {
    this.#random = random;
    this.#index = index;
    this.#callees = callees;
    this.#helpers = helpers;
    this.#gentle = gentle;
  }

  write(count: number): Written {
    const random = this.#random;
    const sequences: Sequence[] = [];
    const loops: [first: number, end: number][] = [];
    while (sequences.length < count) {
      if (!random.chance(8)) sequences.push(this.#sequence(sequences.length, count));
      else {
        const first = sequences.length;
        sequences.push(...this.#loop(first));
        loops.push([first, sequences.length]);
      }
    }
    throughTheDoor(sequences, loops);
    return { prologue: this.#prologue(), sequences: [...sequences, this.#epilogue()] };
  }

  /** All registers and the stack get values; a callee keeps what it was called with in some. */
  #prologue(): BpfInsn[] {
    const random = this.#random;
    const out = [insn(0x18, VALUE, 6, 0, 0), insn(0, 0, 0, 0, 0)];
    const given = this.#index === 0 ? [] : [1, 2, 3];
    for (const register of [...SCRATCH, COUNTER]) {
      if (given.includes(register)) continue;
      if (random.chance(30)) out.push(insn(0x18, register, 0, 0, random.immediate()), insn(0, 0, 0, 0, random.immediate()));
      else out.push(movImm(register, random.immediate()));
    }
    for (let off = -STACK_BYTES; off < 0; off += 8) {
      out.push(random.chance(50) ? insn(0x7a, 10, 0, off, random.immediate()) : insn(0x7b, 10, random.pick(SCRATCH), off, 0));
    }
    return out;
  }

  /** r0 = a mix of registers and memory. */
  #epilogue(): Sequence {
    const out: Sequence = [];
    for (const register of [1, 2, 3, 4, 5, 7, 9]) out.push(insn(0x27, 0, 0, 0, 31), insn(0x0f, 0, register, 0, 0));
    for (let off = -STACK_BYTES; off < 0; off += 8)
      out.push(insn(0x79, 1, 10, off, 0), insn(0x27, 0, 0, 0, 33), insn(0xaf, 0, 1, 0, 0));
    if (this.#index === 0) {
      for (let off = 0; off < VALUE_SIZE; off += 8)
        out.push(insn(0x79, 1, VALUE, off, 0), insn(0x27, 0, 0, 0, 37), insn(0x0f, 0, 1, 0, 0));
      // The kernel gives 32 bits of r0: let all 64 count.
      out.push(movReg(1, 0), insn(0x77, 1, 0, 0, 32), insn(0xaf, 0, 1, 0, 0), movReg(0, 0));
    }
    return [...out, insn(0x95, 0, 0, 0, 0)];
  }

  #sequence(at: number, count: number): Sequence {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 42) return [this.#alu()];
    if (kind < 47) return [this.#end()];
    if (kind < 63) return [this.#access(random.chance(50) ? 10 : VALUE)];
    if (kind < 70) return this.#computedAccess();
    if (kind < 76) return [this.#atomic()];
    if (kind < 79) return [insn(0x18, this.#target(), 0, 0, random.immediate()), insn(0, 0, 0, 0, random.immediate())];
    if (kind < 91 && this.#gentle && (this.#looping || random.chance(88))) return [this.#alu()];
    if (kind < 91) return [this.#jump(at + 1 + random.below(Math.max(1, count - at)))];
    if (kind < 96) return this.#call();
    return this.#helpers ? this.#helper() : [this.#alu()];
  }

  #target(): number {
    return this.#random.pick(SCRATCH);
  }

  #alu(): BpfInsn {
    const random = this.#random;
    const op = random.pick(ALU_OPS);
    const wide = op === 'movsx32' || random.chance(60);
    const registerOnly = op.startsWith('movsx');
    const fromRegister = op !== 'neg' && (registerOnly || random.chance(50));
    const { bits, off } = ALU[op];
    let imm = fromRegister || op === 'neg' ? 0 : random.immediate();
    if (op === 'lsh' || op === 'rsh' || op === 'arsh') imm &= wide ? 63 : 31;
    // The verifier refuses a division by the constant 0.
    if (!fromRegister && imm === 0 && /div|mod/.test(op)) imm = 3;
    return insn((wide ? 7 : 4) | bits | (fromRegister ? 8 : 0), this.#target(), fromRegister ? this.#target() : 0, off, imm);
  }

  #end(): BpfInsn {
    const op = this.#random.pick(Object.keys(END) as EndOp[]);
    return insn(END[op].code, this.#target(), 0, 0, this.#random.pick([16, 32, 64]));
  }

  /** A load or store of any size, aligned, as the verifier wants it on the stack. */
  #access(base: number): BpfInsn {
    const random = this.#random;
    const [bits, size] = random.pick(SIZES);
    const limit = base === 10 ? STACK_BYTES : VALUE_SIZE;
    const off = random.below(limit / size) * size - (base === 10 ? STACK_BYTES : 0);
    const kind = random.below(4);
    if (kind === 0) return insn(0x61 | bits, this.#target(), base, off, 0);
    if (kind === 1)
      return size === 8 ? insn(0x79, this.#target(), base, off, 0) : insn(0x81 | bits, this.#target(), base, off, 0);
    if (kind === 2) return insn(0x62 | bits, base, 0, off, random.immediate());
    return insn(0x63 | bits, base, this.#target(), off, 0);
  }

  /** An access through a pointer with a variable part. The pointer is gone afterwards: its value differs from engine to engine. */
  #computedAccess(): Sequence {
    const random = this.#random;
    const pointer = 5;
    const base = random.chance(50) ? 10 : VALUE;
    const [bits, size] = random.pick(SIZES);
    const out = [
      movReg(pointer, random.pick([0, 1, 2, 3, 4, 7, 9])),
      insn(0x57, pointer, 0, 0, 63 & -size),
      insn(0x0f, pointer, base, 0, 0),
    ];
    const off = base === 10 ? -STACK_BYTES : 0;
    const other = random.pick([0, 1, 2, 3, 4, 7, 9]);
    out.push(random.chance(50) ? insn(0x61 | bits, other, pointer, off, 0) : insn(0x63 | bits, pointer, other, off, 0));
    return [...out, movImm(pointer, random.immediate())];
  }

  #atomic(): BpfInsn {
    const random = this.#random;
    const wide = random.chance(50);
    const base = random.chance(50) ? 10 : VALUE;
    const size = wide ? 8 : 4;
    const off = random.below(64 / size) * size - (base === 10 ? STACK_BYTES : 0);
    return insn(wide ? 0xdb : 0xc3, base, random.pick([0, 1, 2, 3, 4, 5, 7, 9]), off, ATOMIC[random.pick(ATOMIC_OPS)].imm);
  }

  #jump(to: number): Jump {
    const random = this.#random;
    const fromRegister = random.chance(50);
    const code = (random.chance(50) ? 5 : 6) | JUMP[random.pick(JUMP_OPS)].bits | (fromRegister ? 8 : 0);
    return { ...insn(code, this.#target(), fromRegister ? this.#target() : 0, 0, fromRegister ? 0 : random.immediate()), to };
  }

  /** A counted loop around a few sequences, jumps among them included. */
  #loop(at: number): Sequence[] {
    if (this.#looping) return [[this.#alu()]];
    this.#looping = true;
    const random = this.#random;
    const length = 1 + random.below(4);
    const inner: Sequence[] = [];
    while (inner.length < length) inner.push(this.#sequence(at + 1 + inner.length, at + 1 + length));
    this.#looping = false;
    const back: Jump = { ...insn(0x55, COUNTER, 0, 0, 0), to: at + 1 };
    return [[movImm(COUNTER, 1 + random.below(6))], ...inner.slice(0, length), [insn(0x07, COUNTER, 0, 0, -1), back]];
  }

  /** A call of a later function with three scalars; what a call leaves in the argument registers is replaced. */
  #call(): Sequence {
    if (this.#index >= this.#callees) return [this.#alu()];
    const callee = this.#index + 1 + this.#random.below(this.#callees - this.#index);
    return [insn(0x85, 0, 1, 0, callee), ...this.#freshArguments()];
  }

  #helper(): Sequence {
    const random = this.#random;
    if (random.chance(50)) {
      const size = 4 * (1 + random.below(8));
      const set = [
        movReg(1, 10),
        insn(0x07, 1, 0, 0, -STACK_BYTES),
        movImm(2, size),
        movReg(3, 10),
        insn(0x07, 3, 0, 0, -32),
        movImm(4, 4 * (1 + random.below(8))),
        movImm(5, 0),
      ];
      return [...set, insn(0x85, 0, 0, 0, 28), ...this.#freshArguments()];
    }
    // A lookup with a key from the stack: NULL or the value, which is read and forgotten.
    const set = [
      insn(0x62, 10, 0, -8, random.below(3)),
      insn(0x18, 1, 5, 0, 0),
      insn(0, 0, 0, 0, 0),
      movReg(2, 10),
      insn(0x07, 2, 0, 0, -8),
      insn(0x85, 0, 0, 0, 1),
    ];
    return [...set, insn(0x15, 0, 0, 1, 0), insn(0x79, 0, 0, 8 * random.below(8), 0), ...this.#freshArguments()];
  }

  #freshArguments(): Sequence {
    return [1, 2, 3, 4, 5].map((register) => movImm(register, this.#random.immediate()));
  }
}

/** A jump from outside into a loop goes to where its counter is set. */
function throughTheDoor(sequences: Sequence[], loops: readonly (readonly [first: number, end: number])[]): void {
  sequences.forEach((sequence, from) => {
    sequences[from] = sequence.map((one: Jump) => {
      const loop = loops.find(
        ([first, end]) => one.to !== undefined && one.to > first && one.to < end && (from < first || from >= end),
      );
      return loop ? { ...one, to: loop[0] } : one;
    });
  });
}

/** Sequences in a row, their jumps resolved; a jump past the last goes to the last. */
function resolve(sequences: readonly Sequence[]): BpfInsn[] {
  const starts: number[] = [];
  let at = 0;
  for (const sequence of sequences) {
    starts.push(at);
    at += sequence.length;
  }
  return sequences.flat().map((one: Jump, index) => {
    if (one.to === undefined) return one;
    const { to, ...rest } = one;
    return { ...rest, off: starts[Math.min(to, sequences.length - 1)]! - index - 1 };
  });
}
