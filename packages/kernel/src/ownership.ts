/** Why an object is alive: the chains of holders from it to a root. */

import { holderText, type Holder } from './holder.ts';
import type { Kernel } from './kernel.ts';
import type { KernelObject, ObjectKind } from './object.ts';

export interface HolderChain {
  /** From the object outwards: who holds it, who holds that, … The last one is a root, or closes a circle. */
  readonly holders: readonly Holder[];
  /** `prog 7 ← link 7 ← fd 12 of task cilium`. */
  readonly text: string;
  /** The last holder is held by something that is in the chain already: the circle keeps itself alive. */
  readonly circular: boolean;
}

const MOST = 1000;

/** At most 1,000 chains, shortest first. */
export function findChains(kernel: Kernel, object: KernelObject, taskName: (id: number) => string): HolderChain[] {
  const found: HolderChain[] = [];
  const queue: { readonly at: KernelObject; readonly holders: Holder[]; readonly seen: readonly KernelObject[] }[] = [
    { at: object, holders: [], seen: [object] },
  ];
  const start = `${object.kind} ${object.id}`;
  for (let next = queue.shift(); next && found.length < MOST; next = queue.shift()) {
    for (const holder of next.at.holders()) {
      const holders = [...next.holders, holder];
      const above = holderObject(kernel, holder);
      const circular = above !== undefined && next.seen.includes(above);
      if (above && !circular) queue.push({ at: above, holders, seen: [...next.seen, above] });
      else found.push({ holders, circular, text: [start, ...holders.map((h) => holderText(h, taskName))].join(' ← ') });
    }
  }
  return found;
}

function holderObject(kernel: Kernel, holder: Holder): KernelObject | undefined {
  if (holder.kind !== 'link' && holder.kind !== 'map' && holder.kind !== 'prog') return undefined;
  return kernel.object(holder.kind as ObjectKind, holder.id);
}
