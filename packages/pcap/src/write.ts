/** Writes pcapng: one section, one Ethernet interface with nanosecond times, packets with a verdict and a comment. */

import { LINKTYPE_ETHERNET } from './capture.ts';

/** Who decided on a packet, as the option epb_verdict numbers it. */
export const VERDICT_TC = 1;
export const VERDICT_XDP = 2;

export interface PacketToWrite {
  readonly data: Uint8Array;
  readonly originalLength: number;
  /** Nanoseconds since 1970. */
  readonly timestamp: bigint;
  /** epb_verdict: the kind of hook and the code that it returned, signed. */
  readonly verdict?: { readonly kind: typeof VERDICT_TC | typeof VERDICT_XDP; readonly code: bigint };
  readonly comment?: string;
}

const OPT_COMMENT = 1;
const EPB_VERDICT = 7;

const padded = (length: number): number => Math.ceil(length / 4) * 4;

function option(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + padded(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, 4);
  return bytes;
}

function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = 12 + parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  let offset = 8;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  view.setUint32(length - 4, length, true);
  return bytes;
}

const END_OF_OPTIONS = new Uint8Array(4);

function sectionHeader(): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, 0x1a2b3c4d, true);
  view.setUint16(4, 1, true);
  view.setBigInt64(8, -1n, true);
  return block(0x0a0d0d0a, [body, option(4, new TextEncoder().encode('libbpf-ts')), END_OF_OPTIONS]);
}

function interfaceDescription(name: string): Uint8Array {
  const body = new Uint8Array(8);
  new DataView(body.buffer).setUint16(0, LINKTYPE_ETHERNET, true);
  return block(1, [body, option(2, new TextEncoder().encode(name)), option(9, Uint8Array.of(9)), END_OF_OPTIONS]);
}

function enhancedPacket(packet: PacketToWrite): Uint8Array {
  const head = new Uint8Array(20);
  const view = new DataView(head.buffer);
  view.setUint32(4, Number((packet.timestamp >> 32n) & 0xffffffffn), true);
  view.setUint32(8, Number(packet.timestamp & 0xffffffffn), true);
  view.setUint32(12, packet.data.length, true);
  view.setUint32(16, packet.originalLength, true);
  const data = new Uint8Array(padded(packet.data.length));
  data.set(packet.data);
  const options: Uint8Array[] = [];
  if (packet.comment !== undefined) options.push(option(OPT_COMMENT, new TextEncoder().encode(packet.comment)));
  if (packet.verdict) {
    const value = new Uint8Array(9);
    value[0] = packet.verdict.kind;
    new DataView(value.buffer).setBigInt64(1, packet.verdict.code, true);
    options.push(option(EPB_VERDICT, value));
  }
  return block(6, [head, data, ...options, ...(options.length > 0 ? [END_OF_OPTIONS] : [])]);
}

/** A pcapng file of the packets, on one interface of the given name. */
export function writePcapng(packets: Iterable<PacketToWrite>, interfaceName = 'eth0'): Uint8Array {
  const blocks = [sectionHeader(), interfaceDescription(interfaceName)];
  for (const packet of packets) blocks.push(enhancedPacket(packet));
  const bytes = new Uint8Array(blocks.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of blocks) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
