/** What the host does with a packet that tc let pass: packet sockets see it, then raw sockets, then the UDP or TCP socket that it is for. */

import type { NetDevice } from './device.ts';
import { isLocal } from './fib.ts';
import { ETH_HLEN, ETH_P_ALL, ipText, IPPROTO_TCP, IPPROTO_UDP, readNetwork, type FrameInfo } from './packet.ts';
import { PACKET_OTHERHOST, SKB_SOCKET_ASSIGNED, type Skb } from './skb.ts';
import { lookupTcp, lookupUdp } from './socket-lookup.ts';
import type { Socket } from './socket.ts';

const UDP_HLEN = 8;
const VLAN_VID_MASK = 0xfff;

/** True where somebody took it. No VLAN devices are here: a tagged frame is for nobody on this host, and its tag is gone. */
export function deliver(device: NetDevice, skb: Skb): boolean {
  const { sockets } = device.netns;
  if (sockets.size === 0) return false;
  if (skb.get('vlan_present') !== 0) {
    if ((skb.get('vlan_tci') & VLAN_VID_MASK) !== 0) skb.set('pkt_type', PACKET_OTHERHOST);
    skb.clearVlan();
  }
  const tapped = toPacketSockets(device, skb, skb.protocol, skb.get('pkt_type'));
  if (skb.get('pkt_type') === PACKET_OTHERHOST) return tapped;
  return toHost(device, skb) || tapped;
}

/** What ETH_P_ALL sockets capture of a frame that comes in (before tc) or goes out (behind it). */
export function tap(device: NetDevice, skb: Skb, packetType?: number): void {
  if (device.netns.sockets.size > 0) toPacketSockets(device, skb, ETH_P_ALL, packetType ?? skb.get('pkt_type'));
}

function toPacketSockets(device: NetDevice, skb: Skb, protocol: number, packetType: number): boolean {
  let taken = false;
  for (const { options, received } of device.netns.sockets) {
    if (options.type !== 'packet' || (options.device && options.device !== device)) continue;
    if ((options.protocol ?? ETH_P_ALL) !== protocol) continue;
    received.push({ bytes: skb.frame(), device: device.name, mark: skb.get('mark'), packetType });
    taken = true;
  }
  return taken;
}

/** The IP layer: only what is for an address of this host goes on. */
function toHost(device: NetDevice, skb: Skb): boolean {
  const info = readNetwork(skb.bytes(), ETH_HLEN, skb.protocol);
  if (!info.daddr || !info.saddr || !isLocal(device.netns, info.daddr)) return false;
  const raw = toRawSockets(device, skb, info);
  const socket = socketFor(device, skb, info);
  if (!socket) return raw;
  const from = { address: ipText(info.saddr), port: info.sport! };
  const start = info.transport! + (info.protocol === IPPROTO_UDP ? UDP_HLEN : 0);
  socket.received.push({ bytes: skb.bytes().slice(start), from, device: device.name, mark: skb.get('mark') });
  return true;
}

function toRawSockets(device: NetDevice, skb: Skb, info: FrameInfo): boolean {
  let taken = false;
  for (const { options, protocol, address, anyAddress, received } of device.netns.sockets) {
    if (options.type !== 'raw' || protocol !== info.protocol || address.length !== info.daddr!.length) continue;
    if (options.device && options.device !== device) continue;
    if (!anyAddress && ipText(address) !== ipText(info.daddr!)) continue;
    const start = address.length === 4 ? ETH_HLEN : info.transport!;
    received.push({ bytes: skb.bytes().slice(start), device: device.name, mark: skb.get('mark') });
    taken = true;
  }
  return taken;
}

/** The one that bpf_sk_assign chose, whatever the addresses say, or what a lookup finds. */
function socketFor(device: NetDevice, skb: Skb, { protocol, saddr, sport, daddr, dport }: FrameInfo): Socket | undefined {
  if (sport === undefined || dport === undefined) return undefined;
  if (skb.flags & SKB_SOCKET_ASSIGNED) {
    const assigned = device.net.references.at(skb.get('sk'));
    return assigned && assigned.protocol === protocol && !assigned.closed ? assigned : undefined;
  }
  const tuple = { saddr: saddr!, sport, daddr: daddr!, dport, dif: device.ifindex };
  if (protocol === IPPROTO_UDP) return lookupUdp(device.netns, tuple);
  return protocol === IPPROTO_TCP ? lookupTcp(device.netns, tuple) : undefined;
}
