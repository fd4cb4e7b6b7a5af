/** What a kernel function leaves in R0 (`check_special_kfunc` and the end of `check_kfunc_call`). */

import { BPF_PROG_TYPE_NAMES } from '@libbpf-ts/uapi';
import { sizeOf, skipModifiers } from './btf-access.ts';
import type { Env } from './env.ts';
import { markNode } from './graph-args.ts';
import { type KfuncMeta, mayReturnNull } from './kfunc-args.ts';
import { isPlainType, KERNEL_CONTEXTS, kindText } from './kfunc-kinds.ts';
import { pointsToLock, setNonOwning } from './managed.ts';
import { mayWritePacket } from './memory.ts';
import { acquireReference } from './references.ts';
import { markConstZero, markPointer, type Reg } from './register.ts';
import * as T from './regtype.ts';
import type { BtfTypeView } from './types.ts';

const MAX_PERCPU_SIZE = 512;

export function setKfuncResult(env: Env, meta: KfuncMeta): void {
  const { row, proto } = meta;
  const returned = skipModifiers(env.kernelBtf!, proto.type).type;
  if (!returned || returned.kind === 'UNKN') return;
  if (returned.kind === 'PTR') setPointer(env, meta, returned);
  else if (returned.kind === 'INT' || returned.kind === 'ENUM' || returned.kind === 'ENUM64') setNumber(env, meta);
  else env.unsupported(`the kernel function ${row.name}, which returns a ${returned.kind}`);
}

function setNumber(env: Env, meta: KfuncMeta): void {
  // Where the lock was not taken another path goes on.
  if (meta.row.name.startsWith('bpf_res_spin_lock')) markConstZero(env.reg(0), !env.bpfCapable);
  else env.markUnknown(env.reg(0));
}

function setPointer(env: Env, meta: KfuncMeta, pointer: BtfTypeView): void {
  const { row } = meta;
  const btf = env.kernelBtf!;
  const r0 = env.reg(0);
  const target = skipModifiers(btf, pointer.type);
  const struct = target.type?.kind === 'STRUCT' || target.type?.kind === 'UNION' ? target.type.name : '';
  if (!setSpecial(env, meta, struct)) {
    if (!target.type || target.type.kind === 'UNKN') env.markUnknown(r0);
    else if (struct === '') setMemory(env, meta, pointer);
    else setObject(env, meta, target.id);
  }
  if (r0.type === T.SCALAR_VALUE) return;
  const mayBeNull = mayReturnNull(meta);
  if (mayBeNull) {
    r0.type |= T.PTR_MAYBE_NULL;
    r0.id = env.nextId();
  }
  if (row.flags.includes('KF_ACQUIRE')) {
    const id = acquireReference(env, env.insnIdx);
    if (mayBeNull) r0.id = id;
    r0.refObjId = id;
  } else if (struct === 'bpf_rb_node' || struct === 'bpf_list_node') {
    setNonOwning(r0);
  }
  if (pointsToLock(r0) && r0.id === 0) r0.id = env.nextId();
}

/** Memory that is no struct: of the size of its type, or of the one given. */
function setMemory(env: Env, meta: KfuncMeta, pointer: BtfTypeView): void {
  const btf = env.kernelBtf!;
  const isCookie = meta.row.name === 'bpf_session_cookie';
  let size = isCookie ? 8 : meta.resultSize;
  let writable = isCookie || meta.resultWritable;
  if (size < 0) {
    size = sizeOf(btf, pointer.type);
    writable = false;
  }
  if (size <= 0) {
    const { type } = skipModifiers(btf, pointer.type);
    env.refuse(
      'EINVAL',
      `kernel function ${meta.row.name} returns pointer type ${kindText(type)} ${type?.name ?? ''} is not supported`,
    );
  }
  const r0 = env.reg(0);
  markPointer(r0, T.PTR_TO_MEM | (writable ? 0 : T.MEM_RDONLY));
  r0.memSize = size;
  if (meta.refObjId) r0.refObjId = meta.refObjId;
}

function setObject(env: Env, meta: KfuncMeta, id: number): void {
  const { row } = meta;
  let flags = 0;
  if (row.name === 'bpf_get_kmem_cache') flags = T.PTR_UNTRUSTED;
  else if (row.flags.includes('KF_RCU_PROTECTED')) flags = T.MEM_RCU;
  if (meta.iter && row.flags.includes('KF_ITER_NEXT')) {
    const iter = env.cur.frames[meta.iter.frameno]!.spilled[meta.iter.spi]!;
    flags |= iter.type & T.MEM_RCU ? T.MEM_RCU : T.PTR_TRUSTED;
  }
  const r0 = env.reg(0);
  markPointer(r0, T.PTR_TO_BTF_ID | flags);
  r0.btf = env.kernelBtf;
  r0.btfId = id;
}

