/** Arguments of a kernel function against its BTF prototype and the suffixes of parameter names (`check_kfunc_args`). */

import { isSubtype } from './btf-match.ts';
import { rcuHeld, sizeOf, skipModifiers } from './btf-access.ts';
import { inTreeCallback } from './callbacks.ts';
import { checkConstString } from './const-string.ts';
import { dynptrOf, processDynptrArg, slotOf } from './dynptr-args.ts';
import { placeDynptr } from './dynptr-slots.ts';
import type { Env } from './env.ts';
import { checkBorrowedNode, checkNode, checkOwnedNode, checkRoot } from './graph-args.ts';
import { CallMeta, checkArgOffset, checkHelperMem, checkSizeReg } from './helper-args.ts';
import { IRQ_LOCK, IRQ_NATIVE, restoreIrqFlag, saveIrqFlag } from './irq-flags.ts';
import { checkIterator, type IterArg, newIterator } from './iterators.ts';
import { KERNEL_CONTEXTS, pointerKind, STAND_INS } from './kfunc-kinds.ts';
import { checkMapField, hasRecordField, isLocalObject, isNonOwning, recordOf } from './managed.ts';
import { checkMemAccess } from './memory.ts';
import { checkSrc } from './operands.ts';
import { markChainPrecision } from './precision.ts';
import { type Reg } from './register.ts';
import * as T from './regtype.ts';
import { processSpinLock } from './spin-locks.ts';
import { isConstOffset, isZero } from './stack.ts';
import type { BtfField, BtfTypeView, KfuncRow, VerifierBtf, VerifierMap } from './types.ts';

/** What the arguments of one call have told. */
export class KfuncMeta {
  readonly row: KfuncRow;
  readonly proto: BtfTypeView;
  iter: { readonly frameno: number; readonly spi: number } | undefined = undefined;
  iterSlots = 0;
  releaseRegno = 0;
  refObjId = 0;
  /** The argument marked `__k` or `__szk`. */
  constant: { readonly high: number; readonly low: number } | undefined = undefined;
  /** The dynptr given, for functions that slice or clone it. */
  dynptr: Reg | undefined = undefined;
  resultSize = -1;
  resultWritable = false;
  map: VerifierMap | undefined = undefined;
  mapUid = 0;
  subprogno = -1;
  root: BtfField | undefined = undefined;
  /** Of local objects given: their type, and whether the reference given owns. */
  argBtf: VerifierBtf | undefined = undefined;
  argBtfId = 0;
  owning = false;

  constructor(row: KfuncRow, proto: BtfTypeView) {
    this.row = row;
    this.proto = proto;
  }
}

const has = (meta: KfuncMeta, flag: string): boolean => meta.row.flags.includes(flag);
const isRelease = (meta: KfuncMeta): boolean => has(meta, 'KF_RELEASE');

/** The function gives NULL where it fails; a reference counted up from one that owns never does. */
export const mayReturnNull = (meta: KfuncMeta): boolean =>
  has(meta, 'KF_RET_NULL') && !(meta.row.name === 'bpf_refcount_acquire_impl' && meta.owning);

export function checkKfuncArgs(env: Env, meta: KfuncMeta): void {
  const btf = env.kernelBtf!;
  const { params } = meta.proto;
  if (params.length > 5) env.refuse('EINVAL', `Function ${meta.row.name} has ${params.length} > 5 args`);
  for (let i = 0; i < params.length; i++) {
    const param = params[i]!;
    const regno = i + 1;
    if (param.name.endsWith('__ign') || param.name.endsWith('__prog')) continue;
    checkSrc(env, regno);
    const { type } = skipModifiers(btf, param.type);
    if (type?.kind === 'PTR') i += checkPointer(env, meta, i, regno, type);
    else checkScalar(env, meta, i, regno, type, param.name);
  }
  if (isRelease(meta) && !meta.releaseRegno) {
    env.refuse('EINVAL', `release kernel function ${meta.row.name} expects refcounted PTR_TO_BTF_ID`);
  }
}

