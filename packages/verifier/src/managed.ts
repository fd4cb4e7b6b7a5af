/** Managed fields by register: the record of what a pointer points to, and references that do not own (`reg_btf_record` and its kin). */

import type { Env } from './env.ts';
import { FIELD_TEXT } from './memory.ts';
import { invalidate } from './references.ts';
import type { Reg } from './register.ts';
import * as T from './regtype.ts';
import { isConstOffset } from './stack.ts';
import { changeRegs } from './state.ts';
import type { BtfField, VerifierMap } from './types.ts';

type FieldType = BtfField['type'];

/** An object of bpf_obj_new, owned or not. */
export const isLocalObject = (type: number): boolean => T.baseType(type) === T.PTR_TO_BTF_ID && (type & T.MEM_ALLOC) !== 0;
export const isNonOwning = (type: number): boolean => isLocalObject(type) && (type & T.NON_OWN_REF) !== 0;

/** The managed fields of the map value or local object behind a pointer; undefined where there are none. */
export function recordOf(reg: Reg): readonly BtfField[] | undefined {
  if (T.baseType(reg.type) === T.PTR_TO_MAP_VALUE) return reg.map?.record;
  return isLocalObject(reg.type) ? reg.btf?.record?.(reg.btfId) : undefined;
}

export const hasRecordField = (record: readonly BtfField[] | undefined, ...types: readonly FieldType[]): boolean =>
  record?.some((field) => types.includes(field.type)) ?? false;

export function fieldAt(reg: Reg, offset: number, ...types: readonly FieldType[]): BtfField | undefined {
  return recordOf(reg)?.find((field) => field.offset === offset && types.includes(field.type));
}

/** Pointers to something with a lock keep their id, which names the lock. */
export const pointsToLock = (reg: Reg): boolean => hasRecordField(recordOf(reg), 'BPF_SPIN_LOCK', 'BPF_RES_SPIN_LOCK');

/** A field of a map value that a function takes by its address: at a constant offset, and the one of the map (`check_map_field_pointer`). */
export function checkMapField(env: Env, regno: number, type: FieldType): VerifierMap {
  const reg = env.reg(regno);
  const map = reg.map!;
  const name = FIELD_TEXT[type]!;
  if (!isConstOffset(reg)) {
    env.refuse('EINVAL', `R${regno} doesn't have constant offset. ${name} has to be at the constant offset`);
  }
  if (!map.btf) env.refuse('EINVAL', `map '${map.name}' has to have BTF in order to use ${name}`);
  const field = map.record?.find((row) => row.type === type);
  if (!field) return env.refuse('EINVAL', `map '${map.name}' has no valid ${name}`);
  if (field.offset !== reg.vl + reg.off) {
    env.refuse('EINVAL', `off ${reg.vl + reg.off} doesn't point to 'struct ${name}' that is at ${field.offset}`);
  }
  return map;
}

/** The pointer stays usable until the lock is given back, and owns nothing (`ref_set_non_owning`). */
export function setNonOwning(reg: Reg): void {
  reg.type |= T.NON_OWN_REF;
  if (hasRecordField(recordOf(reg), 'BPF_REFCOUNT')) reg.type |= T.MEM_RCU;
}

/** An object goes into a list or tree: its pointers no longer own it. */
export function convertToNonOwning(env: Env, refObjId: number): void {
  changeRegs(
    env.cur,
    (reg) => reg.refObjId === refObjId,
    (reg) => {
      reg.refObjId = 0;
      setNonOwning(reg);
    },
  );
}

/** The lock is given back: whatever was only borrowed is void. */
export function invalidateNonOwning(env: Env): void {
  changeRegs(
    env.cur,
    (reg) => isNonOwning(reg.type),
    (reg) => invalidate(env, reg),
  );
}
