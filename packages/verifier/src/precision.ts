/**
 * Precision: which scalars' exact bounds a proof relied on. Walks a path backwards from the use, through moves, arithmetic, spills
 * and calls, and marks the registers of the saved states on the way (`__mark_chain_precision`, `backtrack_insn`).
 */

import type { BpfInsn } from '@libbpf-ts/isa';
import { Backtrack } from './backtrack.ts';
import { isSyncCallbackHelper } from './cfg.ts';
import type { Env } from './env.ts';
import { stateText } from './print-state.ts';
import { SCALAR_VALUE } from './regtype.ts';
import {
  BPF_MAIN_FUNC,
  type HistoryEntry,
  isSpilled,
  isSpilledScalar,
  MAX_BPF_REG,
  slotReg,
  type VerifierState,
} from './state.ts';
import { isHelperCall, isKfuncCall, isPseudoCall, isTailCall } from './subprograms.ts';

const ARGUMENTS = 0x3e;

/** The walk cannot go on: everything is then marked. */
const GIVE_UP = 'give up';

/** The exact value of a register matters from here on. */
export function markChainPrecision(env: Env, regno: number): void {
  if (!env.bpfCapable) return;
  const bt = env.backtrack;
  bt.reset(env.cur.curframe);
  const reg = env.cur.frame.regs[regno]!;
  if (reg.type !== SCALAR_VALUE) throw new Error(`precision of R${regno}, which is no scalar`);
  bt.set(regno);
  walkBack(env, env.cur, bt);
}

/** The exact value of a spilled scalar matters. */
export function markSlotPrecision(env: Env, frameno: number, spi: number): void {
  if (!env.bpfCapable) return;
  const bt = env.backtrack;
  bt.reset(env.cur.curframe);
  bt.setSlot(frameno, spi);
  walkBack(env, env.cur, bt);
}

/**
 * What `old` needed exactly, `cur` needs too, since it is pruned by it. True where a saved state changed; with `force`, every
 * scalar behind `cur` is marked.
 */
export function propagatePrecision(env: Env, old: VerifierState, cur: VerifierState, force = false): boolean {
  if (force) {
    markAllPrecise(env, cur);
    return false;
  }
  if (!env.bpfCapable) return false;
  const bt = env.backtrack;
  bt.reset(cur.curframe);
  for (let f = old.curframe; f >= 0; f--) {
    const frame = old.frames[f]!;
    for (let i = 0; i < 10; i++) {
      const reg = frame.regs[i]!;
      if (reg.type === SCALAR_VALUE && reg.precise) bt.regs[f]! |= 1 << i;
    }
    for (let spi = 0; spi < frame.slots.length; spi++) {
      if (isSpilledScalar(frame, spi) && frame.spilled[spi]!.precise) bt.setSlot(f, spi);
    }
  }
  if (env.log.on) logPropagation(env, bt, old.curframe);
  return walkBack(env, cur, bt);
}

function logPropagation(env: Env, bt: Backtrack, innermost: number): void {
  for (let f = innermost; f >= 0; f--) {
    const text = [bt.regText(f), ...bt.slotsOf(f).map((spi) => `fp-${(spi + 1) * 8}`)].filter(Boolean).join(',');
    if (text !== '') env.log.write(`frame ${f}: propagating ${text}\n`);
  }
}

