/** The parts of a fork's own stack: namespaces with their devices, routes, sockets. */

import { NetDevice, NetNamespace } from './device.ts';
import type { Net } from './net.ts';
import { Socket } from './socket.ts';

export function copyNamespace(
  netns: NetNamespace,
  net: Net,
  twins: Map<NetDevice, NetDevice>,
  into: Map<number, NetNamespace>,
): void {
  const copy = new NetNamespace(net, netns.id, netns.name);
  copy.forwarding = netns.forwarding;
  into.set(netns.id, copy);
  for (const device of netns.devices) {
    const twin = new NetDevice(net, device.kind, device.name, copy, device.uid, device.ifindex);
    twin.mac = device.mac.slice();
    twin.mtu = device.mtu;
    twin.up = device.up;
    twin.forwarding = device.forwarding;
    Object.assign(twin.stats, device.stats);
    twin.ingress.qdiscs = device.ingress.qdiscs;
    twin.egress.qdiscs = device.egress.qdiscs;
    twin.addresses.push(...device.addresses);
    twin.sent.push(...device.sent);
    twins.set(device, twin);
    copy.adopt(twin, netns.lastIndex);
  }
  copy.lastIndex = netns.lastIndex;
}

export function copyRoutes(from: NetNamespace, to: NetNamespace, twins: Map<NetDevice, NetDevice>): void {
  to.routes.push(...from.routes.map((route) => ({ ...route, dev: twins.get(route.dev)! })));
  to.rules.push(...from.rules);
  to.neighbours.push(...from.neighbours.map((entry) => ({ ...entry, dev: twins.get(entry.dev)! })));
}

export function copySockets(from: NetNamespace, to: NetNamespace, twins: Map<NetDevice, NetDevice>): void {
  for (const socket of from.sockets) {
    const { device } = socket.options;
    new Socket(to, device ? { ...socket.options, device: twins.get(device) ?? device } : socket.options, socket);
  }
}
