/** Verifier states: frames of registers and stack, what is held, and how the path got here (`struct bpf_verifier_state`). */

import type { LinkedReg } from './linked.ts';
import type { SccVisit } from './scc-visits.ts';
import { cloneReg, copyReg, markNotInit, Reg } from './register.ts';
import { SCALAR_VALUE } from './regtype.ts';

export const MAX_BPF_REG = 11;
export const BPF_REG_FP = 10;
export const MAX_CALL_FRAMES = 8;
export const BPF_MAIN_FUNC = -1;

/** `enum bpf_stack_slot_type`: what a byte of stack holds. Eight to a slot, four bits each, lowest byte in the lowest bits. */
export const STACK_INVALID = 0;
export const STACK_SPILL = 1;
export const STACK_MISC = 2;
export const STACK_ZERO = 3;
export const STACK_DYNPTR = 4;
export const STACK_ITER = 5;
export const STACK_IRQ_FLAG = 6;

/** Eight bytes of one kind. */
export const fillSlot = (kind: number): number => Math.imul(kind, 0x11111111) | 0;
export const slotByte = (types: number, byte: number): number => (types >>> (byte * 4)) & 0xf;
export const withSlotByte = (types: number, byte: number, kind: number): number =>
  (types & ~(0xf << (byte * 4))) | (kind << (byte * 4));
/** The kind of the highest byte tells whether the slot's register is meaningful. */
export const slotKind = (types: number): number => types >>> 28;

export const ALL_SPILL: number = fillSlot(STACK_SPILL);
export const ALL_MISC: number = fillSlot(STACK_MISC);
export const ALL_ZERO: number = fillSlot(STACK_ZERO);
export const ALL_DYNPTR: number = fillSlot(STACK_DYNPTR);
export const ALL_ITER: number = fillSlot(STACK_ITER);
export const ALL_IRQ_FLAG: number = fillSlot(STACK_IRQ_FLAG);

/** One function's activation. */
export class FuncState {
  regs: Reg[] = [];
  /** The call instruction that entered this frame; −1 for the entry of a program or global function. */
  callsite: number = BPF_MAIN_FUNC;
  frameno = 0;
  subprogno = 0;
  asyncEntryCnt = 0;
  inCallback = false;
  inAsyncCallback = false;
  inExceptionCallback = false;
  /** What a callback may return. */
  callbackRange: { readonly min: number; readonly max: number } | undefined = undefined;
  callbackDepth = 0;
  /**
   * Per 8-byte slot, slot 0 nearest to the frame pointer: types of its bytes, and the register spilled (or dynptr, iterator).
   * Copies of a frame share these registers: change one only through `slotReg`.
   */
  slots: number[] = [];
  spilled: (Reg | undefined)[] = [];
}

/** Something acquired that must be released (`struct bpf_reference_state`). */
export interface Ref {
  readonly kind: 'ptr' | 'lock' | 'res-lock' | 'res-lock-irq' | 'irq';
  readonly id: number;
  readonly insn: number;
  /** Of a lock: what it lies in. */
  readonly ptr?: object | undefined;
}

/** One remembered step of a path. */
export interface HistoryEntry {
  idx: number;
  prevIdx: number;
  /** Stack access: 1, with slot and frame in the next fields. */
  stackAccess: boolean;
  spi: number;
  frameno: number;
  /** The operand compared was a stack pointer, which has no precision. */
  dstStack: boolean;
  srcStack: boolean;
  linked: readonly LinkedReg[] | undefined;
}

export class VerifierState {
  frames: FuncState[] = [];
  curframe = 0;
  parent: VerifierState | undefined = undefined;
  branches = 0;
  insnIdx = 0;
  firstInsnIdx = -1;
  lastInsnIdx = -1;
  speculative = false;
  inSleepable = false;
  cleaned = false;
  refs: Ref[] = [];
  activeLocks = 0;
  activeLockId = 0;
  activeLockPtr: object | undefined = undefined;
  activePreemptLocks = 0;
  activeRcuLocks = 0;
  activeIrqId = 0;
  history: HistoryEntry[] = [];
  dfsDepth = 0;
  callbackUnrollDepth = 0;
  mayGotoDepth = 0;
  equalState: VerifierState | undefined = undefined;
  /** Saved states: the part that set it apart from the state compared last; −1 for none. */
  differsAt = -1;
  /** Saved states: the visit of a loop that they belong to. */
  visit: SccVisit | undefined = undefined;
  /** How often it let a path end early, and how often it was compared in vain. */
  hits = 0;
  misses = 0;

  get frame(): FuncState {
    return this.frames[this.curframe]!;
  }
}

export function newFrame(callsite: number, frameno: number, subprogno: number): FuncState {
  const frame = new FuncState();
  frame.callsite = callsite;
  frame.frameno = frameno;
  frame.subprogno = subprogno;
  for (let i = 0; i < MAX_BPF_REG; i++) {
    const reg = new Reg();
    markNotInit(reg);
    frame.regs.push(reg);
  }
  return frame;
}

/** Frames of paths that are done, to be used again. */
export type FramePool = FuncState[];

