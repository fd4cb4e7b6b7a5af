/** Calls of helpers: may it be called here, are its arguments right, what does it leave (`check_helper_call`). */

import type { BpfInsn } from '@libbpf-ts/isa';
import * as F from '@libbpf-ts/uapi';
import { protoSpec, type ProtoSpec } from './arg-types.ts';
import { syncBounds } from './bounds.ts';
import { checkBprintf } from './format-args.ts';
import { callbackOf, pushCallback } from './callbacks.ts';
import { placeDynptr, releaseDynptr } from './dynptr-slots.ts';
import { dynptrOf, slotOf } from './dynptr-args.ts';
import type { Env } from './env.ts';
import { CallMeta, checkArg } from './helper-args.ts';
import { helperName } from './insn-text.ts';
import { mapFitsHelper } from './map-compat.ts';
import { hasField } from './map-rules.ts';
import { checkMemAccess } from './memory.ts';
import { markChainPrecision } from './precision.ts';
import { acquireReference, checkResources, invalidate, releaseReference } from './references.ts';
import { markNotInit, markPointer, type Reg, umax } from './register.ts';
import * as T from './regtype.ts';
import { isZero } from './stack.ts';
import { changeRegs } from './state.ts';
import { skipModifiers } from './btf-access.ts';
import { releaseKptr, setExchanged } from './kptrs.ts';

const ACQUIRES: ReadonlySet<number> = new Set([
  F.BPF_FUNC_sk_lookup_tcp,
  F.BPF_FUNC_sk_lookup_udp,
  F.BPF_FUNC_skc_lookup_tcp,
  F.BPF_FUNC_ringbuf_reserve,
  F.BPF_FUNC_kptr_xchg,
]);
const CASTS: ReadonlySet<number> = new Set([
  F.BPF_FUNC_tcp_sock,
  F.BPF_FUNC_sk_fullsock,
  F.BPF_FUNC_skc_to_tcp_sock,
  F.BPF_FUNC_skc_to_tcp6_sock,
  F.BPF_FUNC_skc_to_udp6_sock,
  F.BPF_FUNC_skc_to_mptcp_sock,
  F.BPF_FUNC_skc_to_tcp_timewait_sock,
  F.BPF_FUNC_skc_to_tcp_request_sock,
]);
const SIZE_RESULTS: ReadonlySet<number> = new Set([
  F.BPF_FUNC_get_stack,
  F.BPF_FUNC_get_task_stack,
  F.BPF_FUNC_probe_read_str,
  F.BPF_FUNC_probe_read_kernel_str,
  F.BPF_FUNC_probe_read_user_str,
]);
const WRITES_MAP: ReadonlySet<number> = new Set([
  F.BPF_FUNC_map_delete_elem,
  F.BPF_FUNC_map_update_elem,
  F.BPF_FUNC_map_push_elem,
  F.BPF_FUNC_map_pop_elem,
]);
const BPF_F_RDONLY_PROG = 0x80;
const MAX_ERRNO = 4095;

/** Sleeping is allowed here: the program may, and is not inside a region that forbids it. */
export const mayThisSleep = (env: Env): boolean => env.cur.inSleepable || env.facts.sleepable;

