/** A kernel in this process: its tables, what subsystems registered in it, and its copy (fork). */

import { BtfBuilder } from '@libbpf-ts/btf';
import type { Engine, VmHelper, VmProgram } from '@libbpf-ts/vm';
import { Arena, VmRuntime } from '@libbpf-ts/vm';
import { verify, type VerifierRequest, type VerifierResult } from '@libbpf-ts/verifier';

import type { AttachTypeOps } from './attach.ts';
import { AuditLog, type AuditEntry } from './audit.ts';
import { FileTree } from './bpffs.ts';
import { BtfObject } from './btf-object.ts';
import type { BpfCall } from './call.ts';
import { type Clock, VirtualClock } from './clock.ts';
import type { Erased } from './erased.ts';
import { Fork, type Twinnable } from './fork.ts';
import { holderText, type Holder } from './holder.ts';
import { IdTable } from './id-table.ts';
import { buildImage } from './image.ts';
import type { BpfLink, LinkOps } from './link.ts';
import type { BpfMap } from './map.ts';
import type { MapTypeOps } from './map-type.ts';
import type { KernelObject, ObjectKind } from './object.ts';
import { findChains, type HolderChain } from './ownership.ts';
import type { NetlinkHandler } from './netlink.ts';
import type { BpfProg } from './prog.ts';
import type { HelperFactory, ProgTypeOps } from './prog-type.ts';
import { Registry } from './registry.ts';
import { Scratch } from './scratch.ts';
import { RunStats } from './stats.ts';
import type { StateKey, StateOps } from './state.ts';
import { Task, type TaskOptions } from './task.ts';

/**
 * Installs itself in a kernel: registers types, and takes its state by `kernel.state`. It runs again in every fork, where `kernel.state`
 * gives the copy; so all that it allocates or installs once is made inside `create`.
 */
export type Subsystem = (kernel: Kernel) => void;

/** Adds types and functions to the kernel's own BTF. */
export type BtfContribution = (builder: BtfBuilder) => void;

/** What the network subsystem answers for tasks. */
export interface NetworkHooks {
  /** The ifindex of a device in the task's namespace, or undefined. */
  ifNameToIndex(task: Task, name: string): number | undefined;
  /** What of the network is open: sockets. `text` puts a holder into words. */
  leaks?(text: (holder: Holder) => string): Leak[];
}

export interface KernelOptions {
  readonly subsystems?: readonly Subsystem[];
  /** Simulated CPUs, 2 by default. */
  readonly cpus?: number;
  /** A virtual clock that stands still by default. */
  readonly clock?: Clock;
  /** Engine of programs by name; the runtime's first one by default. */
  readonly engine?: string;
  readonly engines?: readonly Engine[];
  /** Most bytes of the arena, below 2 GiB. */
  readonly maximumBytes?: number;
  /** BTF of a real kernel instead of what the subsystems contribute. */
  readonly kernelBtf?: Uint8Array;
  /** The verifier; `verify` of @libbpf-ts/verifier by default. */
  readonly verify?: (request: VerifierRequest) => VerifierResult;
  /** Like the sysctl kernel.unprivileged_bpf_disabled: tasks without CAP_BPF may create no maps and load no programs. True by default. */
  readonly unprivilegedBpfDisabled?: boolean;
}

export interface Leak {
  readonly kind: ObjectKind | 'socket';
  /** For sockets: the cookie. */
  readonly id: number;
  readonly name: string;
  readonly holders: readonly Holder[];
  /** The same in words. */
  readonly text: string;
}

interface StateEntry {
  value: unknown;
  readonly ops: StateOps<Erased>;
}

export class Kernel implements Disposable {
  readonly options: KernelOptions;
  readonly runtime: VmRuntime;
  readonly clock: Clock;
  /** Number of simulated CPUs. */
  readonly cpus: number;

