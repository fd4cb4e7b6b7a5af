/** Kernel pointers kept in map values and local objects: loads, stores and bpf_kptr_xchg (`check_map_kptr_access`, `process_kptr_func`). */

import { rcuHeld } from './btf-access.ts';
import { structsMatch } from './btf-match.ts';
import type { Env } from './env.ts';
import type { CallMeta } from './helper-args.ts';
import { fieldAt, hasRecordField, isLocalObject, recordOf } from './managed.ts';
import { type Access, checkUnmodified } from './memory.ts';
import { forgetReference, invalidate } from './references.ts';
import { markPointer, type Reg } from './register.ts';
import * as T from './regtype.ts';
import { isConstOffset, isZero } from './stack.ts';
import { changeRegs } from './state.ts';
import type { BtfField, VerifierBtf } from './types.ts';

const KPTRS = ['BPF_KPTR_UNREF', 'BPF_KPTR_REF', 'BPF_KPTR_PERCPU'] as const;
/** Kernel types whose objects outlive an RCU section that began while they were held. */
const RCU_PROTECTED: ReadonlySet<string> = new Set([
  'prog_test_ref_kfunc',
  'cgroup',
  'bpf_cpumask',
  'task_struct',
  'bpf_crypto_ctx',
]);

const btfOf = (env: Env, field: BtfField): VerifierBtf | undefined => (field.kernel ? env.kernelBtf : field.btf);

/** A load or store of the whole field, at its place in a map value. */
export function accessKptr(env: Env, access: Access, field: BtfField): void {
  const { write, value } = access;
  const { code } = env.insns[env.insnIdx]!;
  if ((code & 0xe0) !== 0x60) env.refuse('EACCES', 'kptr in map can only be accessed using BPF_MEM instruction mode');
  if (write && (field.type === 'BPF_KPTR_REF' || field.type === 'BPF_KPTR_PERCPU')) {
    env.refuse('EACCES', 'store to referenced kptr disallowed');
  }
  if (write && field.type === 'BPF_UPTR') env.refuse('EACCES', 'store to uptr disallowed');
  if (!write) {
    if (value >= 0) load(env, env.reg(value), field);
    return;
  }
  if (value < 0) {
    if (access.imm) env.refuse('EACCES', `BPF_ST imm must be 0 when storing to kptr at off=${field.offset}`);
    return;
  }
  const reg = env.reg(value);
  if (!isZero(reg)) checkKptrMatch(env, field, reg, value);
}

function load(env: Env, reg: Reg, field: BtfField): void {
  const btf = btfOf(env, field);
  if (field.type === 'BPF_UPTR') {
    markPointer(reg, T.PTR_TO_MEM | T.PTR_MAYBE_NULL);
    reg.memSize = btf?.type(field.btf_id!)?.size ?? 0;
  } else {
    markPointer(reg, T.PTR_TO_BTF_ID | loadedFlags(env, field));
    reg.btf = btf;
    reg.btfId = field.btf_id!;
  }
  if (T.mayBeNull(reg.type)) reg.id = env.nextId();
}

/** `btf_ld_kptr_type`. */
function loadedFlags(env: Env, field: BtfField): number {
  const isSafe =
    field.type === 'BPF_KPTR_PERCPU' ||
    (field.type === 'BPF_KPTR_REF' && (!field.kernel || RCU_PROTECTED.has(field.structName ?? '')));
  if (!isSafe || !rcuHeld(env)) return T.PTR_MAYBE_NULL | T.PTR_UNTRUSTED;
  if (field.type === 'BPF_KPTR_PERCPU') return T.PTR_MAYBE_NULL | T.MEM_RCU | T.MEM_PERCPU;
  if (field.kernel) return T.PTR_MAYBE_NULL | T.MEM_RCU;
  // What can be in a list or tree may be in one now.
  const isNode = hasRecordField(field.btf?.record?.(field.btf_id!), 'BPF_LIST_NODE', 'BPF_RB_NODE');
  return T.PTR_MAYBE_NULL | T.MEM_RCU | T.MEM_ALLOC | (isNode ? T.NON_OWN_REF : 0);
}