export function checkHelperCall(env: Env, insn: BpfInsn): void {
  const id = insn.imm;
  const name = helperName(id);
  if (name === 'unknown') env.refuse('EINVAL', `invalid func unknown#${id}`);
  const proto = env.ops.funcProto(id, env.facts);
  if (!proto) return env.refuse('EINVAL', `program of this type cannot use helper ${name}#${id}`);
  if (proto.gpl_only && !env.facts.gplCompatible) {
    env.refuse('EINVAL', 'cannot call GPL-restricted function from non-GPL compatible program');
  }
  if (proto.might_sleep) checkSleeps(env, `${name}#${id}`);
  const spec = protoSpec(env, proto);
  const meta = new CallMeta(id, proto.pkt_access === true);
  for (let i = 0; i < spec.args.length; i++) checkArg(env, spec, i, meta);
  checkReadOnlyMap(env, meta);
  recordMap(env, meta);
  if (id === F.BPF_FUNC_tail_call && meta.map?.map_type !== F.BPF_MAP_TYPE_PROG_ARRAY) {
    env.log.reason('expected prog array map for tail call', false);
    env.refuse('EINVAL', '');
  }
  for (let i = 0; i < meta.accessSize; i++) {
    checkMemAccess(env, { regno: meta.regno, off: i, size: 1, write: true, value: -1 });
  }
  if (meta.uninitDynptrRegno) makeDynptr(env, meta);
  if (meta.releaseRegno) release(env, spec, meta, name);
  callSpecific(env, meta);
  for (let i = 0; i <= 5; i++) {
    markNotInit(env.reg(i));
    env.touch(i);
  }
  setResult(env, spec, meta);
  checkMapFits(env, meta, name);
  // A tail call that comes back did nothing; what one that does not come back does, the caller sees (`followTailCall`).
  if (proto.changesPacketData && id !== F.BPF_FUNC_tail_call) clearPacketPointers(env);
  env.calls.set(env.insnIdx, { kind: 'helper', id, proto });
}

function checkSleeps(env: Env, name: string): void {
  const { cur } = env;
  if (!mayThisSleep(env)) env.refuse('EINVAL', 'helper call might sleep in a non-sleepable prog');
  if (cur.activeRcuLocks) env.refuse('EINVAL', `sleepable helper ${name} in rcu_read_lock region`);
  if (cur.activePreemptLocks) env.refuse('EINVAL', `sleepable helper ${name} in non-preemptible region`);
  if (cur.activeIrqId) env.refuse('EINVAL', `sleepable helper ${name} in IRQ-disabled region`);
}

function checkReadOnlyMap(env: Env, meta: CallMeta): void {
  if (meta.map && WRITES_MAP.has(meta.id) && meta.map.map_flags & BPF_F_RDONLY_PROG) {
    env.refuse('EACCES', 'write into map forbidden');
  }
}

/** The same map on every path, or none that can be named. */
function recordMap(env: Env, meta: CallMeta): void {
  if (!meta.map) return;
  const known = env.callMaps.get(env.insnIdx);
  env.callMaps.set(env.insnIdx, known === undefined || known === meta.map ? meta.map : null);
}

function checkMapFits(env: Env, meta: CallMeta, name: string): void {
  const { map } = meta;
  if (!map || mapFitsHelper(map.map_type, meta.id, env.facts.prog_type, env.facts.expected_attach_type)) return;
  env.refuse('EINVAL', `cannot pass map_type ${map.map_type} into func ${name}#${meta.id}`);
}

function makeDynptr(env: Env, meta: CallMeta): void {
  const regno = meta.uninitDynptrRegno;
  for (let i = 0; i < 16; i += 8) checkMemAccess(env, { regno, off: i, size: 8, write: true, value: -1 });
  placeDynptr(env, env.frameOf(env.reg(regno)), slotOf(env, regno), meta.dynType);
}

function release(env: Env, spec: ProtoSpec, meta: CallMeta, name: string): void {
  const reg = env.reg(meta.releaseRegno);
  let done = false;
  if (spec.args[meta.releaseRegno - 1]!.base === 'ARG_PTR_TO_DYNPTR') {
    done = releaseDynptr(env, env.frameOf(reg), slotOf(env, meta.releaseRegno));
  } else if (meta.id === F.BPF_FUNC_kptr_xchg && meta.refObjId) {
    done = releaseKptr(env, meta.refObjId);
  } else if (meta.refObjId) {
    done = releaseReference(env, meta.refObjId);
  } else {
    done = isZero(reg);
  }
  if (!done) env.refuse('EINVAL', `func ${name}#${meta.id} reference has not been acquired before`);
}