function checkScalar(env: Env, meta: KfuncMeta, i: number, regno: number, type: BtfTypeView | undefined, name: string): void {
  const reg = env.reg(regno);
  if (type?.kind !== 'INT' && type?.kind !== 'ENUM' && type?.kind !== 'ENUM64') {
    env.refuse('EINVAL', `Unrecognized arg#${i} type ${type?.kind ?? 'UNKN'}`);
  }
  if (reg.type !== T.SCALAR_VALUE) env.refuse('EINVAL', `R${regno} is not a scalar`);
  if (name.endsWith('__k')) return takeConstant(env, meta, regno);
  if (name !== 'rdonly_buf_size' && name !== 'rdwr_buf_size') return;
  if (!isConstOffset(reg)) env.refuse('EINVAL', `R${regno} is not a const`);
  markChainPrecision(env, regno);
  meta.resultSize = reg.vl >>> 0;
  meta.resultWritable = name === 'rdwr_buf_size';
}

function takeConstant(env: Env, meta: KfuncMeta, regno: number): void {
  const reg = env.reg(regno);
  if (!isConstOffset(reg)) env.refuse('EINVAL', `R${regno} must be a known constant`);
  markChainPrecision(env, regno);
  meta.constant = { high: reg.vh, low: reg.vl };
}

/** Returns how many arguments behind it were looked at too. */
function checkPointer(env: Env, meta: KfuncMeta, i: number, regno: number, pointer: BtfTypeView): number {
  const btf = env.kernelBtf!;
  const reg = env.reg(regno);
  const { name } = meta.proto.params[i]!;
  const trusted = has(meta, 'KF_TRUSTED_ARGS') || isRelease(meta);
  const rcu = has(meta, 'KF_RCU');
  if ((trusted || rcu) && (isZero(reg) || T.mayBeNull(reg.type)) && !name.endsWith('__nullable')) {
    env.refuse('EACCES', `Possibly NULL pointer passed to trusted arg${i}`);
  }
  if (reg.refObjId) {
    meta.refObjId = reg.refObjId;
    if (isRelease(meta)) meta.releaseRegno = regno;
  }
  const target = skipModifiers(btf, pointer.type);
  const kind = pointerKind(env, meta, i, reg, pointer);
  if (kind === 'null') return 0;
  if (kind === 'map') takeMap(env, meta, regno, reg);
  if ((kind === 'map' || kind === 'alloc' || kind === 'object') && (trusted || rcu) && !isTrusted(reg)) {
    if (!rcu) env.refuse('EINVAL', `R${regno} must be referenced or trusted`);
    if (!(reg.type & T.MEM_RCU)) env.refuse('EINVAL', `R${regno} must be a rcu pointer`);
  }
  const base = kind === 'dynptr' ? 'ARG_PTR_TO_DYNPTR' : 'ARG_DONTCARE';
  const flags = isRelease(meta) && reg.refObjId ? T.OBJ_RELEASE : 0;
  checkArgOffset(env, regno, reg, { base, flags, size: 0, btf: undefined });
  switch (kind) {
    case 'ctx':
      checkContext(env, reg, i);
      return 0;
    case 'alloc':
      checkAllocated(env, meta, i, reg);
      return 0;
    case 'dynptr':
      checkDynptr(env, meta, regno, name);
      return 0;
    case 'iter':
      checkIter(env, meta, regno, target.id, target.type!.name);
      return 0;
    case 'list-head':
    case 'rb-root':
      meta.root = checkRoot(env, i, regno, kind === 'list-head' ? 'BPF_LIST_HEAD' : 'BPF_RB_ROOT');
      return 0;
    case 'list-node':
    case 'rb-node':
      checkGraphNode(env, meta, i, regno, kind);
      return 0;
    case 'map':
      checkObject(env, meta, i, regno, reg, 'bpf_map');
      return 0;
    case 'object':
      checkObject(env, meta, i, regno, reg, target.type!.name);
      return 0;
    case 'mem':
      checkMemory(env, i, regno, reg, pointer);
      return 0;
    case 'mem-size':
      checkSized(env, meta, i, regno, reg, name);
      return 1;
    case 'callback':
      if (reg.type !== T.PTR_TO_FUNC) env.refuse('EINVAL', `arg${i} expected pointer to func`);
      meta.subprogno = reg.subprogno;
      return 0;
    case 'refcounted':
      checkRefcounted(env, meta, i, reg);
      return 0;
    case 'string':
      if (reg.type !== T.PTR_TO_MAP_VALUE) env.refuse('EINVAL', `arg#${i} doesn't point to a const string`);
      checkConstString(env, regno, reg);
      return 0;
    default:
      checkPlace(env, meta, i, regno, reg, kind);
      return 0;
  }
}

