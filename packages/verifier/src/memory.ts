/** Every load and store: whose memory it is, and whether all of it lies inside (`check_mem_access`). */

import { BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH } from '@libbpf-ts/uapi';
import { isPointer } from './access-rules.ts';
import { coerceToSize, coerceToSizeSigned } from './bounds.ts';
import { readBtfPointer, writeBtfPointer } from './btf-access.ts';
import { readContext, writeContext } from './context.ts';
import type { Env } from './env.ts';
import { markConstScalar, type Reg, smin, umax } from './register.ts';
import * as T from './regtype.ts';
import { checkSockAccess } from './sock-access.ts';
import {
  BPF_MAX_VAR_OFF,
  checkStackBounds,
  checkStackRange,
  isConstOffset,
  markReadResult,
  readStackFixed,
  tnumText,
  writeStackFixed,
  writeStackVariable,
} from './stack.ts';
import { smax } from './register.ts';
import type { VerifierMap } from './types.ts';
import { accessMapPointer, checkFieldAccess } from './map-fields.ts';

export interface Access {
  /** Register that holds the address. */
  readonly regno: number;
  readonly off: number;
  /** 1, 2, 4 or 8. */
  readonly size: number;
  readonly write: boolean;
  /** Register loaded or stored; −1 for none. */
  readonly value: number;
  /** Immediate stored, where it is one. */
  readonly imm?: number;
  readonly signed?: boolean;
  /** Alignment counts whatever the flags say (atomics). */
  readonly strict?: boolean;
}

/** Checks one access and says what a load gives. */
export function checkMemAccess(env: Env, access: Access): void {
  const reg = env.reg(access.regno);
  checkAlignment(env, reg, access);
  dispatch(env, reg, access, access.off + reg.off);
  if (access.write || access.size === 8 || access.value < 0) return;
  const loaded = env.reg(access.value);
  if (loaded.type !== T.SCALAR_VALUE) return;
  if (access.signed) coerceToSizeSigned(loaded, access.size);
  else coerceToSize(loaded, access.size);
}

function dispatch(env: Env, reg: Reg, access: Access, off: number): void {
  const { regno, size, write } = access;
  switch (T.baseType(reg.type)) {
    case T.PTR_TO_STACK:
      return accessStack(env, reg, access, off);
    case T.PTR_TO_CTX:
      return accessContext(env, reg, access, off);
    case T.PTR_TO_MAP_VALUE:
      if (reg.type === T.PTR_TO_MAP_VALUE) return accessMapValue(env, reg, access, off);
      break;
    case T.PTR_TO_PACKET:
    case T.PTR_TO_PACKET_META:
      return accessPacket(env, reg, access, off);
    case T.PTR_TO_MEM:
      return accessMem(env, reg, access, off);
    case T.PTR_TO_MAP_KEY:
      if (reg.type !== T.PTR_TO_MAP_KEY) break;
      if (write) env.refuse('EACCES', `write to change key R${regno} not allowed`);
      checkRegion(env, regno, reg, off, size, reg.map!.key_size, false);
      return unknownValue(env, access);
    case T.PTR_TO_BTF_ID:
      if (T.mayBeNull(reg.type)) break;
      return write ? writeBtfPointer(env, reg, access, off) : readBtfPointer(env, reg, access, off);
    case T.PTR_TO_SOCKET:
    case T.PTR_TO_SOCK_COMMON:
    case T.PTR_TO_TCP_SOCK:
    case T.PTR_TO_XDP_SOCK:
      if (T.mayBeNull(reg.type)) break;
      if (write) env.refuse('EACCES', `R${regno} cannot write into ${T.typeText(reg.type)}`);
      checkSockAccess(env, reg, regno, off, size);
      return unknownValue(env, access);
    case T.PTR_TO_FLOW_KEYS:
      refuseLeak(env, access, 'flow keys');
      if (off < 0 || off + size > FLOW_KEYS_SIZE) env.refuse('EACCES', `invalid access to flow keys off=${off} size=${size}`);
      return unknownValue(env, access);
    case T.PTR_TO_TP_BUFFER:
      checkTpBuffer(env, reg, regno, off, size);
      return unknownValue(env, access);
    case T.PTR_TO_BUF:
      if (T.mayBeNull(reg.type)) break;
      if (write && reg.type & T.MEM_RDONLY) env.refuse('EACCES', `R${regno} cannot write into ${T.typeText(reg.type)}`);
      checkBufferOffset(env, reg, regno, off, size, reg.type & T.MEM_RDONLY ? 'rdonly' : 'rdwr');
      return unknownValue(env, access);
    case T.PTR_TO_ARENA:
      // Any address will do: what lies outside the arena is not reached.
      return unknownValue(env, access);
    case T.CONST_PTR_TO_MAP:
      return accessMapPointer(env, reg, access, off);
    default:
  }
  env.refuse('EACCES', `R${regno} invalid mem access '${T.typeText(reg.type)}'`);
}

