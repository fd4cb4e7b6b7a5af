/** Dynptr arguments of helpers (`process_dynptr_func`). */

import type { Reg } from './register.ts';
import type { CallMeta } from './helper-args.ts';
import type { Env } from './env.ts';
import * as T from './regtype.ts';
import { slotByte, STACK_DYNPTR } from './state.ts';
import { isConstOffset } from './stack.ts';

/** Checks a dynptr argument: one to be made needs free stack, one to be used must be there and of the kind asked for. */
export function processDynptrArg(env: Env, regno: number, flags: number, meta: CallMeta): void {
  const reg = env.reg(regno);
  if (reg.type !== T.PTR_TO_STACK && reg.type !== T.CONST_PTR_TO_DYNPTR) {
    env.refuse('EINVAL', `arg#${regno - 1} expected pointer to stack or const struct bpf_dynptr`);
  }
  if (flags & T.MEM_UNINIT) {
    const spi = reg.type === T.PTR_TO_STACK ? slotOf(env, regno, 'Dynptr has to be an uninitialized dynptr') : -1;
    if (spi < 0) env.refuse('EINVAL', 'Dynptr has to be an uninitialized dynptr');
    meta.uninitDynptrRegno = regno;
    meta.dynType = flags & T.DYNPTR_TYPE_FLAG_MASK;
    return;
  }
  if (reg.type === T.CONST_PTR_TO_DYNPTR && !(flags & T.MEM_RDONLY)) {
    env.refuse('EINVAL', 'cannot pass pointer to const bpf_dynptr, the helper mutates it');
  }
  if (!isInitialised(env, regno)) env.refuse('EINVAL', `Expected an initialized dynptr as arg #${regno - 1}`);
  const wanted = flags & T.DYNPTR_TYPE_FLAG_MASK;
  const held = dynptrOf(env, regno)!.dynType;
  if (wanted && !(wanted & held)) {
    env.refuse('EINVAL', `Expected a dynptr of type ${typeName(wanted)} as arg #${regno - 1}`);
  }
}

const typeName = (flags: number): string =>
  flags & T.DYNPTR_TYPE_LOCAL ? 'local' : flags & T.DYNPTR_TYPE_RINGBUF ? 'ringbuf' : flags & T.DYNPTR_TYPE_SKB ? 'skb' : 'xdp';

/** The slot, or −1, without a word in the log. */
export function quietSlotOf(env: Env, regno: number): number {
  const reg = env.reg(regno);
  const off = reg.off + reg.vl;
  return isConstOffset(reg) && off % 8 === 0 && off <= -16 ? (-off - 1) >> 3 : -1;
}

/** Slot at the lower address of the dynptr that a stack pointer points to; −1 where none fits there. `consequence` is logged behind an objection. */
export function slotOf(env: Env, regno: number, consequence?: string): number {
  const reg = env.reg(regno);
  const refuse = (why: string): never => {
    if (consequence !== undefined) env.log.reason(why);
    return env.refuse('EINVAL', consequence ?? why);
  };
  if (!isConstOffset(reg)) return refuse('dynptr has to be at a constant offset');
  const off = reg.off + reg.vl;
  if (off % 8 !== 0) return refuse(`cannot pass in dynptr at an offset=${off}`);
  const spi = (-off - 1) >> 3;
  if (spi < 1) return refuse(`cannot pass in dynptr at an offset=${off}`);
  return spi <= 63 ? spi : -1;
}

function isInitialised(env: Env, regno: number): boolean {
  const reg = env.reg(regno);
  if (reg.type === T.CONST_PTR_TO_DYNPTR) return true;
  const spi = slotOf(env, regno, `Expected an initialized dynptr as arg #${regno - 1}`);
  const frame = env.frameOf(reg);
  if (spi < 1 || spi >= frame.slots.length || !frame.spilled[spi]?.dynFirst) return false;
  for (let byte = 0; byte < 8; byte++) {
    if (slotByte(frame.slots[spi]!, byte) !== STACK_DYNPTR || slotByte(frame.slots[spi - 1]!, byte) !== STACK_DYNPTR)
      return false;
  }
  for (const slot of [spi, spi - 1]) {
    env.liveness.markRead(frame.frameno, slot);
    env.touchSlot(slot);
  }
  return true;
}

/** The register that describes the dynptr an argument points to (or is). */
export function dynptrOf(env: Env, regno: number): Reg | undefined {
  const reg = env.reg(regno);
  if (reg.type === T.CONST_PTR_TO_DYNPTR) return reg;
  return env.frameOf(reg).spilled[slotOf(env, regno)];
}
