/** Interrupt flags saved on the stack: given back in the order in which they were taken (`process_irq_flag`). */

import type { Env } from './env.ts';
import { checkMemAccess } from './memory.ts';
import { markPointer, type Reg } from './register.ts';
import * as T from './regtype.ts';
import { isConstOffset } from './stack.ts';
import { ALL_IRQ_FLAG, type FuncState, slotByte, slotReg, STACK_IRQ_FLAG } from './state.ts';

/** Who took the flag: bpf_local_irq_save, or a lock. Kept in `subprogno` of the slot's register. */
export const IRQ_NATIVE = 1;
export const IRQ_LOCK = 2;

/** The slot of a flag, −1 where the pointer names no whole one. */
function slotOf(env: Env, reg: Reg): number {
  const refuse = (why: string): number => {
    env.log.reason(why);
    return -1;
  };
  if (!isConstOffset(reg)) return refuse('irq_flag has to be at a constant offset');
  const off = reg.off + reg.vl;
  if (off % 8 !== 0 || off > -8) return refuse(`cannot pass in irq_flag at an offset=${off}`);
  return -off / 8 - 1;
}

const holdsFlag = (frame: FuncState, spi: number, every: boolean): boolean => {
  const types = frame.slots[spi];
  if (types === undefined) return false;
  let count = 0;
  for (let byte = 0; byte < 8; byte++) if (slotByte(types, byte) === STACK_IRQ_FLAG) count++;
  return every ? count === 8 : count > 0;
};

/** The flag is written by the function called. */
export function saveIrqFlag(env: Env, regno: number, kind: number): void {
  const reg = env.reg(regno);
  const spi = slotOf(env, reg);
  const frame = env.frameOf(reg);
  if (spi < 0 || holdsFlag(frame, spi, false)) {
    env.refuse('EINVAL', `expected uninitialized irq flag as arg#${regno - 1}`);
  }
  checkMemAccess(env, { regno, off: 0, size: 8, write: true, value: -1 });
  const id = env.nextId();
  env.cur.refs.push({ kind: 'irq', id, insn: env.insnIdx });
  env.cur.activeIrqId = id;
  const slot = slotReg(frame, spi);
  markPointer(slot, T.PTR_TO_STACK);
  slot.refObjId = id;
  slot.subprogno = kind;
  frame.slots[spi] = ALL_IRQ_FLAG;
  env.touchSlot(spi);
  env.liveness.markWrite(frame.frameno, spi);
}

/** The flag is taken back. */
export function restoreIrqFlag(env: Env, regno: number, kind: number): void {
  const reg = env.reg(regno);
  const spi = slotOf(env, reg);
  const frame = env.frameOf(reg);
  const slot = spi < 0 ? undefined : frame.spilled[spi];
  if (!slot || !holdsFlag(frame, spi, true) || !slot.refObjId) {
    return env.refuse('EINVAL', `expected an initialized irq flag as arg#${regno - 1}`);
  }
  env.liveness.markRead(frame.frameno, spi);
  if (slot.subprogno !== kind) {
    const name = (of: number): string => (of === IRQ_NATIVE ? 'native' : 'lock');
    env.refuse('EINVAL', `irq flag acquired by ${name(slot.subprogno)} kfuncs cannot be restored with ${name(kind)} kfuncs`);
  }
  const { cur } = env;
  if (slot.refObjId !== cur.activeIrqId) {
    const expected = cur.refs.find((ref) => ref.kind === 'irq' && ref.id === cur.activeIrqId);
    env.refuse(
      'EACCES',
      `cannot restore irq state out of order, expected id=${cur.activeIrqId} acquired at insn_idx=${expected?.insn ?? 0}`,
    );
  }
  const at = cur.refs.findIndex((ref) => ref.kind === 'irq' && ref.id === slot.refObjId);
  cur.activeIrqId = cur.refs.slice(0, at).findLast((ref) => ref.kind === 'irq')?.id ?? 0;
  cur.refs = cur.refs.filter((_, index) => index !== at);
  frame.slots[spi] = 0;
  frame.spilled[spi] = undefined;
  env.touchSlot(spi);
  env.liveness.markWrite(frame.frameno, spi);
}