const FLOW_KEYS_SIZE = 56;

export function unknownValue(env: Env, access: Access): void {
  if (!access.write && access.value >= 0) env.markUnknown(env.reg(access.value));
}

/** Unprivileged programs must not store a pointer where others can read it. */
export function refuseLeak(env: Env, access: Access, where: string): void {
  if (!access.write || access.value < 0 || env.allowPtrLeaks) return;
  if (isPointer(env.reg(access.value).type)) env.refuse('EACCES', `R${access.value} leaks addr into ${where}`);
}

const ALIGNMENT_NAMES: Readonly<Record<number, string>> = {
  [T.PTR_TO_FLOW_KEYS]: 'flow keys ',
  [T.PTR_TO_MAP_KEY]: 'key ',
  [T.PTR_TO_MAP_VALUE]: 'value ',
  [T.PTR_TO_CTX]: 'context ',
  [T.PTR_TO_STACK]: 'stack ',
  [T.PTR_TO_SOCKET]: 'sock ',
  [T.PTR_TO_SOCK_COMMON]: 'sock_common ',
  [T.PTR_TO_TCP_SOCK]: 'tcp_sock ',
  [T.PTR_TO_XDP_SOCK]: 'xdp_sock ',
};

function checkAlignment(env: Env, reg: Reg, access: Access): void {
  const { size, off } = access;
  if (size === 1) return;
  const strict = env.strictAlignment || access.strict === true;
  const isPacket = T.isPacketPointer(reg.type);
  if (!strict && reg.type !== T.PTR_TO_STACK) return;
  if (reg.type === T.PTR_TO_ARENA) return;
  // Of the sum of a variable part and a constant, only the low bits matter.
  const fixed = reg.off + off + (isPacket ? 2 : 0);
  const unknown = reg.ml & (size - 1);
  if (unknown === 0 && ((reg.vl + fixed) & (size - 1)) === 0) return;
  const what = isPacket
    ? `misaligned packet access off 2+${tnumText(reg)}+${reg.off}+${off} size ${size}`
    : `misaligned ${ALIGNMENT_NAMES[reg.type] ?? ''}access off ${tnumText(reg)}+${reg.off}+${off} size ${size}`;
  env.refuse('EACCES', what);
}

/** Is [off, off + size) inside a region, for the least and the greatest variable part? (`check_mem_region_access`) */
export function checkRegion(
  env: Env,
  regno: number,
  reg: Reg,
  off: number,
  size: number,
  limit: number,
  zeroAllowed: boolean,
): void {
  const low = smin(reg);
  if (low < 0 && (low < -0x80000000 || low + off < 0)) {
    env.refuse('EACCES', `R${regno} min value is negative, either use unsigned index or do a if (index >=0) check.`);
  }
  if (!fits(env, reg, regno, low + off, size, limit, zeroAllowed)) {
    env.refuse('EACCES', `R${regno} min value is outside of the allowed memory range`);
  }
  const high = umax(reg);
  if (high >= BPF_MAX_VAR_OFF) {
    env.refuse('EACCES', `R${regno} unbounded memory access, make sure to bounds check any such access`);
  }
  if (!fits(env, reg, regno, high + off, size, limit, zeroAllowed)) {
    env.refuse('EACCES', `R${regno} max value is outside of the allowed memory range`);
  }
}

function fits(env: Env, reg: Reg, regno: number, off: number, size: number, limit: number, zeroAllowed: boolean): boolean {
  if (off >= 0 && (size > 0 || (size === 0 && zeroAllowed)) && off + size <= limit) return true;
  switch (T.baseType(reg.type)) {
    case T.PTR_TO_MAP_KEY:
      env.log.reason(`invalid access to map key, key_size=${limit} off=${off} size=${size}`);
      break;
    case T.PTR_TO_MAP_VALUE:
      env.log.reason(`invalid access to map value, value_size=${limit} off=${off} size=${size}`);
      break;
    case T.PTR_TO_PACKET:
    case T.PTR_TO_PACKET_META:
    case T.PTR_TO_PACKET_END:
      env.log.reason(`invalid access to packet, off=${off} size=${size}, R${regno}(id=${reg.id},off=${off},r=${limit})`);
      break;
    default:
      env.log.reason(`invalid access to memory, mem_size=${limit} off=${off} size=${size}`);
  }
  return false;
}

