/** A frame as an XDP program sees it: `struct xdp_md`, followed by fields of ours, over the buffer of a packet. */

import type { Skb } from '@libbpf-ts/net';
import { SKB_TAILROOM } from '@libbpf-ts/net';
import type { Arena } from '@libbpf-ts/vm';

/** Byte offsets from the context's address. */
export const XDP = {
  data: 0,
  data_end: 4,
  data_meta: 8,
  ingress_ifindex: 12,
  rx_queue_index: 16,
  egress_ifindex: 20,
  /** Start of the buffer, and the last address that the frame may grow to. */
  hard_start: 24,
  hard_end: 28,
  /** Bytes of the frame that are not linear. */
  frags: 32,
  size: 48,
} as const;
export type XdpField = Exclude<keyof typeof XDP, 'size'>;

/** Room that `struct xdp_frame` needs at the start of the buffer. */
export const XDP_FRAME_SIZE = 40;

/** Contexts that are not in use; runs nest. */
export class XdpPool {
  readonly arena: Arena;
  readonly #free: number[];

  constructor(arena: Arena, from?: XdpPool) {
    this.arena = arena;
    this.#free = from ? [...from.#free] : [];
  }

  take(): XdpFrame {
    const address = this.#free.pop() ?? this.arena.allocate(XDP.size);
    this.arena.u8.fill(0, address, address + XDP.size);
    return new XdpFrame(this.arena, address);
  }

  give(frame: XdpFrame): void {
    this.#free.push(frame.address);
  }
}

export class XdpFrame {
  readonly arena: Arena;
  readonly address: number;

  constructor(arena: Arena, address: number) {
    this.arena = arena;
    this.address = address;
  }

  get(field: XdpField): number {
    return this.arena.u32[(this.address + XDP[field]) >> 2]!;
  }
  set(field: XdpField, value: number): void {
    this.arena.u32[(this.address + XDP[field]) >> 2] = value;
  }

  /** Points it at a packet that has not been looked at yet. */
  open(skb: Skb): void {
    this.set('data', skb.data);
    this.set('data_end', skb.get('data_end'));
    this.set('data_meta', skb.get('data_meta'));
    this.set('hard_start', skb.get('head'));
    this.set('hard_end', skb.get('end') - SKB_TAILROOM);
  }

  /** Tells the packet what the program changed. */
  close(skb: Skb): void {
    const data = this.get('data');
    skb.set('data', data);
    skb.set('data_end', this.get('data_end'));
    skb.set('len', this.get('data_end') - data);
    skb.set('data_meta', this.get('data_meta'));
    skb.set('mac_header', data);
  }
}
