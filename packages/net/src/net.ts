/** The little stack of one kernel: what a frame goes through from a device to a socket, out of the host, or to another device. */

import {
  TC_ACT_QUEUED,
  TC_ACT_REDIRECT,
  TC_ACT_SHOT,
  TC_ACT_STOLEN,
  TC_ACT_TRAP,
  TC_ACT_UNSPEC,
  XDP_PASS,
  XDP_REDIRECT,
  XDP_TX,
} from '@libbpf-ts/uapi';
import type { Arena } from '@libbpf-ts/vm';

import { copyNamespace, copyRoutes, copySockets } from './copy.ts';
import { deliver, tap } from './deliver.ts';
import { type NetDevice, NetNamespace, type TcSide } from './device.ts';
import { ETH_HLEN } from './packet.ts';
import { doRedirect, emptyRedirect, xdpRedirect, type RedirectInfo } from './redirect.ts';
import { PACKET_HOST, PACKET_OUTGOING, SKB_AT_INGRESS, type Skb } from './skb.ts';
import { SkbPool } from './skb-pool.ts';
import type { Socket } from './socket.ts';
import { SocketReferences } from './socket-references.ts';
import { TestSocket } from './test-socket.ts';

/** Where traced walks record their steps; `push` is for programs that run outside of a walk. */
export interface PacketTrace {
  readonly address: number;
  readonly count: number;
  push(hook: number, prog: number, ret: number): void;
  read(from?: number): { readonly hook: number; readonly prog: number; readonly ret: number }[];
  reset(): void;
}

/** How a packet ended at the device where it came in (or out). */
export type Outcome = 'delivered' | 'sent' | 'dropped' | 'redirected' | 'consumed';

/** One program that saw the packet. */
export interface PathStep {
  readonly prog: string;
  readonly id: number;
  /** What the program returned, as int32. */
  readonly ret: number;
}

export interface PacketResult {
  readonly outcome: Outcome;
  /** What tcx and classic tc together decided: TC_ACT_* as int32; -1 where nothing did. */
  readonly code: number;
  /** TCX_NEXT, TCX_PASS, TCX_DROP, TCX_REDIRECT, or the TC_ACT_* name that only classic tc gives. */
  readonly verdict: string;
  /** XDP's verdict, where a program was there. */
  readonly xdp?: number;
  /** The programs of this device's hook in the order in which they ran; only while `net.tracing`. */
  readonly path: readonly PathStep[];
  /** The frame as it left the hook, VLAN tag inline; absent where XDP kept it. */
  readonly frame?: Uint8Array;
}

export interface ReceiveOptions {
  /** skb->mark, priority and timestamp that the packet starts with. */
  readonly mark?: number;
  readonly priority?: number;
  readonly tstamp?: bigint;
  /** Copies the frame as it leaves the hook into the result; true by default. */
  readonly frame?: boolean;
}

const VERDICTS: Readonly<Record<number, string>> = {
  [-1]: 'TCX_NEXT',
  0: 'TCX_PASS',
  1: 'TC_ACT_RECLASSIFY',
  2: 'TCX_DROP',
  3: 'TC_ACT_PIPE',
  4: 'TC_ACT_STOLEN',
  5: 'TC_ACT_QUEUED',
  6: 'TC_ACT_REPEAT',
  7: 'TCX_REDIRECT',
  8: 'TC_ACT_TRAP',
};

export function verdictName(code: number): string {
  return VERDICTS[code] ?? `TC_ACT_${code}`;
}

/** Transmissions that programs start inside each other (bpf_clone_redirect at egress, …): one more than this is refused. */
export const XMIT_RECURSION_LIMIT = 8;

export const INGRESS = 0;
export const EGRESS = 1;
/** The third hook of a device, in traces. */
export const XDP_HOOK = 2;

/** Number of a hook in traces. */
export function hookNumber(device: NetDevice, which: number): number {
  return device.uid * 4 + which;
}

interface Noted {
  code: number;
  xdp: number | undefined;
  frame: Uint8Array | undefined;
}

