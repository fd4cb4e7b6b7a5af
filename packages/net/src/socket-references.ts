/** Who in flight holds a socket: programs between a lookup and its release, packets that were steered or sent. */

import type { Holder } from '@libbpf-ts/kernel';

import type { Net } from './net.ts';
import { SKB_SOCKET_ASSIGNED, type Skb } from './skb.ts';
import type { Socket } from './socket.ts';

const RUN: Holder = { kind: 'flight', name: 'a program run' };
const PACKET: Holder = { kind: 'flight', name: 'a packet' };

export class SocketReferences {
  readonly #net: Net;
  /** Taken by programs of the run under way and not given back. */
  readonly #borrowed: Socket[] = [];
  /** Something looks after `#borrowed` at the end of the run. */
  #watching = false;

  constructor(net: Net) {
    this.#net = net;
  }

  /** The socket whose `struct bpf_sock` is there; undefined for 0, and for the socket of a test run. */
  at(block: number): Socket | undefined {
    return this.#net.socketsByBlock.get(block >>> 0);
  }

  /** A program looked a socket up. What a trap leaves unreleased goes back at the end of the run. */
  borrow(socket: Socket): number {
    if (!socket.refcounted) return socket.block;
    socket.hold(RUN);
    this.#borrowed.push(socket);
    if (!this.#watching) {
      this.#watching = true;
      this.#net.atRunEnd(() => this.#settle());
    }
    return socket.block;
  }

  /** bpf_sk_release. */
  giveBack(block: number): void {
    const socket = this.at(block);
    const at = socket ? this.#borrowed.lastIndexOf(socket) : -1;
    if (at < 0) return;
    this.#borrowed.splice(at, 1);
    socket!.letGo(RUN);
  }

  #settle(): void {
    this.#watching = false;
    for (const socket of this.#borrowed.splice(0)) socket.letGo(RUN);
  }

  /** The packet belongs to a socket now (`skb->sk`). */
  assign(skb: Skb, socket: Socket): void {
    this.orphan(skb);
    socket.hold(PACKET);
    skb.set('sk', socket.block);
  }

  /** The packet forgets its socket (`skb_orphan`). */
  orphan(skb: Skb): void {
    const block = skb.get('sk');
    if (block === 0) return;
    this.at(block)?.letGo(PACKET);
    skb.set('sk', 0);
    skb.flags &= ~SKB_SOCKET_ASSIGNED;
  }
}
