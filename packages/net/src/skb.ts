/**
 * A packet on its way: a context laid out as `struct __sk_buff`, followed by fields of ours, and a linear buffer, all in the arena.
 * Programs read and write the context as it is, so every change of a packet keeps `len`, `data`, `data_end`, … true.
 */

import { __sk_buff } from '@libbpf-ts/uapi';
import type { Arena } from '@libbpf-ts/vm';

import { ETH_HLEN, ETH_P_8021AD, ETH_P_8021Q, ETH_P_802_2, ETH_P_802_3, VLAN_HLEN } from './packet.ts';

const offset = (field: Parameters<typeof __sk_buff.offsetOf>[0]): number => __sk_buff.offsetOf(field);

/** Byte offsets from the context's address. */
export const SKB: Readonly<Record<SkbField, number>> = {
  len: offset('len'),
  pkt_type: offset('pkt_type'),
  mark: offset('mark'),
  queue_mapping: offset('queue_mapping'),
  protocol: offset('protocol'),
  vlan_present: offset('vlan_present'),
  vlan_tci: offset('vlan_tci'),
  vlan_proto: offset('vlan_proto'),
  priority: offset('priority'),
  ingress_ifindex: offset('ingress_ifindex'),
  ifindex: offset('ifindex'),
  tc_index: offset('tc_index'),
  cb: offset('cb'),
  hash: offset('hash'),
  tc_classid: offset('tc_classid'),
  data: offset('data'),
  data_end: offset('data_end'),
  napi_id: offset('napi_id'),
  family: offset('family'),
  data_meta: offset('data_meta'),
  tstamp: offset('tstamp'),
  wire_len: offset('wire_len'),
  gso_segs: offset('gso_segs'),
  gso_size: offset('gso_size'),
  sk: offset('sk'),
  tstamp_type: offset('tstamp_type'),
  hwtstamp: offset('hwtstamp'),
  /** Start and end of the buffer. */
  head: 192,
  end: 196,
  /** Addresses of the layers' headers. */
  mac_header: 200,
  network_header: 204,
  transport_header: 208,
  mac_len: 212,
  /** CHECKSUM_NONE, _UNNECESSARY, _COMPLETE, _PARTIAL; sum; levels that are known good. */
  ip_summed: 216,
  csum: 220,
  csum_level: 224,
  /** HASH_KNOWN, IS_CLONED, … */
  flags: 228,
  gso_type: 232,
  /** Tunnel metadata: address of a block, or 0. */
  tunnel: 236,
  /** Uid of the device that it is at. */
  device: 240,
};
export type SkbField =
  | 'len'
  | 'pkt_type'
  | 'mark'
  | 'queue_mapping'
  | 'protocol'
  | 'vlan_present'
  | 'vlan_tci'
  | 'vlan_proto'
  | 'priority'
  | 'ingress_ifindex'
  | 'ifindex'
  | 'tc_index'
  | 'cb'
  | 'hash'
  | 'tc_classid'
  | 'data'
  | 'data_end'
  | 'napi_id'
  | 'family'
  | 'data_meta'
  | 'tstamp'
  | 'wire_len'
  | 'gso_segs'
  | 'gso_size'
  | 'sk'
  | 'tstamp_type'
  | 'hwtstamp'
  | 'head'
  | 'end'
  | 'mac_header'
  | 'network_header'
  | 'transport_header'
  | 'mac_len'
  | 'ip_summed'
  | 'csum'
  | 'csum_level'
  | 'flags'
  | 'gso_type'
  | 'tunnel'
  | 'device';
export const SKB_SIZE = 256;

export const CHECKSUM_NONE = 0;
export const CHECKSUM_UNNECESSARY = 1;
export const CHECKSUM_COMPLETE = 2;
export const CHECKSUM_PARTIAL = 3;

export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;

/** Bits of the private `flags` field. */
export const SKB_HASH_KNOWN = 1;
/** bpf_sk_assign chose the socket: whoever delivers the packet gives it to that one. */
export const SKB_SOCKET_ASSIGNED = 2;
/** It is at tc ingress (`skb_at_tc_ingress`). */
export const SKB_AT_INGRESS = 4;

/** Room in front of a received frame, as drivers that serve XDP leave it. */
export const SKB_HEADROOM = 256;
/** Room kept behind, as struct skb_shared_info takes it in the kernel. */
export const SKB_TAILROOM = 320;

/** 16 bits between host and network order. */
export const swap16 = (value: number): number => ((value & 0xff) << 8) | ((value >> 8) & 0xff);

/** Where a packet's bytes come from: `SkbPool`. */
export interface SkbMemory {
  readonly arena: Arena;
  /** Bytes of the largest buffer. */
  readonly largestBuffer: number;
  takeBuffer(size: number): { readonly start: number; readonly end: number };
  giveBuffer(start: number, end: number): void;
}

/** Bytes of a tunnel block: struct bpf_tunnel_key (44), option length at 48, options from 52 on (up to 256). */
export const TUNNEL_SIZE = 312;

/**
 * Word offsets of the fields that every packet's way touches: an access by a field's name looks the name up, which costs as much as
 * the rest of the way together.
 */
