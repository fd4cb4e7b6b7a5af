/** A pointer that may be NULL, compared to it: on one path it is a pointer, on the other zero (`mark_ptr_or_null_regs`). */

import { BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_XSKMAP } from '@libbpf-ts/uapi';
import { pointsToLock } from './managed.ts';
import { hasField } from './map-rules.ts';
import { forgetReference } from './references.ts';
import type { Reg } from './register.ts';
import * as T from './regtype.ts';
import { changeRegs, type VerifierState } from './state.ts';

/** Every register with the id of `regno` becomes NULL or not NULL in this state. */
export function markNullOrNot(state: VerifierState, regno: number, isNull: boolean): void {
  const { id, refObjId } = state.frame.regs[regno]!;
  if (refObjId && refObjId === id && isNull) forgetReference(state, id);
  const matches = (reg: Reg): boolean => T.mayBeNull(reg.type) && reg.id === id;
  changeRegs(state, matches, (reg) => {
    if (isNull) {
      reg.type = T.SCALAR_VALUE;
      reg.id = 0;
      reg.refObjId = 0;
      reg.off = 0;
      return;
    }
    markNotNull(reg);
    if (!pointsToLock(reg)) reg.id = 0;
  });
}

/** What the pointer is once it is known not to be NULL: an inner map, a socket of a map, or what it said. */
export function markNotNull(reg: Reg): void {
  if (T.baseType(reg.type) === T.PTR_TO_MAP_VALUE && reg.map) {
    const { inner, map_type } = reg.map;
    if (inner) {
      reg.type = T.CONST_PTR_TO_MAP;
      reg.map = inner;
      if (hasField(inner, 'BPF_TIMER', 'BPF_WORKQUEUE', 'BPF_TASK_WORK')) reg.mapUid = reg.id;
    } else if (map_type === BPF_MAP_TYPE_XSKMAP) {
      reg.type = T.PTR_TO_XDP_SOCK;
    } else if (map_type === BPF_MAP_TYPE_SOCKMAP || map_type === BPF_MAP_TYPE_SOCKHASH) {
      reg.type = T.PTR_TO_SOCKET;
    } else {
      reg.type = T.PTR_TO_MAP_VALUE;
    }
    return;
  }
  reg.type &= ~T.PTR_MAYBE_NULL;
}