/** Is the pointer one that the field may keep? Refuses otherwise (`map_kptr_match_type`). */
export function checkKptrMatch(env: Env, field: BtfField, reg: Reg, regno: number): void {
  const name = field.structName ?? '';
  let allowed = T.PTR_MAYBE_NULL;
  if (reg.btf?.kernel) allowed |= T.PTR_TRUSTED | T.MEM_RCU | (field.type === 'BPF_KPTR_UNREF' ? T.PTR_UNTRUSTED : 0);
  else allowed |= T.MEM_ALLOC | (field.type === 'BPF_KPTR_PERCPU' ? T.MEM_PERCPU : 0);
  const isObject = T.baseType(reg.type) === T.PTR_TO_BTF_ID && (T.typeFlags(reg.type) & ~allowed) === 0;
  if (isObject) {
    checkUnmodified(env, reg, regno, true);
    const btf = btfOf(env, field);
    if (btf && structsMatch(reg, btf, field.btf_id!, field.type !== 'BPF_KPTR_UNREF')) return;
  }
  const own = isObject ? (reg.btf?.type(reg.btfId)?.name ?? '') : '';
  const untrusted = field.type === 'BPF_KPTR_UNREF' ? ` or untrusted_ptr_${name}` : '';
  env.refuse('EACCES', `invalid kptr access, R${regno} type=${T.typeText(reg.type)}${own} expected=ptr_${name}${untrusted}`);
}

/** The place that bpf_kptr_xchg exchanges. */
export function processKptr(env: Env, regno: number, meta: CallMeta): void {
  const reg = env.reg(regno);
  if (!isLocalObject(reg.type)) {
    const map = reg.map!;
    if (!map.btf) env.refuse('EINVAL', `map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`);
    meta.map = map;
  }
  if (!isConstOffset(reg)) {
    env.refuse('EINVAL', `R${regno} doesn't have constant offset. kptr has to be at the constant offset`);
  }
  if (!hasRecordField(recordOf(reg), ...KPTRS)) env.refuse('EINVAL', `R${regno} has no valid kptr`);
  const offset = reg.off + reg.vl;
  const field = fieldAt(reg, offset, ...KPTRS);
  if (!field) return env.refuse('EACCES', `off=${offset} doesn't point to kptr`);
  if (field.type === 'BPF_KPTR_UNREF') env.refuse('EACCES', `off=${offset} kptr isn't referenced kptr`);
  meta.kptr = field;
}

/** The pointer given passes to the map: per-CPU memory may still be read in the RCU section, the rest is void. */
export function releaseKptr(env: Env, refObjId: number): boolean {
  if (!forgetReference(env.cur, refObjId)) return false;
  const inRcu = rcuHeld(env);
  const percpu = T.MEM_ALLOC | T.MEM_PERCPU;
  changeRegs(
    env.cur,
    (reg) => reg.refObjId === refObjId,
    (reg) => {
      if (!inRcu || (reg.type & percpu) !== percpu) return invalidate(env, reg);
      reg.refObjId = 0;
      reg.type = (reg.type & ~T.MEM_ALLOC) | T.MEM_RCU;
    },
  );
  return true;
}

/** What bpf_kptr_xchg gives back. */
export function setExchanged(env: Env, flags: number, meta: CallMeta): void {
  const field = meta.kptr!;
  const r0 = env.reg(0);
  const local = field.kernel ? 0 : T.MEM_ALLOC | (field.type === 'BPF_KPTR_PERCPU' ? T.MEM_PERCPU : 0);
  markPointer(r0, T.PTR_TO_BTF_ID | flags | local);
  r0.btf = btfOf(env, field);
  r0.btfId = field.btf_id!;
}