/** True where the function is one whose result its type does not tell. */
function setSpecial(env: Env, meta: KfuncMeta, struct: string): boolean {
  const r0 = env.reg(0);
  switch (meta.row.name) {
    case 'bpf_obj_new_impl':
    case 'bpf_percpu_obj_new_impl':
      setAllocated(env, meta, r0);
      return true;
    case 'bpf_refcount_acquire_impl':
      markPointer(r0, T.PTR_TO_BTF_ID | T.MEM_ALLOC);
      r0.btf = meta.argBtf;
      r0.btfId = meta.argBtfId;
      return true;
    case 'bpf_cast_to_kern_ctx':
      setKernelContext(env, r0);
      return true;
    case 'bpf_rdonly_cast':
      setReadOnly(env, meta, r0);
      return true;
    case 'bpf_dynptr_slice':
    case 'bpf_dynptr_slice_rdwr':
      setSlice(env, meta, r0);
      return true;
    default:
  }
  if ((struct !== 'bpf_list_node' && struct !== 'bpf_rb_node') || !meta.root) return false;
  markNode(r0, meta.root);
  return true;
}

/** An object of a type of the program. */
function setAllocated(env: Env, meta: KfuncMeta, r0: Reg): void {
  const percpu = meta.row.name === 'bpf_percpu_obj_new_impl';
  const { high, low } = meta.constant!;
  const { btf } = env.request;
  if (high !== 0) env.refuse('EINVAL', 'local type ID argument must be in range [0, U32_MAX]');
  if (!btf) return env.refuse('EINVAL', 'bpf_obj_new/bpf_percpu_obj_new requires prog BTF');
  const id = low >>> 0;
  const type = btf.type(id);
  if (type?.kind !== 'STRUCT' && type?.kind !== 'UNION') {
    return env.refuse('EINVAL', 'bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct');
  }
  if (percpu && type.size > MAX_PERCPU_SIZE) {
    env.refuse('EINVAL', `bpf_percpu_obj_new type size (${type.size}) is greater than ${MAX_PERCPU_SIZE}`);
  }
  if (percpu && !isPlainType(btf, id, 0)) {
    env.refuse('EINVAL', 'bpf_percpu_obj_new type ID argument must be of a struct of scalars');
  }
  if (percpu && btf.record?.(id)) {
    env.refuse('EINVAL', 'bpf_percpu_obj_new type ID argument must not contain special fields');
  }
  markPointer(r0, T.PTR_TO_BTF_ID | T.MEM_ALLOC | (percpu ? T.MEM_PERCPU : 0));
  r0.btf = btf;
  r0.btfId = id;
}

/** The kernel's own view of the context. */
function setKernelContext(env: Env, r0: Reg): void {
  const id = kernelContextId(env);
  if (id !== 0 && env.kernelBtf!.type(id)?.kind !== 'STRUCT') env.refuse('EINVAL', `kern ctx type id ${id} is not a struct`);
  if (id === 0) return env.unsupported('a cast to a kernel context without its BTF');
  markPointer(r0, T.PTR_TO_BTF_ID | T.PTR_TRUSTED);
  r0.btf = env.kernelBtf;
  r0.btfId = id;
}

/** Kernel BTF pairs the program's and the kernel's type of each context in one struct (`get_kern_ctx_btf_id`). */
function kernelContextId(env: Env): number {
  const btf = env.kernelBtf!;
  const name = `${BPF_PROG_TYPE_NAMES.get(env.facts.prog_type)}_kern`;
  const member = btf.type(btf.find('bpf_ctx_convert', 'STRUCT'))?.members.find((row) => row.name === name);
  if (member) return member.type;
  const own = env.ops.contextStruct ?? '';
  return btf.find(KERNEL_CONTEXTS[own] ?? own, 'STRUCT');
}

/** Any address as a kernel type, to be read only. */
function setReadOnly(env: Env, meta: KfuncMeta, r0: Reg): void {
  const btf = env.kernelBtf!;
  const id = meta.constant!.low >>> 0;
  const type = id === 0 ? undefined : btf.type(id);
  if (id !== 0 && !type) env.refuse('EINVAL', `Unknown type ID ${id} passed to kfunc bpf_rdonly_cast`);
  if (id === 0) {
    markPointer(r0, T.PTR_TO_MEM | T.MEM_RDONLY | T.PTR_UNTRUSTED);
  } else if (type?.kind === 'STRUCT' || type?.kind === 'UNION') {
    markPointer(r0, T.PTR_TO_BTF_ID | T.PTR_UNTRUSTED);
    r0.btf = btf;
    r0.btfId = id;
  } else {
    env.refuse('EINVAL', 'kfunc bpf_rdonly_cast type ID argument must be of a struct or void');
  }
}

function setSlice(env: Env, meta: KfuncMeta, r0: Reg): void {
  const { dynType, id } = meta.dynptr!;
  const readOnly = meta.row.name === 'bpf_dynptr_slice';
  markPointer(r0, T.PTR_TO_MEM | (readOnly ? T.MEM_RDONLY : 0) | dynType);
  r0.memSize = meta.constant!.low >>> 0;
  if (!readOnly && !mayWritePacket(env)) env.refuse('EINVAL', 'the prog does not allow writes to packet data');
  r0.dynptrId = id;
}
