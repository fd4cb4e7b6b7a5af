/** Reads and writes of the stack: spilled registers, zeros, plain data (`check_stack_read`, `check_stack_write`). */

import { isSpillable } from './access-rules.ts';
import type { Env } from './env.ts';
import { recordStackAccess } from './history.ts';
import { markChainPrecision } from './precision.ts';
import { BPF_ADD_CONST, copyReg, markConstScalar, markConstZero, markNotInit, type Reg, smax, smin } from './register.ts';
import { PTR_TO_STACK, SCALAR_VALUE } from './regtype.ts';
import { destroyIfDynptr } from './dynptr-slots.ts';
import {
  fillSlot,
  type FuncState,
  growStack,
  isSpilled,
  isSpilledScalar,
  setSlotReg,
  slotByte,
  slotKind,
  slotReg,
  STACK_DYNPTR,
  STACK_INVALID,
  STACK_IRQ_FLAG,
  STACK_ITER,
  STACK_MISC,
  STACK_SPILL,
  STACK_ZERO,
  withSlotByte,
} from './state.ts';
import { hexText } from './int64.ts';
import { unum } from './print-state.ts';

export const MAX_BPF_STACK = 512;
export const BPF_MAX_VAR_OFF: number = 1 << 29;

/** `(0x0; 0xff)`, or the number where it is known. */
export const tnumText = (reg: Reg): string =>
  (reg.mh | reg.ml) === 0 ? unum(reg.vh, reg.vl) : `(${hexText(reg.vh, reg.vl)}; ${hexText(reg.mh, reg.ml)})`;

export const isConstOffset = (reg: Reg): boolean => (reg.mh | reg.ml) === 0;

/** Significant bits of the largest value. */
export function regWidth(reg: Reg): number {
  return reg.umaxh !== 0 ? 64 - Math.clz32(reg.umaxh) : 32 - Math.clz32(reg.umaxl);
}

/** Gives a scalar an id, so that its copy is known to be one. */
export function assignScalarId(env: Env, reg: Reg): void {
  if (reg.type !== SCALAR_VALUE) return;
  if (reg.id & BPF_ADD_CONST) {
    reg.id = 0;
    reg.off = 0;
  }
  if (!reg.id && (reg.mh | reg.ml) !== 0) reg.id = env.nextId();
}

/** The same of a spilled scalar, which is made this frame's own only where it changes. */
function assignSlotId(env: Env, frame: FuncState, spi: number): void {
  const reg = frame.spilled[spi]!;
  const needsId = (reg.id & BPF_ADD_CONST) !== 0 || (reg.id === 0 && (reg.mh | reg.ml) !== 0);
  if (reg.type === SCALAR_VALUE && needsId) assignScalarId(env, slotReg(frame, spi));
}

export const isZero = (reg: Reg): boolean => reg.type === SCALAR_VALUE && (reg.vh | reg.vl | reg.mh | reg.ml) === 0;

/** Is [off, off + size) within the frame? Grows the frame to hold it. */
export function checkStackBounds(env: Env, regno: number, reg: Reg, off: number, size: number, write: boolean): void {
  const frame = env.frameOf(reg);
  const how = write ? ' write to' : ' read from';
  let min: number;
  let max: number;
  if (isConstOffset(reg)) {
    min = reg.vl + off;
    max = min + size;
  } else {
    if (smax(reg) >= BPF_MAX_VAR_OFF || smin(reg) <= -BPF_MAX_VAR_OFF) {
      env.refuse('EACCES', `invalid unbounded variable-offset${how} stack R${regno}`);
    }
    min = smin(reg) + off;
    max = smax(reg) + off + size;
  }
  const lowest = write || env.allowPtrLeaks ? -MAX_BPF_STACK : -frame.slots.length * 8;
  const errno = min < lowest || min > -1 ? 'EACCES' : max > 0 ? 'EINVAL' : size < 0 ? 'EFAULT' : undefined;
  if (errno) {
    env.refuse(
      errno,
      isConstOffset(reg)
        ? `invalid${how} stack R${regno} off=${min} size=${size}`
        : `invalid variable-offset${how} stack R${regno} var_off=${tnumText(reg)} off=${off} size=${size}`,
    );
  }
  growStack(frame, -min);
  const subprog = env.subprogs[frame.subprogno]!;
  if (-min > subprog.stackDepth) subprog.stackDepth = -min;
}

