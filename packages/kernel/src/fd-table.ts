/** The file descriptors of one task. */

import { KernelError } from '@libbpf-ts/uapi';

import type { OpenFile } from './open-file.ts';

export class FdTable {
  readonly #files: (OpenFile | undefined)[] = [];
  /** No fd below is free. */
  #lowest = 0;
  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }

  get(fd: number): OpenFile | undefined {
    return this.#files[fd];
  }

  /** The lowest free fd now means `file`. Throws EMFILE. */
  install(file: OpenFile): number {
    let fd = this.#lowest;
    while (this.#files[fd] !== undefined) fd++;
    if (fd >= this.limit) throw new KernelError('EMFILE', `the task has ${this.limit} open files already`);
    this.#files[fd] = file;
    this.#lowest = fd + 1;
    return fd;
  }

  /** Puts a file at an fd that must be free. */
  installAt(fd: number, file: OpenFile): void {
    while (this.#files.length < fd) this.#files.push(undefined);
    this.#files[fd] = file;
  }

  remove(fd: number): OpenFile | undefined {
    const file = this.#files[fd];
    if (file === undefined) return undefined;
    this.#files[fd] = undefined;
    if (fd < this.#lowest) this.#lowest = fd;
    return file;
  }

  /** Open fds in ascending order. */
  *[Symbol.iterator](): IterableIterator<[number, OpenFile]> {
    for (let fd = 0; fd < this.#files.length; fd++) {
      const file = this.#files[fd];
      if (file) yield [fd, file];
    }
  }

  /** For forks. */
  copy(twin: (file: OpenFile) => OpenFile): FdTable {
    const table = new FdTable(this.limit);
    for (const [fd, file] of this) table.installAt(fd, twin(file));
    table.#lowest = 0;
    return table;
  }
}