/** Places that the function manages: work queues, task work, interrupt flags, locks. */
function checkPlace(env: Env, meta: KfuncMeta, i: number, regno: number, reg: Reg, kind: string): void {
  const func = meta.row.name;
  switch (kind) {
    case 'workqueue':
    case 'task-work':
      if (reg.type !== T.PTR_TO_MAP_VALUE) env.refuse('EINVAL', `arg#${i} doesn't point to a map value`);
      meta.map = checkMapField(env, regno, kind === 'workqueue' ? 'BPF_WORKQUEUE' : 'BPF_TASK_WORK');
      meta.mapUid = reg.mapUid;
      return;
    case 'irq-flag': {
      if (reg.type !== T.PTR_TO_STACK) env.refuse('EINVAL', `arg#${i} doesn't point to an irq flag on stack`);
      const owner = func.startsWith('bpf_local') ? IRQ_NATIVE : IRQ_LOCK;
      if (func === 'bpf_local_irq_save' || func === 'bpf_res_spin_lock_irqsave') saveIrqFlag(env, regno, owner);
      else restoreIrqFlag(env, regno, owner);
      return;
    }
    default:
      if (reg.type !== T.PTR_TO_MAP_VALUE && reg.type !== (T.PTR_TO_BTF_ID | T.MEM_ALLOC)) {
        env.refuse('EINVAL', `arg#${i} doesn't point to map value or allocated object`);
      }
      processSpinLock(env, regno, { lock: func.includes('spin_lock'), resilient: true, irq: func.includes('_irq') });
  }
}

function takeMap(env: Env, meta: KfuncMeta, regno: number, reg: Reg): void {
  if (!reg.map) return env.refuse('EINVAL', `pointer in R${regno} isn't map pointer`);
  const managed = hasRecordField(reg.map.record, 'BPF_WORKQUEUE', 'BPF_TASK_WORK');
  if (meta.map && managed && (meta.map !== reg.map || meta.mapUid !== reg.mapUid)) {
    const isWork = hasRecordField(meta.map.record, 'BPF_TASK_WORK');
    const [what, first] = isWork ? ['bpf_task_work', 2] : ['workqueue', 1];
    env.refuse(
      'EINVAL',
      `${what} pointer in R${first} map_uid=${meta.mapUid} doesn't match map pointer in R${first + 1} map_uid=${reg.mapUid}`,
    );
  }
  meta.map = reg.map;
  meta.mapUid = reg.mapUid;
}

/** `is_trusted_reg`. */
export function isTrusted(reg: Reg): boolean {
  if (reg.refObjId) return true;
  const flags = T.typeFlags(reg.type);
  const trusting = T.MEM_ALLOC | T.PTR_TRUSTED | T.NON_OWN_REF;
  if (STAND_INS[T.baseType(reg.type)] && (flags & ~trusting) === 0) return true;
  return (flags & trusting) !== 0 && (flags & ~trusting) === 0;
}

function checkContext(env: Env, reg: Reg, i: number): void {
  if (reg.type !== T.PTR_TO_CTX) env.refuse('EINVAL', `arg#${i} expected pointer to ctx, but got ${T.typeText(reg.type)}`);
}

