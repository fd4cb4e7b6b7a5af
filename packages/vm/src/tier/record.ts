/** Predecoded instructions, as the first tier reads them in the arena. */

/** A program's block starts with its heat, the heat from which on a better engine is asked for, and what a run adds. */
export const HEADER = { heat: 0, limit: 4, run: 8, size: 16 } as const;

/** The limit of a program whose second slot holds another engine's function: who still comes to this one's is sent on. */
export const MOVED = 0;

/**
 * One record an instruction slot, so that an address is an instruction number. `dst` and `src` are registers times eight. `offset` is the
 * offset of an access, or the address of the record that is jumped to. `imm` is sign-extended to 64 bits.
 */
export const RECORD = { operation: 0, dst: 2, src: 3, offset: 4, imm: 8, size: 16 } as const;

/**
 * What a frame keeps where no program can reach it: one of these for each 512 bytes of BPF stack, at `stack pointer / 8` from a base.
 * Two frames of this engine are 512 bytes apart at least.
 */
export const FRAME = { saved: 0, returnTo: 32, mayGoto: 36, size: 64 } as const;

/** Bytes of the frames of a BPF stack of that size. */
export const frameBytes = (stackBytes: number): number => (stackBytes >> 3) + 2 * FRAME.size;
