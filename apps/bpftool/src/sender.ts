/** Sends the packets of a capture through a device and tells what became of each. */

import type { VirtualClock } from '@libbpf-ts/kernel';
import type { NetDevice } from '@libbpf-ts/net';
import { VERDICT_TC, type CapturedPacket, type PacketToWrite } from '@libbpf-ts/pcap';
import type { Attached, PacketResult } from './run-result.ts';

const TCX_NEXT = -1;

export interface SenderOptions {
  readonly device: NetDevice;
  /** Follows the times of the capture: bpf_ktime_get_ns() answers what they say. */
  readonly clock: VirtualClock;
  readonly direction: 'ingress' | 'egress';
  readonly attached: readonly Attached[];
}

/** What became of a packet, and the packet as it left the hook where it was not dropped. */
export interface SentPacket {
  readonly result: PacketResult;
  readonly kept: PacketToWrite | undefined;
}

export class Sender {
  readonly #options: SenderOptions;
  /** Names by program id: the kernel's own are cut at 15 characters. */
  readonly #names: ReadonlyMap<number, string>;
  readonly #boot: bigint;
  #first: bigint | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#names = new Map(options.attached.map(({ program }) => [program.id, program.name]));
    this.#boot = options.clock.now();
    options.device.net.tracing = true;
  }

  send({ data, originalLength, timestamp }: CapturedPacket, number: number): SentPacket {
    const { clock, device, direction } = this.#options;
    this.#first ??= timestamp;
    if (timestamp > this.#first) clock.moveTo(this.#boot + timestamp - this.#first);
    const {
      outcome,
      verdict,
      code,
      path: steps,
      frame,
    } = direction === 'ingress' ? device.receive(data) : device.transmit(data);
    const path = steps.map(({ id, prog, ret }) => ({ prog: this.#names.get(id) ?? prog, ret }));
    const result: PacketResult = { packet: number, len: data.length, verdict, code, path };
    if (outcome === 'dropped' || frame === undefined) return { result, kept: undefined };
    const cut = originalLength - data.length;
    return {
      result,
      kept: {
        data: frame,
        originalLength: frame.length + Math.max(0, cut),
        timestamp,
        verdict: { kind: VERDICT_TC, code: BigInt(code) },
        comment: comment(result),
      },
    };
  }
}

/** Which program decided. */
function comment({ verdict, path }: PacketResult): string {
  const last = path.at(-1);
  if (last === undefined) return `${verdict}: no program saw it`;
  if (last.ret === TCX_NEXT) return `${verdict}: ${path.map(({ prog }) => prog).join(', ')} let it pass on`;
  return `${verdict} by ${last.prog} (returned ${last.ret})`;
}