/** Is it inside what was proven to lie before data_end? Only the constant part counts: the range is relative to the variable one. */
export function checkPacket(env: Env, regno: number, reg: Reg, off: number, size: number, zeroAllowed: boolean): void {
  if (reg.sminh < 0) {
    env.refuse('EACCES', `R${regno} min value is negative, either use unsigned index or do a if (index >=0) check.`);
  }
  if (reg.range < 0) {
    env.refuse('EINVAL', `R${regno} offset is outside of the packet`);
  }
  if (!fits(env, reg, regno, off, size, reg.range, zeroAllowed)) {
    env.refuse('EACCES', `R${regno} offset is outside of the packet`);
  }
}

function accessPacket(env: Env, reg: Reg, access: Access, off: number): void {
  if (access.write && !mayWritePacket(env)) env.refuse('EACCES', 'cannot write into packet');
  refuseLeak(env, access, 'packet');
  checkPacket(env, access.regno, reg, off, access.size, false);
  unknownValue(env, access);
}

export function mayWritePacket(env: Env): boolean {
  const { packetWrite } = env.ops;
  return typeof packetWrite === 'function' ? packetWrite(env.facts) : packetWrite === true;
}

export function mayReadPacket(env: Env): boolean {
  const { packetRead } = env.ops;
  return typeof packetRead === 'function' ? packetRead(env.facts) : packetRead === true;
}

function accessStack(env: Env, reg: Reg, access: Access, off: number): void {
  const { regno, size, write, value } = access;
  checkStackBounds(env, regno, reg, off, size, write);
  const frame = env.frameOf(reg);
  const fixed = isConstOffset(reg);
  if (write) {
    if (fixed) writeStackFixed(env, frame, off + reg.vl, size, value, access.imm);
    else writeStackVariable(env, reg, off, size, value, access.imm);
    return;
  }
  if (fixed) {
    readStackFixed(env, frame, off + reg.vl, size, value);
    return;
  }
  if (value < 0) {
    env.refuse(
      'EACCES',
      `variable offset stack pointer cannot be passed into helper function; var_off=${tnumText(reg)} off=${off} size=${size}`,
    );
  }
  checkStackRange(env, regno, reg, off, size, false, false, undefined);
  const min = smin(reg) + off;
  const max = smax(reg) + off + size;
  markReadResult(env, frame, min, max, value);
}

/** A pointer that must be used as it was given (`check_ptr_off_reg`). */
export function checkUnmodified(env: Env, reg: Reg, regno: number, fixedAllowed: boolean): void {
  const name = T.typeText(reg.type) + (T.baseType(reg.type) === T.PTR_TO_BTF_ID ? '' : '');
  if (reg.off < 0) env.refuse('EACCES', `negative offset ${name} ptr R${regno} off=${reg.off} disallowed`);
  if (!fixedAllowed && reg.off) env.refuse('EACCES', `dereference of modified ${name} ptr R${regno} off=${reg.off} disallowed`);
  if (!isConstOffset(reg) || (reg.vh | reg.vl) !== 0) {
    env.refuse('EACCES', `variable ${name} access var_off=${tnumText(reg)} disallowed`);
  }
}

function accessContext(env: Env, reg: Reg, access: Access, off: number): void {
  refuseLeak(env, access, 'ctx');
  checkUnmodified(env, reg, access.regno, false);
  if (access.write) writeContext(env, off, access.size);
  else readContext(env, off, access.size, access.value, access.signed === true);
}

/** Values of device maps are never a program's to write, whatever their flags. */
export function canWriteMap(map: VerifierMap): boolean {
  return (
    (map.map_flags & BPF_F_RDONLY_PROG) === 0 &&
    map.map_type !== BPF_MAP_TYPE_DEVMAP &&
    map.map_type !== BPF_MAP_TYPE_DEVMAP_HASH
  );
}
export function canReadMap(map: VerifierMap): boolean {
  return (map.map_flags & BPF_F_WRONLY_PROG) === 0;
}
const BPF_F_RDONLY_PROG = 0x80;
const BPF_F_WRONLY_PROG = 0x100;

function accessMapValue(env: Env, reg: Reg, access: Access, off: number): void {
  const { regno, size, write, value } = access;
  const map = reg.map!;
  refuseLeak(env, access, 'map');
  checkMapDirection(env, map, off, size, write);
  checkMapValue(env, regno, reg, off, size, false, true);
  if (checkFieldAccess(env, reg, access, off)) return;
  if (write || value < 0) return;
  const constant = isConstOffset(reg) ? map.frozenValue?.(off + reg.vl, size) : undefined;
  const loaded = env.reg(value);
  if (!constant) return env.markUnknown(loaded);
  let { low, high } = constant;
  if (size < 8) {
    const shift = 32 - size * 8;
    low = access.signed ? (low << shift) >> shift : size === 4 ? low | 0 : (low << shift) >>> shift;
    high = access.signed ? low >> 31 : 0;
  }
  markConstScalar(loaded, high | 0, low | 0);
  loaded.precise = !env.bpfCapable;
}

