/** A process as the kernel sees it: file descriptors, credentials, and the syscalls that it may make. */

import {
  bpfTyped,
  ERRNO,
  isKernelError,
  KernelError,
  type BpfAttr,
  type BpfCmdNumber,
  type Mapping,
  type NetlinkAnswer,
  type NetlinkRequest,
  type Syscalls,
  type UserMemory,
} from '@libbpf-ts/uapi';

import { dispatch } from './bpf/dispatch.ts';
import { fdInfoText } from './bpf/fd-info.ts';
import { elemTyped, TypedUser } from './bpf/map-elem-forms.ts';
import { explainElement } from './bpf/map-elem-words.ts';
import { Dir } from './bpffs.ts';
import type { BtfObject } from './btf-object.ts';
import type { Erased } from './erased.ts';
import { FdTable } from './fd-table.ts';
import type { Fork, Twinnable } from './fork.ts';
import type { Holder } from './holder.ts';
import type { Kernel } from './kernel.ts';
import type { BpfLink } from './link.ts';
import type { BpfMap } from './map.ts';
import { mmapMap, Mappings } from './mapping.ts';
import { answerNetlink } from './netlink.ts';
import type { KernelObject, ObjectKind } from './object.ts';
import { ObjectFile, PlainFile, type OpenFile } from './open-file.ts';
import type { BpfProg } from './prog.ts';
import type { StateKey } from './state.ts';

/** The capabilities that bpf(2) looks at. */
export interface Capabilities {
  readonly bpf: boolean;
  readonly perfmon: boolean;
  readonly netAdmin: boolean;
  readonly sysAdmin: boolean;
}

export const ALL_CAPABILITIES: Capabilities = { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true };

export interface TaskOptions {
  /** All by default, as root has. */
  readonly capabilities?: Partial<Capabilities>;
  /** 0 by default. */
  readonly uid?: number;
  /** RLIMIT_NOFILE, 1,048,576 by default. */
  readonly fdLimit?: number;
}

/** State that a subsystem keeps for each task, its network namespace for instance. */
export interface TaskStateOps<T> {
  create(task: Task): T;
  clone(value: T, fork: Fork): T;
  /** The task exits. */
  exit?(value: T, task: Task): void;
}

export class Task implements Syscalls, Twinnable, Disposable {
  readonly kernel: Kernel;
  /** The pid. */
  readonly id: number;
  readonly name: string;
  readonly uid: number;
  readonly capabilities: Capabilities;
  #fds: FdTable;
  readonly #typedUser: TypedUser = new TypedUser();
  /** Maps' memory that this task has mapped. */
  readonly mappings: Mappings;
  #exited = false;
  /** The refusal of the last bpf(2) call in words; undefined where it succeeded. For the TypeScript side: errno says less. */
  get lastError(): KernelError | undefined {
    if (this.#elementResult < 0) {
      this.#lastError = explainElement(this, this.#elementCmd, this.#elementFd, this.#elementResult);
      this.#elementResult = 0;
    }
    return this.#lastError;
  }
  set lastError(error: KernelError | undefined) {
    this.#elementResult = 0;
    this.#lastError = error;
  }
  #lastError: KernelError | undefined;
  /** The last element command, if it was refused and nobody has asked why. */
  #elementCmd = 0;
  #elementFd = 0;
  #elementResult = 0;

  /** Notes the refusal of an element command, to be put into words if asked for. */
  elementRefused(cmd: number, fd: number, result: number): void {
    this.#elementCmd = cmd;
    this.#elementFd = fd;
    this.#elementResult = result;
  }
  readonly #state: Map<StateKey<unknown>, { value: unknown; readonly ops: TaskStateOps<Erased> }> = new Map();

  /** Use `kernel.task(name)`. */
  constructor(kernel: Kernel, id: number, name: string, options: TaskOptions) {
    this.kernel = kernel;
    this.id = id;
    this.name = name;
    this.uid = options.uid ?? 0;
    this.capabilities = { ...ALL_CAPABILITIES, ...options.capabilities };
    this.mappings = new Mappings(id);
    this.#fds = new FdTable(options.fdLimit ?? 1_048_576);
    for (let fd = 0; fd < 3; fd++) this.#fds.install(new PlainFile());
  }

  get exited(): boolean {
    return this.#exited;
  }

