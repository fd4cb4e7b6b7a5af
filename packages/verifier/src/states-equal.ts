/** When is a state covered by one already explored (`states_equal`): types, ranges, stack and what is held, ids up to renaming. */

import { rangeWithin, sameScalar } from './bounds.ts';
import type { Env } from './env.ts';
import type { IdMap } from './id-map.ts';
import { BPF_ADD_CONST, type Reg } from './register.ts';
import * as T from './regtype.ts';
import {
  ALL_MISC,
  type FuncState,
  isSpilledScalar64,
  slotByte,
  slotKind,
  STACK_DYNPTR,
  STACK_INVALID,
  STACK_IRQ_FLAG,
  STACK_ITER,
  STACK_MISC,
  STACK_SPILL,
  STACK_ZERO,
  type VerifierState,
} from './state.ts';
import { tnumIn } from './tnum.ts';

/** How equal: as ranges where precision asks for it; all of them as ranges (loops); to the bit (infinite loops). */
export const NOT_EXACT = 0;
export const RANGE_WITHIN = 1;
export const EXACT = 2;

export function statesEqual(env: Env, old: VerifierState, cur: VerifierState, exact: number, ids: IdMap): boolean {
  if (old.curframe !== cur.curframe) return false;
  ids.reset(env.idGen);
  if (old.speculative && !cur.speculative) return false;
  if (old.inSleepable !== cur.inSleepable) return false;
  if (old.differsAt >= 0) {
    // What set the two apart last time most likely does so again; with no ids matched yet a difference is final.
    if (!partEqual(env, old, cur, old.differsAt, exact, ids)) return false;
    ids.reset(env.idGen);
  }
  if (!refsEqual(old, cur, ids)) return false;
  for (let f = 0; f <= old.curframe; f++) {
    const oldFrame = old.frames[f]!;
    const curFrame = cur.frames[f]!;
    if (oldFrame.callsite !== curFrame.callsite || oldFrame.subprogno !== curFrame.subprogno) return false;
    const insn = f === old.curframe ? old.insnIdx : old.frames[f + 1]!.callsite;
    const part = framesDiffer(env, oldFrame, curFrame, env.liveRegs[insn]!, exact, ids);
    if (part >= 0) old.differsAt = f * FRAME_PARTS + part;
    if (part !== SAME) return false;
  }
  return true;
}

function refsEqual(old: VerifierState, cur: VerifierState, ids: IdMap): boolean {
  if (old.refs.length !== cur.refs.length || old.activeLocks !== cur.activeLocks) return false;
  if (old.activePreemptLocks !== cur.activePreemptLocks || old.activeRcuLocks !== cur.activeRcuLocks) return false;
  if (!ids.check(old.activeIrqId, cur.activeIrqId)) return false;
  if (!ids.check(old.activeLockId, cur.activeLockId) || old.activeLockPtr !== cur.activeLockPtr) return false;
  for (let i = 0; i < old.refs.length; i++) {
    const a = old.refs[i]!;
    const b = cur.refs[i]!;
    if (!ids.check(a.id, b.id) || a.kind !== b.kind || a.ptr !== b.ptr) return false;
  }
  return true;
}

/** Parts of a frame by number: registers, then stack slots. */
const FRAME_PARTS = 128;
const FIRST_SLOT = 16;
const SAME = -1;
const DIFFERENT = -2;

/** Compares one part of one frame. */
function partEqual(env: Env, old: VerifierState, cur: VerifierState, part: number, exact: number, ids: IdMap): boolean {
  const a = old.frames[Math.floor(part / FRAME_PARTS)]!;
  const b = cur.frames[Math.floor(part / FRAME_PARTS)]!;
  const index = part % FRAME_PARTS;
  if (index < FIRST_SLOT) return regSafe(env, a.regs[index]!, b.regs[index]!, exact, ids);
  return index - FIRST_SLOT >= a.slots.length || slotSafe(env, a, b, index - FIRST_SLOT, exact, ids);
}

