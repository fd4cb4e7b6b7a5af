/** Raw bytecode with the user's own helpers: no kernel, no verifier, and no way out. */

import { BPF_PSEUDO_FUNC, decode, encode, opcodeOf, validate } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';

import { Arena } from './arena.ts';
import { VmError, VmTrap, isVmTrap } from './errors.ts';
import type { CallTarget, HelperType, VmHelper, VmProgram } from './program.ts';
import { VmRuntime } from './runtime.ts';
import type { LoadedProgram } from './runtime.ts';
import { checkSubprograms, subprogramsOf } from './subprograms.ts';

/** Gets r1 to r5, unsigned; what it returns is r0, all 64 bits. What it throws comes out of `run`. */
export type SandboxHelper = (r1: bigint, r2: bigint, r3: bigint, r4: bigint, r5: bigint) => bigint | number | void;

export interface SandboxOptions {
  /** Helpers by number. A program that calls another is refused when it is loaded. */
  readonly helpers?: Readonly<Record<number, SandboxHelper>>;
  /** Bytes of memory besides the stack, 64 KiB by default. */
  readonly memoryBytes?: number;
  /** `tiered` by default. */
  readonly engine?: 'jit' | 'first-tier' | 'interpreter' | 'tiered';
}

export interface SandboxRun {
  /** What is copied to the start of the memory: r1 is its address, r2 its length. The rest of the memory is zero. */
  readonly input?: Uint8Array;
  /** Instructions that the run may take, 100 million by default. */
  readonly budget?: number;
}

export interface SandboxResult {
  /** Unsigned. */
  readonly r0: bigint;
  /** The input's bytes as the program left them. */
  readonly output: Uint8Array;
}

const STACK_BYTES = 48 * 1024;
/** The length of the input lies before the memory, where the instruction put in front of each program reads it. */
const HEADER = 8;
const LOAD_LENGTH: BpfInsn = { code: 0x61, dst_reg: 2, src_reg: 1, off: -HEADER, imm: 0 };
/** Where a program calls its own first instruction, that is a function of its own, and called as such. */
const CALL_ENTRY: readonly BpfInsn[] = [
  LOAD_LENGTH,
  { code: 0x85, dst_reg: 0, src_reg: 1, off: 0, imm: 1 },
  { code: 0x95, dst_reg: 0, src_reg: 0, off: 0, imm: 0 },
];
const BUDGET = 100_000_000;
const FIVE: readonly HelperType[] = ['u64', 'u64', 'u64', 'u64', 'u64'];

/**
 * Runs programs over one memory of its own: the input, what follows it, and the stack. Every other address traps, the null page and
 * addresses above 4 GiB included, and so does a run that takes more instructions than it may. Works in Node and browsers.
 */
export class Sandbox {
  /** Address of the memory, as programs see it. */
  readonly address: number;
  readonly #memoryBytes: number;
  readonly #runtime: VmRuntime;
  readonly #helpers: ReadonlyMap<number, VmHelper>;
  readonly #engine: string;
  readonly #region: { readonly start: number; readonly end: number };

