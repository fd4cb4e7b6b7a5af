/** What actions hold besides their packets: a number of their kind, their program, and the chain that they go on in. */

import type { Holder } from '@libbpf-ts/kernel';

import { gotoChain, type TcAction } from './actions.ts';
import { holdChain, letGoOfChain } from './chain.ts';
import type { Block, Filter } from './model.ts';
import type { TcState } from './state.ts';

/** The numbers in use, by kind and namespace: a new action gets the least that is free (`tcf_idr_check_alloc`). */
export class ActionIndexes {
  readonly #used: Map<string, Set<number>> = new Map();

  take(kind: string, netns: number): number {
    const used = this.#of(kind, netns);
    for (let index = 1; ; index++) {
      if (used.has(index)) continue;
      used.add(index);
      return index;
    }
  }

  give(kind: string, netns: number, index: number): void {
    this.#of(kind, netns).delete(index);
  }

  copy(): ActionIndexes {
    const copy = new ActionIndexes();
    for (const [key, used] of this.#used) copy.#used.set(key, new Set(used));
    return copy;
  }

  #of(kind: string, netns: number): Set<number> {
    const key = `${kind} ${netns}`;
    let used = this.#used.get(key);
    if (!used) this.#used.set(key, (used = new Set()));
    return used;
  }
}

/** The actions of a filter that was made: programs and chains are held from now on. */
export function acquireActions(block: Block, actions: readonly TcAction[], holder: Holder): void {
  for (const action of actions) {
    if (action.kind === 'bpf') action.prog.acquire(holder);
    const chain = gotoChain(action.action);
    if (chain !== undefined) holdChain(block, chain);
  }
}

export function releaseActions(state: TcState, { actions, proto }: Filter, holder: Holder): void {
  for (const action of actions) {
    if (action.kind === 'bpf') action.prog.release(holder);
    state.indexes.give(action.kind, action.netns, action.index);
    const chain = gotoChain(action.action);
    if (chain !== undefined) letGoOfChain(proto.chain.block, chain);
  }
}