export function checkMapDirection(env: Env, map: VerifierMap, off: number, size: number, write: boolean): void {
  if (write && !canWriteMap(map)) {
    env.refuse('EACCES', `write into map forbidden, value_size=${map.value_size} off=${off} size=${size}`);
  }
  if (!write && !canReadMap(map)) {
    env.refuse('EACCES', `read from map forbidden, value_size=${map.value_size} off=${off} size=${size}`);
  }
}

const KPTR_TYPES: ReadonlySet<string> = new Set(['BPF_KPTR_UNREF', 'BPF_KPTR_REF', 'BPF_KPTR_PERCPU', 'BPF_UPTR']);

/** Names of managed fields as logs spell them. */
export const FIELD_TEXT: Readonly<Record<string, string>> = {
  BPF_SPIN_LOCK: 'bpf_spin_lock',
  BPF_RES_SPIN_LOCK: 'bpf_res_spin_lock',
  BPF_TIMER: 'bpf_timer',
  BPF_WORKQUEUE: 'bpf_wq',
  BPF_TASK_WORK: 'bpf_task_work',
  BPF_KPTR_UNREF: 'kptr',
  BPF_KPTR_REF: 'kptr',
  BPF_KPTR_PERCPU: 'percpu_kptr',
  BPF_UPTR: 'uptr',
  BPF_LIST_HEAD: 'bpf_list_head',
  BPF_LIST_NODE: 'bpf_list_node',
  BPF_RB_ROOT: 'bpf_rb_root',
  BPF_RB_NODE: 'bpf_rb_node',
  BPF_REFCOUNT: 'bpf_refcount',
};

/** Inside the value, and clear of the fields that the kernel manages (`check_map_access`). */
export function checkMapValue(
  env: Env,
  regno: number,
  reg: Reg,
  off: number,
  size: number,
  zeroAllowed: boolean,
  direct: boolean,
): void {
  const map = reg.map!;
  checkRegion(env, regno, reg, off, size, map.value_size, zeroAllowed);
  for (const field of map.record ?? []) {
    if (!(smin(reg) + off < field.offset + field.size && field.offset < umax(reg) + off + size)) continue;
    const name = FIELD_TEXT[field.type] ?? field.type;
    if (!KPTR_TYPES.has(field.type)) env.refuse('EACCES', `${name} cannot be accessed directly by load/store`);
    if (!direct) env.refuse('EACCES', `${name} cannot be accessed indirectly by helper`);
    if (!isConstOffset(reg)) env.refuse('EACCES', `${name} access cannot have variable offset`);
    if (field.offset !== off + reg.vl) {
      env.refuse('EACCES', `${name} access misaligned expected=${field.offset} off=${off + reg.vl}`);
    }
    if (size !== 8) env.refuse('EACCES', `${name} access size must be BPF_DW`);
  }
}

function accessMem(env: Env, reg: Reg, access: Access, off: number): void {
  const { regno, size, write } = access;
  const readOnly = (reg.type & T.MEM_RDONLY) !== 0;
  if (T.mayBeNull(reg.type)) env.refuse('EACCES', `R${regno} invalid mem access '${T.typeText(reg.type)}'`);
  if (write && readOnly) env.refuse('EACCES', `R${regno} cannot write into ${T.typeText(reg.type)}`);
  refuseLeak(env, access, 'mem');
  if (!(readOnly && reg.type & T.PTR_UNTRUSTED)) checkRegion(env, regno, reg, off, size, reg.memSize, false);
  else if (!write) env.probeLoads.add(env.insnIdx);
  unknownValue(env, access);
}

/** Offset into a buffer whose size is known only at attach time; constant and not negative. */
export function checkBufferOffset(env: Env, reg: Reg, regno: number, off: number, size: number, what: string): void {
  if (off < 0) env.refuse('EACCES', `R${regno} invalid ${what} buffer access: off=${off}, size=${size}`);
  if (!isConstOffset(reg) || reg.vh | reg.vl) {
    env.refuse('EACCES', `R${regno} invalid variable buffer offset: off=${off}, var_off=${tnumText(reg)}`);
  }
}

function checkTpBuffer(env: Env, reg: Reg, regno: number, off: number, size: number): void {
  if (off < 0) env.refuse('EACCES', `R${regno} invalid tracepoint buffer access: off=${off}, size=${size}`);
  if (!isConstOffset(reg) || reg.vh | reg.vl) {
    env.refuse('EACCES', `R${regno} invalid variable buffer offset: off=${off}, var_off=${tnumText(reg)}`);
  }
}