export class Net {
  readonly arena: Arena;
  readonly skbs: SkbPool;
  readonly #namespaces: Map<number, NetNamespace> = new Map();
  #lastUid = 0;
  #depth = 0;
  #recursion = 0;
  /** Received frames that wait until the one under way is done (the softirq backlog). */
  readonly #backlog: { readonly skb: Skb; readonly device: NetDevice }[] = [];
  #draining = false;
  /** What the last bpf_redirect said; saved and restored around nested runs. */
  redirect: RedirectInfo = emptyRedirect();
  /** Steps are recorded only while this is true: a traced walk costs a little more. */
  tracing = false;
  ring: PacketTrace | undefined;
  /** Names of programs, for paths. */
  progName: (id: number) => string = (id) => `${id}`;
  /** Called when a device goes away, while it is still in its namespace. Subsystems add theirs as they install themselves. */
  readonly unregisterListeners: ((device: NetDevice) => void)[] = [];
  /** Called when a qdisc came to a hook or left it; `side.qdiscs` says how many there are. */
  readonly qdiscListeners: ((device: NetDevice, side: TcSide) => void)[] = [];
  /** Seed of flow hashes. */
  readonly hashSeed = 0x9e3779b9;

  readonly socketsByBlock: Map<number, Socket> = new Map();
  readonly references: SocketReferences = new SocketReferences(this);
  readonly testSocket: TestSocket;
  #lastCookie = 0;
  /** Does something when the outermost program run is over. */
  atRunEnd: (act: () => void) => void = (act) => act();

  /** `from` is the stack of which this is a copy, over a copy of its memory. */
  constructor(arena: Arena, from?: Net) {
    this.arena = arena;
    this.skbs = new SkbPool(arena, from?.skbs);
    this.testSocket = from?.testSocket.twin(this) ?? new TestSocket(this);
    this.skbs.dropSocket = (skb) => this.references.orphan(skb);
  }

  /** The namespace where everything starts. */
  get init(): NetNamespace {
    return this.namespace(0);
  }

  namespace(id: number): NetNamespace {
    const found = this.#namespaces.get(id);
    if (!found) throw new Error(`no network namespace ${id}`);
    return found;
  }

