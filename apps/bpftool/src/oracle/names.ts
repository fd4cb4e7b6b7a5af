/** What the names of a trace mean on one world: file descriptors by the task that has them, ids, devices. */

import { BPF_LINK_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_PROG_GET_FD_BY_ID, type Syscalls } from '@libbpf-ts/uapi';

import type { World, WorldTask } from './world.ts';

export const BAD_FD = 19_999;
const BAD_ID = 0x7fff_fff0;
const BAD_IFINDEX = 0x7fff_fff0;

export type NamedKind = 'prog' | 'link' | 'map';

export interface Named {
  readonly kind: NamedKind;
  readonly id: number;
  /** Undefined once it is closed. */
  fd: number | undefined;
  /** The task whose fd it is. */
  task: string;
}

/** The task that acts where an operation names none. */
const FIRST_TASK = 't0';

function open(sys: Syscalls, { kind, id }: Named): number {
  if (kind === 'link') return sys.bpf(BPF_LINK_GET_FD_BY_ID, { link_id: id });
  return kind === 'map' ? sys.bpf(BPF_MAP_GET_FD_BY_ID, { map_id: id }) : sys.bpf(BPF_PROG_GET_FD_BY_ID, { prog_id: id });
}

export class Names {
  readonly #world: World;
  readonly #named: Map<string, Named> = new Map();
  readonly #progNames: Map<number, string> = new Map();
  readonly #linkNames: Map<number, string> = new Map();
  readonly #devices: Map<string, number> = new Map();
  readonly #tasks: Map<string, WorldTask> = new Map();
  /** Opened for the operation under way: another task's object, reached by its id. */
  #borrowed: number[] = [];
  #actor: string = FIRST_TASK;

  constructor(world: World) {
    this.#world = world;
  }

  /** The system calls of the task that acts. */
  get sys(): Syscalls {
    return this.#task(this.#actor).sys;
  }

  /** Runs one operation as a task. What it needed from others is closed afterwards. */
  as<T>(by: unknown, work: () => T): T {
    this.#actor = typeof by === 'string' ? by : FIRST_TASK;
    try {
      return work();
    } finally {
      for (const fd of this.#borrowed.splice(0)) this.sys.close(fd);
    }
  }

  /** A task dies: its fds are closed, nothing else is undone. The next task of the name is a new one. */
  exit(name: string): void {
    this.#tasks.get(name)?.exit();
    this.#tasks.delete(name);
    for (const named of this.#named.values()) if (named.task === name) named.fd = undefined;
  }

  add(name: string, kind: NamedKind, id: number, fd: number): void {
    this.#named.set(name, { kind, id, fd, task: this.#actor });
    if (kind === 'prog') this.#progNames.set(id, name);
    if (kind === 'link') this.#linkNames.set(id, name);
  }

  get(name: string): Named | undefined {
    return this.#named.get(name);
  }

  /** Closes the fd behind a name, in the task that has it. */
  close(name: string): number {
    const named = this.#named.get(name);
    const result = named?.fd === undefined ? this.sys.close(BAD_FD) : this.#task(named.task).sys.close(named.fd);
    if (named) named.fd = undefined;
    return result;
  }

  /** An fd of the acting task for a name; one that means nothing where it is closed. */
  fd(name: string): number {
    const named = this.#named.get(name);
    if (named?.fd === undefined) return BAD_FD;
    if (named.task === this.#actor) return named.fd;
    const fd = open(this.sys, named);
    if (fd < 0) return BAD_FD;
    this.#borrowed.push(fd);
    return fd;
  }

  /** A reference such as `fd:p1`, `id:l0`, `fd:bad`, `0`. */
  value(ref: unknown): number {
    const text = String(ref);
    if (text === '0') return 0;
    if (text === 'fd:bad') return BAD_FD;
    if (text === 'fd:neg') return -1;
    if (text === 'id:bad') return BAD_ID;
    return text.startsWith('id:') ? (this.#named.get(text.slice(3))?.id ?? BAD_ID) : this.fd(text.slice(3));
  }

  /** Links with an open fd, each with the system calls of the task that has it. */
  *openLinks(): Generator<{ readonly name: string; readonly sys: Syscalls; readonly fd: number }> {
    for (const [name, { fd, task }] of this.#named)
      if (/^l\d+$/.test(name) && fd !== undefined) yield { name, sys: this.#task(task).sys, fd };
  }

  progName(id: number): string | undefined {
    return this.#progNames.get(id);
  }

  linkName(id: number): string | undefined {
    return this.#linkNames.get(id);
  }

  addDevice(name: string): void {
    this.#devices.set(name, this.#world.addDevice(name));
  }

  ifindex(ref: unknown): number {
    return ref === '0' ? 0 : (this.#devices.get(String(ref)) ?? BAD_IFINDEX);
  }

  deviceName(ifindex: number): string | null {
    for (const [name, index] of this.#devices) if (index === ifindex) return name;
    return null;
  }

  #task(name: string): WorldTask {
    let task = this.#tasks.get(name);
    if (!task) this.#tasks.set(name, (task = this.#world.task(name)));
    return task;
  }
}
