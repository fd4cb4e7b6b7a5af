/** Contexts and buffers of packets, kept for the next one. */

import type { Arena } from '@libbpf-ts/vm';

import { Skb, SKB_SIZE, SKB_HEADROOM, SKB_TAILROOM, TUNNEL_SIZE, type SkbMemory } from './skb.ts';

const BUFFER_SIZES: readonly number[] = [2048, 4096, 16384, 65536 + 4096];

/** Which of the buffer sizes holds so many bytes; -1 for none. */
function sizeClass(size: number): number {
  for (let cls = 0; cls < BUFFER_SIZES.length; cls++) if (BUFFER_SIZES[cls]! >= size) return cls;
  return -1;
}

/** Contexts and buffers that are not in use. Packets nest (clone_redirect), so nothing here is a singleton. */
export class SkbPool implements SkbMemory {
  readonly arena: Arena;
  readonly largestBuffer: number = BUFFER_SIZES.at(-1)!;
  readonly #contexts: number[];
  readonly #buffers: number[][];
  /** Packets handed out and not freed. */
  inUse = 0;
  /** Gives a socket back that a packet held: called with the packet, whose `sk` is not 0. */
  dropSocket: (skb: Skb) => void = () => {};

  constructor(arena: Arena, from?: SkbPool) {
    this.arena = arena;
    this.#contexts = from ? [...from.#contexts] : [];
    this.#buffers = BUFFER_SIZES.map((_, cls) => (from ? [...from.#buffers[cls]!] : []));
  }

  /** An empty packet with room for `size` bytes between `headroom` and `tailroom`. Throws ENOMEM. */
  allocate(size: number, headroom: number = SKB_HEADROOM, tailroom: number = SKB_TAILROOM): Skb {
    const address = this.#contexts.pop() ?? this.arena.allocate(SKB_SIZE, 16);
    this.arena.u8.fill(0, address, address + SKB_SIZE);
    const skb = new Skb(this, address);
    const { start, end } = this.takeBuffer(headroom + size + tailroom);
    skb.adopt(start, end, start + headroom);
    this.inUse++;
    return skb;
  }

  /** A packet with these bytes, its MAC header at their start. */
  fromBytes(bytes: Uint8Array, headroom: number = SKB_HEADROOM): Skb {
    const skb = this.allocate(bytes.length, headroom);
    this.arena.u8.set(bytes, skb.data);
    skb.put(bytes.length);
    return skb;
  }

  /** A copy with a buffer of its own (`skb_copy`); programs cannot tell it from a clone. It has no socket. */
  clone(skb: Skb): Skb {
    const copy = this.allocate(skb.get('end') - skb.get('head'), 0, 0);
    const { u8 } = this.arena;
    const shift = copy.get('head') - skb.get('head');
    const [head, end] = [copy.get('head'), copy.get('end')];
    u8.copyWithin(copy.get('head'), skb.get('head'), skb.get('end'));
    u8.copyWithin(copy.address, skb.address, skb.address + SKB_SIZE);
    for (const field of ['data', 'data_end', 'data_meta', 'mac_header', 'network_header', 'transport_header'] as const) {
      if (skb.get(field) !== 0) copy.set(field, skb.get(field) + shift);
    }
    copy.set('head', head);
    copy.set('end', end);
    copy.set('sk', 0);
    if (skb.get('tunnel') !== 0) {
      const tunnel = this.arena.allocate(TUNNEL_SIZE);
      this.arena.u8.copyWithin(tunnel, skb.get('tunnel'), skb.get('tunnel') + TUNNEL_SIZE);
      copy.set('tunnel', tunnel);
    }
    return copy;
  }

  free(skb: Skb): void {
    this.giveBuffer(skb.get('head'), skb.get('end'));
    if (skb.hasSocket) this.dropSocket(skb);
    if (skb.get('tunnel') !== 0) {
      this.arena.free(skb.get('tunnel'));
      skb.set('tunnel', 0);
    }
    this.#contexts.push(skb.address);
    this.inUse--;
  }

  takeBuffer(size: number): { readonly start: number; readonly end: number } {
    const cls = sizeClass(size);
    if (cls < 0) {
      const start = this.arena.allocate(size, 16);
      return { start, end: start + size };
    }
    const start = this.#buffers[cls]!.pop() ?? this.arena.allocate(BUFFER_SIZES[cls]!, 16);
    return { start, end: start + BUFFER_SIZES[cls]! };
  }

  giveBuffer(start: number, end: number): void {
    const cls = BUFFER_SIZES.indexOf(end - start);
    if (cls < 0) this.arena.free(start);
    else this.#buffers[cls]!.push(start);
  }

  /** Gives all idle memory back to the arena. */
  drain(): void {
    for (const context of this.#contexts.splice(0)) this.arena.free(context);
    for (const list of this.#buffers) for (const start of list.splice(0)) this.arena.free(start);
  }
}