/** SAME, DIFFERENT as a whole, or the number of the part that differs. */
function framesDiffer(env: Env, old: FuncState, cur: FuncState, live: number, exact: number, ids: IdMap): number {
  if (old.callbackDepth > cur.callbackDepth) return DIFFERENT;
  if (old.inAsyncCallback !== cur.inAsyncCallback || old.inCallback !== cur.inCallback) return DIFFERENT;
  for (let i = 0; i < 11; i++) {
    if (live & (1 << i) && !regSafe(env, old.regs[i]!, cur.regs[i]!, exact, ids)) return i;
  }
  const spi = stackDiffers(env, old, cur, exact, ids);
  return spi < 0 ? SAME : FIRST_SLOT + spi;
}

/** Everything before the ids: type, offset, what it points to, known bits and bounds. */
function sameFixedPart(a: Reg, b: Reg): boolean {
  return (
    a.type === b.type &&
    a.off === b.off &&
    a.map === b.map &&
    a.mapUid === b.mapUid &&
    a.memSize === b.memSize &&
    a.range === b.range &&
    a.btf === b.btf &&
    a.btfId === b.btfId &&
    a.subprogno === b.subprogno &&
    a.dynType === b.dynType &&
    a.dynFirst === b.dynFirst &&
    a.dynptrId === b.dynptrId
  );
}

function regsExact(old: Reg, cur: Reg, ids: IdMap): boolean {
  return sameFixedPart(old, cur) && sameScalar(old, cur) && ids.check(old.id, cur.id) && ids.check(old.refObjId, cur.refObjId);
}

function regSafe(env: Env, old: Reg, cur: Reg, exact: number, ids: IdMap): boolean {
  if (exact === EXACT) return old.type === cur.type && regsExact(old, cur, ids);
  if (old.type === T.NOT_INIT) return true;
  if (old.type !== cur.type) return false;
  switch (T.baseType(old.type)) {
    case T.SCALAR_VALUE:
      return scalarSafe(env, old, cur, exact, ids);
    case T.PTR_TO_MAP_KEY:
    case T.PTR_TO_MAP_VALUE:
    case T.PTR_TO_MEM:
    case T.PTR_TO_BUF:
    case T.PTR_TO_TP_BUFFER:
      return (
        sameFixedPart(old, cur) &&
        rangeWithin(old, cur) &&
        tnumIn(old, cur) &&
        ids.check(old.id, cur.id) &&
        ids.check(old.refObjId, cur.refObjId)
      );
    case T.PTR_TO_PACKET_META:
    case T.PTR_TO_PACKET:
      return (
        old.range <= cur.range && old.off === cur.off && ids.check(old.id, cur.id) && rangeWithin(old, cur) && tnumIn(old, cur)
      );
    case T.PTR_TO_STACK:
      return regsExact(old, cur, ids) && old.frameno === cur.frameno;
    case T.PTR_TO_ARENA:
      return true;
    default:
      return regsExact(old, cur, ids);
  }
}

function scalarSafe(env: Env, old: Reg, cur: Reg, exact: number, ids: IdMap): boolean {
  if (env.exploreAluLimits) return sameScalar(old, cur) && ids.checkScalar(old.id, cur.id);
  if (!old.precise && exact === NOT_EXACT) return true;
  if ((old.id & BPF_ADD_CONST) !== (cur.id & BPF_ADD_CONST)) return false;
  if (old.id & BPF_ADD_CONST && old.off !== cur.off) return false;
  if (!ids.checkScalar(old.id, cur.id)) return false;
  return rangeWithin(old, cur) && tnumIn(old, cur);
}

/** The scalar that eight bytes of stack amount to: the one spilled, or an unknown one for plain data. */
function scalarOf(env: Env, frame: FuncState, spi: number): Reg | undefined {
  if (isSpilledScalar64(frame, spi)) return frame.spilled[spi];
  const types = frame.slots[spi]!;
  if (types === ALL_MISC) return env.unboundReg;
  if (!env.allowPtrLeaks) return undefined;
  for (let byte = 0; byte < 8; byte++) {
    const kind = slotByte(types, byte);
    if (kind !== STACK_MISC && kind !== STACK_INVALID) return undefined;
  }
  return env.unboundReg;
}

