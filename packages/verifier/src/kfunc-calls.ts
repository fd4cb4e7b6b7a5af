/** Calls of kernel functions: what they take, hold and may be called from (`check_kfunc_call`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { pushBranch } from './branches.ts';
import { syncBounds } from './bounds.ts';
import { rcuHeld } from './btf-access.ts';
import { inTreeCallback, kfuncCallback, pushCallback } from './callbacks.ts';
import type { Env } from './env.ts';
import { checkThrow } from './exceptions.ts';
import { clearPacketPointers, mayThisSleep, setSignedRange } from './helper-calls.ts';
import { destroyIterator, nextElement, untrustRcuIterators } from './iterators.ts';
import { checkKfuncArgs, KfuncMeta } from './kfunc-args.ts';
import { kfuncRow } from './kfunc-meta.ts';
import { setKfuncResult } from './kfunc-results.ts';
import { convertToNonOwning } from './managed.ts';
import { forgetReference, releaseReference } from './references.ts';
import { markNotInit } from './register.ts';
import * as T from './regtype.ts';
import { mayCallLocked } from './spin-locks.ts';
import { changeRegs } from './state.ts';
import type { KfuncRow } from './types.ts';

/** Functions that may move packet memory. */
const MOVES_PACKET: ReadonlySet<string> = new Set(['bpf_xdp_pull_data']);
const MAX_ERRNO = 4095;

/** True where the path ends with the call (`bpf_throw`). */
export function checkKfuncCall(env: Env, insn: BpfInsn): boolean {
  const row = kfuncRow(env, insn.imm, insn.off);
  const func = env.kernelBtf?.type(insn.imm);
  if (env.cur.activeLocks && !(insn.off === 0 && func && mayCallLocked(func.name))) {
    env.refuse('EINVAL', 'function calls are not allowed while holding a lock');
  }
  // Judged when all paths are done: it must be on none.
  if (insn.imm === 0) return false;
  if (!row || !func) {
    return env.refuse('EACCES', `calling kernel function ${func?.name ?? '<unknown>'} is not allowed`);
  }
  const { name, flags } = row;
  const proto = env.kernelBtf!.type(func.type);
  if (!proto || proto.kind !== 'FUNC_PROTO') return env.unsupported(`the kernel function ${name}, which has no prototype`);
  if (name === 'bpf_res_spin_lock' || name === 'bpf_res_spin_lock_irqsave') pushNotTaken(env);
  if (name === '__bpf_trap') env.refuse('EFAULT', 'unexpected __bpf_trap() due to uninitialized variable?');
  const sleepable = flags.includes('KF_SLEEPABLE');
  if (sleepable && !mayThisSleep(env)) env.refuse('EACCES', `program must be sleepable to call sleepable kfunc ${name}`);
  const meta = new KfuncMeta(row, proto);
  checkKfuncArgs(env, meta);
  const callback = kfuncCallback(meta, name);
  if (callback) pushCallback(env, meta.subprogno, callback);
  changeSections(env, row, sleepable);
  if (meta.releaseRegno) release(env, meta);
  if (/^bpf_(list_push_(front|back)|rbtree_add)_impl$/.test(name)) {
    const { refObjId } = env.reg(2);
    convertToNonOwning(env, refObjId);
    forgetReference(env.cur, refObjId);
  }
  const thrown = name === 'bpf_throw';
  if (thrown) checkThrow(env);
  for (let i = 0; i <= 5; i++) {
    markNotInit(env.reg(i));
    env.touch(i);
  }
  setKfuncResult(env, meta);
  if (meta.iter && flags.includes('KF_ITER_DESTROY')) destroyIterator(env, meta.iter, meta.iterSlots);
  if (MOVES_PACKET.has(name)) clearPacketPointers(env);
  env.calls.set(env.insnIdx, { kind: 'kfunc', name, btf_id: insn.imm });
  if (meta.iter && flags.includes('KF_ITER_NEXT')) nextElement(env, meta.iter);
  return thrown;
}

/** A resilient lock may not be had: a path on which the call failed. */
function pushNotTaken(env: Env): void {
  const { regs } = pushBranch(env, env.insnIdx + 1, env.insnIdx, 'ENOMEM').frame;
  for (let i = 0; i <= 5; i++) markNotInit(regs[i]!);
  env.markUnknown(regs[0]!);
  setSignedRange(regs[0]!, -MAX_ERRNO, -1);
  syncBounds(regs[0]!);
}

/** RCU and preemption sections. */
function changeSections(env: Env, { name, flags }: KfuncRow, sleepable: boolean): void {
  const { cur } = env;
  const inRcu = cur.activeRcuLocks > 0;
  if (/^bpf_rcu_read_(un)?lock$/.test(name) && inTreeCallback(env)) {
    env.refuse('EACCES', 'Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback');
  }
  if (name === 'bpf_rcu_read_lock') {
    if (inRcu) env.refuse('EINVAL', `nested rcu read lock (kernel function ${name})`);
    cur.activeRcuLocks = 1;
  } else if (name === 'bpf_rcu_read_unlock') {
    if (!inRcu) env.refuse('EINVAL', `unmatched rcu read unlock (kernel function ${name})`);
    changeRegs(
      cur,
      (reg) => (reg.type & T.MEM_RCU) !== 0,
      (reg) => {
        reg.type = (reg.type & ~(T.MEM_RCU | T.PTR_MAYBE_NULL)) | T.PTR_UNTRUSTED;
      },
    );
    untrustRcuIterators(cur);
    cur.activeRcuLocks = 0;
  } else if (inRcu && sleepable) {
    env.refuse('EACCES', `kernel func ${name} is sleepable within rcu_read_lock region`);
  }
  if (name === 'bpf_preempt_disable') {
    cur.activePreemptLocks++;
  } else if (name === 'bpf_preempt_enable') {
    if (!cur.activePreemptLocks) env.refuse('EINVAL', `unmatched attempt to enable preemption (kernel function ${name})`);
    cur.activePreemptLocks--;
  } else if (cur.activePreemptLocks && sleepable) {
    env.refuse('EACCES', `kernel func ${name} is sleepable within non-preemptible region`);
  }
  if (cur.activeIrqId && sleepable) env.refuse('EACCES', `kernel func ${name} is sleepable within IRQ-disabled region`);
  if (flags.includes('KF_RCU_PROTECTED') && !rcuHeld(env)) {
    env.refuse('EACCES', `kernel func ${name} requires RCU critical section protection`);
  }
}

function release(env: Env, meta: KfuncMeta): void {
  if (!releaseReference(env, env.reg(meta.releaseRegno).refObjId)) {
    env.refuse('EINVAL', `kfunc ${meta.row.name}#${env.insns[env.insnIdx]!.imm} reference has not been acquired before`);
  }
}
