/** VLAN tags: the outer one is in the context, further ones are in the frame. */

import type { HelperFactory } from '@libbpf-ts/kernel';

import { ETH_HLEN, ETH_P_8021AD, ETH_P_8021Q, ETH_P_802_2, VLAN_HLEN } from '../packet.ts';
import { swap16, type Skb } from '../skb.ts';
import { failed, helper, skbAt } from './define.ts';

const isTag = (etherType: number): boolean => etherType === ETH_P_8021Q || etherType === ETH_P_8021AD;

/** `proto` is in network order; what is no tag type becomes 802.1Q. */
export const skb_vlan_push: HelperFactory = helper(
  'skb_vlan_push',
  ['u32', 'u32', 'u32'],
  's32',
  (net) => (context, proto, tci) => {
    const skb = skbAt(net, context!);
    const type = swap16(proto!);
    if (skb.get('vlan_present') !== 0) {
      const outer = swap16(skb.get('vlan_proto'));
      skb.insertVlanInline(outer, skb.get('vlan_tci'));
      skb.protocol = outer;
      skb.set('mac_len', skb.get('mac_len') + VLAN_HLEN);
    }
    skb.setVlan(isTag(type) ? type : ETH_P_8021Q, tci! & 0xffff);
    return 0;
  },
);

/** Takes the outer tag off; an inner one then moves into the context. */
export const skb_vlan_pop: HelperFactory = helper('skb_vlan_pop', ['u32'], 's32', (net) => (context) => {
  const skb = skbAt(net, context!);
  if (skb.get('vlan_present') !== 0) skb.clearVlan();
  else {
    if (!isTag(skb.protocol)) return 0;
    if (popInline(skb) < 0) return failed('ENOMEM');
  }
  if (!isTag(skb.protocol)) return 0;
  const proto = skb.protocol;
  const tci = popInline(skb);
  if (tci < 0) return failed('ENOMEM');
  skb.setVlan(proto, tci);
  return 0;
});

/** Removes the tag behind the addresses; its TCI, or -1 where the frame is too short. */
function popInline(skb: Skb): number {
  if (skb.len < ETH_HLEN + VLAN_HLEN) return -1;
  const { u8 } = skb.pool.arena;
  const at = skb.data;
  const tci = (u8[at + 14]! << 8) | u8[at + 15]!;
  u8.copyWithin(at + VLAN_HLEN, at, at + 12);
  skb.pull(VLAN_HLEN);
  skb.set('mac_header', skb.data);
  const type = (u8[skb.data + 12]! << 8) | u8[skb.data + 13]!;
  skb.protocol = type >= 1536 ? type : ETH_P_802_2;
  skb.set('mac_len', skb.get('network_header') - skb.data);
  return tci;
}