/** The first slot that differs, −1 where none does. */
function stackDiffers(env: Env, old: FuncState, cur: FuncState, exact: number, ids: IdMap): number {
  const { slots, spilled } = old;
  const curSlots = cur.slots;
  const curSpilled = cur.spilled;
  for (let spi = 0; spi < slots.length; spi++) {
    const types = slots[spi]!;
    if (types === curSlots[spi]) {
      // The same object (or none), and no id that would have to be matched: nothing to compare.
      const reg = spilled[spi];
      if (types === 0 || (reg === curSpilled[spi] && (reg === undefined || (reg.id | reg.refObjId) === 0))) continue;
    } else if (types === 0 && exact !== EXACT) {
      continue;
    }
    if (!slotSafe(env, old, cur, spi, exact, ids)) return spi;
  }
  return -1;
}

function slotSafe(env: Env, old: FuncState, cur: FuncState, spi: number, exact: number, ids: IdMap): boolean {
  const types = old.slots[spi]!;
  const curTypes = cur.slots[spi];
  if (exact === EXACT && types !== curTypes) return false;
  if (types === 0) return true;
  if (curTypes === undefined) return slotIgnored(env, types);
  if (slotIgnored(env, types)) return true;
  // Eight bytes that amount to a scalar are compared as one, spilled or not.
  const a = scalarOf(env, old, spi);
  const b = a && scalarOf(env, cur, spi);
  if (a && b) return regSafe(env, a, b, exact, ids);
  for (let byte = 0; byte < 8; byte++) {
    const a = slotByte(types, byte);
    const b = slotByte(curTypes, byte);
    if (a === STACK_INVALID || (env.allowPtrLeaks && a === STACK_MISC)) continue;
    if (a === STACK_MISC && b === STACK_ZERO) continue;
    if (a !== b) return false;
  }
  return slotRegSafe(env, old, cur, spi, exact, ids);
}

/** Nothing in it was used: never written, or plain data where uninitialised stack may be read. */
function slotIgnored(env: Env, types: number): boolean {
  for (let byte = 0; byte < 8; byte++) {
    const kind = slotByte(types, byte);
    if (kind !== STACK_INVALID && !(env.allowPtrLeaks && kind === STACK_MISC)) return false;
  }
  return true;
}

function slotRegSafe(env: Env, old: FuncState, cur: FuncState, spi: number, exact: number, ids: IdMap): boolean {
  const a = old.spilled[spi];
  const b = cur.spilled[spi];
  switch (slotKind(old.slots[spi]!)) {
    case STACK_SPILL:
      return regSafe(env, a!, b!, exact, ids);
    case STACK_DYNPTR:
      return a!.dynType === b!.dynType && a!.dynFirst === b!.dynFirst && ids.check(a!.refObjId, b!.refObjId);
    case STACK_ITER:
      return (
        a!.type === b!.type &&
        a!.btf === b!.btf &&
        a!.btfId === b!.btfId &&
        a!.iterState === b!.iterState &&
        ids.check(a!.refObjId, b!.refObjId)
      );
    case STACK_IRQ_FLAG:
      return ids.check(a!.refObjId, b!.refObjId) && a!.subprogno === b!.subprogno;
    default:
      return true;
  }
}

/** Quick test before the full one: do the innermost frames hold the same registers? */
export function maybeLooping(old: VerifierState, cur: VerifierState): boolean {
  if (old.curframe !== cur.curframe) return false;
  const a = old.frame;
  const b = cur.frame;
  for (let i = 0; i < 11; i++) {
    const x = a.regs[i]!;
    const y = b.regs[i]!;
    if (!sameFixedPart(x, y) || !sameScalar(x, y) || x.id !== y.id || x.refObjId !== y.refObjId) return false;
  }
  return true;
}
