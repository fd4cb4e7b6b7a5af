/** Arguments of a kernel function against its BTF prototype and the suffixes of parameter names (`check_kfunc_args`). */

import { isSubtype } from './btf-match.ts';
import { rcuHeld, sizeOf, skipModifiers } from './btf-access.ts';
import { dynptrOf, processDynptrArg, slotOf } from './dynptr-args.ts';
import { placeDynptr } from './dynptr-slots.ts';
import type { Env } from './env.ts';
import { CallMeta, checkHelperMem, checkSizeReg } from './helper-args.ts';
import { checkIterator, type IterArg, newIterator } from './iterators.ts';
import { checkMemAccess, checkUnmodified } from './memory.ts';
import { checkSrc } from './operands.ts';
import { markChainPrecision } from './precision.ts';
import { type Reg, umax } from './register.ts';
import * as T from './regtype.ts';
import { isConstOffset, isZero } from './stack.ts';
import type { BtfTypeView, KfuncRow } from './types.ts';

/** What the arguments of one call have told. */
export class KfuncMeta {
  readonly row: KfuncRow;
  readonly proto: BtfTypeView;
  iter: { readonly frameno: number; readonly spi: number } | undefined = undefined;
  iterSlots = 0;
  releaseRegno = 0;
  releasedRef = 0;
  /** bpf_dynptr_slice: bytes of the slice, −1 for other functions. */
  sliceSize = -1;
  sliceReadOnly = true;
  sliceType = 0;
  dynptrId = 0;
  dynptrRef = 0;
  resultSize = -1;
  resultWritable = false;

  constructor(row: KfuncRow, proto: BtfTypeView) {
    this.row = row;
    this.proto = proto;
  }
}

const has = (meta: KfuncMeta, flag: string): boolean => meta.row.flags.includes(flag);

export function checkKfuncArgs(env: Env, meta: KfuncMeta): void {
  const btf = env.kernelBtf!;
  const { params } = meta.proto;
  if (params.length > 5) env.refuse('EINVAL', `Function ${meta.row.name} has ${params.length} > 5 args`);
  params.forEach((param, i) => {
    const regno = i + 1;
    if (param.name.endsWith('__ign')) return;
    checkSrc(env, regno);
    const { type } = skipModifiers(btf, param.type);
    if (type?.kind === 'PTR') checkPointer(env, meta, i, regno, type);
    else checkScalar(env, meta, i, regno, type, param.name);
  });
}

function checkScalar(env: Env, meta: KfuncMeta, i: number, regno: number, type: BtfTypeView | undefined, name: string): void {
  const reg = env.reg(regno);
  if (type?.kind !== 'INT' && type?.kind !== 'ENUM' && type?.kind !== 'ENUM64') {
    env.refuse('EINVAL', `Unrecognized arg#${i} type ${type?.kind ?? 'UNKN'}`);
  }
  if (reg.type !== T.SCALAR_VALUE) env.refuse('EINVAL', `R${regno} is not a scalar`);
  const isSize = name.endsWith('__sz');
  const isConst = name.endsWith('__szk') || name.endsWith('__k') || name === 'rdonly_buf_size' || name === 'rdwr_buf_size';
  if (isConst) {
    if (!isConstOffset(reg)) env.refuse('EINVAL', `R${regno} must be a known constant`);
    markChainPrecision(env, regno);
    if (name.startsWith('rd')) {
      meta.resultSize = reg.vl >>> 0;
      meta.resultWritable = name === 'rdwr_buf_size';
    }
  }
  if (name.endsWith('__szk')) {
    meta.sliceSize = reg.vl >>> 0;
    if (!isZero(env.reg(regno - 1))) checkHelperMem(env, regno - 1, umax(reg), true, true, undefined);
  } else if (isSize && !isZero(env.reg(regno - 1))) {
    checkSizeReg(env, regno, reg, false, true, undefined);
    checkSizeReg(env, regno, reg, true, true, undefined);
  } else if (isSize) {
    markChainPrecision(env, regno);
  }
}

