/** Arguments of a helper against its prototype, in order (`check_func_arg`). */

import {
  BPF_PROG_TYPE_KPROBE,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_SYSCALL,
  BPF_PROG_TYPE_TRACEPOINT,
  BPF_PROG_TYPE_TRACING,
} from '@libbpf-ts/uapi';
import type { ArgSpec, ProtoSpec } from './arg-types.ts';
import { processDynptrArg, quietSlotOf } from './dynptr-args.ts';
import { readBtfPointer } from './btf-access.ts';
import type { Env } from './env.ts';
import { isSubtype } from './btf-match.ts';
import { checkConstString } from './const-string.ts';
import {
  checkMapDirection,
  checkMapValue,
  checkPacket,
  checkRegion,
  checkUnmodified,
  mayReadPacket,
  checkBufferOffset,
} from './memory.ts';
import { checkSrc } from './operands.ts';
import { markChainPrecision, markSlotPrecision } from './precision.ts';
import { type Reg, umax } from './register.ts';
import * as T from './regtype.ts';
import { processSpinLock } from './spin-locks.ts';
import { checkStackRange, isConstOffset, isZero, type RawAccess, tnumText } from './stack.ts';
import { isSpilledScalar, slotByte, STACK_SPILL, STACK_ZERO } from './state.ts';
import { processTimer } from './timers.ts';
import { unsignedText } from './int64.ts';
import { helperName } from './insn-text.ts';
import { inTreeCallback } from './callbacks.ts';
import { checkKptrMatch, processKptr } from './kptrs.ts';
import type { BtfField, VerifierBtf, VerifierMap } from './types.ts';

const MAX_VAR_SIZE = 1 << 29;

/** What the arguments of one call have told so far (`struct bpf_call_arg_meta`). */
export class CallMeta implements RawAccess {
  readonly id: number;
  readonly pktAccess: boolean;
  map: VerifierMap | undefined = undefined;
  mapUid = 0;
  rawMode = false;
  accessSize = 0;
  regno = 0;
  memSize = 0;
  sizeMax = 0;
  releaseRegno = 0;
  refObjId = 0;
  dynptrId = 0;
  dynType = 0;
  subprogno = -1;
  constKey = -1;
  retBtf: VerifierBtf | undefined = undefined;
  retBtfId = 0;
  percpuObject = false;
  uninitDynptrRegno = 0;
  /** bpf_kptr_xchg: the field exchanged. */
  kptr: BtfField | undefined = undefined;

  constructor(id: number, pktAccess: boolean) {
    this.id = id;
    this.pktAccess = pktAccess;
  }
}

const MEM_BASES = [
  T.PTR_TO_STACK,
  T.PTR_TO_PACKET,
  T.PTR_TO_PACKET_META,
  T.PTR_TO_MAP_KEY,
  T.PTR_TO_MAP_VALUE,
  T.PTR_TO_MEM,
  T.PTR_TO_MEM | T.MEM_RINGBUF,
  T.PTR_TO_BUF,
  T.PTR_TO_BTF_ID | T.PTR_TRUSTED,
];
const SOCKS = [T.PTR_TO_SOCK_COMMON, T.PTR_TO_SOCKET, T.PTR_TO_TCP_SOCK, T.PTR_TO_XDP_SOCK];
const BTF = T.PTR_TO_BTF_ID;

