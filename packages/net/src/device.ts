/** Network devices and namespaces: names, ifindexes, addresses, and the places where hooks hang. */

import type { Fork, Twinnable } from '@libbpf-ts/kernel';
import { KernelError } from '@libbpf-ts/uapi';

import type { Net } from './net.ts';
import { ipBytes, macBytes } from './packet.ts';
import type { Skb } from './skb.ts';
import type { Socket } from './socket.ts';
import { netOf } from './subsystem.ts';

/** Runs what one subsystem has at a tc hook. The result is a TC_ACT_* code (int32); TC_ACT_UNSPEC (-1) lets the next one decide. */
export interface TcRunner {
  run(skb: Skb, device: NetDevice): number;
}

/** Runs the XDP program of a device over a received frame that is still in its buffer; the result is an XDP_* code. */
export interface XdpRunner {
  run(skb: Skb, device: NetDevice): number;
}

/** One direction of a device. A field is `null` while nothing is attached there: the pipeline then makes no call at all. */
export interface TcSide {
  tcx: TcRunner | null;
  cls: TcRunner | null;
  /** Qdiscs (clsact, ingress) that serve this hook: while there is one, tcx keeps its list and the revision counts on. */
  qdiscs: number;
}

/** What a device does with a frame that it is given to send, and what it is. */
export type DeviceKind = 'loopback' | 'veth' | 'capture';

export interface DeviceStats {
  rx_packets: number;
  rx_bytes: number;
  rx_dropped: number;
  tx_packets: number;
  tx_bytes: number;
  tx_dropped: number;
}

/** An address on a device: the bytes and the length of the prefix. */
export interface InterfaceAddress {
  readonly bytes: Uint8Array;
  readonly prefix: number;
}

/** `10.0.0.1/24`; without a prefix the address stands for itself alone. */
export function parsePrefix(text: string): InterfaceAddress {
  const [address = '', prefix] = text.split('/');
  const bytes = ipBytes(address);
  return { bytes, prefix: prefix === undefined ? bytes.length * 8 : Number(prefix) };
}

export class NetDevice implements Twinnable {
  readonly net: Net;
  /** Unlike the ifindex unique over all namespaces, and never used again. */
  readonly uid: number;
  readonly kind: DeviceKind;
  name: string;
  ifindex: number;
  netns: NetNamespace;
  mac: Uint8Array;
  mtu = 1500;
  up = true;
  /** The other end of a veth pair. */
  peer: NetDevice | undefined;
  /** False from the removal on. */
  registered = true;
  xdp: XdpRunner | null = null;
  readonly ingress: TcSide = { tcx: null, cls: null, qdiscs: 0 };
  readonly egress: TcSide = { tcx: null, cls: null, qdiscs: 0 };
  readonly stats: DeviceStats = { rx_packets: 0, rx_bytes: 0, rx_dropped: 0, tx_packets: 0, tx_bytes: 0, tx_dropped: 0 };
  readonly addresses: InterfaceAddress[] = [];
  /** Frames that a capture device sent, as they would be on the wire. */
  readonly sent: Uint8Array[] = [];
  forwarding = true;

  constructor(net: Net, kind: DeviceKind, name: string, netns: NetNamespace, uid: number, ifindex: number) {
    this.net = net;
    this.kind = kind;
    this.name = name;
    this.netns = netns;
    this.uid = uid;
    this.ifindex = ifindex;
    this.mac = Uint8Array.from(
      kind === 'loopback' ? [0, 0, 0, 0, 0, 0] : [2, 0, 0, (uid >> 16) & 0xff, (uid >> 8) & 0xff, uid & 0xff],
    );
    if (kind === 'loopback') this.mtu = 65536;
  }

  /** A qdisc comes to (or goes from) the ingress or egress hook. */
  changeQdiscs(side: TcSide, by: 1 | -1): void {
    side.qdiscs += by;
    for (const listener of this.net.qdiscListeners) listener(this, side);
  }

  /** For a person: `eth0`, with the namespace where it is not the first one. */
  toString(): string {
    return this.netns.id === 0 ? this.name : `${this.name}@${this.netns.name}`;
  }

