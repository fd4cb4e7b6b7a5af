/** The socket that BPF_PROG_TEST_RUN gives its packet: unbound, closed, with the addresses of the packet. */

import type { Net } from './net.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from './packet.ts';
import type { Skb } from './skb.ts';
import { SOCK, SOCK_BLOCK_SIZE, TCP_CLOSE } from './socket.ts';

const AF_INET = 2;
const AF_INET6 = 10;

export class TestSocket {
  readonly #net: Net;
  #block = 0;
  #cookie = 0;

  constructor(net: Net) {
    this.#net = net;
  }

  get cookie(): number {
    if (this.#cookie === 0) this.#cookie = this.#net.nextCookie();
    return this.#cookie;
  }

  /** Makes it the packet's; what the packet's protocol is has been read. */
  giveTo(skb: Skb): void {
    const { arena } = this.#net;
    if (this.#block === 0) this.#block = arena.allocate(SOCK_BLOCK_SIZE, 16);
    const at = this.#block;
    const { u8, u32 } = arena;
    u8.fill(0, at, at + SOCK_BLOCK_SIZE);
    u32[(at + SOCK.state) >> 2] = TCP_CLOSE;
    u32[(at + SOCK.rx_queue_mapping) >> 2] = 0xffff_ffff;
    const ip = skb.data + ETH_HLEN;
    if (skb.protocol === ETH_P_IP) {
      u32[(at + SOCK.family) >> 2] = AF_INET;
      u8.copyWithin(at + SOCK.src_ip4, ip + 12, ip + 16);
      u8.copyWithin(at + SOCK.dst_ip4, ip + 16, ip + 20);
    } else if (skb.protocol === ETH_P_IPV6) {
      u32[(at + SOCK.family) >> 2] = AF_INET6;
      u8.copyWithin(at + SOCK.src_ip6, ip + 8, ip + 24);
      u8.copyWithin(at + SOCK.dst_ip6, ip + 24, ip + 40);
    }
    skb.set('sk', at);
  }

  /** In a fork's copy of the memory the block is where it was. */
  twin(net: Net): TestSocket {
    const copy = new TestSocket(net);
    copy.#block = this.#block;
    copy.#cookie = this.#cookie;
    return copy;
  }
}