function checkPointer(env: Env, meta: KfuncMeta, i: number, regno: number, pointer: BtfTypeView): void {
  const btf = env.kernelBtf!;
  const reg = env.reg(regno);
  const { name } = meta.proto.params[i]!;
  const nullable = name.endsWith('__nullable') || name.endsWith('__opt');
  const trustedOnly = has(meta, 'KF_TRUSTED_ARGS') || has(meta, 'KF_RELEASE') || has(meta, 'KF_RCU');
  if (isZero(reg) && nullable) return;
  if (trustedOnly && (isZero(reg) || T.mayBeNull(reg.type)) && !nullable) {
    env.refuse('EACCES', `Possibly NULL pointer passed to trusted arg${i}`);
  }
  const target = skipModifiers(btf, pointer.type);
  const structName = target.type?.kind === 'STRUCT' || target.type?.kind === 'FWD' ? target.type.name : '';
  if (/__(str|map|prog|alloc|uninit|irq_flag|refcounted_kptr|const_str|aux)$/.test(name) && structName !== 'bpf_dynptr') {
    return env.unsupported(`the argument ${name} of the kernel function ${meta.row.name}`);
  }
  if (i === 0 && structName.startsWith('bpf_iter_') && isIterFunction(meta))
    return checkIter(env, meta, regno, target.id, structName);
  if (structName === env.ops.contextStruct || (structName !== '' && reg.type === T.PTR_TO_CTX))
    return checkContext(env, reg, i, regno, structName);
  if (structName === 'bpf_dynptr') return checkDynptr(env, meta, regno, name);
  if (structName === 'bpf_map' || structName === 'bpf_list_head' || structName === 'bpf_rb_root') {
    return env.unsupported(`a ${structName} argument of the kernel function ${meta.row.name}`);
  }
  if (T.baseType(reg.type) === T.PTR_TO_BTF_ID) return checkObject(env, meta, i, regno, reg, structName);
  checkMemory(env, meta, i, regno, reg, pointer);
}

const isIterFunction = (meta: KfuncMeta): boolean =>
  has(meta, 'KF_ITER_NEW') || has(meta, 'KF_ITER_NEXT') || has(meta, 'KF_ITER_DESTROY');

/** Contexts that the kernel function takes by the kernel's own name of the type. */
function checkContext(env: Env, reg: Reg, i: number, regno: number, structName: string): void {
  const kernelNames: Readonly<Record<string, string>> = { __sk_buff: 'sk_buff', xdp_md: 'xdp_buff' };
  const own = env.ops.contextStruct ?? '';
  const fits = structName === own || structName === kernelNames[own];
  if (reg.type !== T.PTR_TO_CTX || !fits)
    env.refuse('EINVAL', `arg#${i} expected pointer to ctx, but got ${T.typeText(reg.type)}`);
  checkUnmodified(env, reg, regno, false);
}

function checkIter(env: Env, meta: KfuncMeta, regno: number, btfId: number, structName: string): void {
  const size = sizeOf(env.kernelBtf!, btfId);
  const iter: IterArg = {
    btf: env.kernelBtf!,
    btfId,
    name: structName.slice('bpf_iter_'.length),
    slots: size / 8,
    rcu: has(meta, 'KF_RCU_PROTECTED'),
  };
  meta.iterSlots = iter.slots;
  if (has(meta, 'KF_ITER_NEW')) newIterator(env, regno, iter);
  else meta.iter = checkIterator(env, regno, iter, meta.row.name);
}

/** Functions that make a dynptr in the argument named. */
const DYNPTR_MAKERS: Readonly<Record<string, number>> = {
  bpf_dynptr_from_skb: T.DYNPTR_TYPE_SKB,
  bpf_dynptr_from_xdp: T.DYNPTR_TYPE_XDP,
};