/** Stores register `valueRegno` (−1: the instruction's immediate, or unknown bytes) at a constant offset. */
export function writeStackFixed(
  env: Env,
  frame: FuncState,
  off: number,
  size: number,
  valueRegno: number,
  imm: number | undefined,
): void {
  const slot = -off - 1;
  const spi = slot >> 3;
  const cur = env.frame;
  if (!env.allowPtrLeaks && isSpilled(frame, spi) && !isSpilledScalar(frame, spi) && size !== 8) {
    env.refuse('EACCES', 'attempt to corrupt spilled pointer on stack');
  }
  const reg = valueRegno >= 0 ? cur.regs[valueRegno]! : undefined;
  if (!env.bypassSpec) noteUnsafeStore(env, frame.slots[spi]!, slot, size, reg);
  destroyIfDynptr(env, frame, spi);
  const aligned = (off & 7) === 0;
  if (aligned && size === 8) env.liveness.markWrite(frame.frameno, spi);
  env.touchSlot(spi);
  if (reg && aligned && reg.type === SCALAR_VALUE && env.bpfCapable) {
    const fits = regWidth(reg) <= size * 8;
    if (fits) assignScalarId(env, reg);
    saveRegister(frame, spi, reg, size);
    if (!fits) frame.spilled[spi]!.id = 0;
  } else if (!reg && aligned && imm !== undefined && env.bpfCapable) {
    const value = env.fakeReg;
    markConstScalar(value, imm >> 31, imm);
    saveRegister(frame, spi, value, size);
  } else if (reg && isSpillable(reg.type)) {
    if (size !== 8) {
      env.logLine(env.insnIdx, '; ');
      env.refuse('EACCES', 'invalid size of register spill');
    }
    if (frame !== cur && reg.type === PTR_TO_STACK) {
      env.refuse('EINVAL', 'cannot spill pointers to stack into stack frame of the caller');
    }
    saveRegister(frame, spi, reg, size);
  } else {
    writeData(env, frame, slot, size, reg ? isZero(reg) : imm === 0, valueRegno);
    return;
  }
  recordStackAccess(env, spi, frame.frameno);
}

/** A store that a later load might overtake on the processor gets a barrier behind it. */
function noteUnsafeStore(env: Env, types: number, slot: number, size: number, reg: Reg | undefined): void {
  let unsafe = reg !== undefined && isSpillable(reg.type);
  for (let i = 0; i < size; i++) {
    const kind = slotByte(types, (slot - i) & 7);
    if (kind !== STACK_MISC && kind !== STACK_ZERO) unsafe = true;
  }
  if (unsafe) env.nospecResult[env.insnIdx] = 1;
}

function writeData(env: Env, frame: FuncState, slot: number, size: number, zero: boolean, valueRegno: number): void {
  const spi = slot >> 3;
  frame.spilled[spi] = undefined;
  let types = frame.slots[spi]!;
  const kind = slotKind(types);
  if (kind === STACK_SPILL || kind === STACK_DYNPTR || kind === STACK_ITER || kind === STACK_IRQ_FLAG) {
    for (let byte = 0; byte < 8; byte++)
      if (slotByte(types, byte) !== STACK_INVALID) types = withSlotByte(types, byte, STACK_MISC);
  }
  // A zero that was no register spill cannot be followed backwards from here, so its register is exact.
  if (zero && valueRegno >= 0) markChainPrecision(env, valueRegno);
  for (let i = 0; i < size; i++) types = withSlotByte(types, (slot - i) & 7, zero ? STACK_ZERO : STACK_MISC);
  frame.slots[spi] = types;
}

/** Puts a register into a slot; the bytes beside a narrow one keep zeros and become plain data else. */
function saveRegister(frame: FuncState, spi: number, reg: Reg, size: number): void {
  setSlotReg(frame, spi, reg);
  if (size === 8) {
    frame.slots[spi] = fillSlot(STACK_SPILL);
    return;
  }
  let types = frame.slots[spi]!;
  for (let byte = 7; byte > 7 - size; byte--) types = withSlotByte(types, byte, STACK_SPILL);
  for (let byte = 7 - size; byte >= 0; byte--) {
    const kind = slotByte(types, byte);
    if (kind === STACK_ZERO || kind === STACK_INVALID) continue;
    types = withSlotByte(types, byte, STACK_MISC);
  }
  frame.slots[spi] = types;
}

