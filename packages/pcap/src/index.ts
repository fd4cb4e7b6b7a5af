import { PcapError, type Capture } from './capture.ts';
import { isPcap, readPcap } from './pcap.ts';
import { isPcapng, readPcapng } from './pcapng.ts';

export { isPcapError, LINKTYPE_ETHERNET, linkTypeName, PcapError } from './capture.ts';
export type { Capture, CapturedPacket, PcapErrorCode } from './capture.ts';
export { VERDICT_TC, VERDICT_XDP, writePcapng } from './write.ts';
export type { PacketToWrite } from './write.ts';

/**
 * Reads a capture: pcap (micro- or nanoseconds, either byte order) or pcapng.
 * Throws {@link PcapError} that names the byte where the file is cut or damaged.
 */
export function readCapture(bytes: Uint8Array): Capture {
  if (isPcapng(bytes)) return readPcapng(bytes);
  if (isPcap(bytes)) return readPcap(bytes);
  throw new PcapError('not-a-capture', 0, 'this is neither a pcap nor a pcapng file');
}
