/** One place of a custom hook: its programs, and a run of them. */

import type { BpfLink, BpfProg, Kernel, Task } from '@libbpf-ts/kernel';
import { KernelError, type Struct, type StructOf } from '@libbpf-ts/uapi';

import type { HookContexts } from './hook-context.ts';
import { MprogHook, type CommitCheck } from './hook.ts';
import type { MprogItem } from './list.ts';
import type { TraceRing } from './trace-ring.ts';
import type { Walker } from './walker.ts';

/** Somebody wants to attach a program. `index` is the place that the request's flags lead to. */
export interface Proposal {
  readonly task: Task;
  readonly prog: BpfProg;
  readonly link: BpfLink | null;
  readonly flags: number;
  readonly index: number;
  /** What is there now. */
  readonly items: readonly MprogItem<BpfProg, BpfLink>[];
}

/** Accepts (undefined), refuses with a reason (EPERM), or chooses another place for it. */
export type PlacePolicy = (proposal: Proposal) => undefined | { readonly refuse: string } | { readonly index: number };

/** What a run of a hook did. */
export interface HookRun<S extends Struct> {
  /** The code that ended the chain, or the fallback. */
  readonly code: number;
  /** The context as the programs left it. */
  readonly context: StructOf<S>;
  /** Who ran, and what each returned. */
  readonly path: readonly { readonly prog: string; readonly id: number; readonly ret: number }[];
}

interface PointOptions<S extends Struct> {
  readonly kernel: Kernel;
  readonly name: string;
  readonly target: number;
  readonly label: string;
  readonly walker: Walker;
  readonly contexts: HookContexts<S>;
  readonly ring: TraceRing;
  readonly fallback: number;
  readonly next: readonly number[];
  readonly from: MprogHook | undefined;
}

export class HookPoint<S extends Struct> {
  readonly hook: MprogHook;
  /** What target_ifindex names. */
  readonly target: number;
  /** For people and the audit log. */
  readonly label: string;
  policy: PlacePolicy | undefined;
  readonly #options: PointOptions<S>;

  constructor(options: PointOptions<S>) {
    this.#options = options;
    this.target = options.target;
    this.label = options.label;
    this.hook = options.from ?? new MprogHook(options.kernel, `${options.name} ${options.label}`, options.target);
  }

  /** Names of the programs in order. */
  get order(): string[] {
    return this.hook.list.items.map(({ prog }) => prog.name || `${prog.id}`);
  }
  get revision(): bigint {
    return this.hook.revision;
  }

  /** Runs the programs over a context made of these fields (the others are 0) and a payload. */
  run(fields: Partial<StructOf<S>>, payload?: Uint8Array): HookRun<S> {
    const { kernel, walker, contexts, ring, fallback, next } = this.#options;
    const { layout } = contexts;
    const bytes = new Uint8Array(layout.size);
    layout.write(new DataView(bytes.buffer), fields as never);
    const open = contexts.open(bytes, payload);
    const from = kernel.running ? ring.count : (ring.reset(), 0);
    kernel.enterRun();
    try {
      const ret = this.hook.count === 0 ? fallback : walker.trace(this.hook.arrays, open.address, ring.address);
      const code = next.includes(ret) ? fallback : ret;
      const path = ring.read(from).filter(({ hook }) => hook === this.target);
      const context = layout.read(new DataView(contexts.bytes(open).buffer)) as StructOf<S>;
      return {
        code,
        context,
        path: path.map(({ prog, ret: each }) => ({ prog: kernel.object('prog', prog)?.name ?? '', id: prog, ret: each })),
      };
    } finally {
      contexts.give(open);
      kernel.leaveRun();
    }
  }

  /** Runs the programs over a context that is in the arena already: for those who run the hook from inside a kernel. The code. */
  runAt(context: number): number {
    const { kernel, walker, fallback, next } = this.#options;
    if (this.hook.count === 0) return fallback;
    kernel.enterRun();
    try {
      const ret = walker.run(this.hook.arrays, context);
      return next.includes(ret) ? fallback : ret;
    } finally {
      kernel.leaveRun();
    }
  }

  /** Asks the policy before a change takes effect. */
  check({ task, prog, link, flags }: Omit<Proposal, 'index' | 'items'>): CommitCheck {
    return (next) => {
      if (!this.policy) return next;
      const index = next.items.findIndex((item) => item.prog === prog);
      const answer = this.policy({ task, prog, link, flags, index, items: this.hook.list.items });
      if (!answer) return next;
      if ('refuse' in answer) throw new KernelError('EPERM', answer.refuse);
      const items = next.items.filter((item) => item.prog !== prog);
      items.splice(Math.min(Math.max(answer.index, 0), items.length), 0, next.items[index]!);
      return { ...next, items };
    };
  }

  destroy(sever: (link: BpfLink) => void): void {
    this.hook.destroy(sever);
  }
}
