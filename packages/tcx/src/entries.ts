/** The hooks of tcx: one list a device and direction, made by the first attachment (or a qdisc) and gone with the last program. */

import { stateKey, type BpfLink, type BpfProg, type Fork, type Kernel, type StateKey } from '@libbpf-ts/kernel';
import { arrayPool, installWalk, MprogHook, TraceRing, Walker, type WalkSlots } from '@libbpf-ts/mprog';
import { EGRESS, hookNumber, INGRESS, netOf, type NetDevice, type TcSide } from '@libbpf-ts/net';
import { BPF_TCX_INGRESS, KernelError, TCX_NEXT } from '@libbpf-ts/uapi';

import { TcxRunner } from './runner.ts';

/** BPF_TCX_INGRESS or BPF_TCX_EGRESS. */
export type TcxAttachType = number;

/** Steps that a trace of one packet has room for. */
const TRACE_STEPS = 4096;

export interface TcxLinkData {
  /** Undefined once the link is detached or its device is gone. */
  device: NetDevice | undefined;
}
export type TcxLink = BpfLink<TcxLinkData>;

/** tcx's state in a kernel. */
export class TcxEntries {
  readonly kernel: Kernel;
  readonly walker: Walker;
  readonly ring: TraceRing;
  /** By hook number. */
  readonly #hooks: Map<number, MprogHook> = new Map();

  constructor(kernel: Kernel, slots: WalkSlots, ring: TraceRing) {
    this.kernel = kernel;
    this.walker = new Walker(kernel.runtime, arrayPool(kernel), slots);
    this.ring = ring;
  }

  /** The entry of a hook, if it has one. */
  find(device: NetDevice, type: TcxAttachType): MprogHook | undefined {
    return this.#hooks.get(numberOf(device, type));
  }

  /** Runs a change on the hook's entry, which is made for it; an entry that is empty afterwards goes away, unless a qdisc is there. */
  change(device: NetDevice, type: TcxAttachType, act: (hook: MprogHook) => void): void {
    const hook = this.find(device, type) ?? this.#make(device, type);
    try {
      act(hook);
    } finally {
      this.tidy(device, sideOf(device, type), type);
    }
  }

  /** Removes an entry that nothing needs, and makes the one that a new qdisc keeps. */
  tidy(device: NetDevice, side: TcSide, type: TcxAttachType): void {
    const hook = this.find(device, type);
    if (!hook && side.qdiscs > 0) this.#make(device, type);
    if (!hook || hook.count > 0 || side.qdiscs > 0) return;
    this.#hooks.delete(numberOf(device, type));
    hook.destroy(() => undefined);
  }

  /** The device goes away: programs are let go, links stay without a device. */
  remove(device: NetDevice, type: TcxAttachType): void {
    const hook = this.find(device, type);
    if (!hook) return;
    this.#hooks.delete(numberOf(device, type));
    hook.destroy((link: TcxLink) => {
      link.data.device = undefined;
    });
  }

  /** The copy in a fork. */
  twin(fork: Fork): TcxEntries {
    const { walker, ring } = this;
    const copy = new TcxEntries(fork.kernel, walker.slots, new TraceRing(fork.kernel.arena, 0, ring.address));
    netOf(fork.kernel).ring = copy.ring;
    for (const [number, hook] of this.#hooks) {
      const device = netOf(fork.kernel).deviceByUid(number >> 2)!;
      copy.#adopt(device, (number & 3) === INGRESS ? device.ingress : device.egress, number, hook.twin(fork));
    }
    return copy;
  }

  #make(device: NetDevice, type: TcxAttachType): MprogHook {
    const number = numberOf(device, type);
    const name = `tcx/${type === BPF_TCX_INGRESS ? 'ingress' : 'egress'} dev ${device}`;
    return this.#adopt(device, sideOf(device, type), number, new MprogHook(this.kernel, name, number));
  }

  /** While the list is empty the device does not know of it, so that packets cost nothing. */
  #adopt(device: NetDevice, side: TcSide, number: number, hook: MprogHook): MprogHook {
    const runner = new TcxRunner(this.kernel, this.walker, hook.arrays);
    hook.onChange = ({ count }) => {
      side.tcx = count > 0 && device.registered ? runner : null;
    };
    hook.onChange(hook);
    this.#hooks.set(number, hook);
    return hook;
  }
}

const numberOf = (device: NetDevice, type: TcxAttachType): number =>
  hookNumber(device, type === BPF_TCX_INGRESS ? INGRESS : EGRESS);

export const sideOf = (device: NetDevice, type: TcxAttachType): TcSide =>
  type === BPF_TCX_INGRESS ? device.ingress : device.egress;

const key: StateKey<TcxEntries> = stateKey<TcxEntries>('tcx.entries');

/** tcx's entries in a kernel, made on the first call. */
export function tcxEntries(kernel: Kernel): TcxEntries {
  return kernel.state(key, {
    create: () => {
      const entries = new TcxEntries(
        kernel,
        installWalk(kernel.runtime, { continueOn: [TCX_NEXT] }),
        new TraceRing(kernel.arena, TRACE_STEPS),
      );
      netOf(kernel).ring = entries.ring;
      return entries;
    },
    clone: (entries, fork) => entries.twin(fork),
  });
}

/** What is on a hook, for people and tests. */
export interface TcxView {
  readonly revision: bigint;
  readonly entries: readonly { readonly prog: BpfProg; readonly link: BpfLink | null }[];
}

/** The list of a hook. Throws ENODEV where there is no such device. */
export function tcxView(kernel: Kernel, device: NetDevice, type: TcxAttachType): TcxView {
  if (!device.registered) throw new KernelError('ENODEV', `device ${device} is gone`);
  const list = tcxEntries(kernel).find(device, type)?.list;
  return { revision: list?.revision ?? 1n, entries: list?.items ?? [] };
}
