/** What `run` attached, and what became of each packet. */

import type { BpfObject, Program } from 'libbpf-ts';

/** A program that was attached, with the object that it came from. */
export interface Attached {
  readonly path: string;
  readonly object: BpfObject;
  readonly program: Program;
}

/** What became of one packet. */
export interface PacketResult {
  /** Counts from 1. */
  readonly packet: number;
  readonly len: number;
  /** TCX_NEXT, TCX_PASS, TCX_DROP or TCX_REDIRECT. */
  readonly verdict: string;
  readonly code: number;
  readonly path: readonly { readonly prog: string; readonly ret: number }[];
}