/** Returns whether any saved state got a new mark. */
function walkBack(env: Env, from: VerifierState, bt: Backtrack): boolean {
  let changed = false;
  let state: VerifierState = from;
  let first = state.firstInsnIdx;
  let last = from.insnIdx;
  let subsequent = -1;
  let skip = true;
  if (bt.empty) return false;
  for (;;) {
    let left = state.history.length;
    if (env.log.verbose) {
      env.log.write(`mark_precise: frame${bt.frame}: last_idx ${last} first_idx ${first} subseq_idx ${subsequent} \n`);
    }
    if (last < 0) return atEntry(env, state, bt) || changed;
    for (let i = last; ;) {
      if (skip) {
        skip = false;
      } else {
        const entry = left > 0 && state.history[left - 1]!.idx === i ? state.history[left - 1] : undefined;
        if (!passesBy(env, env.insns[i]!, entry, bt)) {
          if (stepBack(env, i, subsequent, entry, bt) === GIVE_UP) {
            markAllPrecise(env, from);
            return true;
          }
          if (bt.empty) return changed;
        }
      }
      subsequent = i;
      if (i === state.firstInsnIdx && (left === 0 || (left === 1 && state.history[0]!.idx === i))) break;
      if (left > 0 && state.history[left - 1]!.idx === i) {
        left--;
        i = state.history[left]!.prevIdx;
      } else {
        i--;
      }
      if (i < 0 || i >= env.insns.length) throw new Error(`backtracking reached instruction ${i}`);
    }
    if (!state.parent) break;
    state = state.parent;
    if (markState(env, state, bt)) changed = true;
    if (bt.empty) return changed;
    subsequent = first;
    last = state.lastInsnIdx;
    first = state.firstInsnIdx;
  }
  markAllPrecise(env, from);
  return true;
}

/** An instruction that neither sets what is searched for nor jumps in a way that matters: most are. */
function passesBy(env: Env, insn: BpfInsn, entry: HistoryEntry | undefined, bt: Backtrack): boolean {
  if (env.log.verbose || entry?.linked !== undefined) return false;
  switch (insn.code & 7) {
    case 4:
    case 7:
    case 1:
    case 0:
      return (bt.regs[bt.frame]! & (1 << insn.dst_reg)) === 0;
    case 5:
    case 6:
      return (insn.code & 0xf8) !== 0x80 && (insn.code & 0xf8) !== 0x90 && (insn.code & 8) === 0;
    default:
      return false;
  }
}

/** The entry of a function verified alone: its arguments are what is searched for. */
function atEntry(env: Env, state: VerifierState, bt: Backtrack): boolean {
  const frame = state.frames[0]!;
  const onlyArguments = (bt.regs[bt.frame]! & ~ARGUMENTS) === 0 && (bt.low[bt.frame]! | bt.high[bt.frame]!) === 0;
  if (state.curframe === 0 && frame.subprogno > 0 && frame.callsite === BPF_MAIN_FUNC && onlyArguments) {
    for (let i = 1; i <= 5; i++) {
      if (!bt.has(i)) continue;
      bt.clear(i);
      if (frame.regs[i]!.type === SCALAR_VALUE) frame.regs[i]!.precise = true;
    }
    return true;
  }
  throw new Error('backtracking went past the entry');
}

/** Marks what is searched for in a saved state; what is marked already need not be followed further. */
function markState(env: Env, state: VerifierState, bt: Backtrack): boolean {
  let changed = false;
  for (let f = bt.frame; f >= 0; f--) {
    const frame = state.frames[f]!;
    for (let i = 0; i < MAX_BPF_REG; i++) {
      if (!(bt.regs[f]! & (1 << i))) continue;
      const reg = frame.regs[i]!;
      if (reg.type !== SCALAR_VALUE || reg.precise) bt.regs[f]! &= ~(1 << i);
      else {
        reg.precise = true;
        changed = true;
      }
    }
    if ((bt.low[f]! | bt.high[f]!) !== 0) {
      for (const spi of bt.slotsOf(f)) {
        const reg = spi < frame.slots.length && isSpilledScalar(frame, spi) ? frame.spilled[spi]! : undefined;
        if (!reg || reg.precise) bt.clearSlot(f, spi);
        else {
          slotReg(frame, spi).precise = true;
          changed = true;
        }
      }
    }
    if (env.log.verbose) logParent(env, state, f, bt);
  }
  return changed;
}

function logParent(env: Env, state: VerifierState, f: number, bt: Backtrack): void {
  const view = new Backtrack();
  view.frame = f;
  view.regs[f] = bt.regs[f]!;
  view.low[f] = bt.low[f]!;
  view.high[f] = bt.high[f]!;
  env.log.write(
    `mark_precise: frame${f}: parent state regs=${view.regText()} stack=${view.slotText()}: ${stateText(state, f, undefined)}\n`,
  );
}

