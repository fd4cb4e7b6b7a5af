/** What the host does with a packet that tc let pass: packet sockets see it, UDP sockets take it. */

import type { NetDevice } from './device.ts';
import { isLocal } from './fib.ts';
import { ETH_HLEN, ipText, IPPROTO_UDP, readNetwork } from './packet.ts';
import { PACKET_OTHERHOST, type Skb } from './skb.ts';

/** True where somebody took it. */
export function deliver(device: NetDevice, skb: Skb): boolean {
  const { sockets } = device.netns;
  if (sockets.size === 0) return false;
  let taken = false;
  for (const socket of sockets) {
    if (socket.options.type !== 'packet' || (socket.options.device && socket.options.device !== device)) continue;
    socket.received.push({ bytes: skb.frame(), device: device.name, mark: skb.get('mark') });
    taken = true;
  }
  if (skb.get('pkt_type') === PACKET_OTHERHOST) return taken;
  return deliverUdp(device, skb) || taken;
}

function deliverUdp(device: NetDevice, skb: Skb): boolean {
  const info = readNetwork(skb.bytes(), ETH_HLEN, skb.protocol);
  const { daddr, saddr, sport, dport, transport } = info;
  if (
    info.protocol !== IPPROTO_UDP ||
    !daddr ||
    !saddr ||
    dport === undefined ||
    sport === undefined ||
    transport === undefined
  )
    return false;
  if (!isLocal(device.netns, daddr)) return false;
  for (const socket of device.netns.sockets) {
    if (!socket.takes(daddr, dport)) continue;
    const from = { address: ipText(saddr), port: sport };
    socket.received.push({ bytes: skb.bytes().slice(transport + 8), from, device: device.name, mark: skb.get('mark') });
    return true;
  }
  return false;
}