function cloneFrame(from: FuncState, pool: FramePool): FuncState {
  const used = pool.pop();
  const frame = used ?? new FuncState();
  frame.callsite = from.callsite;
  frame.frameno = from.frameno;
  frame.subprogno = from.subprogno;
  frame.asyncEntryCnt = from.asyncEntryCnt;
  frame.inCallback = from.inCallback;
  frame.inAsyncCallback = from.inAsyncCallback;
  frame.inExceptionCallback = from.inExceptionCallback;
  frame.callbackRange = from.callbackRange;
  frame.callbackDepth = from.callbackDepth;
  if (used) {
    for (let i = 0; i < MAX_BPF_REG; i++) copyReg(frame.regs[i]!, from.regs[i]!);
  } else {
    const regs = new Array<Reg>(MAX_BPF_REG);
    for (let i = 0; i < MAX_BPF_REG; i++) regs[i] = cloneReg(from.regs[i]!);
    frame.regs = regs;
  }
  frame.slots = from.slots.slice();
  const spilled = from.spilled.slice();
  for (let i = 0; i < spilled.length; i++) {
    const reg = spilled[i];
    if (reg !== undefined) reg.shared = true;
  }
  frame.spilled = spilled;
  return frame;
}

/** A deep copy but for the history, which starts empty where `withHistory` is false. */
export function cloneState(from: VerifierState, withHistory: boolean, pool: FramePool): VerifierState {
  const state = new VerifierState();
  for (let i = 0; i <= from.curframe; i++) state.frames.push(cloneFrame(from.frames[i]!, pool));
  state.curframe = from.curframe;
  state.parent = from.parent;
  state.branches = from.branches;
  state.insnIdx = from.insnIdx;
  state.firstInsnIdx = from.firstInsnIdx;
  state.lastInsnIdx = from.lastInsnIdx;
  state.speculative = from.speculative;
  state.inSleepable = from.inSleepable;
  state.refs = from.refs.slice();
  state.activeLocks = from.activeLocks;
  state.activeLockId = from.activeLockId;
  state.activeLockPtr = from.activeLockPtr;
  state.activePreemptLocks = from.activePreemptLocks;
  state.activeRcuLocks = from.activeRcuLocks;
  state.activeIrqId = from.activeIrqId;
  state.history = withHistory ? from.history.slice() : [];
  state.dfsDepth = from.dfsDepth;
  state.callbackUnrollDepth = from.callbackUnrollDepth;
  state.mayGotoDepth = from.mayGotoDepth;
  state.equalState = from.equalState;
  return state;
}

/** Makes the stack at least `bytes` deep (a multiple of 8); new slots hold nothing. */
export function growStack(frame: FuncState, bytes: number): void {
  const slots = (bytes + 7) >> 3;
  while (frame.slots.length < slots) {
    frame.slots.push(0);
    frame.spilled.push(undefined);
  }
}

/** The register of a slot, to be changed: made on first use, and this frame's own. */
export function slotReg(frame: FuncState, spi: number): Reg {
  let reg = frame.spilled[spi];
  if (reg === undefined) {
    reg = new Reg();
    markNotInit(reg);
    frame.spilled[spi] = reg;
  } else if (reg.shared) {
    reg = cloneReg(reg);
    frame.spilled[spi] = reg;
  }
  return reg;
}

export function setSlotReg(frame: FuncState, spi: number, from: Reg): void {
  const reg = frame.spilled[spi];
  if (reg === undefined || reg.shared) frame.spilled[spi] = cloneReg(from);
  else copyReg(reg, from);
}

export const isSpilled = (frame: FuncState, spi: number): boolean => slotKind(frame.slots[spi]!) === STACK_SPILL;
export const isSpilledScalar = (frame: FuncState, spi: number): boolean =>
  isSpilled(frame, spi) && frame.spilled[spi]!.type === SCALAR_VALUE;
/** All eight bytes hold one scalar. */
export const isSpilledScalar64 = (frame: FuncState, spi: number): boolean =>
  (frame.slots[spi]! & 0xf) === STACK_SPILL && frame.spilled[spi]!.type === SCALAR_VALUE;

/** Changes every register and spilled register that `matches`, in all frames. */
export function changeRegs(state: VerifierState, matches: (reg: Reg) => boolean, change: (reg: Reg) => void): void {
  for (let f = 0; f <= state.curframe; f++) {
    const frame = state.frames[f]!;
    for (let i = 0; i < MAX_BPF_REG; i++) {
      const reg = frame.regs[i]!;
      if (matches(reg)) change(reg);
    }
    for (let spi = 0; spi < frame.spilled.length; spi++) {
      if (isSpilled(frame, spi) && matches(frame.spilled[spi]!)) change(slotReg(frame, spi));
    }
  }
}

/** Turns every byte of a slot into what is left when its register is forgotten: scalars become unknown bytes. */
export function scrubSpilledSlot(frame: FuncState, spi: number, byte: number): void {
  const types = frame.slots[spi]!;
  if (slotByte(types, byte) !== STACK_INVALID) frame.slots[spi] = withSlotByte(types, byte, STACK_MISC);
}
