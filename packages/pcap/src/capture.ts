/** What a capture holds, and what can be wrong with one. */

/** LINKTYPE_ETHERNET of the pcap registry. */
export const LINKTYPE_ETHERNET = 1;

export interface CapturedPacket {
  /** The bytes captured, from the link layer on; shorter than `originalLength` where the capture was cut by its snap length. */
  readonly data: Uint8Array;
  /** Length of the packet on the wire, in bytes. */
  readonly originalLength: number;
  /** Nanoseconds since 1970; 0 where the capture gives none (simple packet blocks). */
  readonly timestamp: bigint;
}

export interface Capture {
  readonly format: 'pcap' | 'pcapng';
  /** Link type of every packet, from the pcap registry. */
  readonly linkType: number;
  readonly packets: readonly CapturedPacket[];
}

export type PcapErrorCode = 'not-a-capture' | 'truncated' | 'malformed' | 'mixed-link-types';

/** A capture that cannot be read: what is wrong, and at which byte of the file. */
export class PcapError extends Error {
  override readonly name = 'PcapError';
  readonly code: PcapErrorCode;
  /** Offset in the file, in bytes. */
  readonly offset: number;

  constructor(code: PcapErrorCode, offset: number, detail: string) {
    super(`${detail} (at byte ${offset})`);
    this.code = code;
    this.offset = offset;
  }
}

/** Recognises a {@link PcapError} by its shape. */
export function isPcapError(error: unknown): error is PcapError {
  return error instanceof Error && error.name === 'PcapError' && typeof (error as PcapError).offset === 'number';
}

/** Largest packet that any reader accepts, as libpcap limits it: a larger length means a damaged file. */
export const MAXIMUM_SNAPLEN = 262_144;

/** The usual names of link types, for messages. */
export function linkTypeName(linkType: number): string {
  const names: Readonly<Record<number, string>> = {
    0: 'BSD loopback',
    1: 'Ethernet',
    101: 'raw IP',
    105: 'IEEE 802.11',
    113: 'Linux cooked (SLL)',
    127: 'radiotap',
    228: 'raw IPv4',
    229: 'raw IPv6',
    276: 'Linux cooked v2 (SLL2)',
  };
  const name = names[linkType];
  return name === undefined ? `link type ${linkType}` : `${name} (link type ${linkType})`;
}
