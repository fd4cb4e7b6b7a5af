/** The control-flow graph: everything reachable, no jump into a ld_imm64, and where states are worth keeping (`check_cfg`). */

import * as F from '@libbpf-ts/uapi';
import type { Env } from './env.ts';
import { kfuncRow } from './kfunc-meta.ts';
import { isHelperCall, isKfuncCall, isPseudoFunc } from './subprograms.ts';

const DISCOVERED = 0x10;
const EXPLORED = 0x20;
const FALLTHROUGH = 1;
const BRANCH = 2;

/** Helpers that call a subprogram of the caller's before they return. */
const SYNC_CALLBACKS: ReadonlySet<number> = new Set([
  F.BPF_FUNC_for_each_map_elem,
  F.BPF_FUNC_find_vma,
  F.BPF_FUNC_loop,
  F.BPF_FUNC_user_ringbuf_drain,
]);

export const isSyncCallbackHelper = (id: number): boolean => SYNC_CALLBACKS.has(id);

/** Instructions that may follow, at most two; none after exit. */
export function successors(env: Env, i: number, out: number[]): number {
  const { code, off, imm } = env.insns[i]!;
  const kind = code & 7;
  if (kind !== 5 && kind !== 6) {
    out[0] = i + (code === 0x18 ? 2 : 1);
    return 1;
  }
  const op = code & 0xf0;
  if (op === 0x90) return 0;
  if (op === 0x80) {
    out[0] = i + 1;
    return 1;
  }
  if (op === 0x00) {
    out[0] = i + 1 + (kind === 5 ? off : imm);
    return 1;
  }
  out[0] = i + 1;
  out[1] = i + 1 + off;
  return 2;
}

export function isCallbackCallingKfunc(name: string): boolean {
  return name === 'bpf_rbtree_add_impl';
}

class Walk {
  readonly env: Env;
  readonly state: Uint8Array;
  readonly stack: number[] = [];

  constructor(env: Env) {
    this.env = env;
    this.state = new Uint8Array(env.insns.length);
  }

  /** Follows an edge; true where `to` must be explored first. */
  push(from: number, to: number, edge: number): boolean {
    const { env, state } = this;
    if (state[from]! >= (DISCOVERED | edge)) return false;
    if (to < 0 || to >= env.insns.length) env.refuse('EINVAL', `jump out of range from insn ${from} to ${to}`);
    if (edge === BRANCH) {
      env.prunePoint[to] = 1;
      env.jmpPoint[to] = 1;
    }
    const seen = state[to]!;
    if (seen === 0) {
      state[from] = DISCOVERED | edge;
      state[to] = DISCOVERED;
      this.stack.push(to);
      return true;
    }
    if ((seen & 0xf0) === DISCOVERED) {
      if (env.bpfCapable) return false;
      return env.refuse('EINVAL', `back-edge from insn ${from} to ${to}`);
    }
    state[from] = DISCOVERED | edge;
    return false;
  }

  run(start: number): void {
    if (this.state[start] !== 0) return;
    this.state[start] = DISCOVERED;
    this.stack.push(start);
    while (this.stack.length > 0) {
      const i = this.stack[this.stack.length - 1]!;
      if (this.visit(i)) continue;
      this.state[i] = EXPLORED;
      this.stack.pop();
    }
  }

  /** True while an edge of this instruction leads somewhere new. */
  visit(i: number): boolean {
    const { env } = this;
    const { code, off, imm, src_reg } = env.insns[i]!;
    if (isPseudoFunc(code, src_reg)) return this.visitCall(i, 2, true);
    const kind = code & 7;
    if (kind !== 5 && kind !== 6) return this.push(i, i + (code === 0x18 ? 2 : 1), FALLTHROUGH);
    const op = code & 0xf0;
    if (op === 0x90) return false;
    if (op === 0x80) {
      this.markCall(i);
      return this.visitCall(i, 1, src_reg === 1);
    }
    if (op === 0x00) {
      if (code & 8) env.refuse('EINVAL', 'BPF_JA uses reserved fields');
      const target = i + 1 + (kind === 5 ? off : imm);
      const more = this.push(i, target, FALLTHROUGH);
      env.prunePoint[target] = 1;
      env.jmpPoint[target] = 1;
      return more;
    }
    env.prunePoint[i] = 1;
    if (op === 0xe0) env.forceCheckpoint[i] = 1;
    return this.push(i, i + 1, FALLTHROUGH) || this.push(i, i + 1 + off, BRANCH);
  }

