/** The verifier as callers see it: at once, step by step, or yielding (`bpf_check`). */

import {
  BPF_MAXINSNS,
  BPF_MODIFY_RETURN,
  BPF_PROG_TYPE_EXT,
  BPF_PROG_TYPE_KPROBE,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_PERF_EVENT,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_STRUCT_OPS,
  BPF_PROG_TYPE_SYSCALL,
  BPF_PROG_TYPE_TRACEPOINT,
  BPF_PROG_TYPE_TRACING,
  BPF_TRACE_FENTRY,
  BPF_TRACE_FEXIT,
  BPF_TRACE_ITER,
  type ErrnoName,
} from '@libbpf-ts/uapi';
import { checkCfg } from './cfg.ts';
import { diagnose } from './diagnose.ts';
import { Env, Refusal } from './env.ts';
import { Exploration } from './explore.ts';
import { readFunctionInfo } from './global-functions.ts';
import { computeLiveRegisters } from './live-registers.ts';
import { BPF_LOG_STATS, fitLog } from './log.ts';
import { resolvePseudoLoads } from './pseudo-loads.ts';
import { SccTracker } from './scc-visits.ts';
import { computeSccs } from './scc.ts';
import { checkStackDepth } from './stack-depth.ts';
import { checkSubprograms, findSubprograms, isKfuncCall } from './subprograms.ts';
import type {
  VerifiedCall,
  VerifiedSubprogram,
  VerifierFailure,
  VerifierRequest,
  VerifierResult,
  VerifierStats,
  VerifierSuccess,
} from './types.ts';

/** How far a verification is. */
export interface VerifierProgress {
  readonly processed: number;
  readonly pending: number;
}

/** A verification that can be done in pieces. */
export class Verifier {
  readonly #env: Env;
  #exploration: Exploration | undefined = undefined;
  #result: VerifierResult | undefined = undefined;
  #prepared = false;
  #microseconds = 0;

  constructor(request: VerifierRequest) {
    this.#env = new Env(request);
  }

