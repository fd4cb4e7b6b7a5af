/** The runtime's own words in the arena, at fixed offsets from its block: WebAssembly reads and writes them as plain memory. */

/** Byte offsets from the runtime block. */
export const CELL = {
  /** Top of the free BPF stack: a frame that starts here grows down. */
  stackPointer: 0,
  /** Tail calls made in the outermost run so far. */
  tailCalls: 4,
  /** High half of the last 64-bit result that crossed to or from JavaScript. */
  returnHigh: 8,
  /** The simulated CPU that runs now. */
  cpu: 12,
  /** Instructions left (i64), for programs loaded with `fuel`. */
  fuel: 16,
  /** Why compiled code is about to trap; see TRAP_REASON. */
  trapReason: 24,
  /** Frame pointer of the run's entry function, for the depth check of unverified code. */
  frameBase: 28,
  /** Address of the instruction record that the first tier is at, where it trapped; 0 while nothing there can. */
  tierPc: 32,
  /** Where the first tier goes on: record and frame, or slot and context of a tail call. */
  tierNext: 36,
  tierWith: 40,
  /** The first tier's r0 to r10, eight bytes each. */
  tierRegisters: 64,
} as const;

/** Bytes of the block. */
export const CELL_BLOCK_SIZE = 192;

/** Numbers in `CELL.trapReason`. 0: the engine's own trap, an access outside of the memory. */
export const TRAP_REASON = { access: 1, fuel: 2, 'call-depth': 3, call: 4, unreachable: 5 } as const;

/** Frames of bpf2bpf calls, the bytes of one, and tail calls of a run (the kernel's MAX_CALL_FRAMES, MAX_BPF_STACK, MAX_TAIL_CALL_CNT). */
export const MAX_CALL_FRAMES = 8;
export const MAX_BPF_STACK = 512;
export const MAX_TAIL_CALL_CNT = 33;
/** Iterations that `may_goto` allows a frame (BPF_MAX_LOOPS). */
export const BPF_MAX_LOOPS = 8_388_608;
