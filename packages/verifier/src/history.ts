/** The path behind a state: jumps, stack accesses and links since the state it grew from (`push_jmp_history`). */

import type { Env } from './env.ts';
import type { LinkedReg } from './linked.ts';
import type { HistoryEntry, VerifierState } from './state.ts';

function entryHere(env: Env, state: VerifierState): HistoryEntry {
  if (env.curHistory) return env.curHistory;
  const entry: HistoryEntry = {
    idx: env.insnIdx,
    prevIdx: env.prevInsnIdx,
    stackAccess: false,
    spi: 0,
    frameno: 0,
    dstStack: false,
    srcStack: false,
    linked: undefined,
  };
  state.history.push(entry);
  env.curHistory = entry;
  return entry;
}

/** The current instruction was reached by a jump (or ends one). */
export function recordJump(env: Env, state: VerifierState): void {
  entryHere(env, state);
}

export function recordStackAccess(env: Env, spi: number, frameno: number): void {
  const entry = entryHere(env, env.cur);
  entry.stackAccess = true;
  entry.spi = spi;
  entry.frameno = frameno;
}

export function recordOperands(env: Env, dstStack: boolean, srcStack: boolean): void {
  const entry = entryHere(env, env.cur);
  entry.dstStack = dstStack;
  entry.srcStack = srcStack;
}

export function recordLinked(env: Env, state: VerifierState, linked: readonly LinkedReg[]): void {
  entryHere(env, state).linked = linked.slice();
}