  /** The device that stands for this one in a fork. */
  makeTwin(fork: Fork): NetDevice {
    const twin = netOf(fork.kernel).deviceByUid(this.uid);
    if (!twin) throw new Error(`${this} is not in the fork: it was removed`);
    return twin;
  }

  addAddress(prefix: string): void {
    this.addresses.push(parsePrefix(prefix));
  }

  /** A frame comes in from the wire. See `Net.receive`. */
  receive(frame: Uint8Array, options?: Parameters<Net['receive']>[2]): ReturnType<Net['receive']> {
    return this.net.receive(this, frame, options);
  }

  /** The host sends a frame out of this device. See `Net.transmit`. */
  transmit(frame: Uint8Array, options?: Parameters<Net['receive']>[2]): ReturnType<Net['receive']> {
    return this.net.transmit(this, frame, options);
  }
}

/** RTN_*. All but `unicast` end a lookup. */
export type RouteType = 'unicast' | 'local' | 'broadcast' | 'anycast' | 'blackhole' | 'unreachable' | 'prohibit';

/** A route; in one table the longest prefix wins, then the lower metric. */
export interface Route {
  readonly dst: InterfaceAddress;
  readonly dev: NetDevice;
  readonly via?: Uint8Array;
  readonly src?: Uint8Array;
  readonly type?: RouteType;
  readonly mtu?: number;
  /** Only a locked MTU counts for packets that are forwarded. */
  readonly mtuLocked?: boolean;
  readonly metric?: number;
  /** 254 (main) by default, 255 (local) for those of type local, broadcast and anycast. */
  readonly table?: number;
}

/** A rule of policy routing (`ip rule add fwmark MARK/MASK lookup TABLE`), for both families. It comes behind the local table. */
export interface FibRule {
  readonly priority: number;
  readonly mark: number;
  /** All bits by default. */
  readonly mask?: number;
  readonly table: number;
}

export interface Neighbour {
  readonly dev: NetDevice;
  readonly address: Uint8Array;
  readonly mac: Uint8Array;
}

export interface DeviceOptions {
  readonly name?: string;
  /** Must be free; the next one by default. */
  readonly ifindex?: number;
  readonly mac?: string | Uint8Array;
  readonly mtu?: number;
  /** `10.0.0.1/24`, … */
  readonly addresses?: readonly string[];
}

/** `struct net`: devices by name and ifindex, routes, neighbours, sockets. lo has ifindex 1. */
export class NetNamespace implements Twinnable {
  readonly net: Net;
  readonly id: number;
  readonly name: string;
  readonly #byIndex: Map<number, NetDevice> = new Map();
  #lastIndex = 0;
  readonly routes: Route[] = [];
  readonly rules: FibRule[] = [];
  readonly neighbours: Neighbour[] = [];
  readonly sockets: Set<Socket> = new Set();
  /** net.ipv4.ip_forward, for bpf_fib_lookup. */
  forwarding = true;

  constructor(net: Net, id: number, name: string) {
    this.net = net;
    this.id = id;
    this.name = name;
  }

  makeTwin(fork: Fork): NetNamespace {
    return netOf(fork.kernel).namespace(this.id);
  }

