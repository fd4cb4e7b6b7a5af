/** Builds and reads frames: Ethernet, VLAN tags, ARP, IPv4, IPv6, UDP, TCP and ICMP headers, as much as hooks and tests need. */

import { checksum, fold16, partialSum } from './checksum.ts';

export const ETH_HLEN = 14;
export const VLAN_HLEN = 4;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_8021AD = 0x88a8;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_802_3 = 0x0001;
export const ETH_P_ALL = 0x0003;
export const ETH_P_802_2 = 0x0004;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ICMPV6 = 58;

/** A MAC address as six bytes, from `aa:bb:cc:dd:ee:ff` or bytes. */
export function macBytes(address: string | Uint8Array): Uint8Array {
  if (typeof address !== 'string') return address;
  const bytes = Uint8Array.from(address.split(':'), (part) => Number.parseInt(part, 16));
  if (bytes.length !== 6) throw new RangeError(`not a MAC address: ${address}`);
  return bytes;
}

export function macText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** An IPv4 or IPv6 address as 4 or 16 bytes. */
export function ipBytes(address: string | Uint8Array): Uint8Array {
  if (typeof address !== 'string') return address;
  return address.includes(':') ? ipv6Bytes(address) : ipv4Bytes(address);
}

function ipv4Bytes(address: string): Uint8Array {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255)))
    throw new RangeError(`not an IPv4 address: ${address}`);
  return Uint8Array.from(parts);
}

function ipv6Bytes(address: string): Uint8Array {
  const [head = '', tail] = address.split('::');
  const words = (text: string): number[] =>
    text
      .split(':')
      .filter(Boolean)
      .map((word) => Number.parseInt(word, 16));
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const gap = 8 - left.length - right.length;
  if (gap < 0 || (tail === undefined && gap !== 0)) throw new RangeError(`not an IPv6 address: ${address}`);
  const bytes = new Uint8Array(16);
  [...left, ...Array.from({ length: gap }, () => 0), ...right].forEach((word, at) => {
    bytes[at * 2] = word >> 8;
    bytes[at * 2 + 1] = word & 0xff;
  });
  return bytes;
}

export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: 8 }, (_, at) => ((bytes[at * 2]! << 8) | bytes[at * 2 + 1]!).toString(16));
  const text = words.join(':');
  const zeros = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length)[0];
  return zeros
    ? text
        .replace(zeros[0], ':')
        .replace(/^:(?!:)/, '::')
        .replace(/(?<!:):$/, '::')
    : text;
}

