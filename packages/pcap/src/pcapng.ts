/** The pcapng format: blocks of a type and a length; sections may differ in byte order, interfaces in link type and time resolution. */

import { MAXIMUM_SNAPLEN, PcapError, linkTypeName, type Capture, type CapturedPacket } from './capture.ts';

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  readonly ticksPerSecond: bigint;
  readonly offsetSeconds: bigint;
}

/** One block: its body is [start, end) of the file. */
interface Block {
  readonly type: number;
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

/** Whether the bytes begin as a pcapng file does. */
export function isPcapng(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x0a && bytes[1] === 0x0d && bytes[2] === 0x0d && bytes[3] === 0x0a;
}

/** Reads a pcapng file; throws {@link PcapError} where it is cut, damaged, or mixes link types. */
export function readPcapng(bytes: Uint8Array): Capture {
  const reader = new Reader(bytes);
  for (let offset = 0; offset < bytes.length;) offset = reader.block(offset);
  return { format: 'pcapng', linkType: reader.linkType ?? 1, packets: reader.packets };
}

class Reader {
  readonly packets: CapturedPacket[] = [];
  linkType: number | undefined;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #littleEndian = true;
  #interfaces: Interface[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Reads the block at `offset` and returns where the next begins. */
  block(offset: number): number {
    const block = this.#frame(offset);
    if (block.type === SECTION_HEADER) this.#interfaces = [];
    else if (block.type === INTERFACE_DESCRIPTION) this.#interfaces.push(this.#interface(block));
    else if (block.type === ENHANCED_PACKET) this.#enhanced(block);
    else if (block.type === SIMPLE_PACKET) this.#simple(block);
    else if (block.type === OBSOLETE_PACKET) this.#obsolete(block);
    return block.next;
  }

  #u32(offset: number): number {
    return this.#view.getUint32(offset, this.#littleEndian);
  }

  #u16(offset: number): number {
    return this.#view.getUint16(offset, this.#littleEndian);
  }

  #frame(offset: number): Block {
    const left = this.#bytes.length - offset;
    if (left < 12) throw new PcapError('truncated', offset, 'the pcapng file ends within the header of a block');
    if (this.#view.getUint32(offset, true) === SECTION_HEADER) this.#byteOrder(offset);
    else if (offset === 0) throw new PcapError('not-a-capture', 0, 'this is not a pcapng file');
    const length = this.#u32(offset + 4);
    if (length < 12 || length % 4 !== 0)
      throw new PcapError('malformed', offset + 4, `a block claims a length of ${length} bytes`);
    if (length > left)
      throw new PcapError(
        'truncated',
        offset,
        `the pcapng file is cut in the middle of a block: ${left} of ${length} bytes are there`,
      );
    const repeated = this.#u32(offset + length - 4);
    if (repeated !== length)
      throw new PcapError('malformed', offset + length - 4, `a block ends with length ${repeated}, it began with ${length}`);
    return { type: this.#u32(offset), start: offset + 8, end: offset + length - 4, next: offset + length };
  }

  #byteOrder(offset: number): void {
    if (this.#view.getUint32(offset + 8, true) === BYTE_ORDER_MAGIC) this.#littleEndian = true;
    else if (this.#view.getUint32(offset + 8, false) === BYTE_ORDER_MAGIC) this.#littleEndian = false;
    else throw new PcapError('malformed', offset + 8, 'a section has no byte order magic');
  }

  #need(block: Block, length: number, what: string): void {
    if (block.end - block.start < length)
      throw new PcapError('malformed', block.start, `${what} is shorter than its ${length} fixed bytes`);
  }

  #interface(block: Block): Interface {
    this.#need(block, 8, 'an interface description');
    let ticksPerSecond = 1_000_000n;
    let offsetSeconds = 0n;
    for (let at = block.start + 8; at + 4 <= block.end;) {
      const code = this.#u16(at);
      const length = this.#u16(at + 2);
      if (code === 0) break;
      if (at + 4 + length > block.end) throw new PcapError('malformed', at, 'an option reaches beyond its block');
      if (code === IF_TSRESOL && length === 1) {
        const resolution = this.#bytes[at + 4]!;
        ticksPerSecond = resolution & 0x80 ? 1n << BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
      }
      if (code === IF_TSOFFSET && length === 8) offsetSeconds = this.#view.getBigInt64(at + 4, this.#littleEndian);
      at += 4 + Math.ceil(length / 4) * 4;
    }
    return { linkType: this.#u16(block.start), snapLength: this.#u32(block.start + 4), ticksPerSecond, offsetSeconds };
  }

  #enhanced(block: Block): void {
    this.#need(block, 20, 'an enhanced packet block');
    const from = this.#interfaceOf(block, this.#u32(block.start));
    const ticks = (BigInt(this.#u32(block.start + 4)) << 32n) | BigInt(this.#u32(block.start + 8));
    this.#packet(block, from, block.start + 20, this.#u32(block.start + 12), this.#u32(block.start + 16), ticks);
  }

  #obsolete(block: Block): void {
    this.#need(block, 20, 'a packet block');
    const from = this.#interfaceOf(block, this.#u16(block.start));
    const ticks = (BigInt(this.#u32(block.start + 4)) << 32n) | BigInt(this.#u32(block.start + 8));
    this.#packet(block, from, block.start + 20, this.#u32(block.start + 12), this.#u32(block.start + 16), ticks);
  }

  #simple(block: Block): void {
    this.#need(block, 4, 'a simple packet block');
    const from = this.#interfaceOf(block, 0);
    const originalLength = this.#u32(block.start);
    const limit = from.snapLength === 0 ? originalLength : Math.min(originalLength, from.snapLength);
    this.#packet(block, from, block.start + 4, limit, originalLength, undefined);
  }

  #interfaceOf(block: Block, index: number): Interface {
    const found = this.#interfaces[index];
    if (found === undefined)
      throw new PcapError(
        'malformed',
        block.start,
        `a packet names interface ${index}, its section describes ${this.#interfaces.length}`,
      );
    return found;
  }

  #packet(
    block: Block,
    from: Interface,
    start: number,
    length: number,
    originalLength: number,
    ticks: bigint | undefined,
  ): void {
    const number = this.packets.length + 1;
    if (length > MAXIMUM_SNAPLEN)
      throw new PcapError('malformed', block.start, `packet ${number} claims ${length} bytes, more than any capture holds`);
    if (start + length > block.end)
      throw new PcapError(
        'malformed',
        block.start,
        `packet ${number} claims ${length} bytes, its block holds ${block.end - start}`,
      );
    this.linkType ??= from.linkType;
    if (this.linkType !== from.linkType) {
      throw new PcapError(
        'mixed-link-types',
        block.start,
        `packet ${number} is ${linkTypeName(from.linkType)}, those before it are ${linkTypeName(this.linkType)}`,
      );
    }
    const timestamp =
      ticks === undefined ? 0n : (ticks * 1_000_000_000n) / from.ticksPerSecond + from.offsetSeconds * 1_000_000_000n;
    this.packets.push({ data: this.#bytes.subarray(start, start + length), originalLength, timestamp });
  }
}
