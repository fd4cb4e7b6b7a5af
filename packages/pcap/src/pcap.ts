/** The classic pcap format: a 24-byte header, then records of 16 bytes and the packet. Either byte order, micro- or nanoseconds. */

import { MAXIMUM_SNAPLEN, PcapError, type Capture, type CapturedPacket } from './capture.ts';

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;

interface Header {
  readonly littleEndian: boolean;
  readonly nanosecondsPerTick: bigint;
}

function header(view: DataView): Header | undefined {
  if (view.byteLength < 4) return undefined;
  for (const littleEndian of [true, false]) {
    const magic = view.getUint32(0, littleEndian);
    if (magic === MICROSECONDS) return { littleEndian, nanosecondsPerTick: 1000n };
    if (magic === NANOSECONDS) return { littleEndian, nanosecondsPerTick: 1n };
  }
  return undefined;
}

/** Whether the bytes begin as a pcap file does. */
export function isPcap(bytes: Uint8Array): boolean {
  return header(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)) !== undefined;
}

/** Reads a pcap file; throws {@link PcapError} where it is cut or damaged. */
export function readPcap(bytes: Uint8Array): Capture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = header(view);
  if (found === undefined) throw new PcapError('not-a-capture', 0, 'this is not a pcap file');
  if (bytes.length < 24) throw new PcapError('truncated', bytes.length, 'the pcap file ends within its header of 24 bytes');
  const linkType = view.getUint32(20, found.littleEndian) & 0xffff;
  const packets: CapturedPacket[] = [];
  for (let offset = 24; offset < bytes.length;) {
    const packet = record(bytes, view, offset, packets.length + 1, found);
    packets.push(packet);
    offset += 16 + packet.data.length;
  }
  return { format: 'pcap', linkType, packets };
}

function record(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  number: number,
  { littleEndian, nanosecondsPerTick }: Header,
): CapturedPacket {
  if (offset + 16 > bytes.length)
    throw new PcapError('truncated', offset, `the pcap file ends within the header of packet ${number}`);
  const seconds = view.getUint32(offset, littleEndian);
  const ticks = view.getUint32(offset + 4, littleEndian);
  const length = view.getUint32(offset + 8, littleEndian);
  const originalLength = view.getUint32(offset + 12, littleEndian);
  if (length > MAXIMUM_SNAPLEN)
    throw new PcapError('malformed', offset + 8, `packet ${number} claims ${length} bytes, more than any capture holds`);
  const left = bytes.length - offset - 16;
  if (length > left)
    throw new PcapError(
      'truncated',
      offset + 16,
      `the pcap file is cut in the middle of packet ${number}: ${left} of ${length} bytes are there`,
    );
  return {
    data: bytes.subarray(offset + 16, offset + 16 + length),
    originalLength,
    timestamp: BigInt(seconds) * 1_000_000_000n + BigInt(ticks) * nanosecondsPerTick,
  };
}