  get devices(): NetDevice[] {
    return [...this.#byIndex.values()];
  }

  byIndex(ifindex: number): NetDevice | undefined {
    return this.#byIndex.get(ifindex);
  }

  byName(name: string): NetDevice | undefined {
    return this.devices.find((device) => device.name === name);
  }

  /** The device of this name. Throws ENODEV. */
  get(name: string): NetDevice {
    const device = this.byName(name);
    if (!device) throw new KernelError('ENODEV', `no device ${name}`, 'name');
    return device;
  }

  /** A device whose frames go nowhere: they are kept in `sent`. Throws EEXIST, EBUSY. */
  addDevice(options: DeviceOptions = {}): NetDevice {
    return this.#add('capture', options, 'eth');
  }

  /** Two devices, each the other's wire. The peer is in `peerNetns`, by default here. */
  addVeth(
    options: DeviceOptions = {},
    peer: DeviceOptions = {},
    peerNetns: NetNamespace = this,
  ): readonly [NetDevice, NetDevice] {
    const a = this.#add('veth', options, 'veth');
    const b = peerNetns.#add('veth', peer, 'veth');
    a.peer = b;
    b.peer = a;
    return [a, b];
  }

  /** For the making of a namespace. */
  addLoopback(): NetDevice {
    const lo = this.#add('loopback', { name: 'lo' }, 'lo');
    lo.addAddress('127.0.0.1/8');
    lo.addAddress('::1/128');
    return lo;
  }

  #add(kind: DeviceKind, options: DeviceOptions, prefix: string): NetDevice {
    const name = options.name ?? this.#freeName(prefix);
    if (this.byName(name)) throw new KernelError('EEXIST', `there is a device ${name} already`, 'name');
    const ifindex = options.ifindex ?? this.#nextIndex();
    if (this.#byIndex.has(ifindex)) throw new KernelError('EBUSY', `ifindex ${ifindex} is in use`, 'ifindex');
    const device = new NetDevice(this.net, kind, name, this, this.net.nextUid(), ifindex);
    if (options.mac !== undefined) device.mac = macBytes(options.mac);
    if (options.mtu !== undefined) device.mtu = options.mtu;
    for (const address of options.addresses ?? []) device.addAddress(address);
    this.#byIndex.set(ifindex, device);
    this.net.devicesByUid.set(device.uid, device);
    return device;
  }

  #freeName(prefix: string): string {
    for (let number = 0; ; number++) if (!this.byName(`${prefix}${number}`)) return `${prefix}${number}`;
  }

  /** Ifindexes of removed devices are not given again. */
  #nextIndex(): number {
    do this.#lastIndex++;
    while (this.#byIndex.has(this.#lastIndex));
    return this.#lastIndex;
  }

  /** Takes a device (and the other end of a veth pair) away; the net's listeners then let go of it. */
  removeDevice(device: NetDevice): void {
    if (!device.registered) return;
    device.registered = false;
    device.up = false;
    this.net.unregistering(device);
    this.#byIndex.delete(device.ifindex);
    this.net.devicesByUid.delete(device.uid);
    device.ingress.tcx = device.ingress.cls = device.egress.tcx = device.egress.cls = null;
    device.xdp = null;
    const gone = <T extends { dev: NetDevice }>(list: T[]): void => {
      for (let at = list.length - 1; at >= 0; at--) if (list[at]!.dev === device) list.splice(at, 1);
    };
    gone(this.routes);
    gone(this.neighbours);
    const { peer } = device;
    device.peer = undefined;
    if (peer?.registered) peer.netns.removeDevice(peer);
  }

  /** Moves a device to another namespace, where it gets its ifindex back if that is free. Programs stay attached. */
  moveDevice(device: NetDevice, to: NetNamespace): void {
    if (to.byName(device.name)) throw new KernelError('EEXIST', `${to.name} has a device ${device.name} already`);
    this.#byIndex.delete(device.ifindex);
    if (to.#byIndex.has(device.ifindex)) device.ifindex = to.#nextIndex();
    device.netns = to;
    to.#byIndex.set(device.ifindex, device);
  }

  addRoute(route: {
    dst: string;
    dev: NetDevice;
    via?: string;
    src?: string;
    type?: RouteType;
    mtu?: number;
    mtuLocked?: boolean;
    metric?: number;
    table?: number;
  }): void {
    const { via, src, type, mtu, mtuLocked, metric, table } = route;
    this.routes.push({
      dst: parsePrefix(route.dst),
      dev: route.dev,
      ...(via === undefined ? {} : { via: ipBytes(via) }),
      ...(src === undefined ? {} : { src: ipBytes(src) }),
      ...(type === undefined ? {} : { type }),
      ...(mtu === undefined ? {} : { mtu }),
      ...(mtuLocked === undefined ? {} : { mtuLocked }),
      ...(metric === undefined ? {} : { metric }),
      ...(table === undefined ? {} : { table }),
    });
  }

  addNeighbour(dev: NetDevice, address: string, mac: string): void {
    this.neighbours.push({ dev, address: ipBytes(address), mac: macBytes(mac) });
  }

  /** For forks: puts a twin where its original was. */
  adopt(device: NetDevice, lastIndex: number): void {
    this.#byIndex.set(device.ifindex, device);
    this.net.devicesByUid.set(device.uid, device);
    this.#lastIndex = lastIndex;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }
  set lastIndex(value: number) {
    this.#lastIndex = value;
  }
}
