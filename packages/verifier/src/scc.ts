/** Loops of each subprogram as strongly connected components (`compute_scc`); 0 marks an instruction in none. */

import { successors } from './cfg.ts';
import type { Env } from './env.ts';

/** Numbers of loops that are a single call with a callback: from here on. */
export const CALLBACK_SCC: number = 1 << 28;

/** Tarjan's algorithm without recursion. Fills `env.scc`. */
export function computeSccs(env: Env): void {
  const count = env.insns.length;
  const pre = new Int32Array(count);
  const low = new Int32Array(count);
  const stack: number[] = [];
  const work: number[] = [];
  const out = [0, 0];
  const done = 0x7fffffff;
  let nextPre = 1;
  let nextScc = 1;
  for (const subprog of env.subprogs) {
    if (pre[subprog.start]) continue;
    work.push(subprog.start);
    while (work.length > 0) {
      const w = work[work.length - 1]!;
      if (pre[w] === 0) {
        pre[w] = low[w] = nextPre++;
        stack.push(w);
      }
      const edges = successors(env, w, out);
      let more = false;
      for (let k = 0; k < edges; k++) {
        const to = out[k]!;
        if (pre[to] === 0) {
          work.push(to);
          more = true;
          break;
        }
        if (low[to]! < low[w]!) low[w] = low[to]!;
      }
      if (more) continue;
      work.pop();
      if (low[w]! < pre[w]!) continue;
      nextScc = closeComponent(env, w, stack, low, done, nextScc);
    }
  }
}

function closeComponent(env: Env, root: number, stack: number[], low: Int32Array, done: number, scc: number): number {
  const out = [0, 0];
  const edges = successors(env, root, out);
  let isLoop = stack[stack.length - 1] !== root;
  for (let k = 0; k < edges; k++) if (out[k] === root) isLoop = true;
  // A call that calls back is a loop of its own; it is not counted among the others.
  const number = isLoop ? scc : env.callsCallback[root] === 1 ? CALLBACK_SCC + root : 0;
  for (;;) {
    const w = stack.pop()!;
    low[w] = done;
    env.scc[w] = number;
    if (w === root) break;
  }
  return isLoop ? scc + 1 : scc;
}
