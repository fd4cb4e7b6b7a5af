/** What a refusal means: a stable code, a place, and what would have to be proven. */

/** One step of how a register came to be what it is. */
export interface StoryStep {
  readonly insn: number;
  readonly text: string;
  readonly source?: SourceLine;
}

/** A line of the program's C source, as line_info gives it. */
export interface SourceLine {
  readonly fileName: string;
  readonly lineNumber: number;
  readonly column: number;
  readonly text: string;
}

export interface Diagnostic {
  /** `null-deref`, `packet-out-of-bounds`, `unsupported`, …; never changes its meaning. */
  readonly code: string;
  /** The instruction refused; −1 where the program as a whole is. */
  readonly insn: number;
  /** The line that the kernel logs for it. */
  readonly message: string;
  readonly source?: SourceLine;
  /** The register to blame. */
  readonly register?: number;
  readonly story: readonly StoryStep[];
  /** The missing check in words. */
  readonly help: string;
}