  readonly progs: IdTable<BpfProg> = new IdTable();
  readonly maps: IdTable<BpfMap> = new IdTable();
  readonly links: IdTable<BpfLink> = new IdTable();
  readonly btfs: IdTable<BtfObject> = new IdTable();
  /** Maps by the address of their header: what helpers get as a map argument. */
  readonly mapsByAddress: Map<number, BpfMap> = new Map();
  readonly progsBySlot: Map<number, BpfProg> = new Map();
  readonly tasks: Map<number, Task> = new Map();
  readonly files: FileTree;
  readonly audit: AuditLog;
  readonly stats: RunStats = new RunStats(this);

  readonly progTypes: Registry<number, ProgTypeOps> = new Registry('program type');
  readonly mapTypes: Registry<number, MapTypeOps> = new Registry('map type');
  readonly attachTypes: Registry<number, AttachTypeOps> = new Registry('attach type');
  readonly linkTypes: Registry<string, LinkOps> = new Registry('link type');
  /** Helpers that every program type may have, by BPF_FUNC_* number. */
  readonly helpers: Registry<number, HelperFactory> = new Registry('helper');
  readonly kfuncs: Registry<string, HelperFactory> = new Registry('kfunc');
  /** NETLINK_ROUTE messages by RTM_* type. */
  readonly netlink: Registry<number, NetlinkHandler> = new Registry('netlink message');
  readonly btfContributions: Registry<string, BtfContribution> = new Registry('BTF contribution');
  /** Set by the network subsystem. */
  network: NetworkHooks | undefined;

  /** Attaches to a raw tracepoint, where a subsystem has them: the link, or undefined where there is none of that name. */
  rawTracepoints: ((call: BpfCall<17>, prog: BpfProg, name: string) => BpfLink | undefined) | undefined;

  /** Room in the arena for a key, a next key and a value of the bpf(2) call under way. */
  readonly scratch: Scratch;
  /** The task that is inside a syscall, and what it does; undefined for what the kernel does by itself. */
  current: { readonly task: Task | undefined; readonly reason: string } | undefined;

  readonly #subsystems: Subsystem[] = [];
  readonly #state: Map<StateKey<unknown>, StateEntry> = new Map();
  readonly #helperCache: Map<HelperFactory, VmHelper> = new Map();
  readonly #origin: Fork | undefined;
  #kernelBtf!: BtfObject;
  #nextTask = 1;
  #runDepth = 0;
  #deferred: (() => void)[] = [];

