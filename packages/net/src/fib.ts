/** Where a packet to an address goes: connected prefixes, routes, neighbours. */

import type { InterfaceAddress, NetDevice, NetNamespace, Route, RouteType } from './device.ts';

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
  readonly type: RouteType;
  readonly dev: NetDevice;
  readonly nexthop: Uint8Array;
  readonly gateway: boolean;
  readonly src: Uint8Array | undefined;
  readonly mtu: number;
  readonly metric: number;
}

/** Which routes a lookup may use. */
export interface FibQuery {
  /** Only this table, past all rules. */
  readonly table?: number;
  /** Only routes out of this device; IPv6 does not heed it. */
  readonly oif?: NetDevice;
  /** For rules that match marks; 0 by default. */
  readonly mark?: number;
}

export const RT_TABLE_DEFAULT = 253;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
/** What the kernel gives IPv6 routes without a metric: those of prefixes, and all others. IPv4 gives 0. */
const IP6_PREFIX_METRIC = 256;
const IP6_USER_METRIC = 1024;

/** The first table in the order of the rules that has a route; in it the longest prefix wins, then the lower metric. */
export function fibLookup(netns: NetNamespace, address: Uint8Array, query: FibQuery = {}): FibResult | undefined {
  const routes = [
    ...netns.routes,
    ...netns.devices.flatMap((dev) => (dev.up ? dev.addresses.flatMap((own) => routesOf(dev, own)) : [])),
  ];
  const usable = routes.filter(
    (route) => inPrefix(address, route.dst) && leadsOut(route, address.length === 4 ? query.oif : undefined),
  );
  const tables = query.table === undefined ? tablesFor(netns, query.mark ?? 0) : [query.table];
  for (const table of tables) {
    const best = usable
      .filter((route) => tableOf(route) === table)
      .sort((a, b) => b.dst.prefix - a.dst.prefix || metricOf(a) - metricOf(b))[0];
    if (best) return resultOf(best, address);
  }
  return undefined;
}

/** The local table comes first, then those of matching rules, then main and default. */
function tablesFor(netns: NetNamespace, mark: number): number[] {
  const rules = netns.rules
    .filter((rule) => ((mark ^ rule.mark) & (rule.mask ?? -1)) === 0)
    .sort((a, b) => a.priority - b.priority);
  return [RT_TABLE_LOCAL, ...rules.map(({ table }) => table), RT_TABLE_MAIN, RT_TABLE_DEFAULT];
}

/** What comes with an address: its prefix in the main table; itself, and broadcast or anycast addresses in the local one. */
function routesOf(dev: NetDevice, { bytes, prefix }: InterfaceAddress): Route[] {
  const whole = bytes.length * 8;
  const local: Route[] = [{ dst: { bytes, prefix: whole }, dev, src: bytes, type: 'local' }];
  if (dev.kind === 'loopback')
    return bytes.length === 4 ? [{ dst: { bytes, prefix }, dev, src: bytes, type: 'local' }, ...local] : local;
  if (prefix === whole) return local;
  const end = { bytes: withHostBits(bytes, prefix, bytes.length === 4), prefix: whole };
  const special: Route = { dst: end, dev, type: bytes.length === 4 ? 'broadcast' : 'anycast' };
  const connected: Route = {
    dst: { bytes, prefix },
    dev,
    ...(bytes.length === 4 ? { src: bytes } : { metric: IP6_PREFIX_METRIC }),
  };
  return bytes.length === 4 && prefix === 31 ? [...local, connected] : [...local, special, connected];
}

function withHostBits(bytes: Uint8Array, prefix: number, set: boolean): Uint8Array {
  return bytes.map((byte, at) => {
    const host = 0xff >> Math.min(8, Math.max(0, prefix - at * 8));
    return set ? byte | host : byte & ~host;
  });
}

function leadsOut(route: Route, oif: NetDevice | undefined): boolean {
  if (route.type === 'blackhole' || route.type === 'unreachable' || route.type === 'prohibit') return true;
  return route.dev.up && (oif === undefined || route.dev === oif);
}

function tableOf({ table, type }: Route): number {
  return table ?? (type === 'local' || type === 'broadcast' || type === 'anycast' ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
}

function metricOf({ metric, dst }: Route): number {
  return metric ?? (dst.bytes.length === 4 ? 0 : IP6_USER_METRIC);
}

function resultOf(route: Route, address: Uint8Array): FibResult {
  return {
    type: route.type ?? 'unicast',
    dev: route.dev,
    nexthop: route.via ?? address,
    gateway: route.via !== undefined,
    src: route.src ?? (address.length === 4 ? sourceFor4(route.dev, route.via) : sourceFor6(route.dev, address)),
    mtu: route.mtuLocked ? (route.mtu ?? route.dev.mtu) : route.dev.mtu,
    metric: metricOf(route),
  };
}

/** An IPv4 source (`inet_select_addr`): of the subnet that the gateway is in, or else the first of the device, or of another one. */
function sourceFor4(dev: NetDevice, via: Uint8Array | undefined): Uint8Array | undefined {
  const [own, ...others] = addressesFrom(dev, 4);
  return (
    (via && own!.find((prefix) => inPrefix(via, prefix))?.bytes) ??
    [own!, ...others].find((list) => list.length > 0)?.[0]!.bytes
  );
}

/**
 * An IPv6 source by the first, fifth and eighth rule of RFC 6724: the address itself, then those of the device, then the longest match.
 * Of equals the one added last, as the kernel keeps them.
 */
function sourceFor6(dev: NetDevice, address: Uint8Array): Uint8Array | undefined {
  const [own, ...others] = addressesFrom(dev, 16).map((list) => list.toReversed());
  if ([own!, ...others].some((list) => list.some(({ bytes }) => sameBytes(bytes, address)))) return address;
  const match = ({ bytes, prefix }: InterfaceAddress): number => Math.min(prefix, commonBits(bytes, address));
  return (own!.length > 0 ? own! : others.flat()).toSorted((a, b) => match(b) - match(a))[0]?.bytes;
}

/** Addresses of a family by device, the given one first and lo left out. */
function addressesFrom(dev: NetDevice, length: number): InterfaceAddress[][] {
  const others = dev.netns.devices.filter((other) => other !== dev && other.kind !== 'loopback' && other.up);
  return [dev, ...others].map(({ addresses }) => addresses.filter(({ bytes }) => bytes.length === length));
}

function commonBits(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? a.length * 8 : at * 8 + Math.clz32(a[at]! ^ b[at]!) - 24;
}

/** The link address of a next hop. */
export function neighbourOf(netns: NetNamespace, dev: NetDevice, address: Uint8Array): Uint8Array | undefined {
  return netns.neighbours.find((entry) => entry.dev === dev && sameBytes(entry.address, address))?.mac;
}
