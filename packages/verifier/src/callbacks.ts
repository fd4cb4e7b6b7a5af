/** Functions of the program that a helper calls (`push_callback_call`). */

import * as F from '@libbpf-ts/uapi';
import { pushBranch, pushState } from './branches.ts';
import type { Env } from './env.ts';
import { markNode } from './graph-args.ts';
import type { CallMeta } from './helper-args.ts';
import type { KfuncMeta } from './kfunc-args.ts';
import { setNonOwning } from './managed.ts';
import type { BtfField, VerifierMap } from './types.ts';
import { copyReg, markPointer } from './register.ts';
import * as T from './regtype.ts';
import { type FuncState, MAX_CALL_FRAMES, newFrame, VerifierState } from './state.ts';

/** How a callback is entered. */
export interface Callback {
  readonly name: string;
  readonly async: boolean;
  /** An asynchronous one that may sleep. */
  readonly sleepable?: boolean;
  readonly range: { readonly min: number; readonly max: number };
  /** Sets the arguments of the new frame from those of the call. */
  readonly enter: (env: Env, caller: FuncState, callee: FuncState) => void;
}

/** The callback that a helper calls. */
export function callbackOf(meta: CallMeta): Callback {
  switch (meta.id) {
    case F.BPF_FUNC_loop:
      return { name: 'bpf_loop', async: false, range: { min: 0, max: 1 }, enter: enterLoop };
    case F.BPF_FUNC_for_each_map_elem:
      return { name: 'bpf_for_each_map_elem', async: false, range: { min: 0, max: 1 }, enter: enterForEach };
    case F.BPF_FUNC_timer_set_callback:
      return { name: 'bpf_timer_set_callback', async: true, range: { min: 0, max: 0 }, enter: enterTimer };
    case F.BPF_FUNC_user_ringbuf_drain:
      return { name: 'bpf_user_ringbuf_drain', async: false, range: { min: 0, max: 1 }, enter: enterDrain };
    default:
      return { name: 'bpf_find_vma', async: false, range: { min: 0, max: 1 }, enter: enterFindVma };
  }
}

/** The callback that a kernel function calls; undefined where it calls none. */
export function kfuncCallback(meta: KfuncMeta, name: string): Callback | undefined {
  switch (name) {
    case 'bpf_rbtree_add_impl':
      return { name, async: false, range: { min: 0, max: 1 }, enter: (_, _caller, callee) => enterTreeAdd(callee, meta.root!) };
    case 'bpf_wq_set_callback_impl':
      return { name, async: true, sleepable: true, range: { min: 0, max: 0 }, enter: enterTimer };
    case 'bpf_task_work_schedule_signal_impl':
    case 'bpf_task_work_schedule_resume_impl':
      return { name, async: true, sleepable: true, range: { min: -0x80000000, max: 0x7fffffff }, enter: enterTaskWork };
    default:
      return undefined;
  }
}

/** The frame is a callback of bpf_rbtree_add, which runs under the tree's lock (`in_rbtree_lock_required_cb`). */
export function inTreeCallback(env: Env): boolean {
  const { frame } = env;
  if (env.cur.curframe === 0 || !frame.inCallback) return false;
  const { code, src_reg, imm } = env.insns[frame.callsite]!;
  return code === 0x85 && src_reg === 2 && env.kernelBtf?.type(imm)?.name === 'bpf_rbtree_add_impl';
}

/** Two elements of the tree, neither owned. */
function enterTreeAdd(callee: FuncState, root: BtfField): void {
  for (const regno of [1, 2]) {
    markNode(callee.regs[regno]!, root);
    setNonOwning(callee.regs[regno]!);
  }
}

function enterTaskWork(_env: Env, caller: FuncState, callee: FuncState): void {
  const { map, mapUid } = caller.regs[3]!;
  enterMapCallback(callee, map, mapUid);
}

function enterLoop(env: Env, caller: FuncState, callee: FuncState): void {
  env.markUnknown(callee.regs[1]!);
  copyReg(callee.regs[2]!, caller.regs[3]!);
}

/** Maps whose elements a callback can visit. */
const ITERABLE: ReadonlySet<number> = new Set([
  F.BPF_MAP_TYPE_HASH,
  F.BPF_MAP_TYPE_ARRAY,
  F.BPF_MAP_TYPE_PERCPU_HASH,
  F.BPF_MAP_TYPE_PERCPU_ARRAY,
  F.BPF_MAP_TYPE_LRU_HASH,
  F.BPF_MAP_TYPE_LRU_PERCPU_HASH,
]);