/** Register types that an argument type takes. */
const COMPATIBLE: Readonly<Record<string, readonly number[]>> = {
  ARG_PTR_TO_MAP_KEY: MEM_BASES,
  ARG_PTR_TO_MAP_VALUE: MEM_BASES,
  ARG_CONST_SIZE: [T.SCALAR_VALUE],
  ARG_CONST_SIZE_OR_ZERO: [T.SCALAR_VALUE],
  ARG_CONST_ALLOC_SIZE_OR_ZERO: [T.SCALAR_VALUE],
  ARG_CONST_MAP_PTR: [T.CONST_PTR_TO_MAP],
  ARG_PTR_TO_CTX: [T.PTR_TO_CTX],
  ARG_PTR_TO_SOCK_COMMON: SOCKS,
  ARG_PTR_TO_BTF_ID_SOCK_COMMON: [...SOCKS, BTF, BTF | T.PTR_TRUSTED],
  ARG_PTR_TO_SOCKET: [T.PTR_TO_SOCKET],
  ARG_PTR_TO_BTF_ID: [BTF, BTF | T.PTR_TRUSTED, BTF | T.MEM_RCU],
  ARG_PTR_TO_SPIN_LOCK: [T.PTR_TO_MAP_VALUE, BTF | T.MEM_ALLOC],
  ARG_PTR_TO_MEM: MEM_BASES,
  ARG_PTR_TO_RINGBUF_MEM: [T.PTR_TO_MEM | T.MEM_RINGBUF],
  ARG_PTR_TO_PERCPU_BTF_ID: [BTF | T.MEM_PERCPU, BTF | T.MEM_PERCPU | T.MEM_RCU, BTF | T.MEM_PERCPU | T.PTR_TRUSTED],
  ARG_PTR_TO_FUNC: [T.PTR_TO_FUNC],
  ARG_PTR_TO_STACK: [T.PTR_TO_STACK],
  ARG_PTR_TO_CONST_STR: [T.PTR_TO_MAP_VALUE],
  ARG_PTR_TO_TIMER: [T.PTR_TO_MAP_VALUE],
  ARG_KPTR_XCHG_DEST: [T.PTR_TO_MAP_VALUE, BTF | T.MEM_ALLOC],
  ARG_PTR_TO_DYNPTR: [T.PTR_TO_STACK, T.CONST_PTR_TO_DYNPTR],
};

/** Structs that a BTF pointer may be where the argument takes any socket. */
const SOCK_STRUCTS = ['sock_common', 'sock'];

export function checkArg(env: Env, spec: ProtoSpec, index: number, meta: CallMeta): void {
  let arg = spec.args[index]!;
  const regno = index + 1;
  if (arg.base === 'ARG_DONTCARE') return;
  checkSrc(env, regno);
  const reg = env.reg(regno);
  if (arg.base === 'ARG_ANYTHING') {
    if (!env.allowPtrLeaks && reg.type !== T.SCALAR_VALUE) env.refuse('EACCES', `R${regno} leaks addr into helper function`);
    return;
  }
  if (T.isPacketPointer(reg.type) && !(mayReadPacket(env) && meta.pktAccess)) {
    env.refuse('EACCES', 'helper access to the packet is not allowed');
  }
  if (arg.base === 'ARG_PTR_TO_MAP_VALUE') arg = resolveMapValue(env, arg, meta);
  const isNull = isZero(reg) && (arg.flags & T.PTR_MAYBE_NULL) !== 0;
  if (!isNull) {
    checkArgType(env, regno, reg, arg, meta);
    checkArgOffset(env, regno, reg, arg);
  }
  if (arg.flags & T.OBJ_RELEASE) noteRelease(env, regno, reg, arg, meta, index);
  if (reg.refObjId && arg.base !== 'ARG_KPTR_XCHG_DEST') {
    if (meta.refObjId) env.refuse('EACCES', `more than one arg with ref_obj_id R${regno} ${reg.refObjId} ${meta.refObjId}`);
    meta.refObjId = reg.refObjId;
  }
  checkArgValue(env, spec, index, regno, reg, arg, meta, isNull);
}

/** Maps of sockets take a socket for a value; a bloom filter's peek reads one. */
function resolveMapValue(env: Env, arg: ArgSpec, meta: CallMeta): ArgSpec {
  const { map } = meta;
  if (!map) return env.refuse('EACCES', 'invalid map_ptr to access map->value');
  if (map.map_type === 15 || map.map_type === 18) {
    if (arg.flags & T.MEM_UNINIT) env.refuse('EINVAL', 'invalid arg_type for sockmap/sockhash');
    return { ...arg, base: 'ARG_PTR_TO_BTF_ID_SOCK_COMMON' };
  }
  if (map.map_type === 30 && meta.id === 89) return { ...arg, flags: 0 };
  return arg;
}

