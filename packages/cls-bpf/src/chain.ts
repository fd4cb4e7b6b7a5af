/** Chains of a block: they are there while they hold filters or an action goes on in them. */

import type { Block, Chain } from './model.ts';

/** The chain of that number; a new one that is not in the block yet where there is none. */
export function chainOf(block: Block, index: number): Chain {
  return block.chains.get(index) ?? { block, index, protos: [], holds: 0 };
}

/** `tcf_chain_get_by_act`. */
export function holdChain(block: Block, index: number): void {
  const chain = chainOf(block, index);
  block.chains.set(index, chain);
  chain.holds++;
}

/** `tcf_chain_put_by_act`. */
export function letGoOfChain(block: Block, index: number): void {
  const chain = block.chains.get(index);
  if (!chain) return;
  chain.holds--;
  dropIfUnused(chain);
}

/** Takes a chain out of its block where nothing needs it any more. */
export function dropIfUnused(chain: Chain): void {
  if (chain.protos.length === 0 && chain.holds <= 0) chain.block.chains.delete(chain.index);
}
