/** Which XDP program a device has: one, by a link or without. Mirrors dev_xdp_attach of net/core/dev.c. */

import { stateKey, type BpfLink, type BpfProg, type Fork, type Holder, type Kernel, type StateKey } from '@libbpf-ts/kernel';
import { hookNumber, netOf, XDP_HOOK, type NetDevice, type Skb, type XdpRunner } from '@libbpf-ts/net';
import {
  BPF_XDP_CPUMAP,
  BPF_XDP_DEVMAP,
  KernelError,
  XDP_FLAGS_DRV_MODE,
  XDP_FLAGS_HW_MODE,
  XDP_FLAGS_REPLACE,
  XDP_FLAGS_SKB_MODE,
  XDP_FLAGS_UPDATE_IF_NOEXIST,
} from '@libbpf-ts/uapi';

import { XdpPool } from './frame.ts';

export interface XdpLinkData {
  /** Undefined once the link is detached or its device is gone. */
  device: NetDevice | undefined;
}
export type XdpLink = BpfLink<XdpLinkData>;

const MODES = XDP_FLAGS_SKB_MODE | XDP_FLAGS_DRV_MODE | XDP_FLAGS_HW_MODE;

interface Attached {
  readonly prog: BpfProg;
  readonly link: XdpLink | null;
  readonly mode: 'native' | 'generic';
}

/** What an attach wants; `replaces` is the program that must be there (XDP_FLAGS_REPLACE). */
export interface XdpRequest {
  readonly prog: BpfProg | null;
  readonly link: XdpLink | null;
  readonly flags: number;
  readonly replaces?: BpfProg | undefined;
}

export class XdpDevices {
  readonly kernel: Kernel;
  readonly frames: XdpPool;
  readonly #attached: Map<NetDevice, Attached> = new Map();

  constructor(kernel: Kernel, frames?: XdpPool) {
    this.kernel = kernel;
    this.frames = frames ?? new XdpPool(kernel.arena);
  }

  attachedTo(device: NetDevice): Attached | undefined {
    return this.#attached.get(device);
  }