  /** A call continues behind it; a call or address of a subprogram reaches that too. */
  visitCall(i: number, size: number, visitCallee: boolean): boolean {
    const { env } = this;
    if (this.push(i, i + size, FALLTHROUGH)) return true;
    env.prunePoint[i + size] = 1;
    env.jmpPoint[i + size] = 1;
    if (!visitCallee) return false;
    const callee = i + env.insns[i]!.imm + 1;
    env.prunePoint[i] = 1;
    const more = this.push(i, callee, BRANCH);
    const from = env.subprogs[env.subprogOf[i]!]!;
    const to = env.subprogs[env.subprogOf[callee]!]!;
    from.changesPacketData ||= to.changesPacketData;
    from.mightSleep ||= to.mightSleep;
    return more;
  }

  markCall(i: number): void {
    const { env } = this;
    const { code, src_reg, imm } = env.insns[i]!;
    const subprog = env.subprogs[env.subprogOf[i]!]!;
    if (isHelperCall(code, src_reg)) {
      if (imm === F.BPF_FUNC_timer_set_callback) env.prunePoint[i] = 1;
      if (isSyncCallbackHelper(imm)) this.markCallback(i);
      const proto = env.ops.funcProto(imm, env.facts);
      if (proto?.might_sleep) subprog.mightSleep = true;
      if (proto?.changesPacketData) subprog.changesPacketData = true;
    } else if (isKfuncCall(code, src_reg)) {
      const row = kfuncRow(env, imm, env.insns[i]!.off);
      if (!row) return;
      if (row.flags.includes('KF_ITER_NEXT')) {
        env.prunePoint[i] = 1;
        env.forceCheckpoint[i] = 1;
      }
      if (row.flags.includes('KF_SLEEPABLE')) subprog.mightSleep = true;
      if (isCallbackCallingKfunc(row.name)) this.markCallback(i);
      if (row.name === 'bpf_wq_set_callback_impl' || row.name.startsWith('bpf_task_work_schedule_')) env.prunePoint[i] = 1;
      if (row.name === 'bpf_xdp_pull_data') subprog.changesPacketData = true;
    }
  }

  markCallback(i: number): void {
    const { env } = this;
    env.callsCallback[i] = 1;
    env.forceCheckpoint[i] = 1;
    env.prunePoint[i] = 1;
    env.jmpPoint[i] = 1;
  }
}

export function checkCfg(env: Env): void {
  const walk = new Walk(env);
  walk.run(0);
  // Nothing calls it: what is thrown goes there.
  if (env.exceptionCallback) walk.run(env.subprogs[env.exceptionCallback]!.start);
  for (let i = 0; i < env.insns.length; i++) {
    if (walk.state[i] !== EXPLORED) env.refuse('EINVAL', `unreachable insn ${i}`);
    if (env.insns[i]!.code === 0x18) {
      if (walk.state[i + 1] !== 0) env.refuse('EINVAL', `jump into the middle of ldimm64 insn ${i}`);
      i++;
    }
  }
}

/** Instructions of one subprogram, exits first (`compute_postorder`). */
export function postorder(env: Env, start: number): number[] {
  const order: number[] = [];
  const seen = new Uint8Array(env.insns.length);
  const stack = [start];
  const out = [0, 0];
  seen[start] = 1;
  while (stack.length > 0) {
    const i = stack[stack.length - 1]!;
    let more = false;
    const count = successors(env, i, out);
    const next = out.slice(0, count);
    for (const to of next) {
      if (seen[to]) continue;
      seen[to] = 1;
      stack.push(to);
      more = true;
    }
    if (more) continue;
    stack.pop();
    if (seen[i] === 1) {
      seen[i] = 2;
      order.push(i);
    }
  }
  return order;
}
