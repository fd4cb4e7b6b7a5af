/** Calls of kernel functions: BTF types their arguments and results, flags say what they hold and may be (`check_kfunc_call`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import { rcuHeld, sizeOf, skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import { clearPacketPointers, mayThisSleep } from './helper-calls.ts';
import { destroyIterator, nextElement, untrustRcuIterators } from './iterators.ts';
import { checkKfuncArgs, KfuncMeta } from './kfunc-args.ts';
import { kfuncRow } from './kfunc-meta.ts';
import { acquireReference, releaseReference } from './references.ts';
import { markNotInit, markPointer } from './register.ts';
import * as T from './regtype.ts';
import { changeRegs } from './state.ts';
import type { BtfTypeView, KfuncRow } from './types.ts';

/** Functions whose effect on types this verifier does not know. */
const SPECIAL: ReadonlySet<string> = new Set([
  'bpf_obj_new_impl',
  'bpf_obj_drop_impl',
  'bpf_percpu_obj_new_impl',
  'bpf_percpu_obj_drop_impl',
  'bpf_refcount_acquire_impl',
  'bpf_list_push_front_impl',
  'bpf_list_push_back_impl',
  'bpf_list_pop_front',
  'bpf_list_pop_back',
  'bpf_list_front',
  'bpf_list_back',
  'bpf_rbtree_remove',
  'bpf_rbtree_add_impl',
  'bpf_rbtree_first',
  'bpf_rbtree_root',
  'bpf_rbtree_left',
  'bpf_rbtree_right',
  'bpf_cast_to_kern_ctx',
  'bpf_rdonly_cast',
  'bpf_throw',
  'bpf_wq_init',
  'bpf_wq_set_callback_impl',
  'bpf_wq_start',
  'bpf_res_spin_lock',
  'bpf_res_spin_unlock',
  'bpf_res_spin_lock_irqsave',
  'bpf_res_spin_unlock_irqrestore',
  'bpf_local_irq_save',
  'bpf_local_irq_restore',
  'bpf_arena_alloc_pages',
  'bpf_arena_free_pages',
  'bpf_arena_reserve_pages',
  'bpf_task_work_schedule_resume_impl',
  'bpf_task_work_schedule_signal_impl',
  'bpf_iter_css_task_new',
]);

/** Functions that may move packet memory. */
const MOVES_PACKET: ReadonlySet<string> = new Set(['bpf_xdp_pull_data']);

export function checkKfuncCall(env: Env, insn: BpfInsn): void {
  const row = kfuncRow(env, insn.imm, insn.off);
  const func = env.kernelBtf?.type(insn.imm);
  if (!row || !func) {
    return env.refuse('EACCES', `calling kernel function ${func?.name ?? '<unknown>'} is not allowed`);
  }
  if (SPECIAL.has(row.name)) return env.unsupported(`calls of the kernel function ${row.name}`);
  const proto = env.kernelBtf!.type(func.type);
  if (!proto || proto.kind !== 'FUNC_PROTO') return env.unsupported(`the kernel function ${row.name}, which has no prototype`);
  const sleepable = row.flags.includes('KF_SLEEPABLE');
  if (sleepable && !mayThisSleep(env)) env.refuse('EACCES', `program must be sleepable to call sleepable kfunc ${row.name}`);
  const meta = new KfuncMeta(row, proto);
  checkKfuncArgs(env, meta);
  changeSections(env, row, sleepable);
  if (row.flags.includes('KF_RCU_PROTECTED') && !rcuHeld(env)) {
    env.refuse('EACCES', `kernel func ${row.name} requires RCU critical section protection`);
  }
  if (meta.releaseRegno) release(env, meta);
  for (let i = 0; i <= 5; i++) {
    markNotInit(env.reg(i));
    env.touch(i);
  }
  setResult(env, meta);
  if (meta.iter && row.flags.includes('KF_ITER_DESTROY')) destroyIterator(env, meta.iter, meta.iterSlots);
  if (MOVES_PACKET.has(row.name)) clearPacketPointers(env);
  env.calls.set(env.insnIdx, { kind: 'kfunc', name: row.name, btf_id: insn.imm });
  if (meta.iter && row.flags.includes('KF_ITER_NEXT')) nextElement(env, meta.iter);
}

/** RCU and preemption sections. */
function changeSections(env: Env, { name }: KfuncRow, sleepable: boolean): void {
  const { cur } = env;
  const inRcu = cur.activeRcuLocks > 0;
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
}

function release(env: Env, meta: KfuncMeta): void {
  const refObjId = meta.releasedRef;
  if (!releaseReference(env, refObjId)) {
    env.refuse('EINVAL', `kfunc ${meta.row.name}#${env.insns[env.insnIdx]!.imm} reference has not been acquired before`);
  }
}

function setResult(env: Env, meta: KfuncMeta): void {
  const { row, proto } = meta;
  const btf = env.kernelBtf!;
  const r0 = env.reg(0);
  const returned = skipModifiers(btf, proto.type).type;
  if (!returned || returned.kind === 'UNKN') return;
  if (returned.kind === 'PTR') setPointerResult(env, meta, returned);
  else if (returned.kind === 'INT' || returned.kind === 'ENUM' || returned.kind === 'ENUM64') env.markUnknown(r0);
  else return env.unsupported(`the kernel function ${row.name}, which returns a ${returned.kind}`);
}

function setPointerResult(env: Env, meta: KfuncMeta, pointer: BtfTypeView): void {
  const { row } = meta;
  const btf = env.kernelBtf!;
  const r0 = env.reg(0);
  const target = skipModifiers(btf, pointer.type);
  const mayBeNull = row.flags.includes('KF_RET_NULL');
  if (meta.sliceSize >= 0) {
    markPointer(r0, T.PTR_TO_MEM | (meta.sliceReadOnly ? T.MEM_RDONLY : 0) | meta.sliceType);
    r0.memSize = meta.sliceSize;
    r0.dynptrId = meta.dynptrId;
    if (meta.dynptrRef) r0.refObjId = meta.dynptrRef;
  } else if (target.type?.kind === 'STRUCT') {
    const trusted = row.flags.includes('KF_ACQUIRE') || row.flags.includes('KF_ITER_NEXT') ? T.PTR_TRUSTED : 0;
    const rcu = row.name === 'bpf_iter_task_next' || row.name === 'bpf_iter_css_next' ? T.MEM_RCU : trusted;
    markPointer(r0, T.PTR_TO_BTF_ID | rcu);
    r0.btf = btf;
    r0.btfId = target.id;
  } else {
    const size = meta.resultSize >= 0 ? meta.resultSize : target.type ? sizeOf(btf, pointer.type) : 0;
    if (size <= 0) return env.unsupported(`the kernel function ${row.name}, whose result points to memory of no known size`);
    markPointer(r0, T.PTR_TO_MEM | (meta.resultWritable ? 0 : T.MEM_RDONLY));
    r0.memSize = size;
  }
  if (mayBeNull) {
    r0.type |= T.PTR_MAYBE_NULL;
    r0.id = env.nextId();
  }
  if (row.flags.includes('KF_ACQUIRE')) {
    const id = acquireReference(env, env.insnIdx);
    if (mayBeNull) r0.id = id;
    r0.refObjId = id;
  }
}