const WORD = {
  len: SKB.len >> 2,
  pkt_type: SKB.pkt_type >> 2,
  protocol: SKB.protocol >> 2,
  vlan_present: SKB.vlan_present >> 2,
  data: SKB.data >> 2,
  data_end: SKB.data_end >> 2,
  data_meta: SKB.data_meta >> 2,
  head: SKB.head >> 2,
  end: SKB.end >> 2,
  mac_header: SKB.mac_header >> 2,
  network_header: SKB.network_header >> 2,
  transport_header: SKB.transport_header >> 2,
  mac_len: SKB.mac_len >> 2,
  flags: SKB.flags >> 2,
  sk: SKB.sk >> 2,
} as const;

/** One packet. `address` is the context that programs get. */
export class Skb {
  readonly pool: SkbMemory;
  readonly address: number;
  /** Word index of the context in the arena. */
  readonly #at: number;

  constructor(pool: SkbMemory, address: number) {
    this.pool = pool;
    this.address = address;
    this.#at = address >> 2;
  }

  get(field: SkbField): number {
    return this.pool.arena.u32[(this.address + SKB[field]) >> 2]!;
  }

  set(field: SkbField, value: number): void {
    this.pool.arena.u32[(this.address + SKB[field]) >> 2] = value;
  }

  get data(): number {
    return this.pool.arena.u32[this.#at + WORD.data]!;
  }
  get len(): number {
    return this.pool.arena.u32[this.#at + WORD.len]!;
  }
  get headroom(): number {
    return this.data - this.get('head');
  }
  get tailroom(): number {
    return this.get('end') - this.get('data_end') - SKB_TAILROOM;
  }
  /** Bytes of XDP metadata in front of the packet. */
  get metaLength(): number {
    return this.data - this.get('data_meta');
  }
  /** EtherType in host order. */
  get protocol(): number {
    return swap16(this.pool.arena.u32[this.#at + WORD.protocol]!);
  }
  set protocol(etherType: number) {
    this.pool.arena.u32[this.#at + WORD.protocol] = swap16(etherType);
  }
  /** It belongs to a socket. */
  get hasSocket(): boolean {
    return this.pool.arena.u32[this.#at + WORD.sk] !== 0;
  }
  get flags(): number {
    return this.pool.arena.u32[this.#at + WORD.flags]!;
  }
  set flags(bits: number) {
    this.pool.arena.u32[this.#at + WORD.flags] = bits;
  }

  /** The packet's bytes, live: do not keep them over a change of the packet. */
  bytes(): Uint8Array {
    return this.pool.arena.u8.subarray(this.data, this.pool.arena.u32[this.#at + WORD.data_end]);
  }

  /** Points the packet, empty, into a buffer. */
  adopt(start: number, end: number, data: number): void {
    const words = this.pool.arena.u32;
    const at = this.#at;
    words[at + WORD.head] = start;
    words[at + WORD.end] = end;
    words[at + WORD.data] = data;
    words[at + WORD.data_end] = data;
    words[at + WORD.data_meta] = data;
    words[at + WORD.mac_header] = data;
    words[at + WORD.network_header] = data;
    words[at + WORD.transport_header] = data;
    words[at + WORD.len] = 0;
  }

  /** Grows at the end. The caller has checked the room. */
  put(bytes: number): void {
    const words = this.pool.arena.u32;
    words[this.#at + WORD.data_end]! += bytes;
    words[this.#at + WORD.len]! += bytes;
  }

  /** Cuts or (with zeros not written) grows to a length that fits. */
  setLength(len: number): void {
    this.set('data_end', this.data + len);
    this.set('len', len);
  }

  /** Moves the start forward; metadata no longer touches the packet and is gone. */
  pull(bytes: number): void {
    this.#moveData(this.data + bytes);
  }

  /** Moves the start back into the headroom, over the metadata if there is any. The caller has checked the room. */
  push(bytes: number): void {
    this.#moveData(this.data - bytes);
  }

  #moveData(to: number): void {
    this.set('len', this.len + this.data - to);
    this.set('data', to);
    this.set('data_meta', to);
  }

  /** True where a buffer can hold the packet with so many bytes in front. */
  fits(headroom: number): boolean {
    return Math.max(headroom, this.headroom) + this.len + SKB_TAILROOM <= this.pool.largestBuffer;
  }

  /** Makes room: at least so much in front and behind. Moves the packet to a larger buffer where needed; addresses then change. */
  ensureRoom(headroom: number, tailroom: number): void {
    if (this.headroom >= headroom && this.tailroom >= tailroom) return;
    const oldHead = this.get('head');
    const oldEnd = this.get('end');
    const front = Math.max(headroom, this.headroom);
    const { start, end } = this.pool.takeBuffer(front + this.len + tailroom + SKB_TAILROOM);
    const shift = start + front - this.data;
    const from = this.get('data_meta');
    this.pool.arena.u8.copyWithin(from + shift, from, this.get('data_end'));
    for (const field of ['data', 'data_end', 'data_meta', 'mac_header', 'network_header', 'transport_header'] as const) {
      this.set(field, this.get(field) + shift);
    }
    this.set('head', start);
    this.set('end', end);
    this.pool.giveBuffer(oldHead, oldEnd);
  }

  /** What `eth_type_trans` finds out, with `data` left at the MAC header: protocol, kind of destination, header offsets. */
  readEthernet(address: Uint8Array): void {
    const { u8, u32: words } = this.pool.arena;
    const at = this.#at;
    const mac = words[at + WORD.data]!;
    words[at + WORD.mac_header] = mac;
    words[at + WORD.mac_len] = ETH_HLEN;
    words[at + WORD.network_header] = mac + ETH_HLEN;
    words[at + WORD.transport_header] = mac + ETH_HLEN;
    words[at + WORD.pkt_type] = destinationKind(u8, mac, address);
    const type = (u8[mac + 12]! << 8) | u8[mac + 13]!;
    if (type >= 1536) this.protocol = type;
    else this.protocol = u8[mac + 14] === 0xff && u8[mac + 15] === 0xff ? ETH_P_802_3 : ETH_P_802_2;
  }

  /** The type field as it stands, a length too: what a packet socket makes of a frame that it sends (`eth_header_parse_protocol`). */
  readRawProtocol(): void {
    const { u8 } = this.pool.arena;
    this.protocol = (u8[this.data + 12]! << 8) | u8[this.data + 13]!;
  }

  /** Moves an inline outer tag to the context (`skb_vlan_untag`). False where the frame is too short for it. */
  untagVlan(): boolean {
    const proto = this.protocol;
    if (proto !== ETH_P_8021Q && proto !== ETH_P_8021AD) return true;
    if (this.get('vlan_present') !== 0) return true;
    if (this.len < ETH_HLEN + VLAN_HLEN + 2) return false;
    const { u8 } = this.pool.arena;
    const at = this.data;
    this.setVlan(proto, (u8[at + 14]! << 8) | u8[at + 15]!);
    u8.copyWithin(at + VLAN_HLEN, at, at + 12);
    const meta = this.metaLength;
    this.pull(VLAN_HLEN);
    if (meta > 0) this.#keepMeta(meta, at - meta);
    this.set('mac_header', this.data);
    this.set('network_header', this.data + ETH_HLEN);
    this.set('transport_header', this.data + ETH_HLEN);
    const type = (u8[this.data + 12]! << 8) | u8[this.data + 13]!;
    this.protocol = type >= 1536 ? type : ETH_P_802_2;
    return true;
  }

  /** Metadata moves along so that it still ends where the packet starts. */
  #keepMeta(length: number, from: number): void {
    this.pool.arena.u8.copyWithin(this.data - length, from, from + length);
    this.set('data_meta', this.data - length);
  }

  setVlan(proto: number, tci: number): void {
    this.set('vlan_proto', swap16(proto));
    this.set('vlan_tci', tci);
    this.set('vlan_present', 1);
  }

  clearVlan(): void {
    this.set('vlan_proto', 0);
    this.set('vlan_tci', 0);
    this.set('vlan_present', 0);
  }

  /** Writes a tag behind the MAC addresses (`__vlan_insert_tag`); `data` is at the MAC header. */
  insertVlanInline(proto: number, tci: number): void {
    this.ensureRoom(VLAN_HLEN, 0);
    const { u8 } = this.pool.arena;
    this.push(VLAN_HLEN);
    const at = this.data;
    u8.copyWithin(at, at + VLAN_HLEN, at + VLAN_HLEN + 12);
    u8.set([proto >> 8, proto & 0xff, tci >> 8, tci & 0xff], at + 12);
    this.set('mac_header', at);
  }

  /** The frame as it is on the wire: with the tag that the context holds put back inline. */
  frame(): Uint8Array {
    const { u8, u32: words } = this.pool.arena;
    const bytes = u8.slice(words[this.#at + WORD.data]!, words[this.#at + WORD.data_end]!);
    if (words[this.#at + WORD.vlan_present] === 0 || bytes.length < 12) return bytes;
    const out = new Uint8Array(bytes.length + VLAN_HLEN);
    const proto = swap16(this.get('vlan_proto'));
    const tci = this.get('vlan_tci');
    out.set(bytes.subarray(0, 12));
    out.set([proto >> 8, proto & 0xff, (tci >> 8) & 0xff, tci & 0xff], 12);
    out.set(bytes.subarray(12), 16);
    return out;
  }
}

/** PACKET_HOST for the device's own address, PACKET_BROADCAST, PACKET_MULTICAST, or PACKET_OTHERHOST. */
function destinationKind(u8: Uint8Array, mac: number, own: Uint8Array): number {
  let isOwn = true;
  let isBroadcast = true;
  for (let i = 0; i < 6; i++) {
    const byte = u8[mac + i];
    if (byte !== own[i]) isOwn = false;
    if (byte !== 0xff) isBroadcast = false;
  }
  if (isOwn) return PACKET_HOST;
  if (isBroadcast) return PACKET_BROADCAST;
  return (u8[mac]! & 1) !== 0 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}
