/** A link: an attachment that somebody owns. Mirrors struct bpf_link of kernel/bpf/syscall.c. */

import type { StructOf } from '@libbpf-ts/uapi';
import type { bpf_link_info } from '@libbpf-ts/uapi';

import type { BpfCall } from './call.ts';
import type { Erased } from './erased.ts';
import type { Fork, Twinnable } from './fork.ts';
import type { Kernel } from './kernel.ts';
import type { BpfMap } from './map.ts';
import { KernelObject } from './object.ts';
import type { BpfProg } from './prog.ts';

export type BpfLinkInfo = Partial<StructOf<typeof bpf_link_info>>;

/**
 * One link type (`struct bpf_link_ops`), registered in `kernel.linkTypes` under its name. The rows are stateless: what belongs to one
 * link is `link.data`.
 */
export interface LinkOps<T = Erased> {
  /** BPF_LINK_TYPE_*, or a number outside of the ABI. */
  readonly type: number;
  /** Key in `kernel.linkTypes`, and the name of fdinfo's `link_type`: `tcx`. */
  readonly name: string;
  /**
   * Undoes the attachment (`release`); called when the last reference goes, also when it is detached already, then it does nothing.
   * The program's reference is given back after it.
   */
  release(link: BpfLink<T>): void;
  /** BPF_LINK_DETACH; EOPNOTSUPP where omitted. */
  detach?(link: BpfLink<T>): void;
  /** BPF_LINK_UPDATE: `link.replaceProg(prog)` once all checks have passed. `oldProg` where BPF_F_REPLACE was given. EINVAL where omitted. */
  updateProg?(link: BpfLink<T>, prog: BpfProg, oldProg: BpfProg | undefined, flags: number): void;
  updateMap?(link: BpfLink<T>, map: BpfMap, oldMap: BpfMap | undefined): void;
  /** The type's own member of `struct bpf_link_info`. */
  fillInfo?(link: BpfLink<T>, call: BpfCall<15>): BpfLinkInfo;
  /** Further lines for fdinfo, each ended by a newline. */
  fdInfo?(link: BpfLink<T>): string;
  /** BPF_TASK_FD_QUERY of an fd of such a link; ENOTSUPP where omitted. */
  taskFdQuery?(link: BpfLink<T>, call: BpfCall<20>): void;
  /** Reads bytes from an iterator link's file; see BPF_ITER_CREATE. */
  iterate?(link: BpfLink<T>): Uint8Array;
  /** The `data` of the link's twin. */
  clone(data: T, fork: Fork, link: BpfLink<T>): T;
}

export interface LinkOptions<T> {
  readonly ops: LinkOps<T>;
  /** undefined for links that hold a map instead (struct_ops). */
  readonly prog: BpfProg | undefined;
  readonly data: T;
  /** BPF_* attach type, for fdinfo and those who ask. */
  readonly attachType: number;
}

export class BpfLink<T = Erased> extends KernelObject implements Twinnable {
  readonly kind = 'link' as const;
  readonly attachType: number;
  readonly #opsName: string;
  data: T;
  #prog: BpfProg | undefined;
  #ops: LinkOps<T> | undefined;

  private constructor(kernel: Kernel, opsName: string, attachType: number, data: T) {
    super(kernel);
    this.#opsName = opsName;
    this.attachType = attachType;
    this.data = data;
  }

  /**
   * A link with its id and its program's reference (`bpf_link_init`, `bpf_link_prime`). The caller attaches it and, where that fails,
   * calls `cancel()`; the dispatcher gives it its fd.
   */
  static create<T>(kernel: Kernel, { ops, prog, data, attachType }: LinkOptions<T>): BpfLink<T> {
    const link = new BpfLink<T>(kernel, ops.name, attachType, data);
    link.#ops = ops;
    kernel.links.add(link);
    prog?.acquire({ kind: 'link', id: link.id });
    link.#prog = prog;
    return link;
  }

  get ops(): LinkOps<T> {
    if (this.#ops === undefined) {
      this.#ops = this.kernel.linkTypes.get(this.#opsName) as LinkOps<T> | undefined;
      if (!this.#ops) throw new Error(`no link type ${this.#opsName} is registered`);
    }
    return this.#ops;
  }

  /** BPF_LINK_TYPE_*. */
  get type(): number {
    return this.ops.type;
  }
  get name(): string {
    return this.#opsName;
  }
  get prog(): BpfProg | undefined {
    return this.#prog;
  }

  /** Swaps the program's reference, when its subsystem has put the new one in place. */
  replaceProg(prog: BpfProg): void {
    const holder = { kind: 'link', id: this.id } as const;
    prog.acquire(holder);
    const old = this.#prog;
    this.#prog = prog;
    old?.release(holder);
  }

  /** Forgets a link whose attachment failed (`bpf_link_cleanup`). `release` of its type is not called. */
  cancel(): void {
    this.#cancelled = true;
    this.abandon();
  }
  #cancelled = false;

  makeTwin(fork: Fork): BpfLink<T> {
    const twin = new BpfLink<T>(fork.kernel, this.#opsName, this.attachType, undefined as T);
    fork.bind(this, twin);
    twin.copyHolds(this);
    twin.#prog = fork.twinOf(this.#prog);
    twin.data = this.ops.clone(this.data, fork, this);
    return twin;
  }

  protected free(): void {
    if (!this.#cancelled) this.ops.release(this);
    this.#prog?.release({ kind: 'link', id: this.id });
    this.#prog = undefined;
  }
}
