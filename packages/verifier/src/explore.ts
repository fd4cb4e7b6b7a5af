/** Walks every path of one function, pruning what is covered (`do_check`). A walk can be stopped and taken up again. */

import { BPF_COMPLEXITY_LIMIT_INSNS } from '@libbpf-ts/uapi';
import type { BpfInsn } from '@libbpf-ts/isa';
import { type Env, Refusal } from './env.ts';
import { checkExceptionCallback } from './exceptions.ts';
import { executeInsn } from './execute.ts';
import { recordJump } from './history.ts';
import { logState } from './log-state.ts';
import { enterGlobal, lookAtMain } from './global-functions.ts';
import { stateText } from './print-state.ts';
import { isStateVisited } from './pruning.ts';
import { markPointer } from './register.ts';
import { PTR_TO_CTX, PTR_TO_STACK } from './regtype.ts';
import { BPF_MAIN_FUNC, newFrame, VerifierState } from './state.ts';

/** One function being explored. */
export class Exploration {
  readonly env: Env;
  #previous = -1;
  #announce: boolean;
  #forgetsLog: boolean;
  #start: number;

  constructor(env: Env, subprogno: number) {
    this.env = env;
    this.#forgetsLog = !env.log.verbose;
    this.#start = env.log.end;
    this.#announce = false;
    env.prevJmpsProcessed = env.jmpsProcessed;
    env.prevInsnProcessed = env.insnProcessed;
    const state = new VerifierState();
    const frame = newFrame(BPF_MAIN_FUNC, 0, subprogno);
    state.frames.push(frame);
    state.branches = 1;
    state.inSleepable = env.facts.sleepable;
    markPointer(frame.regs[10]!, PTR_TO_STACK);
    env.cur = state;
    env.insnIdx = env.subprogs[subprogno]!.start;
    env.prevInsnIdx = -1;
    state.firstInsnIdx = env.insnIdx;
    state.lastInsnIdx = -1;
    env.liveness.forgetChain();
    env.clean();
    if (subprogno === 0) {
      markPointer(frame.regs[1]!, PTR_TO_CTX);
      lookAtMain(env);
    } else {
      enterGlobal(env, frame, subprogno);
    }
    if (env.subprogs[subprogno]!.isExceptionCallback) {
      frame.inExceptionCallback = true;
      checkExceptionCallback(env, subprogno);
    }
    env.touchAll();
    env.explored.length = 0;
    env.exploredSize = 0;
  }

  /** Examines up to `budget` instructions; true when all paths are done. */
  run(budget: number): boolean {
    const { env } = this;
    for (let i = 0; i < budget; i++) {
      if (this.#step()) continue;
      this.#endPath();
      if (!this.#next()) {
        if (this.#forgetsLog) env.log.reset(this.#start);
        return true;
      }
    }
    return false;
  }

  /** One instruction; false where the path ends with it. */
  #step(): boolean {
    const { env } = this;
    env.curHistory = undefined;
    env.prevInsnIdx = this.#previous;
    const insn = env.insns[env.insnIdx];
    if (!insn) return env.refuse('EFAULT', `invalid insn idx ${env.insnIdx} insn_cnt ${env.insns.length}`);
    if (++env.insnProcessed > BPF_COMPLEXITY_LIMIT_INSNS) {
      env.refuse('E2BIG', `BPF program is too large. Processed ${env.insnProcessed} insn`);
    }
    const { cur } = env;
    cur.lastInsnIdx = env.prevInsnIdx;
    cur.insnIdx = env.insnIdx;
    if (env.prunePoint[env.insnIdx] && isStateVisited(env, env.insnIdx)) {
      this.#logPruned();
      return false;
    }
    if (env.jmpPoint[env.insnIdx]) recordJump(env, cur);
    if (env.log.on) this.#logInsn();
    if (!cur.speculative) env.seen[env.insnIdx] = 1;
    this.#previous = env.insnIdx;
    if (cur.speculative && env.nospec[env.insnIdx]) return false;
    env.liveness.beginInsn(env.insnIdx);
    const frames = cur.curframe;
    const ended = cur.speculative ? this.#speculate(insn) : executeInsn(env, insn);
    if (ended) {
      env.liveness.commitInsn();
      if (env.request.trace) env.trace.push({ kind: 'exit', insn: this.#previous, from: env.prevInsnIdx, text: '' });
      return false;
    }
    env.liveness.commitInsn();
    if (cur.curframe !== frames) this.#announce = cur.curframe < frames;
    return true;
  }

  /** An instruction that is only speculated about: where it is refused, or a barrier follows, the path ends. */
  #speculate(insn: BpfInsn): boolean {
    const { env } = this;
    const at = env.insnIdx;
    try {
      return executeInsn(env, insn) || env.nospecResult[at] === 1;
    } catch (error) {
      const harmless =
        error instanceof Refusal && (error.errno === 'EACCES' || error.errno === 'EINVAL' || error.errno === 'EPERM');
      if (!harmless) throw error;
      env.nospec[at] = 1;
      env.aluStates.delete(at);
      return true;
    }
  }

  #logPruned(): void {
    const { env } = this;
    if (env.request.trace) env.trace.push({ kind: 'prune', insn: env.insnIdx, from: this.#previous, text: '' });
    if (!env.log.on) return;
    env.log.write(
      this.#announce ? `\nfrom ${this.#previous} to ${env.insnIdx}${speculation(env.cur)}: safe\n` : `${env.insnIdx}: safe\n`,
    );
  }

  #logInsn(): void {
    const { env } = this;
    const { log, cur } = env;
    if (log.verbose && this.#announce) {
      log.write(`\nfrom ${this.#previous} to ${env.insnIdx}${speculation(cur)}:${stateText(cur, cur.curframe, undefined)}\n`);
    }
    this.#announce = false;
    if (env.touchedRegs || env.touchedSlots.size > 0) logState(env);
    env.logLine(env.insnIdx, '; ');
    const start = log.end;
    log.write(`${env.insnIdx}: ${env.text(env.insnIdx)}\n`);
    log.previousLength = log.end - start;
    log.previousEnd = log.end;
  }

  #endPath(): void {
    const { env } = this;
    env.touchAll();
    env.liveness.update();
    countDown(env);
    // Nothing else holds the frames of a path that has ended.
    env.framePool.push(...env.cur.frames);
  }

  /** Takes up the branch set aside last; false where there is none. */
  #next(): boolean {
    const { env } = this;
    const branch = env.pending.pop();
    if (!branch) return false;
    if (this.#forgetsLog) env.log.reset(branch.logPosition);
    env.cur = branch.state;
    env.insnIdx = branch.insnIdx;
    this.#previous = branch.prevInsnIdx;
    env.liveness.forgetChain();
    this.#announce = true;
    if (env.request.trace) env.trace.push({ kind: 'take', insn: branch.insnIdx, from: branch.prevInsnIdx, text: '' });
    return true;
  }
}

const speculation = (state: VerifierState): string => (state.speculative ? ' (speculative execution)' : '');

/** One path from each saved ancestor is done; those without a path left are finished (`update_branch_counts`). */
function countDown(env: Env): void {
  for (let state: VerifierState | undefined = env.cur; state; state = state.parent) {
    state.branches--;
    if (state.branches > 0) return;
    env.sccs.exit(state);
  }
}
