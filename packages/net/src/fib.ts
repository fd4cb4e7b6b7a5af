/** Where a packet to an address goes: connected prefixes, routes, neighbours. */

import type { InterfaceAddress, NetDevice, NetNamespace, Route } from './device.ts';

/** True where `address` begins with the prefix. */
export function inPrefix(address: Uint8Array, prefix: InterfaceAddress): boolean {
  if (address.length !== prefix.bytes.length) return false;
  for (let bit = 0; bit < prefix.prefix; bit += 8) {
    const at = bit >> 3;
    const mask = prefix.prefix - bit >= 8 ? 0xff : (0xff << (8 - (prefix.prefix - bit))) & 0xff;
    if ((address[at]! & mask) !== (prefix.bytes[at]! & mask)) return false;
  }
  return true;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** True where a device of the namespace has the address, or a local route leads to it. */
export function isLocal(netns: NetNamespace, address: Uint8Array): boolean {
  if (netns.routes.some(({ type, dst }) => type === 'local' && inPrefix(address, dst))) return true;
  return netns.devices.some((device) => device.addresses.some(({ bytes }) => sameBytes(bytes, address)));
}

/** What routing says: the device, the next hop, and the source address that would be used. */
export interface FibResult {
  readonly type: 'unicast' | 'local' | 'blackhole' | 'unreachable' | 'prohibit';
  readonly dev: NetDevice;
  readonly nexthop: Uint8Array;
  readonly gateway: boolean;
  readonly src: Uint8Array | undefined;
  readonly mtu: number;
}

/** The longest prefix that holds the address, connected prefixes included. */
export function fibLookup(netns: NetNamespace, address: Uint8Array): FibResult | undefined {
  const connected = netns.devices.flatMap((dev) =>
    dev.up ? dev.addresses.map((dst): Route => ({ dst, dev, src: dst.bytes })) : [],
  );
  const best = [...netns.routes, ...connected]
    .filter((route) => inPrefix(address, route.dst))
    .sort((a, b) => b.dst.prefix - a.dst.prefix || (a.metric ?? 0) - (b.metric ?? 0))[0];
  if (!best) return undefined;
  const local = isLocal(netns, address);
  const src = best.src ?? best.dev.addresses.find(({ bytes }) => bytes.length === address.length)?.bytes;
  return {
    type: local ? 'local' : (best.type ?? 'unicast'),
    dev: best.dev,
    nexthop: best.via ?? address,
    gateway: best.via !== undefined,
    src,
    mtu: best.mtu ?? best.dev.mtu,
  };
}

/** The link address of a next hop. */
export function neighbourOf(netns: NetNamespace, dev: NetDevice, address: Uint8Array): Uint8Array | undefined {
  return netns.neighbours.find((entry) => entry.dev === dev && sameBytes(entry.address, address))?.mac;
}
