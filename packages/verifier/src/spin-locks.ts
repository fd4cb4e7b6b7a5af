/** bpf_spin_lock and bpf_spin_unlock: one lock at a time, unlocked by the pointer that locked it (`process_spin_lock`). */

import type { Env } from './env.ts';
import * as T from './regtype.ts';
import { isConstOffset } from './stack.ts';
import { changeRegs } from './state.ts';
import { invalidate } from './references.ts';

export function processSpinLock(env: Env, regno: number, isLock: boolean): void {
  const reg = env.reg(regno);
  const { cur } = env;
  const name = isLock ? 'lock' : 'unlock';
  if (!isConstOffset(reg)) {
    env.refuse('EINVAL', `R${regno} doesn't have constant offset. bpf_spin_lock has to be at the constant offset`);
  }
  if (reg.type !== T.PTR_TO_MAP_VALUE) env.unsupported('spin locks in allocated objects');
  const map = reg.map!;
  if (!map.btf) env.refuse('EINVAL', `map '${map.name}' has to have BTF in order to use bpf_spin_lock`);
  const field = map.record?.find((row) => row.type === 'BPF_SPIN_LOCK');
  if (!field) return env.refuse('EINVAL', `map '${map.name}' has no valid bpf_spin_lock`);
  if (field.offset !== reg.vl + reg.off) {
    env.refuse('EINVAL', `off ${reg.vl + reg.off} doesn't point to 'struct bpf_spin_lock' that is at ${field.offset}`);
  }
  if (isLock) {
    if (cur.activeLocks) env.refuse('EINVAL', 'Locking two bpf_spin_locks are not allowed');
    cur.activeLocks = 1;
    cur.activeLockId = reg.id;
    cur.activeLockPtr = map;
    cur.refs.push({ kind: 'lock', id: reg.id, insn: env.insnIdx, ptr: map });
    return;
  }
  if (!cur.activeLocks) env.refuse('EINVAL', 'bpf_spin_unlock without taking a lock');
  if (cur.activeLockPtr !== map || cur.activeLockId !== reg.id) {
    env.refuse('EINVAL', `bpf_spin_${name} of different lock`);
  }
  cur.activeLocks = 0;
  cur.activeLockId = 0;
  cur.activeLockPtr = undefined;
  cur.refs = cur.refs.filter((ref) => ref.kind !== 'lock');
  changeRegs(
    cur,
    (other) => (other.type & T.NON_OWN_REF) !== 0,
    (other) => invalidate(env, other),
  );
}
