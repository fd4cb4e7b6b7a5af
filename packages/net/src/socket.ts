/**
 * Sockets, as many as hooks need to find, steer to and see packets arrive at: UDP, TCP without its state machine, raw IP, AF_PACKET.
 * Programs see one as a `struct bpf_sock` in the arena, which is kept true here.
 */

import type { Fork, Holder, Leak, Twinnable } from '@libbpf-ts/kernel';
import { KernelError } from '@libbpf-ts/uapi';

import type { NetDevice, NetNamespace } from './device.ts';
import { ipBytes, ipText, IPPROTO_TCP, IPPROTO_UDP } from './packet.ts';
import { swap16 } from './skb.ts';
import { netOf } from './subsystem.ts';

/** One datagram (UDP), segment with its header (TCP), packet from the IPv4 header on (raw; without the header for IPv6), or frame (packet socket) that arrived. */
export interface Datagram {
  readonly bytes: Uint8Array;
  readonly from?: { readonly address: string; readonly port: number };
  readonly device: string;
  readonly mark: number;
  /** Packet sockets: PACKET_HOST, PACKET_OTHERHOST, PACKET_OUTGOING, … */
  readonly packetType?: number;
}

/** `listen`, `established` and `time_wait` are what a TCP socket may be here; it stays that. */
export type TcpState = 'listen' | 'established' | 'time_wait';

export interface SocketOptions {
  readonly type: 'udp' | 'tcp' | 'raw' | 'packet';
  /** Local address; `::` or `0.0.0.0` (the default) is any. The family follows it. */
  readonly address?: string | Uint8Array;
  readonly port?: number;
  /** The other end, where the socket is connected. */
  readonly remote?: { readonly address: string | Uint8Array; readonly port: number };
  /** TCP: `established` where there is a remote end, else `listen`. */
  readonly state?: TcpState;
  /** It came from accept(2), not connect(2): an IPv6 socket then shows its remote end as an IPv4 address, too. */
  readonly accepted?: boolean;
  /** One device only (SO_BINDTODEVICE; for packet sockets, what bind(2) says). */
  readonly device?: NetDevice;
  /** IPV6_V6ONLY: an IPv6 socket that takes no IPv4. */
  readonly v6only?: boolean;
  /**
   * Raw sockets: the IP protocol. Packet sockets: ETH_P_ALL (the default) sees frames before tc at ingress and behind it at egress; another
   * EtherType sees what tc let in.
   */
  readonly protocol?: number;
  readonly mark?: number;
  readonly priority?: number;
  /** Who owns it; 0 by default. */
  readonly uid?: number;
}

const AF_INET = 2;
const AF_INET6 = 10;
const AF_PACKET = 17;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
export const TCP_ESTABLISHED = 1;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_LISTEN = 10;
const STATES: Readonly<Record<TcpState, number>> = {
  established: TCP_ESTABLISHED,
  time_wait: TCP_TIME_WAIT,
  listen: TCP_LISTEN,
};

/** Offsets in `struct bpf_sock`; the socket's `struct bpf_tcp_sock` lies behind it. */
export const SOCK = {
  bound_dev_if: 0,
  family: 4,
  type: 8,
  protocol: 12,
  mark: 16,
  priority: 20,
  src_ip4: 24,
  src_ip6: 28,
  src_port: 44,
  dst_port: 48,
  dst_ip4: 52,
  dst_ip6: 56,
  state: 72,
  rx_queue_mapping: 76,
  tcp: 80,
} as const;
/** bpf_sock (80) and bpf_tcp_sock (112). */
export const SOCK_BLOCK_SIZE = 192;
const TCP_SOCK = { snd_cwnd: 0, rtt_min: 8, snd_ssthresh: 12, mss_cache: 28 } as const;
const INIT_CWND = 10;
const INFINITE_SSTHRESH = 0x7fff_ffff;
const DEFAULT_MSS = 536;
/** What an IPv6 socket shows as its IPv4 address: 127.0.0.6 in network order, a name for "not IPv4". */
const LOOPBACK4_IPV6 = Uint8Array.of(127, 0, 0, 6);

const isAny = (address: Uint8Array): boolean => address.every((byte) => byte === 0);

export class Socket implements Twinnable {
  readonly netns: NetNamespace;
  readonly options: SocketOptions;
  readonly received: Datagram[] = [];
  /** Number of the socket in its stack, from 1 on (SO_COOKIE). */
  readonly cookie: number;
  /** Its `struct bpf_sock` in the arena. */
  readonly block: number;
  readonly address: Uint8Array;
  readonly remote: { readonly address: Uint8Array; readonly port: number } | undefined;
  /** TCP_* state number; TCP_CLOSE for an unconnected socket of another kind. */
  readonly state: number;
  #closed = false;
  /** Open (1, until closed), and by whom: packets on their way, programs that run. */
  readonly #holders: Holder[] = [];

  constructor(netns: NetNamespace, options: SocketOptions, from?: Socket) {
    this.netns = netns;
    this.options = options;
    this.address = ipBytes(options.address ?? '0.0.0.0');
    const { remote } = options;
    this.remote = remote && { address: ipBytes(remote.address), port: remote.port };
    this.state = stateOf(options);
    const { net } = netns;
    this.cookie = from?.cookie ?? net.nextCookie();
    this.block = from?.block ?? net.arena.allocate(SOCK_BLOCK_SIZE, 16);
    netns.sockets.add(this);
    net.socketsByBlock.set(this.block, this);
    if (from) this.received.push(...from.received);
    else this.#writeBlock();
  }

  get closed(): boolean {
    return this.#closed;
  }

  get family(): number {
    return this.options.type === 'packet' ? AF_PACKET : this.address.length === 4 ? AF_INET : AF_INET6;
  }