  constructor({ helpers = {}, memoryBytes = 65_536, engine = 'tiered' }: SandboxOptions = {}) {
    const arena = new Arena();
    this.#memoryBytes = (memoryBytes + 15) & ~15;
    const size = HEADER + this.#memoryBytes + STACK_BYTES;
    let start = 0;
    this.#runtime = new VmRuntime({
      arena,
      stack() {
        start = arena.allocate(size, 64);
        return { start: start + size - STACK_BYTES, end: start + size };
      },
    });
    this.address = start + HEADER;
    this.#region = { start, end: start + size };
    this.#engine = engine;
    this.#helpers = new Map(Object.entries(helpers).map(([id, helper]) => [Number(id), this.#helper(Number(id), helper)]));
  }

  /** `struct bpf_insn[]` as bytes, or instructions. Throws IsaError or VmError, with the instruction and what is wrong with it. */
  load(program: Uint8Array | readonly BpfInsn[], name = 'program'): SandboxProgram {
    const raw = program instanceof Uint8Array ? decode(program) : program;
    validate(raw, { unverified: true });
    checkSubprograms(raw);
    // What the fields hold beyond their widths is cut off, as in memory.
    const given = decode(encode(raw));
    const prefix = callsEntry(given) ? CALL_ENTRY : [LOAD_LENGTH];
    const insns = [...prefix, ...given];
    const calls = new Map<number, CallTarget>();
    const functions = new Map<number, number>();
    const subprograms = subprogramsOf(insns);
    insns.forEach((insn, index) => {
      const opcode = opcodeOf(insn);
      if (opcode?.kind === 'ld_imm64' && insn.src_reg === BPF_PSEUDO_FUNC) {
        functions.set(
          index,
          subprograms.findIndex(({ start }) => start === index + 1 + insn.imm),
        );
      } else if (opcode?.kind === 'ld_imm64' && insn.src_reg !== 0) {
        throw new VmError(
          'unsupported',
          name,
          'a sandbox has no maps and no kernel objects to load the address of',
          index - prefix.length,
        );
      }
      if (opcode?.kind === 'ld_packet')
        throw new VmError('unsupported', name, 'a sandbox has no packet to load from', index - prefix.length);
      if (opcode?.kind !== 'call' || opcode.target === 'subprogram' || opcode.target === 'register') return;
      const helper = opcode.target === 'helper' ? this.#helpers.get(insn.imm) : undefined;
      if (!helper)
        throw new VmError(
          'invalid',
          name,
          `call of ${opcode.target} ${insn.imm}, which the sandbox does not have`,
          index - prefix.length,
        );
      calls.set(index, { helper });
    });
    const fixups = { constants: new Map(), functions, calls, helpersById: this.#helpers };
    const loaded = this.#place({ name, insns, subprograms, fixups }, prefix.length);
    return new SandboxProgram(loaded, (run) => this.#run(loaded, prefix.length, run));
  }

  /** What an engine refuses, by the number that the instruction has for the caller. */
  #place(program: VmProgram, prefix: number): LoadedProgram {
    try {
      return this.#runtime.load(program, { engine: this.#engine, fuel: true, region: this.#region });
    } catch (error) {
      if (!(error instanceof VmError) || error.insn === undefined) throw error;
      const detail = error.message.slice(`${error.program} insn ${error.insn}: `.length);
      throw new VmError(error.reason, error.program, detail, error.insn - prefix);
    }
  }

  /** The `length` bytes at an address that a helper was given; live until the next run. Throws VmTrap where they are not all the program's own. */
  bytes(address: bigint | number, length: bigint | number): Uint8Array {
    const start = Number(address);
    const end = start + Number(length);
    if (!(start >= this.#region.start && end >= start && end <= this.#region.end)) throw new VmTrap('access', 'helper');
    return this.#runtime.arena.u8.subarray(start, end);
  }

  #run(loaded: LoadedProgram, prefix: number, { input = new Uint8Array(0), budget = BUDGET }: SandboxRun): SandboxResult {
    if (input.length > this.#memoryBytes)
      throw new RangeError(`${input.length} bytes of input do not fit into ${this.#memoryBytes} bytes of memory`);
    if (!(budget >= 0)) throw new RangeError(`a budget of ${budget} instructions`);
    const { arena } = this.#runtime;
    arena.u8.fill(0, this.#region.start, this.#region.end);
    arena.u8.set(input, this.address);
    arena.u32[(this.address - HEADER) >> 2] = input.length;
    this.#runtime.fuel = Math.min(Math.floor(budget), Number.MAX_SAFE_INTEGER - prefix) + prefix;
    try {
      const r0 = loaded.run64(this.address);
      return { r0, output: arena.u8.slice(this.address, this.address + input.length) };
    } catch (error) {
      if (!isVmTrap(error) || error.insn === undefined || error.program !== loaded.program.name) throw error;
      throw new VmTrap(error.reason, error.program, { insn: error.insn - prefix }, { cause: error });
    }
  }

  #helper(id: number, run: SandboxHelper): VmHelper {
    const runtime = this.#runtime;
    const whole = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    return {
      name: `helper ${id}`,
      args: FIVE,
      returns: 'u64',
      run(...h) {
        const result = BigInt(
          run(whole(h[0]!, h[1]!), whole(h[2]!, h[3]!), whole(h[4]!, h[5]!), whole(h[6]!, h[7]!), whole(h[8]!, h[9]!)) ?? 0,
        );
        runtime.returnHigh.value = Number(BigInt.asIntN(32, result >> 32n));
        return Number(BigInt.asIntN(32, result));
      },
    };
  }
}

/** Whether a call or a function pointer leads to instruction 0. */
function callsEntry(insns: readonly BpfInsn[]): boolean {
  return subprogramsOf([{ code: 0x05, dst_reg: 0, src_reg: 0, off: 0, imm: 0 }, ...insns]).some(({ start }) => start === 1);
}

/** A program in a sandbox. */
export class SandboxProgram {
  readonly #loaded: LoadedProgram;
  readonly #run: (run: SandboxRun) => SandboxResult;

  constructor(loaded: LoadedProgram, run: (run: SandboxRun) => SandboxResult) {
    this.#loaded = loaded;
    this.#run = run;
  }

  /** Throws VmTrap: `access`, `fuel`, `call-depth` or `call`, with the instruction where it is known. */
  run(run: SandboxRun = {}): SandboxResult {
    return this.#run(run);
  }

  unload(): void {
    this.#loaded.unload();
  }
}
