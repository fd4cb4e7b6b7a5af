/** Registers, stack and references in the words of the kernel's log (`print_verifier_state`). */

import { hexText, signedText, toBigInt, unsignedText } from './int64.ts';
import { BPF_ADD_CONST, BPF_ITER_STATE_ACTIVE, type Reg } from './register.ts';
import * as T from './regtype.ts';
import {
  type FuncState,
  MAX_BPF_REG,
  slotByte,
  slotKind,
  STACK_DYNPTR,
  STACK_INVALID,
  STACK_ITER,
  STACK_SPILL,
  type VerifierState,
} from './state.ts';
import { isConst, isUnknown } from './tnum.ts';

const SLOT_CHARS = '?rm0dif';

/** Signed: decimal within 16 bits, else hexadecimal. */
export function snum(h: number, l: number): string {
  return h === l >> 31 && l >= -0x8000 && l <= 0x7fff ? signedText(h, l) : hexText(h, l);
}

/** Unsigned: decimal up to 65535, else hexadecimal. */
export function unum(h: number, l: number): string {
  return h === 0 && l >>> 0 <= 0xffff ? unsignedText(h, l) : hexText(h, l);
}

const snumOf = (value: number): string => snum(value >> 31, value | 0);

/** value + off, as 64 bits. */
function offsetText(reg: Reg): string {
  const sum = toBigInt(reg.vh, reg.vl) + BigInt(reg.off);
  const low = Number(BigInt.asIntN(32, sum));
  return snum(Number(BigInt.asIntN(32, sum >> 32n)), low);
}

export const DYNPTR_TEXT: ReadonlyMap<number, string> = new Map([
  [T.DYNPTR_TYPE_LOCAL, 'local'],
  [T.DYNPTR_TYPE_RINGBUF, 'ringbuf'],
  [T.DYNPTR_TYPE_SKB, 'skb'],
  [T.DYNPTR_TYPE_XDP, 'xdp'],
  [T.DYNPTR_TYPE_SKB_META, 'skb_meta'],
]);

/** One register. */
export function regText(reg: Reg, frameno: number): string {
  const type = reg.type;
  const precise = type === T.SCALAR_VALUE && reg.precise ? 'P' : '';
  if (type === T.SCALAR_VALUE && isConst(reg)) return precise + offsetText(reg);
  const base = T.baseType(type);
  let text = precise + T.typeText(type);
  if (base === T.PTR_TO_ARENA) return text;
  if (base === T.PTR_TO_STACK) {
    if (frameno !== reg.frameno) text += `[${reg.frameno}]`;
    if (isConst(reg)) return text + offsetText(reg);
  }
  if (base === T.PTR_TO_BTF_ID) text += reg.btf?.type(reg.btfId)?.name ?? '';
  return `${text}(${regParts(reg, base).join(',')})`;
}

function regParts(reg: Reg, base: number): string[] {
  const parts: string[] = [];
  if (reg.id)
    parts.push(`id=${reg.id & ~BPF_ADD_CONST}${reg.id & BPF_ADD_CONST ? (reg.off < 0 ? reg.off : `+${reg.off}`) : ''}`);
  if (reg.refObjId) parts.push(`ref_obj_id=${reg.refObjId}`);
  if (reg.type & T.NON_OWN_REF) parts.push('non_own_ref');
  if (reg.map && (base === T.CONST_PTR_TO_MAP || base === T.PTR_TO_MAP_VALUE || base === T.PTR_TO_MAP_KEY)) {
    if (reg.map.name !== '') parts.push(`map=${reg.map.name}`);
    parts.push(`ks=${reg.map.key_size}`, `vs=${reg.map.value_size}`);
  }
  if (base !== T.SCALAR_VALUE && reg.off) parts.push(`off=${snumOf(reg.off)}`);
  if (T.isPacketPointer(reg.type)) parts.push(`r=${unum(reg.range >> 31, reg.range)}`);
  if (base === T.PTR_TO_MEM) parts.push(`sz=${unum(0, reg.memSize)}`);
  if (base === T.CONST_PTR_TO_DYNPTR) parts.push(`type=${DYNPTR_TEXT.get(reg.dynType) ?? 'invalid'}`);
  if (isConst(reg)) {
    if (reg.vh | reg.vl) parts.push(`imm=${snum(reg.vh, reg.vl)}`);
    return parts;
  }
  parts.push(...rangeParts(reg));
  if (!isUnknown(reg)) parts.push(`var_off=(${hexText(reg.vh, reg.vl)}; ${hexText(reg.mh, reg.ml)})`);
  return parts;
}

interface Bound {
  readonly name: string;
  readonly value: bigint;
  omit: boolean;
}

/** A bound of 32 bits is hexadecimal as such. */
function boundText(name: string, high: number, low: number): string {
  if (!name.startsWith('s')) return unum(high, low);
  const text = snum(high, low);
  return name.endsWith('32') && text.startsWith('0x') ? hexText(0, low) : text;
}