  // — Syscalls —

  bpf<C extends BpfCmdNumber>(cmd: C, attr: BpfAttr<C>): number {
    if (cmd === 1 || cmd === 2 || cmd === 3 || cmd === 4) {
      const result = this.#element(cmd, attr as BpfAttr<1>);
      if (result !== undefined) return result;
    }
    return bpfTyped(this.#raw, cmd, attr);
  }

  bpfRaw(cmd: number, attr: Uint8Array, size: number, memory: UserMemory): number {
    return dispatch(this, cmd, attr, size, memory);
  }
  readonly #raw = (cmd: number, attr: Uint8Array, size: number, memory: UserMemory): number =>
    this.bpfRaw(cmd, attr, size, memory);

  close(fd: number): number {
    const file = this.#fds.remove(fd);
    if (file === undefined) return -ERRNO.EBADF;
    this.kernel.because(this, `close of fd ${fd}`, () => file.closed(this.fdHolder(fd)));
    return 0;
  }

  ifNameToIndex(name: string): number {
    return this.kernel.network?.ifNameToIndex(this, name) ?? -ERRNO.ENODEV;
  }

  rtnetlink(request: NetlinkRequest): NetlinkAnswer {
    return answerNetlink(this, request);
  }

  mmap(fd: number, length: number, offset: number, writable: boolean): Mapping | number {
    return mmapMap(this, this.mappings, { fd, length, offset, writable });
  }

  fdInfo(fd: number): string | number {
    const file = this.#fds.get(fd);
    return file === undefined ? -ERRNO.ENOENT : fdInfoText(file);
  }

  // — Further syscalls of a process —

  /** dup(2). */
  dup(fd: number): number {
    const file = this.#fds.get(fd);
    if (file === undefined) return -ERRNO.EBADF;
    return this.#answer(() => this.installFd(file));
  }

  /** read(2). */
  read(fd: number, length: number): Uint8Array | number {
    const file = this.#fds.get(fd);
    if (file === undefined) return -ERRNO.EBADF;
    if (!file.read) return -ERRNO.EINVAL;
    try {
      return file.read(length);
    } catch (error) {
      if (isKernelError(error)) return -error.errno;
      throw error;
    }
  }

  /** open(2) of a directory, for path_fd. */
  openDir(path: string): number {
    return this.#answer(() => {
      const found = this.kernel.files.resolve(path);
      if (!(found instanceof Dir)) throw new KernelError('ENOTDIR', `${path} is no directory`, 'path');
      return this.installFd(new DirFile(found));
    });
  }

  mkdir(path: string): number {
    return this.#answer(() => void this.kernel.files.mkdir(path));
  }
  rmdir(path: string): number {
    return this.#answer(() => this.kernel.files.rmdir(path));
  }
  unlink(path: string): number {
    return this.#answer(() => this.kernel.because(this, `unlink of ${path}`, () => this.kernel.files.unlink(path)));
  }
  rename(oldPath: string, newPath: string): number {
    return this.#answer(() =>
      this.kernel.because(this, `rename over ${newPath}`, () => this.kernel.files.rename(oldPath, newPath)),
    );
  }
  /** Names in a directory; those of directories end in `/`. */
  readdir(path: string): string[] | number {
    try {
      const found = this.kernel.files.resolve(path);
      if (!(found instanceof Dir)) return -ERRNO.ENOTDIR;
      return [...found.entries].map(([name, entry]) => (entry.kind === 'dir' ? `${name}/` : name));
    } catch (error) {
      if (isKernelError(error)) return -error.errno;
      throw error;
    }
  }

  /** Ends the task, as a crash would: every fd is closed, nothing else is undone. */
  exit(): void {
    if (this.#exited) return;
    this.#exited = true;
    this.kernel.because(this, 'exit', () => {
      for (const [fd, file] of Array.from(this.#fds)) {
        this.#fds.remove(fd);
        file.closed(this.fdHolder(fd));
      }
      this.mappings.unmapAll();
      for (const { value, ops } of this.#state.values()) ops.exit?.(value, this);
    });
    this.kernel.forgetTask(this);
  }

  [Symbol.dispose](): void {
    this.exit();
  }

  // — For the kernel's own code —

  fdHolder(fd: number): Holder {
    return { kind: 'fd', task: this.id, fd };
  }

  /** The open files. */
  get fds(): FdTable {
    return this.#fds;
  }

  file(fd: number): OpenFile | undefined {
    return this.#fds.get(fd);
  }

  /** Gives a file the lowest free fd. Throws EMFILE. */
  installFd(file: OpenFile): number {
    const fd = this.#fds.install(file);
    file.opened(this.fdHolder(fd));
    return fd;
  }

  /** Gives an object an fd; where there is none it is freed if nobody holds it. */
  installObject(object: BpfProg | BpfMap | BpfLink | BtfObject, canRead = true, canWrite = true): number {
    try {
      return this.installFd(new ObjectFile(object, canRead, canWrite));
    } catch (error) {
      if (object.refs === 0) object.abandon();
      throw error;
    }
  }

  /** The program behind an fd (`bpf_prog_get_type`). Throws EBADF, or EINVAL where it is something else or of another type. */
  prog(fd: number, argument: string, type?: number): BpfProg {
    const prog = this.#object(fd, 'prog', 'a program', argument) as BpfProg;
    if (type !== undefined && prog.type !== type) {
      throw new KernelError('EINVAL', `program ${prog.id} is of type ${prog.type}, not ${type}`, argument);
    }
    return prog;
  }
  /** The map behind an fd (`bpf_map_get`). */
  map(fd: number, argument: string): BpfMap {
    return this.#object(fd, 'map', 'a map', argument) as BpfMap;
  }
  link(fd: number, argument: string): BpfLink {
    return this.#object(fd, 'link', 'a link', argument) as BpfLink;
  }
  btf(fd: number, argument: string): BtfObject {
    return this.#object(fd, 'btf', 'BTF', argument) as BtfObject;
  }

  /** State of a subsystem for this task; see `kernel.state`. */
  state<T>(key: StateKey<T>, ops: TaskStateOps<T>): T {
    const known = this.#state.get(key);
    if (known) return known.value as T;
    const value = ops.create(this);
    this.#state.set(key, { value, ops });
    return value;
  }
  setState<T>(key: StateKey<T>, value: T): void {
    const known = this.#state.get(key);
    if (!known) throw new Error(`task ${this.name} has no state ${key.name}`);
    known.value = value;
  }

  makeTwin(fork: Fork): Task {
    const twin = new Task(fork.kernel, this.id, this.name, { capabilities: this.capabilities, uid: this.uid });
    fork.bind(this, twin);
    twin.#exited = this.#exited;
    const files = new Map<OpenFile, OpenFile>();
    twin.#fds = this.#fds.copy((file) => {
      let copy = files.get(file);
      if (!copy) files.set(file, (copy = file.twin(fork)));
      return copy;
    });
    twin.mappings.copyFrom(this.mappings, fork);
    for (const [key, { value, ops }] of this.#state) twin.#state.set(key, { value: ops.clone(value, fork), ops });
    return twin;
  }

  #object(fd: number, kind: ObjectKind, what: string, argument: string): KernelObject {
    const file = this.#fds.get(fd);
    if (file === undefined) throw new KernelError('EBADF', `fd ${fd} is not open`, argument);
    if (file.object?.kind !== kind) throw new KernelError('EINVAL', `fd ${fd} is not ${what}`, argument);
    return file.object;
  }

  /** The way of element commands that takes no copies; see elemTyped. */
  #element(cmd: 1 | 2 | 3 | 4, attr: BpfAttr<1>): number | undefined {
    try {
      return elemTyped(this, cmd, attr, this.#typedUser);
    } catch (error) {
      if (!isKernelError(error)) throw error;
      this.lastError = error;
      return -error.errno;
    }
  }

  #answer(act: () => number | void): number {
    try {
      return act() ?? 0;
    } catch (error) {
      if (isKernelError(error)) return -error.errno;
      throw error;
    }
  }
}

/** An open directory. */
export class DirFile implements OpenFile {
  readonly kind = 'dir';
  readonly canRead = true;
  readonly canWrite = false;
  readonly dir: Dir;

  constructor(dir: Dir) {
    this.dir = dir;
  }
  opened(): void {}
  closed(): void {}
  twin(fork: Fork): OpenFile {
    return new DirFile((fork.find(this.dir) as Dir | undefined) ?? this.dir);
  }
}
