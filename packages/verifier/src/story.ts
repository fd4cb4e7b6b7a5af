/** How a register came to be what it is: the instructions behind it on the path that was refused, oldest first. */

import type { SourceLine, StoryStep } from './diagnostics.ts';
import type { Env } from './env.ts';
import type { VerifierState } from './state.ts';

const MAX_STEPS = 8;
const MAX_BACK = 2000;

/** The C line of an instruction, where line_info has one. */
export function sourceOf(env: Env, insn: number): SourceLine | undefined {
  const row = env.lineOf(insn);
  return row && { fileName: row.fileName, lineNumber: row.lineNumber, column: row.column, text: row.line };
}

/** Walks back from the refused instruction and keeps what made, moved or tested the register. */
export function storyOf(env: Env, register: number): StoryStep[] {
  const steps: StoryStep[] = [];
  let reg = register;
  let after = env.insnIdx;
  for (const insn of pathBack(env)) {
    const told = tell(env, insn, after, reg);
    after = insn;
    if (!told) continue;
    const source = sourceOf(env, insn);
    steps.unshift({ insn, text: told.text, ...(source && { source }) });
    if (told.from === undefined || steps.length >= MAX_STEPS) break;
    reg = told.from;
  }
  return steps;
}

/** Instructions before the current one, latest first, within its function. */
function* pathBack(env: Env): Generator<number> {
  let state: VerifierState | undefined = env.cur;
  let left = state.history.length;
  let i = env.insnIdx;
  // The refused instruction may have an entry of its own.
  for (let count = 0; count < MAX_BACK && state; count++) {
    const entry = left > 0 ? state.history[left - 1] : undefined;
    const atStart: boolean = i === state.firstInsnIdx && (left === 0 || (left === 1 && entry?.idx === i));
    if (atStart) {
      state = state.parent;
      if (!state || state.lastInsnIdx < 0) return;
      left = state.history.length;
      i = state.lastInsnIdx;
    } else if (entry && entry.idx === i) {
      left--;
      i = entry.prevIdx;
    } else {
      i--;
    }
    if (i < 0 || i >= env.insns.length) return;
    if (env.insns[i]!.code !== 0) yield i;
  }
}

/** What one instruction did to the register; `from` is the register to follow further back, none where the story begins. */
function tell(env: Env, i: number, after: number, reg: number): { readonly text: string; readonly from?: number } | undefined {
  const { code, dst_reg, src_reg, off } = env.insns[i]!;
  const kind = code & 7;
  const op = code & 0xf0;
  const text = env.text(i);
  if (kind === 5 || kind === 6) {
    if (op === 0x80) return reg <= 5 ? { text } : undefined;
    const tests = op !== 0x00 && op !== 0x90 && op !== 0xe0 && (dst_reg === reg || (code & 8 && src_reg === reg));
    if (!tests) return undefined;
    return { text: `${text} (${after === i + 1 + off && off !== 0 ? 'taken' : 'not taken'})`, from: reg };
  }
  if (kind === 2 || kind === 3 || dst_reg !== reg) return undefined;
  if (kind === 1 || kind === 0) return { text };
  if (op !== 0xb0) return { text, from: reg };
  return code & 8 ? { text, from: src_reg } : { text };
}