  /** Attaches, replaces or (with `prog: null`) takes off. Throws EINVAL, EBUSY, EEXIST, EOPNOTSUPP. */
  attach(device: NetDevice, request: XdpRequest): void {
    const mode = checkFlags(request);
    const { prog, link } = request;
    const now = this.#attached.get(device);
    if (now?.link) throw new KernelError('EBUSY', `${device} has an XDP link already`, 'target_ifindex');
    if (link && now) throw new KernelError('EBUSY', `a link cannot replace the XDP program of ${device}`, 'target_ifindex');
    if (request.flags & XDP_FLAGS_REPLACE && now?.prog !== request.replaces) {
      throw new KernelError('EEXIST', `${device} runs another XDP program than the one to be replaced`, 'flags');
    }
    if (prog && now && now.mode !== mode)
      throw new KernelError('EEXIST', 'native and generic XDP cannot be on one device together', 'flags');
    if (prog && now && request.flags & XDP_FLAGS_UPDATE_IF_NOEXIST)
      throw new KernelError('EBUSY', `${device} has an XDP program already`, 'flags');
    if (prog) checkAttachType(prog);
    if (prog === now?.prog) return;
    if (!link) prog?.acquire(this.#holder(device));
    this.#set(device, prog ? { prog, link, mode } : undefined);
    const hook = `xdp dev ${device}`;
    if (prog && now) this.kernel.record({ action: 'replace', hook, prog: prog.id, oldProg: now.prog.id });
    else if (prog) this.kernel.record({ action: 'attach', hook, prog: prog.id, ...(link ? { link: link.id } : {}) });
    else if (now) this.kernel.record({ action: 'detach', hook, prog: now.prog.id });
    now?.prog.release(this.#holder(device));
  }

  /** A link lets go of its device. */
  leave(link: XdpLink): void {
    const { device } = link.data;
    if (!device) return;
    link.data.device = undefined;
    this.#set(device, undefined);
    this.kernel.record({ action: 'detach', hook: `xdp dev ${device}`, prog: link.prog!.id, link: link.id });
  }

  /** Swaps the program of a link. All checks are done. */
  update(link: XdpLink, prog: BpfProg): void {
    const device = link.data.device!;
    const now = this.#attached.get(device)!;
    this.#set(device, { ...now, prog });
    this.kernel.record({ action: 'replace', hook: `xdp dev ${device}`, prog: prog.id, oldProg: now.prog.id, link: link.id });
    link.replaceProg(prog);
  }

  /** The device goes away. */
  remove(device: NetDevice): void {
    const now = this.#attached.get(device);
    if (!now) return;
    if (now.link) this.leave(now.link);
    else {
      this.#set(device, undefined);
      now.prog.release(this.#holder(device));
    }
  }

  twin(fork: Fork): XdpDevices {
    const copy = new XdpDevices(fork.kernel, new XdpPool(fork.kernel.arena, this.frames));
    for (const [device, { prog, link, mode }] of this.#attached) {
      copy.#set(fork.twin(device), { prog: fork.twin(prog), link: link && fork.twin(link), mode });
    }
    return copy;
  }

  #holder(device: NetDevice): Holder {
    return { kind: 'hook', name: `xdp dev ${device.uid}` };
  }

  #set(device: NetDevice, attached: Attached | undefined): void {
    if (attached) this.#attached.set(device, attached);
    else this.#attached.delete(device);
    device.xdp = attached && device.registered ? new Runner(this.kernel, this.frames, attached.prog) : null;
  }
}

function checkFlags({ flags, link }: XdpRequest): 'native' | 'generic' {
  const modes = flags & MODES;
  if (link && flags & ~MODES) throw new KernelError('EINVAL', 'a link takes no flags but the mode', 'flags');
  if (modes & (modes - 1)) throw new KernelError('EINVAL', 'only one XDP mode can be asked for', 'flags');
  if (modes & XDP_FLAGS_HW_MODE)
    throw new KernelError('EOPNOTSUPP', 'no device here takes XDP programs into hardware', 'flags');
  return modes & XDP_FLAGS_SKB_MODE ? 'generic' : 'native';
}

function checkAttachType({ expectedAttachType }: BpfProg): void {
  if (expectedAttachType === BPF_XDP_DEVMAP || expectedAttachType === BPF_XDP_CPUMAP) {
    throw new KernelError('EINVAL', 'the program was loaded for a map entry, not for a device', 'prog_fd');
  }
}

/** Runs a device's program over a received frame. */
class Runner implements XdpRunner {
  readonly #kernel: Kernel;
  readonly #frames: XdpPool;
  readonly #prog: BpfProg;

  constructor(kernel: Kernel, frames: XdpPool, prog: BpfProg) {
    this.#kernel = kernel;
    this.#frames = frames;
    this.#prog = prog;
  }

  run(skb: Skb, device: NetDevice): number {
    const net = netOf(this.#kernel);
    const before = net.xdpDevice;
    const frame = this.#frames.take();
    net.xdpDevice = device;
    try {
      frame.open(skb);
      frame.set('ingress_ifindex', device.ifindex);
      const act = this.#prog.run(frame.address);
      frame.close(skb);
      if (net.tracing) net.ring?.push(hookNumber(device, XDP_HOOK), this.#prog.id, act);
      return act;
    } finally {
      net.xdpDevice = before;
      this.#frames.give(frame);
    }
  }
}

const key: StateKey<XdpDevices> = stateKey<XdpDevices>('xdp.devices');

/** XDP's state in a kernel, made on the first call. */
export function xdpDevices(kernel: Kernel): XdpDevices {
  return kernel.state(key, { create: () => new XdpDevices(kernel), clone: (devices, fork) => devices.twin(fork) });
}