function enterForEach(_env: Env, caller: FuncState, callee: FuncState): void {
  const { map, mapUid } = caller.regs[1]!;
  if (!ITERABLE.has(map!.map_type)) _env.refuse('ENOTSUPP', 'callback function not allowed for map');
  copyReg(callee.regs[1]!, caller.regs[1]!);
  markPointer(callee.regs[2]!, T.PTR_TO_MAP_KEY);
  markPointer(callee.regs[3]!, T.PTR_TO_MAP_VALUE);
  for (const regno of [2, 3]) {
    callee.regs[regno]!.map = map;
    callee.regs[regno]!.mapUid = mapUid;
  }
  copyReg(callee.regs[4]!, caller.regs[3]!);
}

function enterTimer(_env: Env, caller: FuncState, callee: FuncState): void {
  const { map, mapUid } = caller.regs[1]!;
  enterMapCallback(callee, map, mapUid);
}

/** (map, key, value). */
function enterMapCallback(callee: FuncState, map: VerifierMap | undefined, mapUid: number): void {
  markPointer(callee.regs[1]!, T.CONST_PTR_TO_MAP);
  markPointer(callee.regs[2]!, T.PTR_TO_MAP_KEY);
  markPointer(callee.regs[3]!, T.PTR_TO_MAP_VALUE);
  for (const regno of [1, 2, 3]) {
    callee.regs[regno]!.map = map;
    callee.regs[regno]!.mapUid = mapUid;
  }
}

function enterDrain(_env: Env, caller: FuncState, callee: FuncState): void {
  markPointer(callee.regs[1]!, T.CONST_PTR_TO_DYNPTR);
  callee.regs[1]!.dynType = T.DYNPTR_TYPE_LOCAL;
  callee.regs[1]!.dynFirst = true;
  callee.regs[1]!.id = _env.nextId();
  copyReg(callee.regs[2]!, caller.regs[3]!);
}

function enterFindVma(env: Env, caller: FuncState, callee: FuncState): void {
  copyReg(callee.regs[1]!, caller.regs[1]!);
  const id = env.kernelBtf?.find('vm_area_struct', 'STRUCT');
  if (!id) return env.unsupported('bpf_find_vma without kernel BTF');
  markPointer(callee.regs[2]!, T.PTR_TO_BTF_ID);
  callee.regs[2]!.btf = env.kernelBtf;
  callee.regs[2]!.btfId = id;
  copyReg(callee.regs[3]!, caller.regs[4]!);
}

/** Explores the callback as often as it may be called: the path that goes on is the one on which it is not called again. */
export function pushCallback(env: Env, subprogno: number, callback: Callback): void {
  const subprog = env.subprogs[subprogno]!;
  subprog.isCallback = true;
  if (callback.async) return pushAsync(env, subprogno, callback);
  const state = pushBranch(env, subprog.start, env.insnIdx, 'ENOMEM');
  const caller = state.frame;
  enterCallback(env, state, subprogno, callback);
  state.callbackUnrollDepth++;
  caller.callbackDepth++;
  env.frame.callbackDepth = 0;
  env.touchAll();
}

function enterCallback(env: Env, state: VerifierState, subprogno: number, callback: Callback): void {
  const caller = state.frame;
  if (state.curframe + 1 >= MAX_CALL_FRAMES) env.refuse('E2BIG', `the call stack of ${state.curframe + 2} frames is too deep`);
  const callee = newFrame(env.insnIdx, state.curframe + 1, subprogno);
  callback.enter(env, caller, callee);
  callee.inCallback = true;
  callee.callbackRange = callback.range;
  state.frames.push(callee);
  state.curframe++;
  markPointer(callee.regs[10]!, T.PTR_TO_STACK);
  callee.regs[10]!.frameno = callee.frameno;
}

/** A timer's callback runs later, on a stack of its own: a path that begins there. */
function pushAsync(env: Env, subprogno: number, callback: Callback): void {
  const subprog = env.subprogs[subprogno]!;
  subprog.isAsyncCallback = true;
  const caller = env.frame;
  const state = new VerifierState();
  const callee = newFrame(-1, 0, subprogno);
  callee.asyncEntryCnt = caller.asyncEntryCnt + 1;
  callback.enter(env, caller, callee);
  callee.inAsyncCallback = true;
  callee.inCallback = true;
  callee.callbackRange = callback.range;
  markPointer(callee.regs[10]!, T.PTR_TO_STACK);
  state.frames = [callee];
  state.inSleepable = callback.sleepable === true;
  state.branches = 1;
  pushState(env, state, subprog.start, env.insnIdx, 'EFAULT');
  env.touchAll();
}
