/** Spin locks, plain and resilient: taken and given back in order, by the pointer that took them (`process_spin_lock`). */

import type { Env } from './env.ts';
import { invalidateNonOwning, recordOf } from './managed.ts';
import type { Reg } from './register.ts';
import * as T from './regtype.ts';
import { isConstOffset } from './stack.ts';
import type { Ref, VerifierState } from './state.ts';

/** What a lock function does. */
export interface LockCall {
  readonly lock: boolean;
  readonly resilient: boolean;
  readonly irq: boolean;
}

const LOCK_KINDS: ReadonlySet<Ref['kind']> = new Set<Ref['kind']>(['lock', 'res-lock', 'res-lock-irq']);
const isLock = (ref: Ref): boolean => LOCK_KINDS.has(ref.kind);

function findLock(state: VerifierState, kind: Ref['kind'] | 'any', id: number, ptr: object): Ref | undefined {
  return state.refs.find((ref) => (kind === 'any' ? isLock(ref) : ref.kind === kind) && ref.id === id && ref.ptr === ptr);
}

export function processSpinLock(env: Env, regno: number, { lock, resilient, irq }: LockCall): void {
  const reg = env.reg(regno);
  const { cur } = env;
  const name = resilient ? 'bpf_res_spin' : 'bpf_spin';
  const ptr = checkLockField(env, regno, reg, name, resilient);
  const kind = resilient ? (irq ? 'res-lock-irq' : 'res-lock') : 'lock';
  if (lock) {
    if (!resilient && cur.refs.some((ref) => ref.kind === 'lock')) {
      env.refuse('EINVAL', 'Locking two bpf_spin_locks are not allowed');
    }
    if (resilient && findLock(cur, 'res-lock', reg.id, ptr)) {
      env.refuse('EINVAL', 'Acquiring the same lock again, AA deadlock detected');
    }
    cur.activeLocks++;
    cur.activeLockId = reg.id;
    cur.activeLockPtr = ptr;
    cur.refs.push({ kind, id: reg.id, insn: env.insnIdx, ptr });
    return;
  }
  if (!cur.activeLocks) env.refuse('EINVAL', `${name}_unlock without taking a lock`);
  const held = findLock(cur, kind, reg.id, ptr);
  if (!held) return env.refuse('EINVAL', `${name}_unlock of different lock`);
  if (cur.activeLockId !== reg.id || cur.activeLockPtr !== ptr) env.refuse('EINVAL', `${name}_unlock cannot be out of order`);
  const before = cur.refs.slice(0, cur.refs.indexOf(held)).findLast(isLock);
  cur.refs = cur.refs.filter((ref) => ref !== held);
  cur.activeLocks--;
  cur.activeLockId = before?.id ?? 0;
  cur.activeLockPtr = before?.ptr;
  invalidateNonOwning(env);
}

/** The lock of the map value or local object; returns what it lies in. */
function checkLockField(env: Env, regno: number, reg: Reg, name: string, resilient: boolean): object {
  if (!isConstOffset(reg)) {
    env.refuse('EINVAL', `R${regno} doesn't have constant offset. ${name}_lock has to be at the constant offset`);
  }
  const map = T.baseType(reg.type) === T.PTR_TO_MAP_VALUE ? reg.map! : undefined;
  if (map && !map.btf) env.refuse('EINVAL', `map '${map.name}' has to have BTF in order to use ${name}_lock`);
  const field = recordOf(reg)?.find((row) => row.type === (resilient ? 'BPF_RES_SPIN_LOCK' : 'BPF_SPIN_LOCK'));
  if (!field) return env.refuse('EINVAL', `${map ? 'map' : 'local'} '${map ? map.name : 'kptr'}' has no valid ${name}_lock`);
  if (field.offset !== reg.vl + reg.off) {
    env.refuse('EINVAL', `off ${reg.vl + reg.off} doesn't point to 'struct ${name}_lock' that is at ${field.offset}`);
  }
  return map ?? reg.btf!;
}

/** Is the object's own lock held, of which `reg` is a part? Logs an objection where another one is (`check_reg_allocation_locked`). */
export function isAllocationLocked(env: Env, reg: Reg): boolean {
  const ptr = T.baseType(reg.type) === T.PTR_TO_MAP_VALUE ? reg.map : reg.btf;
  if (!env.cur.activeLocks || !ptr) return false;
  if (findLock(env.cur, 'any', reg.id, ptr)) return true;
  env.log.reason('held lock and object are not in the same allocation');
  return false;
}

/** Functions that may be called with a lock held. */
export const mayCallLocked = (name: string): boolean =>
  /^bpf_(list_(push_(front|back)_impl|pop_(front|back)|front|back)|rbtree_\w+|refcount_acquire_impl|iter_num_\w+|res_spin_\w+)$/.test(
    name,
  );
