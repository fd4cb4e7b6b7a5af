/** Open-coded iterators on the stack (`mark_stack_slots_iter`, `process_iter_next_call`). */

import { rcuHeld } from './btf-access.ts';
import { previousCheckpoint, pushBranch, widen } from './branches.ts';
import type { Env } from './env.ts';
import { checkMemAccess } from './memory.ts';
import { markNotNull } from './null-check.ts';
import { acquireReference, releaseReference } from './references.ts';
import { BPF_ITER_STATE_ACTIVE, BPF_ITER_STATE_DRAINED, markConstZero, markPointer, type Reg } from './register.ts';
import { MEM_RCU, PTR_TO_STACK, PTR_UNTRUSTED } from './regtype.ts';
import { isConstOffset } from './stack.ts';
import { ALL_ITER, growStack, slotKind, slotReg, STACK_DYNPTR, STACK_ITER, type VerifierState } from './state.ts';
import type { VerifierBtf } from './types.ts';

/** The slot at the lowest address of an iterator that `reg` points to; refuses what is no stack place for one. */
function slotOf(env: Env, reg: Reg, regno: number, slots: number, name: string): number {
  if (reg.type !== PTR_TO_STACK) env.refuse('EINVAL', `arg#${regno - 1} expected pointer to an iterator on stack`);
  if (!isConstOffset(reg)) env.refuse('EINVAL', `${name} has to be at a constant offset`);
  const off = reg.off + reg.vl;
  const spi = (-off - 1) >> 3;
  if (off % 8 !== 0 || spi + 1 < slots || spi > 63) env.refuse('EINVAL', `cannot pass in ${name} at an offset=${off}`);
  return spi;
}

/** Which iterator an argument is. */
export interface IterArg {
  readonly btf: VerifierBtf;
  readonly btfId: number;
  /** `num` of `struct bpf_iter_num`. */
  readonly name: string;
  readonly slots: number;
  /** Its elements are safe only under RCU (KF_RCU_PROTECTED). */
  readonly rcu: boolean;
}

/** bpf_iter_X_new: the slots must be free; the iterator is something held. */
export function newIterator(env: Env, regno: number, iter: IterArg): void {
  const reg = env.reg(regno);
  const spi = slotOf(env, reg, regno, iter.slots, 'iter');
  const frame = env.frameOf(reg);
  growStack(frame, (spi + 1) * 8);
  for (let i = 0; i < iter.slots; i++) {
    const kind = slotKind(frame.slots[spi - i]!);
    if (kind === STACK_ITER || kind === STACK_DYNPTR) {
      env.refuse('EINVAL', `expected uninitialized iter_${iter.name} as arg #${regno - 1}`);
    }
  }
  // The function writes there: without CAP_PERFMON nothing is speculated about behind that.
  for (let i = 0; i < iter.slots; i++) checkMemAccess(env, { regno, off: i * 8, size: 8, write: true, value: -1 });
  const id = acquireReference(env, env.insnIdx);
  for (let i = 0; i < iter.slots; i++) {
    const slot = slotReg(frame, spi - i);
    markPointer(slot, PTR_TO_STACK);
    slot.refObjId = i === 0 ? id : 0;
    slot.btf = iter.btf;
    slot.btfId = iter.btfId;
    if (iter.rcu) slot.type |= rcuHeld(env) ? MEM_RCU : PTR_UNTRUSTED;
    slot.iterState = BPF_ITER_STATE_ACTIVE;
    slot.iterDepth = 0;
    frame.slots[spi - i] = ALL_ITER;
    env.touchSlot(spi - i);
    env.liveness.markWrite(frame.frameno, spi - i);
  }
}

/** The initialised iterator behind an argument: its frame and slot. */
export function checkIterator(
  env: Env,
  regno: number,
  iter: IterArg,
  kfunc: string,
): { readonly frameno: number; readonly spi: number } {
  const reg = env.reg(regno);
  const spi = slotOf(env, reg, regno, iter.slots, 'iter');
  const frame = env.frameOf(reg);
  for (let i = 0; i < iter.slots; i++) {
    const slot = frame.spilled[spi - i];
    const whole = frame.slots[spi - i] === ALL_ITER;
    if (!whole || !slot || slot.btfId !== iter.btfId || (i === 0) !== (slot.refObjId !== 0)) {
      env.refuse('EINVAL', `expected an initialized iter_${iter.name} as arg #${regno - 1}`);
    }
    if (slot.type & PTR_UNTRUSTED) env.refuse('EPROTO', `expected an RCU CS when using ${kfunc}`);
    env.liveness.markRead(frame.frameno, spi - i);
    env.touchSlot(spi - i);
  }
  return { frameno: frame.frameno, spi };
}

/** bpf_iter_X_destroy. */
export function destroyIterator(env: Env, at: { readonly frameno: number; readonly spi: number }, slots: number): void {
  const frame = env.cur.frames[at.frameno]!;
  releaseReference(env, frame.spilled[at.spi]!.refObjId);
  for (let i = 0; i < slots; i++) {
    frame.slots[at.spi - i] = 0;
    frame.spilled[at.spi - i] = undefined;
    env.touchSlot(at.spi - i);
    env.liveness.markWrite(frame.frameno, at.spi - i);
  }
}

/** The end of an RCU section: iterators whose elements it kept safe cannot go on. */
export function untrustRcuIterators(state: VerifierState): void {
  for (const frame of state.frames) {
    for (let spi = 0; spi < frame.slots.length; spi++) {
      if (slotKind(frame.slots[spi]!) !== STACK_ITER || !(frame.spilled[spi]!.type & MEM_RCU)) continue;
      const slot = slotReg(frame, spi);
      slot.type = (slot.type & ~MEM_RCU) | PTR_UNTRUSTED;
    }
  }
}

const iterIn = (state: VerifierState, at: { readonly frameno: number; readonly spi: number }): Reg =>
  slotReg(state.frames[at.frameno]!, at.spi);

/** The register that describes an iterator. */
export const iteratorAt = (env: Env, at: { readonly frameno: number; readonly spi: number }): Reg => iterIn(env.cur, at);

/** bpf_iter_X_next: on one path there is an element and the iterator goes on, on the other it has none left. */
export function nextElement(env: Env, at: { readonly frameno: number; readonly spi: number }): void {
  const { cur } = env;
  const iter = iterIn(cur, at);
  if (iter.iterState === BPF_ITER_STATE_ACTIVE) {
    const before = cur.parent && previousCheckpoint(cur.parent, env.insnIdx);
    const queued = pushBranch(env, env.insnIdx + 1, env.insnIdx, 'ENOMEM');
    const other = iterIn(queued, at);
    other.iterState = BPF_ITER_STATE_ACTIVE;
    other.iterDepth++;
    if (before) widen(env, before, queued);
    markNotNull(queued.frame.regs[0]!);
  }
  iterIn(cur, at).iterState = BPF_ITER_STATE_DRAINED;
  env.touchSlot(at.spi);
  markConstZero(env.reg(0), !env.bpfCapable);
}
