/** Saved states: when to keep one, when one ends a path, when to give one up (`is_state_visited`). */

import { BPF_COMPLEXITY_LIMIT_STATES, type Env } from './env.ts';
import type { IdMap } from './id-map.ts';
import { recordJump } from './history.ts';
import { kfuncRow } from './kfunc-meta.ts';
import { forgetPrecision, propagatePrecision } from './precision.ts';
import { stateText } from './print-state.ts';
import { BPF_ITER_STATE_ACTIVE, markNotInit } from './register.ts';
import { cloneState, STACK_ITER, slotKind, type VerifierState } from './state.ts';
import { EXACT, maybeLooping, NOT_EXACT, RANGE_WITHIN, statesEqual } from './states-equal.ts';
import { isKfuncCall } from './subprograms.ts';

/** Saved states of an instruction share a bucket with those of others; the newest come first. */
function bucketOf(env: Env, insn: number): VerifierState[] {
  const { cur } = env;
  const { callsite } = cur.frame;
  const at = ((insn ^ callsite) >>> 0) % env.insns.length;
  return (env.explored[at] ??= []);
}

/** True where the path may end here: a finished state (or a turn of a loop) covers the current one. */
export function isStateVisited(env: Env, insn: number): boolean {
  const { cur } = env;
  const forced = env.testStateFreq || env.forceCheckpoint[insn] === 1 || cur.history.length > 40;
  const visit = new Visit(env, insn, forced);
  const bucket = bucketOf(env, insn);
  cleanFinished(env, insn, bucket);
  let count = 0;
  for (let i = bucket.length - 1; i >= 0; i--) {
    const saved = bucket[i]!;
    count++;
    if (saved.insnIdx !== insn) continue;
    const loop = visit.compare(saved);
    if (loop !== undefined) {
      hit(env, saved, insn, loop);
      return true;
    }
    if (visit.add) saved.misses++;
    const keep = env.forceCheckpoint[insn] && saved.branches > 0 ? 64 : 3;
    if (saved.misses > saved.hits * keep + keep) {
      bucket.splice(i, 1);
      env.exploredSize--;
    }
  }
  if (count > env.maxStatesPerInsn) env.maxStatesPerInsn = count;
  if (!env.bpfCapable && count > BPF_COMPLEXITY_LIMIT_STATES) return false;
  if (visit.add) save(env, insn, bucket);
  return false;
}

class Visit {
  readonly env: Env;
  readonly insn: number;
  readonly forced: boolean;
  readonly ids: IdMap;
  add: boolean;

  constructor(env: Env, insn: number, forced: boolean) {
    this.env = env;
    this.insn = insn;
    this.forced = forced;
    this.ids = env.idMap;
    this.add = forced || (env.jmpsProcessed - env.prevJmpsProcessed >= 2 && env.insnProcessed - env.prevInsnProcessed >= 8);
  }

  equal(saved: VerifierState, exact: number): boolean {
    return statesEqual(this.env, saved, this.env.cur, exact, this.ids);
  }

  /** undefined: no match. Else whether the match closes a loop that is still being explored. */
  compare(saved: VerifierState): boolean | undefined {
    if (saved.branches > 0) return this.compareUnfinished(saved);
    const loop = this.env.sccs.isIncomplete(saved);
    return this.equal(saved, loop ? RANGE_WITHIN : NOT_EXACT) ? loop : undefined;
  }

  /** `saved` is an ancestor (or has unexplored branches): a match may be a loop that turns, or one that never ends. */
  compareUnfinished(saved: VerifierState): boolean | undefined {
    const { env, insn } = this;
    const { cur } = env;
    const frame = saved.frame;
    const otherEntry = frame.inAsyncCallback && frame.asyncEntryCnt !== cur.frame.asyncEntryCnt;
    if (!otherEntry) {
      if (isIterNext(env, insn)) {
        if (this.equal(saved, RANGE_WITHIN) && iterIsActive(env)) return true;
        return this.skip();
      }
      if (env.insns[insn]!.code === 0xe5) {
        if (saved.mayGotoDepth !== cur.mayGotoDepth && this.equal(saved, RANGE_WITHIN)) return true;
      }
      if (env.callsCallback[insn]) {
        if (this.equal(saved, RANGE_WITHIN)) return true;
        return this.skip();
      }
      const sameDepths = saved.mayGotoDepth === cur.mayGotoDepth && saved.callbackUnrollDepth === cur.callbackUnrollDepth;
      if (maybeLooping(saved, cur) && this.equal(saved, EXACT) && !iterDepthsDiffer(saved, cur) && sameDepths) {
        this.refuseInfiniteLoop(saved);
      }
    }
    return this.skip();
  }

