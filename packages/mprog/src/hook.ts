/** A hook: its list of programs, the arrays that are walked, and who holds which program. */

import { stateKey, type BpfLink, type BpfProg, type Fork, type Holder, type Kernel, type StateKey } from '@libbpf-ts/kernel';
import { BPF_F_ID, BPF_F_REPLACE } from '@libbpf-ts/uapi';

import { ArrayPool, ProgArrays } from './arrays.ts';
import { attach, detach, emptyList, type Anchor, type MprogAttach, type MprogList } from './list.ts';

const poolKey: StateKey<ArrayPool> = stateKey<ArrayPool>('mprog.arrays');

/** The arrays of a kernel's hooks, and their spares. */
export function arrayPool(kernel: Kernel): ArrayPool {
  return kernel.state(poolKey, {
    create: ({ arena }) => new ArrayPool(arena),
    clone: (pool, fork) => new ArrayPool(fork.kernel.arena, pool),
  });
}

export type HookList = MprogList<BpfProg, BpfLink>;

/** What a request may say about the place; see MprogAttach. */
export interface HookRequest {
  readonly flags: number;
  readonly anchor?: (() => Anchor<BpfProg, BpfLink> | undefined) | undefined;
  readonly expectedRevision?: bigint | undefined;
}

/** Called with the next list before it takes effect; a throw vetoes it. */
export type CommitCheck = (next: HookList) => HookList;

/** `attach`, or what a hook has in its stead. */
export type PlaceRule = (list: HookList, request: MprogAttach<BpfProg, BpfLink>) => HookList;

export class MprogHook {
  readonly kernel: Kernel;
  /** As holders and the audit log name it: `tcx/ingress dev eth0`. */
  readonly name: string;
  readonly arrays: ProgArrays;
  #list: HookList;
  /** Told of every change that has taken effect. */
  onChange: ((hook: MprogHook) => void) | undefined;
  /** How a program finds its place; hooks with rules of their own set another. */
  place: PlaceRule = attach;

  /** Throws ENOMEM. `number` is what traces call the hook. */
  constructor(kernel: Kernel, name: string, number: number, from?: { readonly arrays: ProgArrays; readonly list: HookList }) {
    this.kernel = kernel;
    this.name = name;
    this.arrays = from?.arrays ?? new ProgArrays(arrayPool(kernel), number);
    this.#list = from?.list ?? emptyList();
  }

  get list(): HookList {
    return this.#list;
  }
  get revision(): bigint {
    return this.#list.revision;
  }
  get count(): number {
    return this.#list.items.length;
  }

  /** Attaches without a link; with BPF_F_REPLACE in place of `replaces`. */
  attachProg(prog: BpfProg, request: HookRequest & { readonly replaces?: BpfProg | undefined }, check?: CommitCheck): void {
    const { replaces } = request;
    const next = this.place(this.#list, { ...request, prog, link: null, replaces: replaces && { prog: replaces, link: null } });
    const checked = check ? check(next) : next;
    prog.acquire(this.#holder);
    this.#commit(checked);
    if (request.flags & BPF_F_REPLACE && replaces) {
      this.kernel.record({ action: 'replace', hook: this.name, prog: prog.id, oldProg: replaces.id });
      replaces.release(this.#holder);
    } else this.kernel.record({ action: 'attach', hook: this.name, prog: prog.id });
  }

  /** Takes an attachment without a link off; returns its program, of which the hook's reference is gone. */
  detachProg(prog: BpfProg | undefined, request: HookRequest): void {
    const { list, removed } = detach(this.#list, { ...request, prog, link: null });
    this.#commit(list);
    this.kernel.record({ action: 'detach', hook: this.name, prog: removed.prog.id });
    removed.prog.release(this.#holder);
  }

  /** Puts a link's program into the list; the link holds it. */
  attachLink(link: BpfLink, request: HookRequest, check?: CommitCheck): void {
    const prog = link.prog!;
    const next = this.place(this.#list, { ...request, prog, link });
    this.#commit(check ? check(next) : next);
    this.kernel.record({ action: 'attach', hook: this.name, prog: prog.id, link: link.id });
  }

  /** Swaps the program of a link in its place, as BPF_F_REPLACE relative to its own program: in the order of those checks. */
  updateLink(link: BpfLink, prog: BpfProg, anchor: HookRequest['anchor']): void {
    const old = link.prog!;
    this.#commit(
      this.place(this.#list, { prog, link, flags: BPF_F_REPLACE | BPF_F_ID, replaces: { prog: old, link }, anchor }),
    );
    this.kernel.record({ action: 'replace', hook: this.name, prog: prog.id, oldProg: old.id, link: link.id });
    link.replaceProg(prog);
  }

  detachLink(link: BpfLink): void {
    const { list } = detach(this.#list, { prog: link.prog!, link, flags: 0 });
    this.#commit(list);
    this.kernel.record({ action: 'detach', hook: this.name, prog: link.prog!.id, link: link.id });
  }

  /** The hook goes away: programs are let go; `sever` is told of each link, which stays as an object. */
  destroy(sever: (link: BpfLink) => void): void {
    const { items } = this.#list;
    this.#list = emptyList();
    this.arrays.free();
    for (const { prog, link } of items) {
      this.kernel.record({ action: 'detach', hook: this.name, prog: prog.id, ...(link ? { link: link.id } : {}) });
      if (link) sever(link);
      else prog.release(this.#holder);
    }
  }

  /** The same hook in a fork; `pool` is the fork's. */
  twin(fork: Fork): MprogHook {
    const items = this.#list.items.map((item) => ({
      ...item,
      prog: fork.twin(item.prog),
      link: item.link && fork.twin(item.link),
    }));
    const arrays = this.arrays.twin(arrayPool(fork.kernel));
    return new MprogHook(fork.kernel, this.name, 0, { arrays, list: { revision: this.#list.revision, items } });
  }

  get #holder(): Holder {
    return { kind: 'hook', name: this.name };
  }

  /** The one swap. It cannot fail. */
  #commit(next: HookList): void {
    this.#list = next;
    this.arrays.publish(next.items.map(({ prog }) => prog));
    this.onChange?.(this);
  }
}