  constructor(options: KernelOptions = {}, origin?: Kernel) {
    this.options = options;
    this.cpus = options.cpus ?? 2;
    if (origin) {
      this.#origin = new Fork(origin, this);
      this.clock = origin.clock.fork();
      this.runtime = origin.runtime.fork(origin.arena.fork(), (loaded) => this.#rebind(loaded.slot, loaded.program));
      this.audit = origin.audit.clone();
      this.scratch = origin.scratch.fork(this.runtime.arena);
      this.files = this.#copyFrom(origin, this.#origin);
      return;
    }
    this.clock = options.clock ?? new VirtualClock();
    const arena = new Arena(options.maximumBytes === undefined ? {} : { maximumBytes: options.maximumBytes });
    this.runtime = new VmRuntime({ arena, ...(options.engines ? { engines: options.engines } : {}) });
    this.audit = new AuditLog();
    this.scratch = new Scratch(arena);
    this.files = new FileTree();
    this.files.mountBpffs('/sys/fs/bpf');
    this.files.makeHostDir('/tmp');
    this.#makeKernelBtf();
    for (const subsystem of options.subsystems ?? []) this.install(subsystem);
  }

  get arena(): Arena {
    return this.runtime.arena;
  }

  /** Installs a subsystem; forks have it too. */
  install(subsystem: Subsystem): void {
    this.#subsystems.push(subsystem);
    const contributions = this.btfContributions.keys().length;
    subsystem(this);
    const late = this.#origin === undefined && this.#kernelBtf.isBuilt && this.btfContributions.keys().length > contributions;
    if (late)
      throw new Error(
        "a subsystem contributes to the kernel's BTF, which has been read already: install it before any program is loaded",
      );
  }

  // — State of subsystems —

  /** The state under a key: made on the first call, the copy in a fork. */
  state<T>(key: StateKey<T>, ops: StateOps<T>): T {
    const known = this.#state.get(key);
    if (known) return known.value as T;
    const before = this.#originState(key);
    const value = before ? (ops.clone(before.value as T, this.#origin!) as T) : ops.create(this);
    this.#state.set(key, { value, ops });
    return value;
  }

  /** The state under a key that a subsystem made; throws where it is not installed. */
  stateOf<T>(key: StateKey<T>): T {
    const known = this.#state.get(key) ?? this.#cloneState(key);
    if (!known) throw new Error(`there is no state ${key.name}: its subsystem is not installed`);
    return known.value as T;
  }

  hasState(key: StateKey<unknown>): boolean {
    return this.#state.has(key) || this.#originState(key) !== undefined;
  }

  // — Tasks —

  /** A new process. Names need not be unique. */
  task(name = 'task', options: TaskOptions = {}): Task {
    const task = new Task(this, this.#nextTask++, name, options);
    this.tasks.set(task.id, task);
    return task;
  }

  forgetTask(task: Task): void {
    this.tasks.delete(task.id);
  }

  /** Runs `act` with a reason for the audit log. Nested reasons do not replace the outer task. */
  because<T>(task: Task | undefined, reason: string, act: () => T): T {
    const before = this.current;
    this.current = { task: task ?? before?.task, reason };
    try {
      return act();
    } finally {
      this.current = before;
    }
  }

  /** Adds a line to the audit log: who and why are those of the syscall under way. */
  record(entry: Pick<AuditEntry, 'action' | 'hook' | 'prog' | 'oldProg' | 'link'>): void {
    this.audit.add({
      ...entry,
      time: this.clock.now(),
      task: this.current?.task?.name,
      reason: this.current?.reason ?? 'kernel',
    });
  }

  // — Runs —

  /** A program run begins: what is freed from now on goes back when the outermost run ends. Every hook brackets its walk with these. */
  enterRun(): void {
    this.#runDepth++;
  }

  leaveRun(): void {
    if (--this.#runDepth !== 0) return;
    if (this.stats.enabled) this.stats.settle();
    if (this.#deferred.length > 0) this.#drain();
  }

  get running(): boolean {
    return this.#runDepth > 0;
  }

  /** Does it now, or when the outermost run ends (call_rcu). */
  defer(act: () => void): void {
    if (this.#runDepth === 0) act();
    else this.#deferred.push(act);
  }

  #drain(): void {
    while (this.#deferred.length > 0) {
      const acts = this.#deferred;
      this.#deferred = [];
      for (const act of acts) act();
    }
  }

  // — Objects —

  /** Judges a program. */
  verify(request: VerifierRequest): VerifierResult {
    return (this.options.verify ?? verify)(request);
  }

  /** The kernel's own BTF, id 1. */
  get kernelBtf(): BtfObject {
    return this.#kernelBtf;
  }

  /** This kernel's instance of a helper. */
  helperOf(factory: HelperFactory): VmHelper {
    let helper = this.#helperCache.get(factory);
    if (!helper) this.#helperCache.set(factory, (helper = factory(this)));
    return helper;
  }

  /** The map whose header is at an address; throws on any other (a program can't have one). */
  mapAt(address: number): BpfMap {
    const map = this.mapsByAddress.get(address >>> 0);
    if (!map) throw new Error(`no map has its header at 0x${(address >>> 0).toString(16)}`);
    return map;
  }

  /** Takes the id away from an object that dies. */
  forget(object: KernelObject): void {
    this.#table(object.kind).remove(object.id);
  }

  /** Everything that is alive but the kernel's own BTF, with its holders; open sockets too. */
  leaks(): Leak[] {
    const found: Leak[] = [];
    for (const table of [this.progs, this.maps, this.links, this.btfs] as IdTable<KernelObject>[]) {
      for (const object of table) {
        const holders = object.holders();
        if (holders.every(({ kind }) => kind === 'kernel') && holders.length > 0) continue;
        const by = holders.length === 0 ? 'nobody' : holders.map((holder) => holderText(holder, this.#taskName)).join(', ');
        const { kind, id, name } = object;
        found.push({ kind, id, name, holders, text: `${kind} ${id}${name === '' ? '' : ` (${name})`} held by ${by}` });
      }
    }
    found.push(...(this.network?.leaks?.((holder) => holderText(holder, this.#taskName)) ?? []));
    return found;
  }

  /** The chains of holders that keep an object alive, each up to a root (an fd, a pin, a hook, the kernel). Empty where it is not alive. */
  whyAlive(
    what: { readonly prog: number } | { readonly map: number } | { readonly link: number } | { readonly btf: number },
  ): HolderChain[] {
    const [kind, id] = Object.entries(what)[0] as [ObjectKind, number];
    const object = this.#table(kind).get(id);
    return object ? findChains(this, object, this.#taskName) : [];
  }

  /** The object with an id. */
  object(kind: ObjectKind, id: number): KernelObject | undefined {
    return this.#table(kind).get(id);
  }

  #table(kind: ObjectKind): IdTable<KernelObject> {
    return { prog: this.progs, map: this.maps, link: this.links, btf: this.btfs }[kind] as unknown as IdTable<KernelObject>;
  }

  readonly #taskName = (id: number): string => this.tasks.get(id)?.name ?? `${id}`;

  // — Forks —

  /**
   * A copy: memory, tables, programs, tasks. Neither sees the other's changes. Compiled modules are shared and instantiated when first
   * needed. `fork.twin(object)` is the copy's object. Throws while a program runs.
   */
  fork(): this {
    if (this.#runDepth > 0) throw new Error('a kernel can be forked only while no program runs');
    return new (this.constructor as new (options: KernelOptions, origin: Kernel) => this)(this.options, this);
  }

  /** In a fork: the object that stands for one of the origin (a map, a program, a link, a task, a device). */
  twin<T extends Twinnable>(object: T): T {
    const twin = this.#origin?.find(object);
    if (!twin)
      throw new Error('this kernel is no fork of the one that has this object, or the object is younger than the fork');
    return twin as T;
  }

  [Symbol.dispose](): void {
    for (const task of Array.from(this.tasks.values())) task.exit();
  }

  #copyFrom(origin: Kernel, fork: Fork): FileTree {
    this.#nextTask = origin.#nextTask;
    this.#kernelBtf = fork.twin(origin.#kernelBtf);
    for (const subsystem of origin.#subsystems) this.install(subsystem);
    for (const key of origin.#state.keys()) if (!this.#state.has(key)) this.#cloneState(key);
    this.btfs.copyFrom(origin.btfs, (btf) => fork.twin(btf));
    this.maps.copyFrom(origin.maps, (map) => fork.twin(map));
    this.progs.copyFrom(origin.progs, (prog) => fork.twin(prog));
    this.links.copyFrom(origin.links, (link) => fork.twin(link));
    const files = origin.files.fork(fork);
    for (const [id, task] of origin.tasks) this.tasks.set(id, fork.twin(task));
    this.stats.copyFrom(origin.stats);
    return files;
  }

  #originState(key: StateKey<unknown>): StateEntry | undefined {
    return this.#origin === undefined ? undefined : this.#origin.origin.#state.get(key);
  }

  #cloneState(key: StateKey<unknown>): StateEntry | undefined {
    const before = this.#originState(key);
    if (!before) return undefined;
    const entry = { value: before.ops.clone(before.value, this.#origin!), ops: before.ops };
    this.#state.set(key, entry);
    return entry;
  }

  #rebind(slot: number, image: VmProgram): VmProgram {
    const prog = this.#origin!.origin.progsBySlot.get(slot);
    return prog ? buildImage(this, prog) : image;
  }

  #makeKernelBtf(): void {
    const { kernelBtf } = this.options;
    const bytes = (): Uint8Array => {
      if (kernelBtf) return kernelBtf;
      const builder = new BtfBuilder();
      for (const [, contribute] of this.btfContributions.entries()) contribute(builder);
      return builder.encode();
    };
    this.#kernelBtf = new BtfObject(this, bytes, { name: 'vmlinux', isKernel: true });
    this.btfs.add(this.#kernelBtf);
    this.#kernelBtf.acquire({ kind: 'kernel', name: 'vmlinux' });
  }
}