function checkDynptr(env: Env, meta: KfuncMeta, regno: number, name: string): void {
  const { row } = meta;
  const made = DYNPTR_MAKERS[row.name];
  const call = new CallMeta(0, false);
  if (name.endsWith('__uninit')) {
    const kind = made ?? (row.name === 'bpf_dynptr_clone' ? dynptrOf(env, 1)!.dynType : 0);
    if (kind === 0) return env.unsupported(`dynptrs made by the kernel function ${row.name}`);
    processDynptrArg(env, regno, T.MEM_UNINIT | kind, call);
    for (let off = 0; off < 16; off += 8) checkMemAccess(env, { regno, off, size: 8, write: true, value: -1 });
    const refObjId = made === undefined ? dynptrOf(env, 1)!.refObjId : 0;
    placeDynptr(env, env.frameOf(env.reg(regno)), slotOf(env, regno), kind, refObjId);
    return;
  }
  processDynptrArg(env, regno, T.MEM_RDONLY, call);
  if (row.name !== 'bpf_dynptr_slice' && row.name !== 'bpf_dynptr_slice_rdwr') return;
  const dynptr = dynptrOf(env, regno)!;
  meta.dynptrId = dynptr.id;
  meta.dynptrRef = dynptr.refObjId;
  meta.sliceReadOnly = row.name === 'bpf_dynptr_slice';
  meta.sliceType = dynptr.dynType & (T.DYNPTR_TYPE_SKB | T.DYNPTR_TYPE_XDP);
  const { packetWrite } = env.ops;
  const writable = typeof packetWrite === 'function' ? packetWrite(env.facts) : packetWrite === true;
  if (!meta.sliceReadOnly && meta.sliceType && !writable) {
    env.refuse('EINVAL', 'the prog does not allow writes to packet data');
  }
}

/** A kernel object: of the right type, and as trusted as the function asks. */
function checkObject(env: Env, meta: KfuncMeta, i: number, regno: number, reg: Reg, structName: string): void {
  const released = has(meta, 'KF_RELEASE');
  if (released && !reg.refObjId)
    env.refuse('EINVAL', `release kernel function ${meta.row.name} expects refcounted PTR_TO_BTF_ID`);
  if (structName === '') return env.unsupported(`a kernel object for an argument of the kernel function ${meta.row.name}`);
  const isTrusted = (reg.refObjId !== 0 || (reg.type & T.PTR_TRUSTED) !== 0) && !(reg.type & T.PTR_UNTRUSTED);
  const isRcu = (reg.type & T.MEM_RCU) !== 0 && rcuHeld(env);
  if (has(meta, 'KF_RCU') ? !isTrusted && !isRcu : !isTrusted) {
    env.refuse('EINVAL', `R${regno} must be ${has(meta, 'KF_RCU') ? 'a rcu pointer' : 'referenced or trusted'}`);
  }
  if (released) {
    meta.releaseRegno = regno;
    meta.releasedRef = reg.refObjId;
  }
  checkUnmodified(env, reg, regno, !released);
  if (!isSubtype(env, reg, structName, released)) {
    const own = reg.btf?.type(reg.btfId)?.name ?? '';
    env.refuse(
      'EINVAL',
      `kernel function ${meta.row.name} args#${i} expected pointer to STRUCT ${structName} but R${regno} has a pointer to STRUCT ${own}`,
    );
  }
}

/** Numbers, and structs and arrays of nothing else (`__btf_type_is_scalar_struct`). */
function isPlain(env: Env, id: number, depth: number): boolean {
  const { type } = skipModifiers(env.kernelBtf!, id);
  switch (type?.kind) {
    case 'INT':
    case 'ENUM':
    case 'ENUM64':
      return true;
    case 'ARRAY':
      return depth > 0 && isPlain(env, type.type, depth);
    case 'STRUCT':
      return depth < 4 && type.members.every((member) => isPlain(env, member.type, depth + 1));
    default:
      return false;
  }
}

/** Plain memory: sized by the next argument, or by its own type. */
function checkMemory(env: Env, meta: KfuncMeta, i: number, regno: number, reg: Reg, pointer: BtfTypeView): void {
  const next = meta.proto.params[i + 1];
  if (next && /__szk?$/.test(next.name)) return;
  const target = skipModifiers(env.kernelBtf!, pointer.type);
  if (!isPlain(env, pointer.type, 0)) {
    const kind = target.type?.kind ?? 'UNKN';
    env.refuse(
      'EINVAL',
      `arg#${i} pointer type ${kind} ${target.type?.name ?? ''} must point to scalar, or struct with scalar`,
    );
  }
  const size = sizeOf(env.kernelBtf!, pointer.type);
  if (size === 0) return env.unsupported(`memory of no known size for the kernel function ${meta.row.name}`);
  if (T.mayBeNull(reg.type)) env.refuse('EINVAL', `arg#${i} pointer type may be NULL`);
  checkHelperMem(env, regno, size, false, false, undefined);
  checkHelperMem(env, regno, size, true, false, undefined);
}
