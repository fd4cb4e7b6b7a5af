/** One engine with one program, ready to be measured. */

export interface Runner {
  /** Nanoseconds a run takes, over `count` runs in a row. */
  measure(count: number): number;
  /** r0 of one run, unsigned. */
  result(): number;
  close(): void;
}

import type { BenchProgram } from './programs.ts';

/** An engine, ours or the kernel's. */
export interface Side {
  readonly name: string;
  load(program: BenchProgram): Runner;
}
