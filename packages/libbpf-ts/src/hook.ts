/** Places to attach to, as values, and where among the programs of a hook one goes. */

import {
  BPF_F_AFTER,
  BPF_F_BEFORE,
  BPF_F_ID,
  BPF_F_LINK,
  BPF_F_REPLACE,
  BPF_NETKIT_PEER,
  BPF_NETKIT_PRIMARY,
  BPF_PROG_QUERY,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  BPF_XDP,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { call } from './call.ts';
import { BpfError, LoaderError } from './errors.ts';
import type { Handle } from './handle.ts';

/** One program on a hook. */
export interface HookEntry {
  readonly prog_id: number;
  /** 0 where it is attached without a link. */
  readonly link_id: number;
}

export interface HookState {
  /** Counts the changes of the hook: what `expectedRevision` is compared with. */
  readonly revision: bigint;
  readonly entries: readonly HookEntry[];
}

/**
 * A place that programs attach to. `Type` is the name of the program type that it takes (`'sched_cls'`, `'xdp'`): a program that is known
 * to be of another one does not compile as its guest. `Hook<string>` takes what the kernel lets in; a plain `Hook` is any of them.
 */
export interface Hook<in Type extends string = never> {
  readonly sys: Syscalls;
  /** For messages: `tcx/ingress of eth0`. */
  readonly name: string;
  /** BPF_* attach type. */
  readonly attachType: number;
  /** ifindex, or file descriptor of a cgroup or network namespace. */
  readonly target: number;
  /** Whether it holds programs in an order that anchors speak of. */
  readonly ordered: boolean;
  /** Whether programs of a type can be here at all; absent where only the kernel knows. For messages: the kernel decides. */
  readonly takes?: (type: Type) => boolean;
  query(): HookState;
}

/** A program or link to stand next to: an object of this package, or an id. */
export type Ref = Handle | { readonly linkId: number } | { readonly progId: number };

/** A link by its id, for anchors. */
export const linkId = (id: number): Ref => ({ linkId: id });
/** A program by its id, for anchors. */
export const progId = (id: number): Ref => ({ progId: id });

/** Where to go on an ordered hook; without any, at the tail. Several that name one place must agree on it. */
export interface Anchor {
  readonly at?: 'head' | 'tail' | undefined;
  readonly before?: Ref | undefined;
  readonly after?: Ref | undefined;
  /** Takes the place of a program that is attached without a link. */
  readonly replace?: Ref | undefined;
}

const MOST_ENTRIES = 64;

class DeviceHook<Type extends string> implements Hook<Type> {
  readonly sys: Syscalls;
  readonly name: string;
  readonly attachType: number;
  readonly target: number;
  readonly ordered: boolean;
  readonly takes: (type: Type) => boolean;

  constructor(sys: Syscalls, name: string, attachType: number, target: number, ordered: boolean, type?: Type) {
    this.sys = sys;
    this.name = name;
    this.attachType = attachType;
    this.target = target;
    this.ordered = ordered;
    this.takes = (other) => type === undefined || other === type;
  }

  query(): HookState {
    const ids = new Uint32Array(MOST_ENTRIES);
    const links = new Uint32Array(MOST_ENTRIES);
    const attr = {
      target_ifindex: this.target,
      attach_type: this.attachType,
      prog_ids: ids,
      link_ids: links,
      count: MOST_ENTRIES,
      revision: 0n,
    };
    call(this.sys, BPF_PROG_QUERY, attr, `of ${this.name}`);
    const entries = Array.from({ length: attr.count }, (_, i) => ({ prog_id: ids[i]!, link_id: links[i]! }));
    return { revision: attr.revision, entries };
  }
}

/** What a hook that this package does not know is attached by. */
export interface CustomHookPlace {
  /** For messages. */
  readonly name: string;
  readonly attachType: number;
  /** What target_ifindex names. */
  readonly target: number;
}

/** A place of an ordered hook of one's own, as `defineHook` of @libbpf-ts/mprog makes them. */
export function customHook(sys: Syscalls, { name, attachType, target }: CustomHookPlace): Hook<string> {
  return new DeviceHook<string>(sys, name, attachType, target, true);
}

function device(sys: Syscalls, nameOrIndex: string | number): number {
  if (typeof nameOrIndex === 'number') return nameOrIndex;
  const index = sys.ifNameToIndex(nameOrIndex);
  if (index > 0) return index;
  throw new BpfError(index || 19, 'if_nametoindex', `no network device is called ${nameOrIndex}`, { arg: 'target_ifindex' });
}

/** The tcx hook of a device: before classic tc, programs in order. */
export function tcx(sys: Syscalls, deviceName: string | number, direction: 'ingress' | 'egress'): Hook<'sched_cls'> {
  const type = direction === 'ingress' ? BPF_TCX_INGRESS : BPF_TCX_EGRESS;
  return new DeviceHook(sys, `tcx/${direction} of ${deviceName}`, type, device(sys, deviceName), true, 'sched_cls');
}

/** The hook of a netkit device. */
export function netkit(sys: Syscalls, deviceName: string | number, end: 'primary' | 'peer'): Hook<'sched_cls'> {
  return new DeviceHook(
    sys,
    `netkit/${end} of ${deviceName}`,
    end === 'primary' ? BPF_NETKIT_PRIMARY : BPF_NETKIT_PEER,
    device(sys, deviceName),
    true,
    'sched_cls',
  );
}

/** The XDP hook of a device: one program. */
export function xdp(sys: Syscalls, deviceName: string | number): Hook<'xdp'> {
  return new DeviceHook(sys, `xdp of ${deviceName}`, BPF_XDP, device(sys, deviceName), false, 'xdp');
}

/** A hook of a cgroup: the file descriptor of its directory, and the attach type. */
export function cgroup(sys: Syscalls, fd: number, attachType: number): Hook<string> {
  return new DeviceHook<string>(sys, `cgroup ${fd}`, attachType, fd, true);
}

/** The flags and fields of an attach request that an anchor stands for. */
export function anchorAttr(anchor: Anchor): { readonly flags: number; readonly relative: number } {
  const refs = [anchor.before, anchor.after, anchor.replace].filter((ref) => ref !== undefined).map(refAttr);
  const [first] = refs;
  if (refs.some(({ flags, value }) => flags !== first!.flags || value !== first!.value) || (first && anchor.at)) {
    throw new LoaderError('LOADER_BAD_OPTION', 'an attach request can stand next to one program or link only');
  }
  const place =
    (anchor.at === 'head' || anchor.before ? BPF_F_BEFORE : 0) | (anchor.at === 'tail' || anchor.after ? BPF_F_AFTER : 0);
  return { flags: place | (anchor.replace ? BPF_F_REPLACE : 0) | (first?.flags ?? 0), relative: first?.value ?? 0 };
}

function refAttr(ref: Ref): { readonly flags: number; readonly value: number } {
  if ('linkId' in ref) return { flags: BPF_F_LINK | BPF_F_ID, value: ref.linkId };
  if ('progId' in ref) return { flags: BPF_F_ID, value: ref.progId };
  return { flags: 'isLink' in ref ? BPF_F_LINK : 0, value: ref.fd };
}
