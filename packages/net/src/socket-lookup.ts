/** Which socket a packet or a program's tuple belongs to. Mirrors __udp4_lib_lookup, __inet_lookup and their IPv6 twins. */

import type { NetNamespace } from './device.ts';
import { sameBytes } from './fib.ts';
import { TCP_LISTEN, type Socket } from './socket.ts';

/** Addresses of one family; ports in host order; `dif` is the ifindex of the device where the packet came in. */
export interface SocketTuple {
  readonly saddr: Uint8Array;
  readonly sport: number;
  readonly daddr: Uint8Array;
  readonly dport: number;
  readonly dif: number;
}

/** Socket for a UDP datagram: those bound to the address itself go before those bound to any; a connected one must match its peer. */
export function lookupUdp(netns: NetNamespace, tuple: SocketTuple): Socket | undefined {
  return best(netns, tuple, (socket) => socket.options.type === 'udp');
}

/** Socket for a TCP segment: a connection, or what waits for its end, before a listener. */
export function lookupTcp(netns: NetNamespace, tuple: SocketTuple): Socket | undefined {
  for (const socket of netns.sockets) {
    if (socket.options.type === 'tcp' && socket.remote && onDevice(socket, tuple) && samePair(socket, tuple)) return socket;
  }
  return best(netns, tuple, (socket) => socket.options.type === 'tcp' && socket.state === TCP_LISTEN);
}

const onDevice = (socket: Socket, { dif }: SocketTuple): boolean =>
  socket.options.device === undefined || socket.options.device.ifindex === dif;

function samePair(socket: Socket, { saddr, sport, daddr, dport }: SocketTuple): boolean {
  return (
    socket.options.port === dport &&
    socket.remote!.port === sport &&
    sameBytes(socket.address, daddr) &&
    sameBytes(socket.remote!.address, saddr)
  );
}

/** The best of those that fit; of equal ones the youngest, since new sockets go to the head of their chain. */
function best(netns: NetNamespace, tuple: SocketTuple, wanted: (socket: Socket) => boolean): Socket | undefined {
  let found: Socket | undefined;
  let most = 0;
  for (const socket of netns.sockets) {
    if (!wanted(socket)) continue;
    const score = scoreOf(socket, tuple);
    if (score > 0 && score >= most) {
      found = socket;
      most = score;
    }
  }
  return found;
}

/** Weights that keep the kernel's two passes (own address, then any) in one. */
const OWN_ADDRESS = 100;
const PEER = 8;
const BOUND_DEVICE = 4;

/** `compute_score`: 0 where the socket does not fit. */
function scoreOf(socket: Socket, tuple: SocketTuple): number {
  const { options, address, remote, anyAddress } = socket;
  if (options.port !== tuple.dport || !onDevice(socket, tuple)) return 0;
  const family = tuple.daddr.length;
  if (address.length !== family && (family === 16 || !anyAddress || options.v6only)) return 0;
  if (!anyAddress && !sameBytes(address, tuple.daddr)) return 0;
  if (remote && (remote.port !== tuple.sport || !sameBytes(remote.address, tuple.saddr))) return 0;
  return (
    (address.length === 4 ? 2 : 1) + (anyAddress ? 0 : OWN_ADDRESS) + (remote ? PEER : 0) + (options.device ? BOUND_DEVICE : 0)
  );
}
