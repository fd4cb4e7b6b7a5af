/** The flow hash of a packet. */

import type { HelperFactory } from '@libbpf-ts/kernel';

import { ETH_HLEN, readNetwork } from '../packet.ts';
import { SKB_HASH_KNOWN, type Skb } from '../skb.ts';
import { helper, skbAt } from './define.ts';

export function clearHash(skb: Skb): void {
  skb.set('hash', 0);
  skb.flags &= ~SKB_HASH_KNOWN;
}

/** A hash over addresses, protocol and ports, never 0: like the kernel's in that a flow keeps it, unlike it in its value. */
function flowHash(skb: Skb, seed: number): number {
  const {
    etherType,
    saddr = [],
    daddr = [],
    protocol = 0,
    sport = 0,
    dport = 0,
  } = readNetwork(skb.bytes(), ETH_HLEN, skb.protocol);
  let hash = seed | 0;
  const mix = (value: number): void => {
    hash = Math.imul(hash ^ value, 0x0100_0193);
    hash ^= hash >>> 15;
  };
  for (const byte of saddr) mix(byte);
  for (const byte of daddr) mix(byte);
  mix(etherType);
  mix(protocol);
  mix(sport);
  mix(dport);
  return hash === 0 ? 1 : hash;
}

export const get_hash_recalc: HelperFactory = helper('get_hash_recalc', ['u32'], 'u32', (net) => (context) => {
  const skb = skbAt(net, context!);
  if ((skb.flags & SKB_HASH_KNOWN) === 0) {
    skb.set('hash', flowHash(skb, net.hashSeed));
    skb.flags |= SKB_HASH_KNOWN;
  }
  return skb.get('hash') | 0;
});

export const set_hash_invalid: HelperFactory = helper('set_hash_invalid', ['u32'], 's32', (net) => (context) => {
  clearHash(skbAt(net, context!));
  return 0;
});

export const set_hash: HelperFactory = helper('set_hash', ['u32', 'u32'], 's32', (net) => (context, hash) => {
  const skb = skbAt(net, context!);
  skb.set('hash', hash!);
  skb.flags |= SKB_HASH_KNOWN;
  return 0;
});