export function checkArgType(env: Env, regno: number, reg: Reg, arg: ArgSpec, meta: CallMeta): void {
  const expected = COMPATIBLE[arg.base];
  if (!expected) return env.unsupported(`arguments of type ${arg.base}`);
  let { type } = reg;
  if (arg.flags & T.MEM_RDONLY) type &= ~T.MEM_RDONLY;
  if (arg.flags & T.PTR_MAYBE_NULL) type &= ~T.PTR_MAYBE_NULL;
  if (arg.base === 'ARG_PTR_TO_MEM') type &= ~T.DYNPTR_TYPE_FLAG_MASK;
  if (meta.id === 194 && T.baseType(type) === BTF && regno === 2) type &= ~(T.MEM_ALLOC | T.MEM_PERCPU);
  if (!expected.includes(type)) {
    const list = expected.map((e) => T.typeText(e)).join(', ');
    env.refuse('EACCES', `R${regno} type=${T.typeText(reg.type)} expected=${list}`);
  }
  if (T.baseType(reg.type) === BTF) checkBtfArg(env, regno, reg, arg, meta);
}

function checkBtfArg(env: Env, regno: number, reg: Reg, arg: ArgSpec, meta: CallMeta): void {
  if (arg.base === 'ARG_PTR_TO_MEM') {
    if (!(arg.flags & T.MEM_RDONLY)) {
      env.refuse('EACCES', `${helperName(meta.id)}() may write into memory pointed by R${regno} type=${T.typeText(reg.type)}`);
    }
    return;
  }
  const release = (arg.flags & T.OBJ_RELEASE) !== 0;
  if (T.mayBeNull(reg.type) && (!(arg.flags & T.PTR_MAYBE_NULL) || release)) {
    env.refuse('EACCES', `Possibly NULL pointer passed to helper arg${regno}`);
  }
  if (arg.base === 'ARG_PTR_TO_PERCPU_BTF_ID' || arg.base === 'ARG_PTR_TO_SPIN_LOCK') return;
  if (meta.id === 194) {
    if (regno === 2) checkKptrMatch(env, meta.kptr!, reg, regno);
    return;
  }
  const wanted = arg.base === 'ARG_PTR_TO_BTF_ID_SOCK_COMMON' ? SOCK_STRUCTS : [arg.btf ?? ''];
  if (wanted.some((name) => isSubtype(env, reg, name, release && meta.id !== 86))) return;
  const has = reg.btf?.type(reg.btfId)?.name ?? '';
  env.refuse('EACCES', `R${regno} is of type ${has} but ${wanted[0]} is expected`);
}

const OFFSET_FREE: ReadonlySet<number> = new Set([
  T.PTR_TO_STACK,
  T.PTR_TO_PACKET,
  T.PTR_TO_PACKET_META,
  T.PTR_TO_MAP_KEY,
  T.PTR_TO_MAP_VALUE,
  T.PTR_TO_MEM,
  T.PTR_TO_BUF,
  T.PTR_TO_ARENA,
  T.SCALAR_VALUE,
]);

/** How far the pointer may be moved (`check_func_arg_reg_off`). */
export function checkArgOffset(env: Env, regno: number, reg: Reg, arg: ArgSpec): void {
  if (arg.flags & T.OBJ_RELEASE) {
    if (arg.base === 'ARG_PTR_TO_DYNPTR' && reg.type === T.PTR_TO_STACK) return;
    if (reg.off) env.refuse('EINVAL', `R${regno} must have zero offset when passed to release func or trusted arg to kfunc`);
    return checkUnmodified(env, reg, regno, false);
  }
  const base = T.baseType(reg.type);
  if (OFFSET_FREE.has(base)) return;
  checkUnmodified(env, reg, regno, base === BTF);
}

function noteRelease(env: Env, regno: number, reg: Reg, arg: ArgSpec, meta: CallMeta, index: number): void {
  if (arg.base === 'ARG_PTR_TO_DYNPTR') {
    if (reg.type !== T.PTR_TO_STACK) env.refuse('EINVAL', 'cannot release unowned const bpf_dynptr');
    const spi = quietSlotOf(env, regno);
    if (spi < 0 || !env.frameOf(reg).spilled[spi]?.refObjId)
      env.refuse('EINVAL', `arg ${index + 1} is an unacquired reference`);
  } else if (!reg.refObjId && !isZero(reg)) {
    env.refuse('EINVAL', `R${regno} must be referenced when passed to release function`);
  }
  meta.releaseRegno = regno;
}

