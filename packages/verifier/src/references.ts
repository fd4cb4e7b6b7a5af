/** What a program acquired and must give back (`acquire_reference`, `release_reference`, `check_reference_leak`). */

import type { Env } from './env.ts';
import { markNotInit, type Reg } from './register.ts';
import { changeRegs, type VerifierState } from './state.ts';

/** Notes a new reference, made by the current instruction; returns its id. */
export function acquireReference(env: Env, insn: number): number {
  const id = env.nextId();
  env.cur.refs.push({ kind: 'ptr', id, insn });
  return id;
}

/** Takes a reference off the list; false where there is none. */
export function forgetReference(state: VerifierState, id: number): boolean {
  const at = state.refs.findIndex((ref) => ref.kind === 'ptr' && ref.id === id);
  if (at < 0) return false;
  state.refs.splice(at, 1);
  return true;
}

/** A pointer that must not be used any more; a number where pointers may be seen. */
export function invalidate(env: Env, reg: Reg): void {
  if (env.allowPtrLeaks) env.markUnknown(reg);
  else markNotInit(reg);
}

/** Gives a reference back: every copy of the pointer is void. False where it was not held. */
export function releaseReference(env: Env, refObjId: number): boolean {
  if (!forgetReference(env.cur, refObjId)) return false;
  changeRegs(
    env.cur,
    (reg) => reg.refObjId === refObjId,
    (reg) => invalidate(env, reg),
  );
  return true;
}

/** Refuses where something is still held at the outermost exit; what an inner function holds passes to its caller. */
function checkLeaks(env: Env, exceptional: boolean, where: string): void {
  const { cur } = env;
  if (!exceptional && cur.curframe > 0) return;
  let leaks = false;
  for (const ref of cur.refs) {
    if (ref.kind !== 'ptr') continue;
    env.log.reason(`Unreleased reference id=${ref.id} alloc_insn=${ref.insn}`);
    leaks = true;
  }
  if (leaks) env.refuse('EINVAL', `${where} would lead to reference leak`);
}

/** Refuses an exit (or another instruction, named by `where`) inside a locked or protected region, or with references held. */
export function checkResources(env: Env, exceptional: boolean, locksToo: boolean, where: string): void {
  const { cur } = env;
  if (locksToo && cur.activeLocks) env.refuse('EINVAL', `${where} cannot be used inside bpf_spin_lock-ed region`);
  checkLeaks(env, exceptional, where);
  if (locksToo && cur.activeIrqId) env.refuse('EINVAL', `${where} cannot be used inside bpf_local_irq_save-ed region`);
  if (locksToo && cur.activeRcuLocks) env.refuse('EINVAL', `${where} cannot be used inside bpf_rcu_read_lock-ed region`);
  if (locksToo && cur.activePreemptLocks) env.refuse('EINVAL', `${where} cannot be used inside bpf_preempt_disable-ed region`);
}
