/** What a file descriptor refers to. */

import type { Fork } from './fork.ts';
import type { Holder } from './holder.ts';
import type { KernelObject } from './object.ts';

/** An open file. One may be behind several fds (dup). Subsystems bring their own kinds (`socket`, `netns`). */
export interface OpenFile {
  /** `bpf` for programs, maps, links and BTF; else what it is: `char` (fds 0 to 2), `dir`, `iter`, `stats`, `socket`. */
  readonly kind: string;
  /** For `bpf`. */
  readonly object?: KernelObject;
  /** For maps: the access mode that BPF_F_RDONLY and BPF_F_WRONLY left. */
  readonly canRead: boolean;
  readonly canWrite: boolean;
  /** An fd now refers to it. */
  opened(holder: Holder): void;
  /** One of its fds was closed. */
  closed(holder: Holder): void;
  /** read(2), up to `length` bytes; EINVAL where omitted. */
  read?(length: number): Uint8Array;
  fdInfo?(): string;
  twin(fork: Fork): OpenFile;
}

/** A program, map, link or BTF object behind an fd. */
export class ObjectFile<T extends KernelObject = KernelObject> implements OpenFile {
  readonly kind = 'bpf';
  readonly object: T;
  readonly canRead: boolean;
  readonly canWrite: boolean;

  constructor(object: T, canRead = true, canWrite = true) {
    this.object = object;
    this.canRead = canRead;
    this.canWrite = canWrite;
  }

  opened(holder: Holder): void {
    this.object.acquire(holder);
  }
  closed(holder: Holder): void {
    this.object.release(holder);
  }
  twin(fork: Fork): OpenFile {
    return new ObjectFile(fork.twin(this.object as never) as KernelObject, this.canRead, this.canWrite);
  }
}

/** A file that means nothing here: stdin, stdout, stderr. */
export class PlainFile implements OpenFile {
  readonly kind: string;
  readonly canRead = true;
  readonly canWrite = true;

  constructor(kind = 'char') {
    this.kind = kind;
  }
  opened(): void {}
  closed(): void {}
  twin(): OpenFile {
    return this;
  }
}