/** A store somewhere in a range of offsets: what lies there may or may not be overwritten. */
export function writeStackVariable(
  env: Env,
  ptr: Reg,
  off: number,
  size: number,
  valueRegno: number,
  imm: number | undefined,
): void {
  const frame = env.frameOf(ptr);
  const min = smin(ptr) + off;
  const max = smax(ptr) + off + size;
  const value = valueRegno >= 0 ? env.reg(valueRegno) : undefined;
  const zero = value ? isZero(value) : imm === 0;
  for (let i = min; i < max; i++) destroyIfDynptr(env, frame, (-i - 1) >> 3);
  let zeroUsed = false;
  for (let i = min; i < max; i++) {
    const slot = -i - 1;
    const spi = slot >> 3;
    const kind = slotByte(frame.slots[spi]!, slot & 7);
    env.touchSlot(spi);
    if (!env.allowPtrLeaks && kind !== STACK_MISC && kind !== STACK_ZERO) {
      env.refuse('EINVAL', `spilled ptr in range of var-offset stack write; insn ${env.insnIdx}, ptr off: ${i}`);
    }
    const spilled = frame.spilled[spi];
    if (zero && kind === STACK_SPILL && isSpilledScalar(frame, spi) && isZero(spilled!)) {
      zeroUsed = true;
      continue;
    }
    if (spilled) eraseSpill(frame, spi);
    const keepsZero = zero && kind === STACK_ZERO;
    if (keepsZero) zeroUsed = true;
    if (kind === STACK_INVALID && !env.allowPtrLeaks) {
      env.refuse('EINVAL', `uninit stack in range of var-offset write prohibited for !root; insn ${env.insnIdx}, off: ${i}`);
    }
    frame.slots[spi] = withSlotByte(frame.slots[spi]!, slot & 7, keepsZero ? STACK_ZERO : STACK_MISC);
  }
  if (zeroUsed && valueRegno >= 0) markChainPrecision(env, valueRegno);
}

/** What was spilled is no register any more, but its bytes may still be read. */
function eraseSpill(frame: FuncState, spi: number): void {
  markNotInit(slotReg(frame, spi));
  let types = frame.slots[spi]!;
  for (let byte = 0; byte < 8; byte++) if (slotByte(types, byte) === STACK_SPILL) types = withSlotByte(types, byte, STACK_MISC);
  frame.slots[spi] = types;
}

/** May these bytes be read as plain data? */
function checkReadable(env: Env, frame: FuncState, off: number, size: number, allowSpill: boolean): void {
  const slot = -off - 1;
  const types = frame.slots[slot >> 3]!;
  for (let i = 0; i < size; i++) {
    const kind = slotByte(types, (slot - i) & 7);
    if (kind === STACK_MISC || kind === STACK_ZERO || (allowSpill && kind === STACK_SPILL)) continue;
    if (kind === STACK_INVALID && env.allowPtrLeaks) continue;
    env.refuse('EACCES', `invalid read from stack off ${off}+${i} size ${size}`);
  }
}

/** Loads `size` bytes at a constant offset into `dst` (−1: nowhere). */
export function readStackFixed(env: Env, frame: FuncState, off: number, size: number, dst: number): void {
  const slot = -off - 1;
  const spi = slot >> 3;
  env.touchSlot(spi);
  env.liveness.markRead(frame.frameno, spi);
  if (!isSpilled(frame, spi)) {
    checkReadable(env, frame, off, size, false);
    if (dst >= 0) markReadResult(env, frame, off, off + size, dst);
    return;
  }
  const types = frame.slots[spi]!;
  const reg = frame.spilled[spi]!;
  let spillSize = 1;
  for (let i = 7; i > 0 && slotByte(types, i - 1) === STACK_SPILL; i--) spillSize++;
  if (size === 8 && spillSize === 8) {
    fillWhole(env, frame, spi, off, dst);
  } else if (!fillPart(env, frame, reg, off, size, spillSize, dst)) {
    return;
  }
  recordStackAccess(env, spi, frame.frameno);
}

function fillWhole(env: Env, frame: FuncState, spi: number, off: number, dst: number): void {
  const reg = frame.spilled[spi]!;
  if (dst >= 0) {
    if (env.bpfCapable) assignSlotId(env, frame, spi);
    copyReg(env.reg(dst), frame.spilled[spi]!);
  } else if (!env.allowPtrLeaks && reg.type !== SCALAR_VALUE) {
    env.refuse('EACCES', `leaking pointer from stack off ${off}`);
  }
}