  /** While a loop turns, states are kept rarely. */
  skip(): undefined {
    const { env } = this;
    if (!this.forced && env.jmpsProcessed - env.prevJmpsProcessed < 20 && env.insnProcessed - env.prevInsnProcessed < 100) {
      this.add = false;
    }
    return undefined;
  }

  refuseInfiniteLoop(saved: VerifierState): never {
    const { env, insn } = this;
    const { cur } = env;
    env.logLine(insn, '; ');
    env.log.reason(`infinite loop detected at insn ${insn}`);
    env.log.write(`cur state:${stateText(cur, cur.curframe, undefined)}\n`);
    env.log.write(`old state:${stateText(saved, cur.curframe, undefined)}\n`);
    return env.refuse('EINVAL', '');
  }
}

function hit(env: Env, saved: VerifierState, insn: number, loop: boolean): void {
  const { cur } = env;
  saved.hits++;
  if (env.jmpPoint[insn]) recordJump(env, cur);
  propagatePrecision(env, saved, cur);
  if (!loop) return;
  const copy = cloneState(cur, true, env.framePool);
  copy.equalState = saved;
  copy.insnIdx = insn;
  env.sccs.addBackedge(saved, copy);
}

function save(env: Env, insn: number, bucket: VerifierState[]): void {
  const { cur } = env;
  env.totalStates++;
  env.exploredSize++;
  if (env.exploredSize > env.peakStates) env.peakStates = env.exploredSize;
  env.prevJmpsProcessed = env.jmpsProcessed;
  env.prevInsnProcessed = env.insnProcessed;
  if (env.bpfCapable) forgetPrecision(cur);
  const saved = cloneState(cur, false, env.framePool);
  saved.history = cur.history;
  saved.insnIdx = insn;
  env.sccs.enter(saved);
  cur.parent = saved;
  cur.firstInsnIdx = insn;
  cur.dfsDepth = saved.dfsDepth + 1;
  cur.history = [];
  env.curHistory = undefined;
  bucket.push(saved);
}

/** Clears what is dead in states whose every path is explored, so that more matches them. */
function cleanFinished(env: Env, insn: number, bucket: readonly VerifierState[]): void {
  for (const saved of bucket) {
    if (saved.branches > 0 || saved.insnIdx !== insn || saved.cleaned) continue;
    if (!sameCallsites(saved, env.cur) || env.sccs.isIncomplete(saved)) continue;
    cleanState(env, saved);
  }
}

function sameCallsites(a: VerifierState, b: VerifierState): boolean {
  if (a.curframe !== b.curframe) return false;
  for (let f = a.curframe; f >= 0; f--) if (a.frames[f]!.callsite !== b.frames[f]!.callsite) return false;
  return true;
}

function cleanState(env: Env, state: VerifierState): void {
  state.cleaned = true;
  for (let f = 0; f <= state.curframe; f++) {
    const frame = state.frames[f]!;
    const insn = f === state.curframe ? state.insnIdx : state.frames[f + 1]!.callsite;
    const live = env.liveRegs[insn]!;
    for (let i = 0; i < 10; i++) if (!(live & (1 << i))) markNotInit(frame.regs[i]!);
    const [low, high] = env.liveness.aliveSlots(state, f);
    for (let spi = 0; spi < frame.slots.length; spi++) {
      if (frame.slots[spi] === 0 || (spi < 32 ? low & (1 << spi) : high & (1 << (spi - 32)))) continue;
      frame.slots[spi] = 0;
      frame.spilled[spi] = undefined;
    }
  }
}

function isIterNext(env: Env, insn: number): boolean {
  const { code, src_reg, imm, off } = env.insns[insn]!;
  return isKfuncCall(code, src_reg) && (kfuncRow(env, imm, off)?.flags.includes('KF_ITER_NEXT') ?? false);
}

/** The iterator that the first argument points to still has elements. */
function iterIsActive(env: Env): boolean {
  const reg = env.reg(1);
  const spi = (-(reg.off + reg.vl) - 1) >> 3;
  return env.frameOf(reg).spilled[spi]?.iterState === BPF_ITER_STATE_ACTIVE;
}

function iterDepthsDiffer(old: VerifierState, cur: VerifierState): boolean {
  for (let f = 0; f <= old.curframe; f++) {
    const frame = old.frames[f]!;
    for (let spi = 0; spi < frame.slots.length; spi++) {
      const a = frame.spilled[spi];
      if (slotKind(frame.slots[spi]!) !== STACK_ITER || !a || a.iterState !== BPF_ITER_STATE_ACTIVE) continue;
      if (cur.frames[f]!.spilled[spi]?.iterDepth !== a.iterDepth) return true;
    }
  }
  return false;
}