  get namespaces(): NetNamespace[] {
    return [...this.#namespaces.values()];
  }

  /** A new namespace with its own lo. */
  addNamespace(name?: string): NetNamespace {
    const id = this.#namespaces.size;
    const netns = new NetNamespace(this, id, name ?? (id === 0 ? 'init' : `ns${id}`));
    this.#namespaces.set(id, netns);
    netns.addLoopback();
    return netns;
  }

  /** The devices of the first namespace, by name. */
  get devices(): { get(name: string): NetDevice; list(): NetDevice[] } {
    return { get: (name) => this.init.get(name), list: () => this.init.devices };
  }

  nextCookie(): number {
    return ++this.#lastCookie;
  }

  /** Sockets that are open, or closed and still held. */
  get sockets(): Socket[] {
    return [...this.socketsByBlock.values()];
  }

  nextUid(): number {
    return ++this.#lastUid;
  }

  unregistering(device: NetDevice): void {
    for (const listener of this.unregisterListeners) listener(device);
  }

  /** Whose XDP program runs now. */
  xdpDevice: NetDevice | undefined;

  /** The device that a packet is at (`skb->dev`). */
  deviceOf(skb: Skb): NetDevice | undefined {
    return this.deviceByUid(skb.get('device'));
  }

  /** The device with this number in traces. */
  deviceByUid(uid: number): NetDevice | undefined {
    return this.devicesByUid.get(uid);
  }
  readonly devicesByUid: Map<number, NetDevice> = new Map();

  /** A frame comes in from the wire: XDP, tc ingress, then sockets. Everything that it sets off is done when this returns. */
  receive(device: NetDevice, frame: Uint8Array, options: ReceiveOptions = {}): PacketResult {
    return this.#observe(device, INGRESS, options, (noted) => this.receiveSkb(device, this.#skbOf(frame, options), noted));
  }

  /** The host sends a frame: tc egress, then the device. */
  transmit(device: NetDevice, frame: Uint8Array, options: ReceiveOptions = {}): PacketResult {
    return this.#observe(device, EGRESS, options, (noted) => {
      const skb = this.#skbOf(frame, options);
      skb.readEthernet(device.mac);
      skb.readRawProtocol();
      skb.set('pkt_type', 0);
      return this.queueXmit(device, skb, noted);
    });
  }

  #skbOf(frame: Uint8Array, options: ReceiveOptions): Skb {
    const skb = this.skbs.fromBytes(frame);
    if (options.mark !== undefined) skb.set('mark', options.mark);
    if (options.priority !== undefined) skb.set('priority', options.priority);
    if (options.tstamp !== undefined) this.arena.view.setBigUint64(skb.address + 152, options.tstamp, true);
    return skb;
  }

  #observe(device: NetDevice, which: number, options: ReceiveOptions, run: (noted: Noted) => Outcome): PacketResult {
    const noted: Noted = {
      code: TC_ACT_UNSPEC,
      xdp: undefined,
      frame: options.frame === false ? undefined : new Uint8Array(0),
    };
    const ring = this.tracing ? this.ring : undefined;
    if (this.#depth === 0) ring?.reset();
    const from = ring?.count ?? 0;
    const outcome = run(noted);
    const hook = hookNumber(device, which);
    const path = (ring?.read(from) ?? []).filter((step) => step.hook === hook);
    this.drain();
    return {
      outcome,
      code: noted.code,
      verdict: verdictName(noted.code),
      path: path.map(({ prog, ret }) => ({ prog: this.progName(prog), id: prog, ret })),
      ...(noted.xdp === undefined ? {} : { xdp: noted.xdp }),
      ...(noted.frame?.length ? { frame: noted.frame } : {}),
    };
  }

  /** `netif_receive_skb`: takes the packet over and ends its life. */
  receiveSkb(device: NetDevice, skb: Skb, noted?: Noted): Outcome {
    device.stats.rx_packets++;
    device.stats.rx_bytes += skb.len;
    if (!device.up || skb.len < ETH_HLEN) return this.#drop(device, skb);
    placeAt(skb, device);
    skb.set('ingress_ifindex', device.ifindex);
    skb.readEthernet(device.mac);
    if (device.xdp !== null) {
      const stop = this.#xdp(device, skb, noted);
      if (stop !== undefined) return stop;
    }
    if (!skb.untagVlan()) return this.#drop(device, skb);
    return this.ingress(device, skb, noted);
  }

  /** From the tc hook on; where bpf_redirect_peer enters a device. */
  ingress(device: NetDevice, skb: Skb, noted?: Noted): Outcome {
    tap(device, skb);
    const { tcx, cls } = device.ingress;
    if (tcx !== null || cls !== null) {
      skb.flags |= SKB_AT_INGRESS;
      const code = this.#classify(device.ingress, device, skb);
      note(noted, code, skb);
      if (code === TC_ACT_REDIRECT) return doRedirect(this, device, skb, true);
      if (code === TC_ACT_SHOT) return this.#drop(device, skb);
      if (code === TC_ACT_STOLEN || code === TC_ACT_QUEUED || code === TC_ACT_TRAP) return this.#consume(skb);
    } else note(noted, TC_ACT_UNSPEC, skb);
    const taken = deliver(device, skb);
    if (!taken) device.stats.rx_dropped++;
    this.skbs.free(skb);
    return 'delivered';
  }

  /** `__dev_queue_xmit`: tc egress, then the device. Takes the packet over. */
  queueXmit(device: NetDevice, skb: Skb, noted?: Noted): Outcome {
    if (!device.up) return this.#dropTx(device, skb);
    this.#depth++;
    try {
      placeAt(skb, device);
      const { tcx, cls } = device.egress;
      if (tcx !== null || cls !== null) {
        skb.flags &= ~SKB_AT_INGRESS;
        skb.set('mac_header', skb.data);
        const code = this.#classify(device.egress, device, skb);
        note(noted, code, skb);
        if (code === TC_ACT_REDIRECT) return doRedirect(this, device, skb, false);
        if (code === TC_ACT_SHOT) return this.#dropTx(device, skb);
        if (code === TC_ACT_STOLEN || code === TC_ACT_QUEUED || code === TC_ACT_TRAP) return this.#consume(skb);
      } else note(noted, TC_ACT_UNSPEC, skb);
      if (this.#recursion > XMIT_RECURSION_LIMIT) return this.#dropTx(device, skb);
      tap(device, skb, PACKET_OUTGOING);
      return this.xmit(device, skb);
    } finally {
      this.#depth--;
    }
  }

  /** A program sends a packet (`__bpf_tx_skb`); undefined where too many of these are inside each other, and the packet is dropped. */
  send(device: NetDevice, skb: Skb): Outcome | undefined {
    if (this.#recursion > XMIT_RECURSION_LIMIT) {
      this.#dropTx(device, skb);
      return undefined;
    }
    this.#recursion++;
    try {
      return this.queueXmit(device, skb);
    } finally {
      this.#recursion--;
    }
  }

  /** Gives a packet to the device itself (`ndo_start_xmit`). */
  xmit(device: NetDevice, skb: Skb): Outcome {
    const to = device.kind === 'veth' ? device.peer : device.kind === 'loopback' ? device : undefined;
    if (device.kind !== 'capture' && (!to?.up || !device.up)) return this.#dropTx(device, skb);
    device.stats.tx_packets++;
    device.stats.tx_bytes += skb.len;
    if (to === undefined) {
      device.sent.push(skb.frame());
      this.skbs.free(skb);
      return 'sent';
    }
    this.enqueue(to, scrub(skb, device.netns !== to.netns));
    return 'sent';
  }

  /** `netif_rx`: the packet is received when the one under way is done. */
  enqueue(device: NetDevice, skb: Skb): void {
    this.#backlog.push({ device, skb });
  }

  /** Receives what has piled up. */
  drain(): void {
    if (this.#draining || this.#depth > 0) return;
    this.#draining = true;
    try {
      for (let next = this.#backlog.shift(); next; next = this.#backlog.shift()) {
        if (next.device.registered) this.receiveSkb(next.device, next.skb);
        else this.skbs.free(next.skb);
      }
    } finally {
      this.#draining = false;
    }
  }

  /** Transmissions under way. */
  get depth(): number {
    return this.#depth;
  }

  /** tcx first; classic tc only where tcx said "next" (or a code that nobody knows). */
  #classify(side: TcSide, device: NetDevice, skb: Skb): number {
    const saved = this.redirect;
    let code = TC_ACT_UNSPEC;
    if (this.#depth > 1) this.redirect = emptyRedirect();
    skb.set('wire_len', side === device.ingress ? skb.len - ETH_HLEN : skb.len);
    if (side.tcx !== null) code = side.tcx.run(skb, device);
    if (code === TC_ACT_UNSPEC && side.cls !== null) {
      skb.set('tc_classid', 0);
      code = side.cls.run(skb, device);
    }
    if (code !== TC_ACT_REDIRECT && this.#depth > 1) this.redirect = saved;
    return code;
  }

  #xdp(device: NetDevice, skb: Skb, noted: Noted | undefined): Outcome | undefined {
    const act = device.xdp!.run(skb, device);
    if (noted) noted.xdp = act;
    if (act === XDP_PASS) {
      skb.readEthernet(device.mac);
      return undefined;
    }
    if (noted?.frame) noted.frame = skb.frame();
    if (act === XDP_TX) return this.xmit(device, skb);
    if (act === XDP_REDIRECT) return xdpRedirect(this, device, skb);
    return this.#drop(device, skb);
  }

  #drop(device: NetDevice, skb: Skb): Outcome {
    device.stats.rx_dropped++;
    this.skbs.free(skb);
    return 'dropped';
  }

  #dropTx(device: NetDevice, skb: Skb): Outcome {
    device.stats.tx_dropped++;
    this.skbs.free(skb);
    return 'dropped';
  }

  #consume(skb: Skb): Outcome {
    this.skbs.free(skb);
    return 'consumed';
  }

  /** A copy over a fork's memory. Runners are put in place by their subsystems' own copies. */
  twin(arena: Arena): Net {
    const copy = new Net(arena, this);
    copy.#lastUid = this.#lastUid;
    copy.#lastCookie = this.#lastCookie;
    copy.tracing = this.tracing;
    const twins = new Map<NetDevice, NetDevice>();
    for (const netns of this.#namespaces.values()) copyNamespace(netns, copy, twins, copy.#namespaces);
    for (const [device, twin] of twins) twin.peer = device.peer && twins.get(device.peer);
    for (const netns of this.#namespaces.values()) {
      copyRoutes(netns, copy.#namespaces.get(netns.id)!, twins);
      copySockets(netns, copy.#namespaces.get(netns.id)!, twins);
    }
    return copy;
  }
}

/** `skb->dev = device`. */
export function placeAt(skb: Skb, device: NetDevice): void {
  skb.set('ifindex', device.ifindex);
  skb.set('device', device.uid);
}

function note(noted: Noted | undefined, code: number, skb: Skb): void {
  if (!noted) return;
  noted.code = code;
  if (noted.frame) noted.frame = skb.frame();
}

/** `skb_scrub_packet`: what a packet forgets when it changes hosts. */
export function scrub(skb: Skb, otherNetns: boolean): Skb {
  skb.set('pkt_type', PACKET_HOST);
  skb.set('ingress_ifindex', 0);
  skb.set('priority', 0);
  skb.set('tc_classid', 0);
  if (otherNetns) {
    skb.set('mark', 0);
    skb.pool.arena.view.setBigUint64(skb.address + 152, 0n, true);
  }
  return skb;
}
