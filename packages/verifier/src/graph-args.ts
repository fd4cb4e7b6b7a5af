/** Roots and nodes of linked lists and red-black trees as arguments (`__process_kf_arg_ptr_to_graph_root` and `_node`). */

import type { Env } from './env.ts';
import { fieldAt, isNonOwning, recordOf } from './managed.ts';
import { FIELD_TEXT } from './memory.ts';
import { markPointer, type Reg } from './register.ts';
import * as T from './regtype.ts';
import { isAllocationLocked } from './spin-locks.ts';
import { isConstOffset } from './stack.ts';
import type { BtfField } from './types.ts';

const ALLOCATED = T.PTR_TO_BTF_ID | T.MEM_ALLOC;

/** The root that an argument points to, its lock held. */
export function checkRoot(env: Env, i: number, regno: number, type: 'BPF_LIST_HEAD' | 'BPF_RB_ROOT'): BtfField {
  const reg = env.reg(regno);
  if (reg.type !== T.PTR_TO_MAP_VALUE && reg.type !== ALLOCATED) {
    env.refuse('EINVAL', `arg#${i} expected pointer to map value or allocated object`);
  }
  if (reg.type === ALLOCATED && !reg.refObjId) env.refuse('EINVAL', 'allocated object must be referenced');
  const name = FIELD_TEXT[type]!;
  const offset = constantOffset(env, reg, regno, name);
  const field = fieldAt(reg, offset, type);
  if (!field) return env.refuse('EINVAL', `${name} not found at offset=${offset}`);
  if (!isAllocationLocked(env, reg)) {
    const lock = recordOf(reg)!.find((row) => row.type === 'BPF_SPIN_LOCK');
    env.refuse('EINVAL', `bpf_spin_lock at off=${lock?.offset ?? -22} must be held for ${name}`);
  }
  return field;
}

function constantOffset(env: Env, reg: Reg, regno: number, name: string): number {
  if (!isConstOffset(reg)) {
    env.refuse('EINVAL', `R${regno} doesn't have constant offset. ${name} has to be at the constant offset`);
  }
  return reg.off + reg.vl;
}

/** A node that goes into a list or tree: of an object that the program owns. */
export function checkOwnedNode(env: Env, i: number, regno: number): void {
  const reg = env.reg(regno);
  if (reg.type !== ALLOCATED) env.refuse('EINVAL', `arg#${i} expected pointer to allocated object`);
  if (!reg.refObjId) env.refuse('EINVAL', 'allocated object must be referenced');
}

/** A node that is in a tree already, or counted. */
export function checkBorrowedNode(env: Env, regno: number, func: string, inTreeCallback: boolean): void {
  const reg = env.reg(regno);
  if (!isNonOwning(reg.type) && !reg.refObjId) {
    env.refuse('EINVAL', `${func} can only take non-owning or refcounted bpf_rb_node pointer`);
  }
  if (inTreeCallback) env.refuse('EINVAL', `${func} not allowed in rbtree cb`);
}

/** The node lies where the root says that nodes of its elements do. */
export function checkNode(env: Env, regno: number, type: 'BPF_LIST_NODE' | 'BPF_RB_NODE', root: BtfField): void {
  const reg = env.reg(regno);
  const name = FIELD_TEXT[type]!;
  const offset = constantOffset(env, reg, regno, name);
  if (!fieldAt(reg, offset, type)) env.refuse('EINVAL', `${name} not found at offset=${offset}`);
  if (reg.btf !== root.btf || reg.btfId !== root.btf_id) {
    env.refuse(
      'EINVAL',
      `operation on ${FIELD_TEXT[root.type]} expects arg#1 ${name} at offset=${root.nodeOffset} in struct ${root.structName}, ` +
        `but arg is at offset=${offset} in struct ${reg.btf?.type(reg.btfId)?.name ?? ''}`,
    );
  }
  if (offset !== root.nodeOffset) {
    env.refuse(
      'EINVAL',
      `arg#1 offset=${offset}, but expected ${name} at offset=${root.nodeOffset} in struct ${root.structName}`,
    );
  }
}

/** An element of the root, by its node (`mark_reg_graph_node`). */
export function markNode(reg: Reg, root: BtfField): void {
  markPointer(reg, ALLOCATED);
  reg.btf = root.btf;
  reg.btfId = root.btf_id!;
  reg.off = root.nodeOffset!;
}