/** What single helpers ask for besides. */
function callSpecific(env: Env, meta: CallMeta): void {
  switch (meta.id) {
    case F.BPF_FUNC_tail_call:
      checkResources(env, false, true, 'tail_call');
      return;
    case F.BPF_FUNC_get_local_storage:
      if (!isZero(env.reg(2))) env.refuse('EINVAL', "get_local_storage() doesn't support non-zero flags");
      return;
    case F.BPF_FUNC_loop: {
      noteLoopFlags(env, meta.subprogno);
      markChainPrecision(env, 1);
      const { frame } = env;
      if (frame.callbackDepth < umax(env.reg(1))) pushCallback(env, meta.subprogno, callbackOf(meta));
      else frame.callbackDepth = 0;
      return;
    }
    case F.BPF_FUNC_for_each_map_elem:
    case F.BPF_FUNC_timer_set_callback:
    case F.BPF_FUNC_find_vma:
    case F.BPF_FUNC_user_ringbuf_drain:
      pushCallback(env, meta.subprogno, callbackOf(meta));
      return;
    case F.BPF_FUNC_snprintf:
      checkBprintf(env);
      return;
    case F.BPF_FUNC_dynptr_from_mem:
      if (env.reg(1).type !== T.PTR_TO_MAP_VALUE) {
        env.refuse('EACCES', `Unsupported reg type ${T.typeText(env.reg(1).type)} for bpf_dynptr_from_mem data`);
      }
      return;
    case F.BPF_FUNC_dynptr_data: {
      const dynptr = dynptrOf(env, 1)!;
      meta.dynptrId = dynptr.id;
      meta.refObjId = dynptr.refObjId;
      return;
    }
    case F.BPF_FUNC_dynptr_write: {
      const { dynType } = dynptrOf(env, 1)!;
      if (dynType === T.DYNPTR_TYPE_SKB || dynType === T.DYNPTR_TYPE_SKB_META) clearPacketPointers(env);
      return;
    }
    default:
  }
}

/** A loop that is always called with flags of 0 and one callback is inlined by the kernel: that the flags are 0 then matters. */
function noteLoopFlags(env: Env, subprogno: number): void {
  const known = env.loopCallbacks.get(env.insnIdx);
  if (known === MIXED_LOOP) return;
  const flags = env.reg(4);
  const zero = isZero(flags);
  if (zero) markChainPrecision(env, 4);
  env.loopCallbacks.set(env.insnIdx, zero && (known ?? subprogno) === subprogno ? subprogno : MIXED_LOOP);
}

const MIXED_LOOP = -1;

function setResult(env: Env, spec: ProtoSpec, meta: CallMeta): void {
  const r0 = env.reg(0);
  const { base } = spec.ret;
  let { flags } = spec.ret;
  switch (base) {
    case 'RET_INTEGER':
      env.markUnknown(r0);
      refineResult(env, spec, meta);
      return;
    case 'RET_VOID':
      return;
    case 'RET_PTR_TO_MAP_VALUE': {
      const map = meta.map!;
      if (meta.id === F.BPF_FUNC_map_lookup_elem && meta.constKey >= 0 && meta.constKey < map.max_entries)
        flags &= ~T.PTR_MAYBE_NULL;
      markPointer(r0, T.PTR_TO_MAP_VALUE | flags);
      r0.map = map;
      r0.mapUid = meta.mapUid;
      if (!(flags & T.PTR_MAYBE_NULL) && hasField(map, 'BPF_SPIN_LOCK', 'BPF_RES_SPIN_LOCK')) r0.id = env.nextId();
      break;
    }
    case 'RET_PTR_TO_SOCKET':
      markPointer(r0, T.PTR_TO_SOCKET | flags);
      break;
    case 'RET_PTR_TO_SOCK_COMMON':
      markPointer(r0, T.PTR_TO_SOCK_COMMON | flags);
      break;
    case 'RET_PTR_TO_TCP_SOCK':
      markPointer(r0, T.PTR_TO_TCP_SOCK | flags);
      break;
    case 'RET_PTR_TO_MEM':
      markPointer(r0, T.PTR_TO_MEM | flags);
      r0.memSize = meta.memSize;
      break;
    case 'RET_PTR_TO_MEM_OR_BTF_ID':
      setPerCpuResult(env, flags, meta);
      break;
    case 'RET_PTR_TO_BTF_ID':
      if (meta.kptr) setExchanged(env, flags, meta);
      else setBtfResult(env, spec, flags);
      break;
    default:
      env.unsupported(`results of type ${base}`);
  }
  if (T.mayBeNull(r0.type)) r0.id = env.nextId();
  if (meta.id === F.BPF_FUNC_dynptr_data) r0.dynptrId = meta.dynptrId;
  if (CASTS.has(meta.id) || meta.id === F.BPF_FUNC_dynptr_data) {
    r0.refObjId = meta.refObjId;
  } else if (ACQUIRES.has(meta.id) || (meta.id === F.BPF_FUNC_map_lookup_elem && isSockMap(meta))) {
    r0.id = acquireReference(env, env.insnIdx);
    r0.refObjId = r0.id;
  }
}