/** Returns whether the load still is a fill of the spilled register. */
function fillPart(env: Env, frame: FuncState, reg: Reg, off: number, size: number, spillSize: number, dst: number): boolean {
  if (reg.type !== SCALAR_VALUE) {
    env.logLine(env.insnIdx, '; ');
    env.refuse('EACCES', 'invalid size of register fill');
  }
  if (dst < 0) return false;
  const target = env.reg(dst);
  if (size <= spillSize && (off & 7) === 0) {
    const spi = (-off - 1) >> 3;
    if (env.bpfCapable && size === 4 && spillSize === 4 && regWidth(reg) <= 32) assignSlotId(env, frame, spi);
    copyReg(target, frame.spilled[spi]!);
    if (regWidth(reg) > size * 8) target.id = 0;
    return true;
  }
  checkReadable(env, frame, off, size, true);
  const slot = -off - 1;
  let spills = 0;
  let zeros = 0;
  for (let i = 0; i < size; i++) {
    const kind = slotByte(frame.slots[slot >> 3]!, (slot - i) & 7);
    if (kind === STACK_SPILL) spills++;
    else if (kind === STACK_ZERO) zeros++;
  }
  const isFill = spills === size && isZero(reg);
  if (isFill || zeros === size) markConstZero(target, !env.bpfCapable);
  else env.markUnknown(target);
  return isFill;
}

/** Known zeros give zero, anything else an unknown scalar. */
export function markReadResult(env: Env, frame: FuncState, min: number, max: number, dst: number): void {
  let zeros = 0;
  for (let i = min; i < max; i++) {
    const slot = -i - 1;
    env.touchSlot(slot >> 3);
    if (slotByte(frame.slots[slot >> 3]!, slot & 7) !== STACK_ZERO) break;
    zeros++;
  }
  if (zeros === max - min) markConstZero(env.reg(dst), !env.bpfCapable);
  else env.markUnknown(env.reg(dst));
}

/** What a helper writes into when it is handed memory that need not be initialised. */
export interface RawAccess {
  rawMode: boolean;
  accessSize: number;
  regno: number;
}

/** Is a range of stack initialised, as memory that a helper (or a variable read) touches must be? */
export function checkStackRange(
  env: Env,
  regno: number,
  reg: Reg,
  off: number,
  size: number,
  zeroAllowed: boolean,
  write: boolean,
  raw: RawAccess | undefined,
): void {
  if (size === 0 && !zeroAllowed) env.refuse('EACCES', 'invalid zero-sized read');
  checkStackBounds(env, regno, reg, off, size, write);
  const frame = env.frameOf(reg);
  let rawMode = raw?.rawMode ?? false;
  let min = reg.vl + off;
  let max = min;
  if (!isConstOffset(reg)) {
    if (!env.bypassSpec) {
      env.refuse('EACCES', `R${regno} variable offset stack access prohibited for !root, var_off=${tnumText(reg)}`);
    }
    rawMode = false;
    min = smin(reg) + off;
    max = smax(reg) + off;
  }
  if (raw && rawMode) {
    for (let i = min; i < max + size; i++) {
      const slot = -i - 1;
      const types = frame.slots[slot >> 3];
      if (types !== undefined && slotByte(types, slot & 7) === STACK_DYNPTR) {
        env.refuse('EACCES', `potential write to dynptr at off=${i} disallowed`);
      }
    }
    raw.accessSize = size;
    raw.regno = regno;
    return;
  }
  for (let i = min; i < max + size; i++) checkStackByte(env, frame, reg, regno, i, min, size, write);
}

function checkStackByte(
  env: Env,
  frame: FuncState,
  reg: Reg,
  regno: number,
  i: number,
  min: number,
  size: number,
  clobber: boolean,
): void {
  const slot = -i - 1;
  const spi = slot >> 3;
  const types = frame.slots[spi]!;
  const kind = slotByte(types, slot & 7);
  const spilled = frame.spilled[spi];
  if (kind === STACK_ZERO || (kind === STACK_INVALID && env.allowPtrLeaks)) {
    if (clobber) frame.slots[spi] = withSlotByte(types, slot & 7, STACK_MISC);
  } else if (isSpilled(frame, spi) && kind !== STACK_MISC && (spilled!.type === SCALAR_VALUE || env.allowPtrLeaks)) {
    if (clobber) {
      env.markUnknown(slotReg(frame, spi));
      let scrubbed = types;
      for (let byte = 0; byte < 8; byte++) {
        if (slotByte(types, byte) !== STACK_INVALID) scrubbed = withSlotByte(scrubbed, byte, STACK_MISC);
      }
      frame.slots[spi] = scrubbed;
    }
  } else if (kind !== STACK_MISC) {
    env.refuse(
      'EACCES',
      isConstOffset(reg)
        ? `invalid read from stack R${regno} off ${min}+${i - min} size ${size}`
        : `invalid read from stack R${regno} var_off ${tnumText(reg)}+${i - min} size ${size}`,
    );
  }
  env.liveness.markRead(frame.frameno, spi);
}