function checkAllocated(env: Env, meta: KfuncMeta, i: number, reg: Reg): void {
  const allocated = T.PTR_TO_BTF_ID | T.MEM_ALLOC;
  const { name } = meta.row;
  if (reg.type === allocated) {
    if (name !== 'bpf_obj_drop_impl') env.refuse('EINVAL', `arg#${i} expected for bpf_obj_drop_impl()`);
  } else if (reg.type === (allocated | T.MEM_PERCPU)) {
    if (name !== 'bpf_percpu_obj_drop_impl') env.refuse('EINVAL', `arg#${i} expected for bpf_percpu_obj_drop_impl()`);
  } else {
    env.refuse('EINVAL', `arg#${i} expected pointer to allocated object`);
  }
  if (!reg.refObjId) env.refuse('EINVAL', 'allocated object must be referenced');
  meta.argBtf = reg.btf;
  meta.argBtfId = reg.btfId;
}

function checkRefcounted(env: Env, meta: KfuncMeta, i: number, reg: Reg): void {
  if (!isLocalObject(reg.type)) env.refuse('EINVAL', `arg#${i} is neither owning or non-owning ref`);
  meta.owning = !isNonOwning(reg.type);
  if (!hasRecordField(recordOf(reg), 'BPF_REFCOUNT')) {
    env.refuse('EINVAL', `arg#${i} doesn't point to a type with bpf_refcount field`);
  }
  meta.argBtf = reg.btf;
  meta.argBtfId = reg.btfId;
}

function checkGraphNode(env: Env, meta: KfuncMeta, i: number, regno: number, kind: 'list-node' | 'rb-node'): void {
  const { name } = meta.row;
  const adds = kind === 'list-node' || name === 'bpf_rbtree_add_impl';
  if (adds) checkOwnedNode(env, i, regno);
  else checkBorrowedNode(env, regno, name, inTreeCallback(env));
  checkNode(env, regno, kind === 'list-node' ? 'BPF_LIST_NODE' : 'BPF_RB_NODE', meta.root!);
}

function checkIter(env: Env, meta: KfuncMeta, regno: number, btfId: number, structName: string): void {
  if (meta.row.name === 'bpf_iter_css_task_new' && !mayIterateCssTasks(env)) {
    env.refuse('EINVAL', 'css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs');
  }
  const size = sizeOf(env.kernelBtf!, btfId);
  const name = structName.slice('bpf_iter_'.length);
  const protectedByRcu = has(meta, 'KF_RCU_PROTECTED');
  const iter: IterArg = { btf: env.kernelBtf!, btfId, name, slots: size / 8, rcu: protectedByRcu };
  meta.iterSlots = iter.slots;
  if (has(meta, 'KF_ITER_NEW')) newIterator(env, regno, iter);
  else meta.iter = checkIterator(env, regno, iter, meta.row.name);
}

/** `check_css_task_iter_allowlist`: LSM programs, iterators, and what may sleep. */
function mayIterateCssTasks(env: Env): boolean {
  const { prog_type, expected_attach_type, sleepable } = env.facts;
  return prog_type === 29 || (prog_type === 26 && expected_attach_type === 28) || sleepable || env.cur.inSleepable;
}

/** Functions that make a dynptr in the argument named. */
const DYNPTR_MAKERS: Readonly<Record<string, number>> = {
  bpf_dynptr_from_skb: T.DYNPTR_TYPE_SKB,
  bpf_dynptr_from_xdp: T.DYNPTR_TYPE_XDP,
  bpf_dynptr_from_skb_meta: T.DYNPTR_TYPE_SKB_META,
};

function checkDynptr(env: Env, meta: KfuncMeta, regno: number, name: string): void {
  const { row } = meta;
  const call = new CallMeta(0, false);
  if (!name.endsWith('__uninit')) {
    processDynptrArg(env, regno, T.MEM_RDONLY, call);
    meta.dynptr = dynptrOf(env, regno);
    return;
  }
  const made = DYNPTR_MAKERS[row.name];
  const kind = made ?? (row.name === 'bpf_dynptr_clone' ? meta.dynptr!.dynType : 0);
  const refObjId = made === undefined ? meta.dynptr!.refObjId : 0;
  if (kind === 0) return env.unsupported(`dynptrs made by the kernel function ${row.name}`);
  processDynptrArg(env, regno, T.MEM_UNINIT | kind, call);
  for (let off = 0; off < 16; off += 8) checkMemAccess(env, { regno, off, size: 8, write: true, value: -1 });
  placeDynptr(env, env.frameOf(env.reg(regno)), slotOf(env, regno), kind, refObjId);
}