/** Where tracking gives up: every scalar of the path is exact. */
function markAllPrecise(env: Env, from: VerifierState): void {
  if (env.log.verbose) env.log.write(`mark_precise: frame${from.curframe}: falling back to forcing all scalars precise\n`);
  for (let state = from.parent; state; state = state.parent) {
    for (const frame of state.frames) {
      for (const reg of frame.regs) if (reg.type === SCALAR_VALUE) reg.precise = true;
      for (let spi = 0; spi < frame.slots.length; spi++) {
        if (isSpilledScalar(frame, spi) && !frame.spilled[spi]!.precise) slotReg(frame, spi).precise = true;
      }
    }
  }
}

/** A new state starts with nothing marked: what it needs exactly is found by the paths from it. */
export function forgetPrecision(state: VerifierState): void {
  for (let f = 0; f <= state.curframe; f++) {
    const frame = state.frames[f]!;
    for (let i = 0; i < 10; i++) frame.regs[i]!.precise = false;
    for (let spi = 0; spi < frame.slots.length; spi++) {
      if (isSpilled(frame, spi) && frame.spilled[spi]!.precise) slotReg(frame, spi).precise = false;
    }
  }
}

function syncLinkedMarks(bt: Backtrack, entry: HistoryEntry | undefined): void {
  const linked = entry?.linked;
  if (!linked) return;
  const marked = linked.some((l) => (l.isReg ? (bt.regs[l.frameno]! & (1 << l.index)) !== 0 : bt.hasSlot(l.frameno, l.index)));
  if (!marked) return;
  for (const l of linked) {
    if (l.isReg) bt.regs[l.frameno]! |= 1 << l.index;
    else bt.setSlot(l.frameno, l.index);
  }
}

/** What must be known before instruction `i`, given what must be known after it. */
function stepBack(
  env: Env,
  i: number,
  subsequent: number,
  entry: HistoryEntry | undefined,
  bt: Backtrack,
): typeof GIVE_UP | undefined {
  const insn = env.insns[i]!;
  if (insn.code === 0) return undefined;
  if (env.log.verbose) {
    env.log.write(`mark_precise: frame${bt.frame}: regs=${bt.regText()} stack=${bt.slotText()} before ${i}: ${env.text(i)}\n`);
  }
  syncLinkedMarks(bt, entry);
  let result: typeof GIVE_UP | undefined;
  switch (insn.code & 7) {
    case 4:
    case 7:
      backAlu(insn, bt);
      break;
    case 1:
      backLoad(insn.dst_reg, entry, bt);
      break;
    case 2:
    case 3:
      result = backStore(insn, entry, bt);
      break;
    case 5:
    case 6:
      result = backJump(env, insn, i, subsequent, entry, bt);
      break;
    default:
      if (bt.has(insn.dst_reg)) {
        bt.clear(insn.dst_reg);
        if (insn.code !== 0x18) result = GIVE_UP;
      }
  }
  syncLinkedMarks(bt, entry);
  return result;
}

function backAlu(insn: BpfInsn, bt: Backtrack): void {
  if (!bt.has(insn.dst_reg)) return;
  const op = insn.code & 0xf0;
  const register = (insn.code & 8) !== 0;
  if (op === 0xd0 || op === 0x80) return;
  if (op === 0xb0) bt.clear(insn.dst_reg);
  if (register && insn.src_reg !== 10) bt.set(insn.src_reg);
}

function backLoad(dst: number, entry: HistoryEntry | undefined, bt: Backtrack): void {
  if (!bt.has(dst)) return;
  bt.clear(dst);
  if (entry?.stackAccess) bt.setSlot(entry.frameno, entry.spi);
}

