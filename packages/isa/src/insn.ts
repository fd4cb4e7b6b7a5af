/** One instruction as `struct bpf_insn` holds it. */

/**
 * An 8-byte instruction slot. A program is `readonly BpfInsn[]` with one entry a slot: the second half of
 * a 16-byte `ld_imm64` is an entry of its own (code 0), so an index into the array is an instruction number
 * as the kernel's log, jump offsets and .BTF.ext count them.
 */
export interface BpfInsn {
  /** 0..255. */
  readonly code: number;
  /** 0..15. */
  readonly dst_reg: number;
  /** 0..15. */
  readonly src_reg: number;
  /** Signed 16 bits. */
  readonly off: number;
  /** Signed 32 bits. */
  readonly imm: number;
}
