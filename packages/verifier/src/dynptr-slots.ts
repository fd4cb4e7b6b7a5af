/** Dynptrs on the stack: two slots each, the first being the one at the lower address (`mark_stack_slots_dynptr` and its kin). */

import type { Env } from './env.ts';
import { acquireReference, invalidate, releaseReference } from './references.ts';
import { markNotInit, type Reg } from './register.ts';
import * as T from './regtype.ts';
import { ALL_DYNPTR, changeRegs, type FuncState, slotByte, slotReg, STACK_DYNPTR } from './state.ts';

/** Kinds that hold a reference. */
export const isRefcountedDynptr = (dynType: number): boolean => dynType === T.DYNPTR_TYPE_RINGBUF;

/** A write to either slot of a dynptr destroys it whole, and voids what was sliced from it. */
export function destroyIfDynptr(env: Env, frame: FuncState, at: number): void {
  const types = frame.slots[at];
  if (types === undefined || slotByte(types, 0) !== STACK_DYNPTR) return;
  const spi = frame.spilled[at]!.dynFirst ? at : at + 1;
  const first = frame.spilled[spi]!;
  if (isRefcountedDynptr(first.dynType)) env.refuse('EINVAL', 'cannot overwrite referenced dynptr');
  clearDynptr(env, frame, spi);
}

/** Takes both slots away; memory sliced from the dynptr is void. */
export function clearDynptr(env: Env, frame: FuncState, spi: number): void {
  const { id } = frame.spilled[spi]!;
  for (const slot of [spi, spi - 1]) {
    env.touchSlot(slot);
    frame.slots[slot] = 0;
    frame.spilled[slot] = undefined;
    env.liveness.markWrite(frame.frameno, slot);
  }
  const isSlice = (reg: Reg): boolean =>
    T.baseType(reg.type) === T.PTR_TO_MEM &&
    (reg.type & ~T.PTR_MAYBE_NULL & ~T.MEM_RDONLY & ~0xff) === 0 &&
    reg.dynptrId === id;
  changeRegs(env.cur, isSlice, (reg) => invalidate(env, reg));
}

/** Gives back what a dynptr holds: it, its clones in the same frame and everything sliced from them are void. False where nothing was held. */
export function releaseDynptr(env: Env, frame: FuncState, spi: number): boolean {
  const { refObjId } = frame.spilled[spi]!;
  if (!releaseReference(env, refObjId)) return false;
  for (let at = 1; at < frame.slots.length; at++) {
    const slot = frame.spilled[at];
    if (slotByte(frame.slots[at]!, 0) === STACK_DYNPTR && slot?.dynFirst && slot.refObjId === refObjId)
      clearDynptr(env, frame, at);
  }
  return true;
}

/** Makes a dynptr of two slots; `spi` is the slot at the lower address. One that holds a reference acquires it, or shares `heldRef`. */
export function placeDynptr(env: Env, frame: FuncState, spi: number, dynType: number, heldRef?: number): void {
  destroyIfDynptr(env, frame, spi);
  destroyIfDynptr(env, frame, spi - 1);
  const id = env.nextId();
  const refObjId = heldRef ?? (isRefcountedDynptr(dynType) ? acquireReference(env, env.insnIdx) : 0);
  for (const slot of [spi, spi - 1]) {
    frame.slots[slot] = ALL_DYNPTR;
    const reg = slotReg(frame, slot);
    markNotInit(reg);
    reg.type = T.CONST_PTR_TO_DYNPTR;
    reg.vh = reg.vl = reg.mh = reg.ml = 0;
    reg.id = id;
    reg.dynType = dynType;
    reg.dynFirst = slot === spi;
    reg.refObjId = refObjId;
    env.touchSlot(slot);
    env.liveness.markWrite(frame.frameno, slot);
  }
}