export interface FrameOptions {
  readonly src?: string | Uint8Array;
  readonly dst?: string | Uint8Array;
  /** Tags from the outside in; `proto` is ETH_P_8021Q by default. */
  readonly vlan?: readonly { readonly tci: number; readonly proto?: number }[];
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** 16-bit words in network order. */
function words(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

/** An Ethernet frame around a payload. */
export function ethernet(etherType: number, payload: Uint8Array, options: FrameOptions = {}): Uint8Array {
  const tags = (options.vlan ?? []).flatMap(({ tci, proto = ETH_P_8021Q }) => [words(proto, tci)]);
  const dst = macBytes(options.dst ?? '02:00:00:00:00:02');
  const src = macBytes(options.src ?? '02:00:00:00:00:01');
  return join(dst, src, ...tags, words(etherType), payload);
}

export interface IpOptions extends FrameOptions {
  readonly saddr?: string;
  readonly daddr?: string;
  readonly ttl?: number;
  readonly tos?: number;
}

/** An IPv4 or IPv6 packet without a link header; the family follows the addresses. */
export function ip(protocol: number, payload: Uint8Array, options: IpOptions = {}): Uint8Array {
  const saddr = ipBytes(options.saddr ?? '10.0.0.1');
  const daddr = ipBytes(options.daddr ?? (saddr.length === 4 ? '10.0.0.2' : 'fd00::2'));
  const ttl = options.ttl ?? 64;
  const tos = options.tos ?? 0;
  if (saddr.length === 16) {
    return join(words(0x6000 | (tos << 4), 0, payload.length, (protocol << 8) | ttl), saddr, daddr, payload);
  }
  const header = join(words(0x4500 | tos, 20 + payload.length, 0, 0x4000, (ttl << 8) | protocol, 0), saddr, daddr);
  header.set(words(checksum(header)), 10);
  return join(header, payload);
}

/** The sum of the pseudo header that UDP, TCP and ICMPv6 checksums begin with. */
export function pseudoHeaderSum(saddr: Uint8Array, daddr: Uint8Array, protocol: number, length: number): number {
  return partialSum(saddr, partialSum(daddr)) + protocol + length;
}

function transportChecksum(protocol: number, segment: Uint8Array, options: IpOptions): number {
  const saddr = ipBytes(options.saddr ?? '10.0.0.1');
  const daddr = ipBytes(options.daddr ?? (saddr.length === 4 ? '10.0.0.2' : 'fd00::2'));
  return ~fold16(partialSum(segment, pseudoHeaderSum(saddr, daddr, protocol, segment.length))) & 0xffff;
}

export interface UdpOptions extends IpOptions {
  readonly sport?: number;
  readonly dport?: number;
  readonly payload?: Uint8Array | string;
}

const payloadBytes = (payload: Uint8Array | string | undefined): Uint8Array =>
  typeof payload === 'string' ? new TextEncoder().encode(payload) : (payload ?? new Uint8Array(0));

const etherTypeOf = (options: IpOptions): number => (options.saddr?.includes(':') ? ETH_P_IPV6 : ETH_P_IP);

/** A whole frame: Ethernet, IPv4 or IPv6, UDP with its checksum. */
export function udp(options: UdpOptions = {}): Uint8Array {
  const body = payloadBytes(options.payload);
  const segment = join(words(options.sport ?? 40000, options.dport ?? 53, 8 + body.length, 0), body);
  segment.set(words(transportChecksum(IPPROTO_UDP, segment, options) || 0xffff), 6);
  return ethernet(etherTypeOf(options), ip(IPPROTO_UDP, segment, options), options);
}

export interface TcpOptions extends UdpOptions {
  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16. SYN by default. */
  readonly flags?: number;
  readonly seq?: number;
}

/** A whole frame: Ethernet, IPv4 or IPv6, TCP without options. */
export function tcp(options: TcpOptions = {}): Uint8Array {
  const seq = options.seq ?? 1;
  const segment = join(
    words(
      options.sport ?? 40000,
      options.dport ?? 80,
      seq >>> 16,
      seq & 0xffff,
      0,
      0,
      0x5000 | (options.flags ?? 2),
      0xffff,
      0,
      0,
    ),
    payloadBytes(options.payload),
  );
  segment.set(words(transportChecksum(IPPROTO_TCP, segment, options)), 16);
  return ethernet(etherTypeOf(options), ip(IPPROTO_TCP, segment, options), options);
}

/** A whole frame: an ICMP (or ICMPv6) echo request. */
export function icmpEcho(options: UdpOptions = {}): Uint8Array {
  const six = etherTypeOf(options) === ETH_P_IPV6;
  const segment = join(words(six ? 0x8000 : 0x0800, 0, 1, 1), payloadBytes(options.payload ?? 'ping'));
  segment.set(words(six ? transportChecksum(IPPROTO_ICMPV6, segment, options) : checksum(segment)), 2);
  return ethernet(etherTypeOf(options), ip(six ? IPPROTO_ICMPV6 : IPPROTO_ICMP, segment, options), options);
}

/** What `readFrame` found. Offsets are from the start of the frame; a layer that is missing or cut is absent. */
export interface FrameInfo {
  readonly etherType: number;
  readonly network: number;
  readonly protocol?: number;
  readonly saddr?: Uint8Array;
  readonly daddr?: Uint8Array;
  readonly transport?: number;
  readonly sport?: number;
  readonly dport?: number;
}

const u16At = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

/** Dissects a frame down to its ports. Inline VLAN tags are skipped; `etherType` given means that the frame starts behind them. */
export function readFrame(frame: Uint8Array): FrameInfo {
  let at = 12;
  let etherType = frame.length >= 14 ? u16At(frame, at) : 0;
  while ((etherType === ETH_P_8021Q || etherType === ETH_P_8021AD) && frame.length >= at + 6) {
    at += VLAN_HLEN;
    etherType = u16At(frame, at);
  }
  return readNetwork(frame, at + 2, etherType);
}

/** Dissects what lies behind the link header. */
export function readNetwork(frame: Uint8Array, network: number, etherType: number): FrameInfo {
  if (etherType === ETH_P_IP && frame.length >= network + 20) {
    const protocol = frame[network + 9]!;
    const transport = network + (frame[network]! & 15) * 4;
    const fragment = (u16At(frame, network + 6) & 0x1fff) !== 0;
    const addresses = { saddr: frame.slice(network + 12, network + 16), daddr: frame.slice(network + 16, network + 20) };
    return { etherType, network, protocol, ...addresses, ...(fragment ? {} : ports(frame, transport, protocol)) };
  }
  if (etherType === ETH_P_IPV6 && frame.length >= network + 40) {
    const protocol = frame[network + 6]!;
    const addresses = { saddr: frame.slice(network + 8, network + 24), daddr: frame.slice(network + 24, network + 40) };
    return { etherType, network, protocol, ...addresses, ...ports(frame, network + 40, protocol) };
  }
  return { etherType, network };
}

function ports(frame: Uint8Array, transport: number, protocol: number): Pick<FrameInfo, 'transport' | 'sport' | 'dport'> {
  const hasPorts = protocol === IPPROTO_TCP || protocol === IPPROTO_UDP;
  if (!hasPorts || frame.length < transport + 4) return { transport };
  return { transport, sport: u16At(frame, transport), dport: u16At(frame, transport + 2) };
}