  get progress(): VerifierProgress {
    return { processed: this.#env.insnProcessed, pending: this.#env.pending.length };
  }

  /** The outcome, once there is one. */
  get result(): VerifierResult | undefined {
    return this.#result;
  }

  /** Examines up to `budget` instructions. Returns the outcome when there is one. */
  step(budget: number): VerifierResult | undefined {
    if (this.#result) return this.#result;
    const begin = performance.now();
    try {
      if (!this.#prepared) {
        prepare(this.#env);
        this.#prepared = true;
      }
      const done = this.#advance(budget);
      this.#microseconds += (performance.now() - begin) * 1000;
      if (done) this.#result = succeed(this.#env, Math.round(this.#microseconds));
    } catch (error) {
      this.#microseconds += (performance.now() - begin) * 1000;
      this.#result = fail(this.#env, error, Math.round(this.#microseconds));
    }
    return this.#result;
  }

  /** Ends a verification that has no outcome yet: refused with EAGAIN for this reason. */
  giveUp(reason: string): VerifierResult {
    this.#result ??= fail(this.#env, new Refusal('EAGAIN', reason), Math.round(this.#microseconds));
    return this.#result;
  }

  #advance(budget: number): boolean {
    const env = this.#env;
    this.#exploration ??= new Exploration(env, 0);
    const before = env.insnProcessed;
    for (;;) {
      const left = budget - (env.insnProcessed - before);
      if (left <= 0 || !this.#exploration.run(left)) return false;
      const next = env.subprogs.findIndex((subprog) => subprog.isGlobal && subprog.called && !subprog.verified);
      this.#closeGlobal();
      if (next < 0) {
        checkStackDepth(env);
        refuseNamelessKfuncs(env);
        return true;
      }
      const subprog = env.subprogs[next]!;
      subprog.verified = true;
      if (env.log.on) env.log.write(`Validating ${subprog.name}() func#${next}...\n`);
      this.#exploration = new Exploration(env, next);
      this.#global = next;
    }
  }

  #global = 0;

  #closeGlobal(): void {
    const env = this.#env;
    if (this.#global === 0 || !env.log.on) return;
    env.log.write(
      `Func#${this.#global} ('${env.subprogs[this.#global]!.name}') is safe for any args that match its prototype\n`,
    );
  }
}

/** Everything before the first path is walked. */
export function prepare(env: Env): void {
  const count = env.insns.length;
  if (env.request.prog_flags & ~KNOWN_FLAGS) env.refuse('EINVAL', '');
  if (PERFMON_TYPES.has(env.request.prog_type) && !env.facts.capabilities.perfmon) env.refuse('EPERM', '');
  if (count === 0 || count > (env.bpfCapable ? 1_000_000 : BPF_MAXINSNS)) env.refuse('E2BIG', '');
  findSubprograms(env);
  checkSubprograms(env);
  readFunctionInfo(env);
  resolvePseudoLoads(env);
  checkCfg(env);
  checkSleepable(env);
  const objection = env.ops.checkAttach?.(env.facts);
  if (objection) env.refuse(objection.errno, objection.message ?? '');
  computeSccs(env);
  env.sccs = new SccTracker(env);
  computeLiveRegisters(env);
}

/** A kernel function with the id 0 may stand only where nothing leads (`fixup_kfunc_call`). */
function refuseNamelessKfuncs(env: Env): void {
  const found = env.insns.some(({ code, src_reg, imm }, at) => isKfuncCall(code, src_reg) && imm === 0 && env.seen[at] === 1);
  if (found) env.refuse('EINVAL', 'invalid kernel function call not eliminated in verifier pass');
}

/** Program types that need CAP_PERFMON (`is_perfmon_prog_type`). */
const PERFMON_TYPES: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE_KPROBE,
  BPF_PROG_TYPE_TRACEPOINT,
  BPF_PROG_TYPE_PERF_EVENT,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_TRACING,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_STRUCT_OPS,
  BPF_PROG_TYPE_EXT,
]);
const KNOWN_FLAGS = 0x100ff;

/** Which programs may sleep (`can_be_sleepable`), and which must. */
function checkSleepable(env: Env): void {
  const { prog_type, expected_attach_type, sleepable } = env.facts;
  if (prog_type === BPF_PROG_TYPE_SYSCALL && !sleepable) env.refuse('EINVAL', 'Syscall programs can only be sleepable');
  if (!sleepable || prog_type === BPF_PROG_TYPE_SYSCALL) return;
  const attachesSleepable = [BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_MODIFY_RETURN, BPF_TRACE_ITER].includes(
    expected_attach_type,
  );
  if (prog_type === BPF_PROG_TYPE_TRACING && attachesSleepable) return;
  if ([BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_STRUCT_OPS].includes(prog_type)) return;
  env.refuse('EINVAL', 'Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable');
}

function statsOf(env: Env): VerifierStats {
  let live = 0;
  for (let i = 0; i < env.insns.length; i++) if (env.seen[i]) live += env.insns[i]!.code === 0x18 ? 2 : 1;
  return {
    processed: env.insnProcessed,
    maxStatesPerInsn: env.maxStatesPerInsn,
    totalStates: env.totalStates,
    peakStates: env.peakStates,
    longestMarkRead: 0,
    liveInsns: live,
  };
}

function writeStats(env: Env, microseconds: number): void {
  const { log } = env;
  if (log.level & BPF_LOG_STATS) {
    log.write(`verification time ${microseconds} usec\nstack depth ${env.subprogs.map((s) => s.stackDepth).join('+')}\n`);
  }
  log.write(
    `processed ${env.insnProcessed} insns (limit 1000000) max_states_per_insn ${env.maxStatesPerInsn} ` +
      `total_states ${env.totalStates} peak_states ${env.peakStates} mark_read 0\n`,
  );
}

/** Log and its true size; the errno where it does not fit. */
function closeLog(env: Env): { readonly log: string; readonly log_true_size: number; readonly truncated: boolean } {
  const { log_size } = env.request;
  const { text, level } = env.log;
  const { log, truncated } = fitLog(text, level ? log_size : undefined, level);
  return { log, log_true_size: level ? text.length + 1 : 0, truncated };
}

function succeed(env: Env, microseconds: number): VerifierResult {
  writeStats(env, microseconds);
  const { log, log_true_size, truncated } = closeLog(env);
  if (truncated) return failure(env, 'ENOSPC', log, log_true_size, '');
  const constants = new Map<number, bigint>();
  const functions = new Map<number, number>();
  for (const [insn, load] of env.pseudoLoads) {
    if (load.kind === 'func') functions.set(insn, env.subprogOf[insn + env.insns[insn]!.imm + 1]!);
    else constants.set(insn, load.address);
  }
  const result: VerifierSuccess = {
    ok: true,
    log,
    log_true_size,
    stats: statsOf(env),
    trace: env.trace,
    constants,
    functions,
    calls: callTable(env),
    dead: deadTable(env),
    probeLoads: env.probeLoads,
    usedMaps: env.usedMaps,
    privateStack: env.privateStack,
    maxCtxOffset: env.maxCtxOffset,
    subprograms: env.subprogs.map((subprog, number) => describe(env, number, functions)),
  };
  return result;
}

function callTable(env: Env): Map<number, VerifiedCall> {
  const calls = new Map<number, VerifiedCall>();
  for (const [insn, call] of env.calls) {
    const map = env.callMaps.get(insn);
    calls.set(insn, call.kind === 'helper' && map ? { ...call, map } : call);
  }
  return calls;
}

function deadTable(env: Env): Uint8Array {
  const dead = new Uint8Array(env.insns.length);
  for (let i = 0; i < env.insns.length; i++) {
    dead[i] = env.seen[i] ? 0 : 1;
    if (env.insns[i]!.code === 0x18 && i + 1 < dead.length) {
      dead[i + 1] = dead[i]!;
      i++;
    }
  }
  return dead;
}

function describe(env: Env, number: number, functions: ReadonlyMap<number, number>): VerifiedSubprogram {
  const subprog = env.subprogs[number]!;
  return {
    start: subprog.start,
    end: subprog.end,
    name: subprog.name || (number === 0 ? env.request.name : `func#${number}`),
    stackDepth: (subprog.stackDepth + 7) & ~7,
    addressTaken: [...functions.values()].includes(number),
    isGlobal: subprog.isGlobal,
    hasTailCall: subprog.hasTailCall,
  };
}

function fail(env: Env, error: unknown, microseconds: number): VerifierResult {
  let errno: ErrnoName = 'EFAULT';
  let message: string;
  if (error instanceof Refusal) {
    errno = error.errno;
    message = error.message;
  } else {
    // A bug of this verifier must not take a program down the wrong way: it is refused.
    message = `verifier bug: ${error instanceof Error ? error.message : String(error)}`;
    env.log.reason(message);
  }
  if (env.insnProcessed > 0 || env.log.level & BPF_LOG_STATS) writeStats(env, microseconds);
  const { log, log_true_size, truncated } = closeLog(env);
  return failure(env, truncated ? 'ENOSPC' : errno, log, log_true_size, message);
}

function failure(env: Env, errno: ErrnoName, log: string, log_true_size: number, message: string): VerifierFailure {
  return {
    ok: false,
    errno,
    log,
    log_true_size,
    stats: statsOf(env),
    trace: env.trace,
    diagnostics: [diagnose(env, message)],
  };
}

/** What a caller spends at most. */
export interface VerifyBudget {
  /** Instructions examined. */
  readonly instructions?: number;
  /** Wall-clock time, looked at every 1,000 instructions. */
  readonly milliseconds?: number;
}

/** Verifies at once. Where the budget does not suffice, the program is refused with EAGAIN, code `budget`. */
export function verify(request: VerifierRequest, budget: VerifyBudget = {}): VerifierResult {
  const { instructions = Number.POSITIVE_INFINITY, milliseconds = Number.POSITIVE_INFINITY } = budget;
  const verifier = new Verifier(request);
  const end = performance.now() + milliseconds;
  const slice = milliseconds === Number.POSITIVE_INFINITY ? instructions : 1000;
  for (;;) {
    const left = instructions - verifier.progress.processed;
    const result = verifier.step(Math.min(slice, left));
    if (result) return result;
    if (verifier.progress.processed >= instructions)
      return verifier.giveUp(`the budget of ${instructions} instructions is used up`);
    if (performance.now() >= end) return verifier.giveUp(`the budget of ${milliseconds} ms is used up`);
  }
}

export interface VerifyAsyncOptions {
  readonly signal?: AbortSignal;
  /** Instructions between two yields; 20,000 by default. */
  readonly slice?: number;
  readonly onProgress?: (progress: VerifierProgress) => void;
}

/** Verifies in slices, yielding to the event loop between them. Rejects with the signal's reason when aborted. */
export async function verifyAsync(request: VerifierRequest, options: VerifyAsyncOptions = {}): Promise<VerifierResult> {
  const verifier = new Verifier(request);
  for (;;) {
    options.signal?.throwIfAborted();
    const result = verifier.step(options.slice ?? 20_000);
    options.onProgress?.(verifier.progress);
    if (result) return result;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
  }
}
