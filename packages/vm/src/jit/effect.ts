/** What a block does besides computing values, in order. */

import type { Node } from './node.ts';

export type Effect =
  /** Marks where a load stands; it is emitted before the next effect that may write memory. */
  | { readonly kind: 'load'; readonly node: Node }
  /** Computes a node here, so that expressions do not nest too deep. */
  | { readonly kind: 'pin'; readonly node: Node }
  | {
      readonly kind: 'store';
      readonly op: number;
      readonly base: Node;
      readonly offset: number;
      readonly value: Node;
      readonly insn: number;
    }
  | {
      readonly kind: 'call';
      readonly callee: Callee;
      readonly args: readonly Node[];
      readonly result: Node | undefined;
      readonly insn: number;
    }
  /** Traps unless [address, address + size) lies in the region; `address` is an i64. */
  | { readonly kind: 'check'; readonly address: Node; readonly size: number; readonly insn: number }
  /** Leaves for another program where everything allows it, else goes on. `data` is the array of slots. */
  | {
      readonly kind: 'tail';
      readonly ctx: Node;
      readonly index: Node;
      readonly maxEntries: Node;
      readonly data: Node;
      readonly insn: number;
    }
  /** Returns 0 where the word at `cell` is not 0: a packet load that found no bytes. */
  | { readonly kind: 'return-if'; readonly condition: Node }
  | { readonly kind: 'trap-if'; readonly condition: Node; readonly reason: number; readonly insn: number }
  | { readonly kind: 'fuel'; readonly count: number };

/** Who is called: a function of the module, imported ones included. */
export interface Callee {
  readonly index: number;
  readonly returns: 'i32' | 'i64' | 'void';
}