const isSockMap = (meta: CallMeta): boolean =>
  meta.map!.map_type === F.BPF_MAP_TYPE_SOCKMAP || meta.map!.map_type === F.BPF_MAP_TYPE_SOCKHASH;

function setPerCpuResult(env: Env, flags: number, meta: CallMeta): void {
  const r0 = env.reg(0);
  const { type } = skipModifiers(meta.retBtf!, meta.retBtfId);
  if (type?.kind === 'STRUCT') {
    // What a program allocated per CPU is one object on a CPU, its own to write.
    markPointer(r0, T.PTR_TO_BTF_ID | (meta.percpuObject ? T.MEM_ALLOC | T.MEM_RCU : flags & ~T.MEM_RDONLY));
    r0.btf = meta.retBtf;
    r0.btfId = meta.retBtfId;
    return;
  }
  markPointer(r0, T.PTR_TO_MEM | flags);
  r0.memSize = type?.size ?? 0;
}

function setBtfResult(env: Env, spec: ProtoSpec, flags: number): void {
  const name = spec.proto.ret_btf_id;
  const id = name ? env.kernelBtf?.find(name, 'STRUCT') : 0;
  if (!id) return env.unsupported(`${spec.proto.name} without kernel BTF`);
  const r0 = env.reg(0);
  markPointer(r0, T.PTR_TO_BTF_ID | flags);
  r0.btf = env.kernelBtf;
  r0.btfId = id;
}

/** Bounds that some results are known to have (`do_refine_retval_range`). */
function refineResult(env: Env, spec: ProtoSpec, meta: CallMeta): void {
  const r0 = env.reg(0);
  const range =
    meta.id === F.BPF_FUNC_get_smp_processor_id ? { min: 0, max: (env.request.cpus ?? 2) - 1 } : spec.proto.returnRange;
  if (SIZE_RESULTS.has(meta.id)) {
    setSignedRange(r0, -MAX_ERRNO, meta.sizeMax);
  } else if (range) {
    r0.uminh = r0.umaxh = 0;
    r0.uminl = r0.u32min = range.min;
    r0.umaxl = r0.u32max = range.max;
    setSignedRange(r0, range.min, range.max);
  } else {
    return;
  }
  syncBounds(r0);
}

export function setSignedRange(reg: Reg, min: number, max: number): void {
  reg.sminh = Math.floor(min / 4294967296) | 0;
  reg.sminl = reg.s32min = min | 0;
  reg.smaxh = Math.floor(max / 4294967296) | 0;
  reg.smaxl = reg.s32max = max | 0;
}

/** Packet memory may have moved: pointers into it are void. */
export function clearPacketPointers(env: Env): void {
  const slice = T.DYNPTR_TYPE_SKB | T.DYNPTR_TYPE_XDP | T.DYNPTR_TYPE_SKB_META;
  const isPacket = (reg: Reg): boolean =>
    T.isPacketPointerAny(reg.type) || (T.baseType(reg.type) === T.PTR_TO_MEM && (reg.type & slice) !== 0);
  changeRegs(env.cur, isPacket, (reg) => invalidate(env, reg));
}