/** A kernel object: of the right type. */
function checkObject(env: Env, meta: KfuncMeta, i: number, regno: number, reg: Reg, structName: string): void {
  const stand = STAND_INS[T.baseType(reg.type)];
  const modifiers = T.MEM_ALLOC | T.PTR_TRUSTED | T.NON_OWN_REF;
  const unsafe = (T.typeFlags(reg.type) & ~modifiers) !== 0 && !(reg.type & T.MEM_RCU && rcuHeld(env));
  if ((T.baseType(reg.type) !== T.PTR_TO_BTF_ID || unsafe) && !stand) {
    const expected = T.typeText(T.baseType(reg.type) | (reg.type & modifiers));
    env.refuse('EINVAL', `arg#${i} is ${T.typeText(reg.type)} expected ${expected} or socket`);
  }
  if (stand) {
    if (stand === structName || (structName === 'sock_common' && stand !== 'bpf_map')) return;
    if (structName === 'sock' && stand === 'tcp_sock') return;
    return refuseType(env, meta, i, regno, structName, stand);
  }
  const strict = isRelease(meta) && reg.refObjId !== 0;
  const alias = reg.btf?.type(reg.btfId)?.name ?? '';
  const noCast = `${alias}___init` === structName || alias === `${structName}___init`;
  if (isSubtype(env, reg, structName, strict || noCast) && reg.btf?.kernel) return;
  // A function that takes the user's view of a context takes the kernel's own as well.
  if (KERNEL_CONTEXTS[structName] === alias) return;
  refuseType(env, meta, i, regno, structName, alias);
}

function refuseType(env: Env, meta: KfuncMeta, i: number, regno: number, wanted: string, own: string): never {
  return env.refuse(
    'EINVAL',
    `kernel function ${meta.row.name} args#${i} expected pointer to STRUCT ${wanted} but R${regno} has a pointer to STRUCT ${own}`,
  );
}

/** Plain memory, sized by its own type. */
function checkMemory(env: Env, i: number, regno: number, reg: Reg, pointer: BtfTypeView): void {
  const size = sizeOf(env.kernelBtf!, pointer.type);
  if (size === 0) {
    const { type } = skipModifiers(env.kernelBtf!, pointer.type);
    env.refuse(
      'EINVAL',
      `arg#${i} reference type('${type?.kind ?? 'UNKNOWN'} ${type?.name ?? ''}') size cannot be determined: -22`,
    );
  }
  if (isZero(reg)) return;
  const { type } = reg;
  reg.type &= ~T.PTR_MAYBE_NULL;
  checkHelperMem(env, regno, size, false, true, undefined);
  checkHelperMem(env, regno, size, true, true, undefined);
  reg.type = type;
}

/** Memory whose size is the next argument. */
function checkSized(env: Env, meta: KfuncMeta, i: number, regno: number, reg: Reg, name: string): void {
  const next = meta.proto.params[i + 1]!;
  const size = env.reg(regno + 1);
  checkSrc(env, regno + 1);
  if (!isZero(reg) || !name.endsWith('__opt')) {
    const { type } = reg;
    try {
      reg.type &= ~T.PTR_MAYBE_NULL;
      checkSizeReg(env, regno + 1, size, false, true, undefined);
      checkSizeReg(env, regno + 1, size, true, true, undefined);
    } catch (error) {
      env.log.reason(`arg#${i} arg#${i + 1} memory, len pair leads to invalid memory access`);
      throw error;
    }
    reg.type = type;
  }
  if (next.name.endsWith('__szk')) takeConstant(env, meta, regno + 1);
}