/** Bounds that say something, equal ones joined: `smin=smin32=0,umax=255`. */
function rangeParts(reg: Reg): string[] {
  const bounds: Bound[] = [
    bound('smin', toBigInt(reg.sminh, reg.sminl), -(1n << 63n)),
    bound('smax', toBigInt(reg.smaxh, reg.smaxl), (1n << 63n) - 1n),
    bound('umin', BigInt.asIntN(64, toBigInt(reg.uminh, reg.uminl)), 0n),
    bound('umax', BigInt.asIntN(64, toBigInt(reg.umaxh, reg.umaxl)), -1n),
    bound('smin32', BigInt(reg.s32min), -(1n << 31n)),
    bound('smax32', BigInt(reg.s32max), (1n << 31n) - 1n),
    bound('umin32', BigInt(reg.u32min >>> 0), 0n),
    bound('umax32', BigInt(reg.u32max >>> 0), 0xffffffffn),
  ];
  const parts: string[] = [];
  bounds.forEach((first, i) => {
    if (first.omit) return;
    let text = `${first.name}=`;
    for (let j = i + 2; j < bounds.length; j += 2) {
      const other = bounds[j]!;
      if (other.omit || other.value !== first.value || isNegative(other) !== isNegative(first)) continue;
      other.omit = true;
      text += `${other.name}=`;
    }
    const high = Number(BigInt.asIntN(32, first.value >> 32n));
    const low = Number(BigInt.asIntN(32, first.value));
    parts.push(text + boundText(first.name, high, low));
  });
  return parts;
}

const bound = (name: string, value: bigint, silent: bigint): Bound => ({ name, value, omit: value === silent });
const isNegative = (b: Bound): boolean => b.name.startsWith('s') && b.value < 0n;

/** What changed since the last line, by frame: bits of registers and of stack slots; -1 prints everything. */
export interface Touched {
  regs: number;
  readonly slots: Set<number>;
}

/** ` R0=… fp-8=… refs=…` of one frame; all of it where `touched` is undefined. */
export function stateText(state: VerifierState, frameno: number, touched: Touched | undefined): string {
  const frame = state.frames[frameno]!;
  let text = frameno ? ` frame${frameno}:` : '';
  for (let i = 0; i < MAX_BPF_REG; i++) {
    const reg = frame.regs[i]!;
    if (reg.type === T.NOT_INIT || (touched && !(touched.regs & (1 << i)))) continue;
    text += ` R${i}=${regText(reg, frameno)}`;
  }
  text += stackText(frame, frameno, touched);
  if (state.refs.length > 0) text += ` refs=${state.refs.map((ref) => ref.id).join(',')}`;
  if (frame.inCallback) text += ' cb';
  if (frame.inAsyncCallback) text += ' async_cb';
  return text;
}

function stackText(frame: FuncState, frameno: number, touched: Touched | undefined): string {
  let text = '';
  for (let spi = 0; spi < frame.slots.length; spi++) {
    if (touched && !touched.slots.has(spi)) continue;
    const types = frame.slots[spi]!;
    if (types === 0) continue;
    const kind = slotKind(types);
    const reg = frame.spilled[spi];
    if (kind === STACK_SPILL) {
      text += ` fp${-(spi + 1) * 8}=${bytesText(types, true)}${regText(reg!, frameno)}`;
    } else if (kind === STACK_DYNPTR) {
      spi += 1;
      text += ` fp${-(spi + 1) * 8}=${dynptrText(frame.spilled[spi]!)}`;
    } else if (kind === STACK_ITER) {
      if (reg?.refObjId) text += ` fp${-(spi + 1) * 8}=${iterText(reg)}`;
    } else {
      text += ` fp${-(spi + 1) * 8}=${bytesText(types, false)}`;
    }
  }
  return text;
}

function bytesText(types: number, untilSpill: boolean): string {
  let text = '';
  for (let byte = 0; byte < 8; byte++) {
    const kind = slotByte(types, byte);
    if (untilSpill && kind === STACK_SPILL) break;
    text += SLOT_CHARS[kind === STACK_INVALID ? 0 : kind];
  }
  return text;
}

function dynptrText(reg: Reg): string {
  const parts: string[] = [];
  if (reg.id) parts.push(`id=${reg.id}`);
  if (reg.refObjId) parts.push(`ref_id=${reg.refObjId}`);
  if (reg.id) parts.push(`dynptr_id=${reg.id}`);
  return `dynptr_${DYNPTR_TEXT.get(reg.dynType) ?? 'invalid'}(${parts.join(',')})`;
}

function iterText(reg: Reg): string {
  const name = (reg.btf?.type(reg.btfId)?.name ?? '').replace(/^bpf_iter_/, '');
  const state = reg.iterState === BPF_ITER_STATE_ACTIVE ? 'active' : 'drained';
  return `iter_${name}(ref_id=${reg.refObjId},state=${state},depth=${reg.iterDepth})`;
}
