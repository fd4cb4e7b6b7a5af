/** What an engine is given to run: instructions as they were loaded, and what the verifier learnt, in side tables. */

import type { BpfInsn } from '@libbpf-ts/isa';

/** How a helper's argument or result crosses: `u32` by its low half, `u64` whole. */
export type HelperType = 'u32' | 'u64';

/**
 * A helper (or kfunc) as the engines call it.
 * `run` is called with numbers only: a `u32` argument as one unsigned-or-signed int32 (treat it with `>>> 0`), a `u64`
 * argument as two (low, high). A `u64` result returns its low half and puts the high half into `returnHigh.value`;
 * `s32` is sign-extended to 64 bits (so -ENOENT reads as a negative r0), `u32` zero-extended (pointers).
 */
export interface VmHelper {
  readonly name: string;
  readonly args: readonly HelperType[];
  readonly returns: 's32' | 'u32' | 'u64' | 'void';
  /** The implementation in JavaScript. */
  readonly run: (...args: number[]) => number;
  /** Where it exists: the same function in the function table, WebAssembly with i32/i64 arguments as `args` says. The JIT imports it. */
  readonly slot?: number;
  /**
   * Set where the helper is the kernel's own of that meaning, so that the JIT may do its work without a call:
   * a lookup through the map header, an update of an array, a tail call (which only the engines can make), bpf_loop, a read of the
   * current CPU.
   */
  readonly intrinsic?: VmIntrinsic;
  /** A helper that calls back into a program's subprogram (bpf_loop, bpf_for_each_map_elem, bpf_timer_set_callback). */
  readonly callsBack?: boolean;
}

/** Helpers whose work an engine can do itself. `tail_call` has no use for `run`; the others need it in the interpreter. */
export type VmIntrinsic = 'map_lookup' | 'map_update' | 'tail_call' | 'loop' | 'smp_processor_id';

/** The high half of a `u64` helper result; one object a runtime. */
export interface ReturnHigh {
  value: number;
}

/** What the verifier knows of the map that a call always gets as its first argument. */
export interface KnownMap {
  /** Address of the map's header in the arena: what the program holds as its map pointer. */
  readonly address: number;
  readonly map_type: number;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  /** Fields of its values that the kernel manages (locks, timers, kptrs), where there are any: such values are not copied as mere bytes. */
  readonly record?: readonly unknown[];
}

/** Who is called by one call instruction. */
export interface CallTarget {
  readonly helper: VmHelper;
  /** Set where the first argument is the same map on every path that reaches the call. */
  readonly map?: KnownMap;
}

/** One function of a program: [start, end) in instruction slots; entry 0 is the program itself. */
export interface Subprogram {
  readonly start: number;
  readonly end: number;
  readonly name?: string;
  /** Bytes of stack that it uses, 0..512; 512 where unknown. */
  readonly stackDepth?: number;
  /** Its address is taken (callback): it gets a slot of the function table of its own. */
  readonly addressTaken?: boolean;
}

/** Facts about instructions, by instruction number. Instructions themselves are never inserted, moved or changed. */
export interface Fixups {
  /** ld_imm64 (first slot) -> the 64-bit value that it loads: map pointers, map value addresses, ksyms. Plain constants are not listed. */
  readonly constants: ReadonlyMap<number, bigint>;
  /** ld_imm64 of a subprogram's address -> index into `subprograms`. The engine loads the slot number of that function. */
  readonly functions: ReadonlyMap<number, number>;
  /** Call instruction -> helper or kfunc. bpf2bpf calls (src_reg = 1) are not listed. */
  readonly calls: ReadonlyMap<number, CallTarget>;
  /** 1 where the verifier proved that the instruction never runs. */
  readonly dead?: Uint8Array;
  /** Loads through BTF pointers that may fault and then read zero. */
  readonly probeLoads?: ReadonlySet<number>;
  /**
   * How ld_abs and ld_ind read the packet: (ctx: u32, offset: u32 taken as signed, size: u32 of 1, 2, 4) -> u64. The low half is the
   * value in host order; a high half other than 0 means "no such bytes", and the program ends with r0 = 0.
   */
  readonly packetLoad?: VmHelper;
  /** Helpers by number, for `callx`, where the number is in a register. */
  readonly helpersById?: ReadonlyMap<number, VmHelper>;
}

/** A program ready for an engine. */
export interface VmProgram {
  readonly name: string;
  readonly insns: readonly BpfInsn[];
  readonly subprograms: readonly Subprogram[];
  readonly fixups: Fixups;
  /** Source line of an instruction, where the program has line information. */
  readonly lineOf?: (insn: number) => string | undefined;
}
