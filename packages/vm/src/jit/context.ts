/** What the parts of the translation of one function share. */

import type { VmTrapReason } from '../errors.ts';
import type { MapLookupKind } from '../map-lookup/layout.ts';
import type { Region } from '../engine.ts';
import type { CallTarget, KnownMap, VmHelper, VmProgram } from '../program.ts';
import type { Callee, Effect } from './effect.ts';
import type { Graph } from './graph.ts';
import type { Node } from './node.ts';

/** Constants and functions of the module that is being made. */
export interface ModuleContext {
  readonly program: VmProgram;
  readonly region: Region | undefined;
  readonly fuel: boolean;
  /** Whether frames must be counted at run time. */
  readonly countsFrames: boolean;
  /** Address of a word of the runtime; see CELL. */
  cell(name: 'stackPointer' | 'tailCalls' | 'returnHigh' | 'cpu' | 'fuel' | 'trapReason' | 'frameBase'): number;
  /** The function to call for a helper: its import, or its slot. */
  helper(helper: VmHelper): Callee;
  /** The function for callx: (id, r1 to r5 as pairs) -> low half. */
  dynamicHelper(): Callee;
  /** bpf_loop: (count: i32, slot: i32, ctx: i32, flags: i64) -> i32. */
  loop(): Callee;
  /** A lookup function for one key size, in the module itself. */
  lookup(kind: MapLookupKind, keySize: number): Callee;
  /** An update of an array's element: (index: i32, value: i32) -> i32, 0 or -E2BIG. */
  arrayUpdate(map: KnownMap): Callee;
  /** A lookup in whatever map: by its header's slot, or by the helper where that is 0. */
  lookupAny(helper: VmHelper): Callee;
  /** Type index of (i32) -> i64. */
  readonly programType: number;
  /** What is known of a map when the program is loaded. */
  mapFacts(map: KnownMap): MapFacts;
  /** The function of a subprogram, and the argument registers (1 to 5) that it reads. */
  subprogram(index: number): { readonly index: number; readonly args: readonly number[] };
  /** Slot of a subprogram's callback. */
  callbackSlot(subprogram: number): number;
}

/** Header fields that never change, read when a program is loaded. 0 or undefined: not known. */
export interface MapFacts {
  readonly kind: MapLookupKind | undefined;
  readonly data: number;
  readonly stride: number;
  readonly cpuStride: number;
}

/** A stack slot that is a variable: bytes [offset, offset + size) from the function's frame pointer. */
export interface Slot {
  readonly variable: number;
  readonly size: number;
}

/** The function in hand. */
export interface FunctionContext {
  readonly module: ModuleContext;
  readonly graph: Graph;
  /** Promoted stack slots by offset. */
  readonly slots: ReadonlyMap<number, Slot>;
  /** Whether an address of the stack may be known to anything but this function's direct accesses. */
  readonly stackEscapes: boolean;
  /** Variables from here on are slots and counters, live everywhere. */
  readonly registerVars: number;
  /** Facts about slots, by variable. */
  readonly slotFacts: readonly (Fact | undefined)[];
  /** Counter of may_goto. */
  readonly mayGoto: number;
}

export type { CallTarget };
export type TrapReasons = Exclude<VmTrapReason, 'stack'>;

/** What a register is known to hold where a block begins. */
export type Fact =
  | { readonly kind: 'value'; readonly bits: number; readonly nonzero: boolean }
  | { readonly kind: 'const'; readonly value: bigint }
  | { readonly kind: 'frame'; readonly offset: number };

export const ANY: Fact = { kind: 'value', bits: 64, nonzero: false };

/** How one block uses the stack frame directly. */
export interface FrameUse {
  /** Accesses at a constant offset from the frame pointer, as offset and size in bytes. */
  readonly accesses: { readonly offset: number; readonly size: number; readonly write: boolean }[];
  /** Ranges whose address something else gets. */
  readonly escapes: { readonly start: number; readonly end: number }[];
  /** An address of the stack is where it can't be followed. */
  escapesAll: boolean;
}

/** What is known at the end of a block, for the blocks that only it leads to. */
export interface State {
  /** Values by variable; one that is absent has the value of its local. */
  readonly values: readonly (Node | undefined)[];
  /** Nodes for the locals themselves, by variable; shared by all blocks of a path. */
  readonly entry: (Node | undefined)[];
  /** What memory of the stack frame holds, by offset. */
  readonly stored: ReadonlyMap<number, { readonly size: number; readonly value: Node }>;
}

/** A block's translation. */
export interface BlockCode extends State {
  readonly effects: readonly Effect[];
  /** For a conditional end: not 0 where the jump is taken. */
  readonly condition: Node | undefined;
  readonly frameUse: FrameUse;
}
