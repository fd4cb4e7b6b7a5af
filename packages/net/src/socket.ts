/** Sockets, as many as hooks need to see packets arrive: UDP, and raw packet sockets. */

import type { NetDevice, NetNamespace } from './device.ts';
import { ipText } from './packet.ts';

/** One datagram (UDP) or frame (packet socket) that arrived. */
export interface Datagram {
  readonly bytes: Uint8Array;
  readonly from?: { readonly address: string; readonly port: number };
  readonly device: string;
  readonly mark: number;
}

export interface SocketOptions {
  readonly type: 'udp' | 'packet';
  /** UDP: any local address where omitted. */
  readonly address?: Uint8Array;
  readonly port?: number;
  /** Packet sockets: one device only. */
  readonly device?: NetDevice;
}

export class Socket {
  readonly netns: NetNamespace;
  readonly options: SocketOptions;
  readonly received: Datagram[] = [];

  constructor(netns: NetNamespace, options: SocketOptions) {
    this.netns = netns;
    this.options = options;
    netns.sockets.add(this);
  }

  close(): void {
    this.netns.sockets.delete(this);
  }

  /** True where this socket takes a datagram to that address and port. */
  takes(address: Uint8Array, port: number): boolean {
    const { type, address: own, port: ownPort } = this.options;
    if (type !== 'udp' || ownPort !== port) return false;
    return own === undefined || ipText(own) === ipText(address);
  }
}
