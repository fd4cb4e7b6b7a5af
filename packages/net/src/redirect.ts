/** What bpf_redirect and its relatives ask for, and how it is done. Mirrors skb_do_redirect and xdp_do_redirect. */

import { BPF_F_INGRESS, BPF_F_NEIGH, BPF_F_PEER } from '@libbpf-ts/uapi';

import type { NetDevice } from './device.ts';
import { fibLookup, neighbourOf, type FibResult } from './fib.ts';
import { placeAt, scrub, type Net, type Outcome } from './net.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6, VLAN_HLEN } from './packet.ts';
import type { Skb } from './skb.ts';

/** `struct bpf_redirect_info`. */
export interface RedirectInfo {
  /** ifindex of the target; 0 is none. */
  ifindex: number;
  flags: number;
  /** bpf_redirect_neigh with a next hop of the program's choice. */
  nexthop: Uint8Array | undefined;
  /** Set by bpf_redirect_map: sends the frame where the map entry says. */
  map: ((net: Net, device: NetDevice, skb: Skb) => Outcome) | undefined;
}

export function emptyRedirect(): RedirectInfo {
  return { ifindex: 0, flags: 0, nexthop: undefined, map: undefined };
}

/** TC_ACT_REDIRECT: takes the packet where the last bpf_redirect said. Without a target it is dropped. */
export function doRedirect(net: Net, device: NetDevice, skb: Skb, atIngress: boolean): Outcome {
  const { ifindex, flags, nexthop } = net.redirect;
  net.redirect = emptyRedirect();
  const target = device.netns.byIndex(ifindex);
  if (!target) return dropped(net, device, skb);
  if (flags & BPF_F_PEER) return toPeer(net, device, target, skb, atIngress);
  if (flags & BPF_F_NEIGH) return toNeighbour(net, target, skb, nexthop);
  return forward(net, target, skb, flags);
}

/** `__bpf_redirect`: into a device's ingress, or out of it. Takes the packet over. */
export function forward(net: Net, target: NetDevice, skb: Skb, flags: number): Outcome {
  if (flags & BPF_F_INGRESS) {
    if (!forwardable(target, skb)) return dropped(net, target, skb);
    net.enqueue(target, scrub(skb, false));
    return 'redirected';
  }
  return (net.send(target, skb) ?? 'dropped') === 'dropped' ? 'dropped' : 'redirected';
}

/** `is_skb_forwardable`. */
export function forwardable(target: NetDevice, skb: Skb): boolean {
  if (!target.up) return false;
  return skb.get('gso_size') !== 0 || skb.len <= target.mtu + ETH_HLEN + VLAN_HLEN;
}

/** bpf_redirect_peer: from a host-side veth at ingress straight into the namespace of the other end. */
function toPeer(net: Net, device: NetDevice, target: NetDevice, skb: Skb, atIngress: boolean): Outcome {
  const { peer } = target;
  if (!atIngress || !peer?.up || peer.netns === device.netns) return dropped(net, device, skb);
  placeAt(skb, peer);
  scrub(skb, false);
  skb.set('ingress_ifindex', peer.ifindex);
  peer.stats.rx_packets++;
  peer.stats.rx_bytes += skb.len;
  return net.ingress(peer, skb) === 'dropped' ? 'dropped' : 'redirected';
}

/** bpf_redirect_neigh: fills in the MAC addresses of the next hop. */
function toNeighbour(net: Net, target: NetDevice, skb: Skb, nexthop: Uint8Array | undefined): Outcome {
  const { u8 } = net.arena;
  const at = skb.data + ETH_HLEN;
  const six = skb.protocol === ETH_P_IPV6;
  if ((!six && skb.protocol !== ETH_P_IP) || skb.len < ETH_HLEN + (six ? 40 : 20)) return dropped(net, target, skb);
  const daddr = six ? u8.slice(at + 24, at + 40) : u8.slice(at + 16, at + 20);
  const route = nexthop ? undefined : fibLookup(target.netns, daddr, { oif: target });
  if (route?.type === 'local' && !six) {
    // An address of the target leads to lo, all of whose neighbours have the address of zeros that it has itself: with these the packet leaves.
    u8.fill(0, skb.data, skb.data + 12);
  } else {
    const hop = nexthop ?? nextHop(route, target, daddr);
    const mac = hop && neighbourOf(target.netns, target, hop);
    if (!mac) return dropped(net, target, skb);
    u8.set(mac, skb.data);
    u8.set(target.mac, skb.data + 6);
  }
  return (net.send(target, skb) ?? 'dropped') === 'dropped' ? 'dropped' : 'redirected';
}

/**
 * Where a packet that leaves by `target` goes next (`bpf_out_neigh_v4`, `bpf_out_neigh_v6`). IPv4 takes an address that it has no route to by
 * this device for a neighbour.
 */
function nextHop(route: FibResult | undefined, target: NetDevice, daddr: Uint8Array): Uint8Array | undefined {
  if (route?.type === 'unicast') return route.dev === target ? route.nexthop : undefined;
  return daddr.length === 4 && route?.type !== 'broadcast' ? daddr : undefined;
}

/** XDP_REDIRECT: to the device that bpf_redirect or a map entry names, past its tc hooks. */
export function xdpRedirect(net: Net, device: NetDevice, skb: Skb): Outcome {
  const info = net.redirect;
  net.redirect = emptyRedirect();
  if (info.map) return info.map(net, device, skb);
  const target = device.netns.byIndex(info.ifindex);
  if (!target || !target.up || skb.len > target.mtu + ETH_HLEN + VLAN_HLEN) return dropped(net, device, skb);
  placeAt(skb, target);
  return net.xmit(target, skb) === 'dropped' ? 'dropped' : 'redirected';
}

function dropped(net: Net, device: NetDevice, skb: Skb): Outcome {
  device.stats.rx_dropped++;
  net.skbs.free(skb);
  return 'dropped';
}