function checkArgValue(
  env: Env,
  spec: ProtoSpec,
  index: number,
  regno: number,
  reg: Reg,
  arg: ArgSpec,
  meta: CallMeta,
  isNull: boolean,
): void {
  switch (arg.base) {
    case 'ARG_CONST_MAP_PTR':
      if (meta.map && (meta.map !== reg.map || meta.mapUid !== reg.mapUid)) {
        env.refuse(
          'EINVAL',
          `timer pointer in R1 map_uid=${meta.mapUid} doesn't match map pointer in R2 map_uid=${reg.mapUid}`,
        );
      }
      meta.map = reg.map;
      meta.mapUid = reg.mapUid;
      return;
    case 'ARG_PTR_TO_MAP_KEY':
      if (!meta.map) env.refuse('EACCES', 'invalid map_ptr to access map->key');
      checkHelperMem(env, regno, meta.map!.key_size, false, false, undefined);
      if (meta.map!.map_type === 2 || meta.map!.map_type === 6) meta.constKey = constantKey(env, reg, meta.map!.key_size);
      return;
    case 'ARG_PTR_TO_MAP_VALUE':
      if (isNull) return;
      meta.rawMode = (arg.flags & T.MEM_UNINIT) !== 0;
      checkHelperMem(env, regno, meta.map!.value_size, (arg.flags & T.MEM_WRITE) !== 0, false, meta);
      return;
    case 'ARG_PTR_TO_MEM':
      meta.rawMode = (arg.flags & T.MEM_UNINIT) !== 0;
      if (arg.flags & T.MEM_FIXED_SIZE) checkFixedMem(env, regno, reg, arg, meta);
      return;
    case 'ARG_CONST_SIZE':
    case 'ARG_CONST_SIZE_OR_ZERO': {
      const writes = ((spec.args[index - 1]?.flags ?? 0) & T.MEM_WRITE) !== 0;
      checkSizeReg(env, regno, reg, writes, arg.base === 'ARG_CONST_SIZE_OR_ZERO', meta);
      return;
    }
    case 'ARG_CONST_ALLOC_SIZE_OR_ZERO':
      if (!isConstOffset(reg)) env.refuse('EACCES', `R${regno} is not a known constant'`);
      meta.memSize = reg.vl >>> 0;
      markChainPrecision(env, regno);
      return;
    case 'ARG_PTR_TO_FUNC':
      meta.subprogno = reg.subprogno;
      return;
    case 'ARG_PTR_TO_SPIN_LOCK':
      if (inTreeCallback(env)) env.refuse('EACCES', "can't spin_{lock,unlock} in rbtree cb");
      processSpinLock(env, regno, { lock: meta.id === 93, resilient: false, irq: false });
      return;
    case 'ARG_PTR_TO_TIMER':
      processTimer(env, regno, meta);
      return;
    case 'ARG_PTR_TO_PERCPU_BTF_ID':
      if (!reg.btfId) env.refuse('EACCES', `Helper has invalid btf_id in R${regno}`);
      meta.retBtf = reg.btf;
      meta.retBtfId = reg.btfId;
      meta.percpuObject = (reg.type & T.MEM_RCU) !== 0;
      return;
    case 'ARG_PTR_TO_CONST_STR':
      checkConstString(env, regno, reg);
      return;
    case 'ARG_PTR_TO_DYNPTR':
      processDynptrArg(env, regno, arg.flags, meta);
      return;
    case 'ARG_KPTR_XCHG_DEST':
      processKptr(env, regno, meta);
      return;
    default:
  }
}

function checkFixedMem(env: Env, regno: number, reg: Reg, arg: ArgSpec, meta: CallMeta): void {
  checkHelperMem(env, regno, arg.size, (arg.flags & T.MEM_WRITE) !== 0, false, meta);
  if (!(arg.flags & T.MEM_ALIGNED)) return;
  const low = arg.size - 1;
  if ((reg.ml | (reg.vl + reg.off)) & low) {
    env.refuse('EACCES', `misaligned stack access off ${tnumText(reg)}+${reg.off}+0 size ${arg.size}`);
  }
}