  get protocol(): number {
    const { type, protocol } = this.options;
    return type === 'udp' ? IPPROTO_UDP : type === 'tcp' ? IPPROTO_TCP : (protocol ?? 0);
  }

  /** The local address is any. */
  get anyAddress(): boolean {
    return isAny(this.address);
  }

  /** `sk_is_refcounted`: a lookup takes a reference that its program must give back. Others are kept by RCU. */
  get refcounted(): boolean {
    return this.options.type === 'tcp' && this.state !== TCP_LISTEN;
  }

  /** `sk_fullsock`: not a TIME_WAIT rest. */
  get full(): boolean {
    return this.state !== TCP_TIME_WAIT;
  }

  /** Takes the socket out of its namespace; its memory goes when no packet and no program holds it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.netns.sockets.delete(this);
    this.#freeIfUnused();
  }

  /** Somebody keeps it beyond `close`. */
  hold(holder: Holder): void {
    this.#holders.push(holder);
  }

  /** Gives back what `hold` took, by the same object. */
  letGo(holder: Holder): void {
    const at = this.#holders.lastIndexOf(holder);
    if (at < 0) throw new Error(`socket ${this.cookie} is not held by this`);
    this.#holders.splice(at, 1);
    this.#freeIfUnused();
  }

  get holders(): readonly Holder[] {
    return this.#holders;
  }

  /** What keeps it, for `kernel.leaks()`. */
  leak(holderText: (holder: Holder) => string): Leak {
    const holders = this.#holders;
    const by = holders.length === 0 ? 'the host' : holders.map(holderText).join(', ');
    const name = `${this}`;
    return { kind: 'socket', id: this.cookie, name, holders, text: `socket ${this.cookie} (${name}) held by ${by}` };
  }

  /** `udp 10.0.0.1:53`. */
  toString(): string {
    const { type, port, device } = this.options;
    if (type === 'packet') return `packet${device ? ` ${device}` : ''}`;
    const to = this.remote ? ` -> ${ipText(this.remote.address)}:${this.remote.port}` : '';
    return `${type} ${ipText(this.address)}:${port ?? 0}${to}`;
  }

  makeTwin(fork: Fork): Socket {
    const twin = netOf(fork.kernel).socketsByBlock.get(this.block);
    if (!twin) throw new Error(`socket ${this.cookie} is not in the fork: it was closed`);
    return twin;
  }

  #freeIfUnused(): void {
    if (!this.#closed || this.#holders.length > 0) return;
    const { net } = this.netns;
    net.socketsByBlock.delete(this.block);
    net.arena.free(this.block);
  }

  #writeBlock(): void {
    const { type, device, mark = 0, priority = 0, port = 0 } = this.options;
    const { view, u8 } = this.netns.net.arena;
    const at = this.block;
    u8.fill(0, at, at + SOCK_BLOCK_SIZE);
    view.setUint32(at + SOCK.bound_dev_if, device?.ifindex ?? 0, true);
    view.setUint32(at + SOCK.family, this.family, true);
    view.setUint32(at + SOCK.type, type === 'tcp' ? SOCK_STREAM : type === 'udp' ? SOCK_DGRAM : SOCK_RAW, true);
    view.setUint32(at + SOCK.protocol, this.protocol, true);
    view.setUint32(at + SOCK.mark, mark, true);
    view.setUint32(at + SOCK.priority, priority, true);
    view.setUint32(at + SOCK.state, this.state, true);
    view.setInt32(at + SOCK.rx_queue_mapping, -1, true);
    if (type === 'packet') return;
    view.setUint32(at + SOCK.src_port, port, true);
    this.#writeAddress(at + SOCK.src_ip4, at + SOCK.src_ip6, this.address);
    if (this.remote) {
      view.setUint32(at + SOCK.dst_port, swap16(this.remote.port), true);
      this.#writeAddress(at + SOCK.dst_ip4, at + SOCK.dst_ip6, this.remote.address);
      if (this.remote.address.length === 16 && !this.options.accepted) u8.fill(0, at + SOCK.dst_ip4, at + SOCK.dst_ip4 + 4);
    }
    if (type !== 'tcp') return;
    view.setUint32(at + SOCK.tcp + TCP_SOCK.snd_cwnd, INIT_CWND, true);
    view.setUint32(at + SOCK.tcp + TCP_SOCK.rtt_min, 0xffff_ffff, true);
    view.setUint32(at + SOCK.tcp + TCP_SOCK.snd_ssthresh, INFINITE_SSTHRESH, true);
    view.setUint32(at + SOCK.tcp + TCP_SOCK.mss_cache, DEFAULT_MSS, true);
  }

  /** The IPv6 fields of a TCP connection over IPv4 hold the mapped address; those of other IPv4 sockets stay zero. */
  #writeAddress(four: number, six: number, address: Uint8Array): void {
    const { u8 } = this.netns.net.arena;
    if (address.length === 16) {
      u8.set(address, six);
      if (!isAny(address)) u8.set(LOOPBACK4_IPV6, four);
      return;
    }
    u8.set(address, four);
    if (this.options.type !== 'tcp' || this.state !== TCP_ESTABLISHED) return;
    u8.set([0xff, 0xff], six + 10);
    u8.set(address, six + 12);
  }
}

function stateOf({ type, remote, state }: SocketOptions): number {
  if (type === 'tcp') {
    const named = state ?? (remote ? 'established' : 'listen');
    if ((named === 'listen') === (remote !== undefined))
      throw new KernelError('EINVAL', `a TCP socket in ${named} ${remote ? 'has no' : 'needs a'} remote end`, 'remote');
    return STATES[named];
  }
  return type === 'udp' && remote ? TCP_ESTABLISHED : TCP_CLOSE;
}