function backStore(insn: BpfInsn, entry: HistoryEntry | undefined, bt: Backtrack): typeof GIVE_UP | undefined {
  const isAtomic = (insn.code & 7) === 3 && (insn.code & 0xe0) === 0xc0;
  if (isAtomic && insn.imm === 0x100) {
    backLoad(insn.dst_reg, entry, bt);
    return undefined;
  }
  // An atomic that fetches loads a register too: the old value, from the stack perhaps. Linux 6.18 does not take the register off
  // its list there, so what it held before counts as precise as well.
  const fetched = insn.imm === 0xf1 ? 0 : insn.src_reg;
  if (isAtomic && insn.imm !== 0x110 && insn.imm & 1 && bt.has(fetched) && entry?.stackAccess)
    bt.setSlot(entry.frameno, entry.spi);
  if (bt.has(insn.dst_reg)) return GIVE_UP;
  if (isAtomic && insn.imm !== 0x110) return undefined;
  if (!entry?.stackAccess || !bt.hasSlot(entry.frameno, entry.spi)) return undefined;
  bt.clearSlot(entry.frameno, entry.spi);
  if ((insn.code & 7) === 3) bt.set(insn.src_reg);
  return undefined;
}

function backJump(
  env: Env,
  insn: BpfInsn,
  i: number,
  subsequent: number,
  entry: HistoryEntry | undefined,
  bt: Backtrack,
): typeof GIVE_UP | undefined {
  const { code, src_reg, dst_reg, imm } = insn;
  if (isPseudoCall(code, src_reg)) return backCall(env, i + imm + 1, i, subsequent, bt);
  const op = code & 0xf0;
  if (op === 0x80 && (code & 7) === 5) {
    const callsBack = env.callsCallback[i] === 1 || (isHelperCall(code, src_reg) && isSyncCallbackHelper(imm));
    if (callsBack && i !== subsequent - 1) {
      bt.regs[bt.frame]! &= ~ARGUMENTS;
      leaveSubprog(bt);
      return undefined;
    }
    if (isKfuncCall(code, src_reg) && imm === 0) return GIVE_UP;
    bt.clear(0);
    if (bt.regs[bt.frame]! & ARGUMENTS) return GIVE_UP;
    // The function was left here: backwards, it is entered.
    if (isTailCall(insn) && i !== subsequent - 1) bt.frame++;
    return undefined;
  }
  if (op === 0x90) return backExit(env, subsequent, bt);
  if (op === 0x00 || op === 0xe0 || (code & 8) === 0) return undefined;
  if (!bt.has(dst_reg) && !bt.has(src_reg)) return undefined;
  if (!entry?.srcStack) bt.set(src_reg);
  if (!entry?.dstStack) bt.set(dst_reg);
  return undefined;
}

/** Leaving a function backwards, to the call that entered it; or over the call of a function verified alone. */
function backCall(env: Env, start: number, i: number, subsequent: number, bt: Backtrack): typeof GIVE_UP | undefined {
  const subprog = env.subprogs[env.subprogOf[start]!]!;
  if (subprog.isGlobal) {
    if (i + 1 !== subsequent || bt.regs[bt.frame]! & ARGUMENTS) return GIVE_UP;
    bt.clear(0);
    return undefined;
  }
  const leftover = (bt.regs[bt.frame]! & ~ARGUMENTS) | bt.low[bt.frame]! | bt.high[bt.frame]!;
  if (leftover) return GIVE_UP;
  const args = bt.regs[bt.frame]! & ARGUMENTS;
  bt.regs[bt.frame]! &= ~ARGUMENTS;
  leaveSubprog(bt);
  bt.regs[bt.frame]! |= args;
  return undefined;
}

function leaveSubprog(bt: Backtrack): void {
  if (bt.frame === 0) throw new Error('backtracking left the outermost function');
  bt.frame--;
}

/** Entering a function backwards, at its exit. */
function backExit(env: Env, subsequent: number, bt: Backtrack): typeof GIVE_UP | undefined {
  if (subsequent >= 0 && env.callsCallback[subsequent]) bt.regs[bt.frame]! &= ~ARGUMENTS;
  if (bt.regs[bt.frame]! & ARGUMENTS) return GIVE_UP;
  const before = env.insns[subsequent - 1];
  const exact = before !== undefined && isPseudoCall(before.code, before.src_reg) && bt.has(0);
  bt.clear(0);
  bt.frame++;
  if (exact) bt.set(0);
  return undefined;
}