/** A size, and the memory before it (`check_mem_size_reg`). */
export function checkSizeReg(
  env: Env,
  regno: number,
  reg: Reg,
  writes: boolean,
  zeroAllowed: boolean,
  meta: CallMeta | undefined,
): void {
  if (meta) meta.sizeMax = umax(reg);
  const raw = isConstOffset(reg) ? meta : undefined;
  if (reg.sminh < 0) {
    env.refuse('EACCES', `R${regno} min value is negative, either use unsigned or 'var &= const'`);
  }
  if ((reg.uminh | reg.uminl) === 0 && !zeroAllowed) {
    env.refuse(
      'EACCES',
      `R${regno} invalid zero-sized read: u64=[${unsignedText(reg.uminh, reg.uminl)},${unsignedText(reg.umaxh, reg.umaxl)}]`,
    );
  }
  if (umax(reg) >= MAX_VAR_SIZE) {
    env.refuse('EACCES', `R${regno} unbounded memory access, use 'var &= const' or 'if (var < const)'`);
  }
  checkHelperMem(env, regno - 1, umax(reg), writes, zeroAllowed, raw);
  markChainPrecision(env, regno);
}

/** Memory that a helper reads or writes (`check_helper_mem_access`). */
export function checkHelperMem(
  env: Env,
  regno: number,
  size: number,
  writes: boolean,
  zeroAllowed: boolean,
  meta: CallMeta | undefined,
): void {
  const reg = env.reg(regno);
  const name = T.typeText(reg.type);
  switch (T.baseType(reg.type)) {
    case T.PTR_TO_PACKET:
    case T.PTR_TO_PACKET_META:
      return checkPacket(env, regno, reg, reg.off, size, zeroAllowed);
    case T.PTR_TO_MAP_KEY:
      if (writes) env.refuse('EACCES', `R${regno} cannot write into ${name}`);
      return checkRegion(env, regno, reg, reg.off, size, reg.map!.key_size, false);
    case T.PTR_TO_MAP_VALUE:
      checkMapDirection(env, reg.map!, reg.off, size, writes);
      return checkMapValue(env, regno, reg, reg.off, size, zeroAllowed, false);
    case T.PTR_TO_MEM:
      if (reg.type & T.MEM_RDONLY && writes) env.refuse('EACCES', `R${regno} cannot write into ${name}`);
      return checkRegion(env, regno, reg, reg.off, size, reg.memSize, zeroAllowed);
    case T.PTR_TO_BUF:
      if (reg.type & T.MEM_RDONLY && writes) env.refuse('EACCES', `R${regno} cannot write into ${name}`);
      return checkBufferOffset(env, reg, regno, reg.off, size, reg.type & T.MEM_RDONLY ? 'rdonly' : 'rdwr');
    case T.PTR_TO_STACK:
      return checkStackRange(env, regno, reg, reg.off, size, zeroAllowed, writes, meta);
    case T.PTR_TO_BTF_ID:
      return readBtfPointer(env, reg, { regno, off: reg.off, size, write: false, value: -1 }, reg.off);
    case T.PTR_TO_CTX:
      if (zeroAllowed && size === 0 && CONTEXT_AS_IS.has(env.facts.prog_type)) return undefined;
      return env.refuse('EACCES', `R${regno} type=${name} expected=fp`);
    default:
      if (zeroAllowed && size === 0 && isZero(reg)) return undefined;
      return env.refuse('EACCES', `R${regno} type=${name} expected=fp`);
  }
}

/** Types whose programs see their context as it is (no `convert_ctx_access`): no bytes of it are memory like any other. */
const CONTEXT_AS_IS: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE_KPROBE,
  BPF_PROG_TYPE_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_TRACING,
  BPF_PROG_TYPE_SYSCALL,
]);

/** The constant that a key of an array map is known to be, −1 where it is not. */
function constantKey(env: Env, key: Reg, size: number): number {
  if (key.type !== T.PTR_TO_STACK || !isConstOffset(key)) return -1;
  const slot = -(key.off + key.vl) - 1;
  const spi = slot >> 3;
  const frame = env.frameOf(key);
  const types = frame.slots[spi]!;
  const run = (kind: number): number => {
    let count = 0;
    for (let byte = slot & 7; byte >= 0 && slotByte(types, byte) === kind; byte--) count++;
    return count;
  };
  if (run(STACK_ZERO) >= size) return 0;
  if (!isSpilledScalar(frame, spi) || run(STACK_SPILL) !== size) return -1;
  const reg = frame.spilled[spi]!;
  if (!isConstOffset(reg)) return -1;
  markSlotPrecision(env, frame.frameno, spi);
  return reg.vh === 0 ? reg.vl >>> 0 : -1;
}
