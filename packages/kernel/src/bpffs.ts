/** The file tree as far as BPF sees it: directories, and mounted bpf file systems that pin objects. Mirrors kernel/bpf/inode.c. */

import { KernelError } from '@libbpf-ts/uapi';

import type { Fork, Twinnable } from './fork.ts';
import type { KernelObject } from './object.ts';

/** A directory. Only those of a bpffs can hold pins. */
export class Dir {
  readonly kind = 'dir' as const;
  readonly isBpffs: boolean;
  readonly parent: Dir | undefined;
  name: string;
  readonly entries: Map<string, Dir | Pin> = new Map();

  constructor(name: string, parent: Dir | undefined, isBpffs: boolean) {
    this.name = name;
    this.parent = parent;
    this.isBpffs = isBpffs;
  }

  get path(): string {
    if (!this.parent) return '/';
    const above = this.parent.path;
    return above === '/' ? `/${this.name}` : `${above}/${this.name}`;
  }
}

/** A pinned object. The pin is a reference, under the path that it was made at. */
export class Pin {
  readonly kind = 'pin' as const;
  readonly object: KernelObject;
  /** Name of the reference; a rename does not change it. */
  readonly path: string;

  constructor(object: KernelObject, path: string) {
    this.object = object;
    this.path = path;
  }
}

interface Place {
  readonly dir: Dir;
  readonly name: string;
  readonly entry: Dir | Pin | undefined;
}

/** One file tree a kernel: `/`, and a bpffs at /sys/fs/bpf. */
export class FileTree {
  readonly root: Dir = new Dir('', undefined, false);

  /** A directory of the host tree, its parents made as needed. */
  makeHostDir(path: string): Dir {
    return this.#makeDirs(path, false);
  }

  /** Mounts a new bpffs at `path`, whose parents are made as needed; throws EBUSY where one is. */
  mountBpffs(path: string): Dir {
    const existing = this.#find(this.root, path);
    if (existing?.kind === 'dir' && existing.isBpffs)
      throw new KernelError('EBUSY', `${path} has a bpffs mounted already`, 'path');
    return this.#makeDirs(path, true);
  }

  /** Unmounts: every pin below is released. */
  unmountBpffs(path: string): void {
    const dir = this.resolve(path);
    if (dir.kind !== 'dir' || !dir.isBpffs || dir.parent?.isBpffs)
      throw new KernelError('EINVAL', `${path} is no mount point of a bpffs`, 'path');
    this.#releaseAll(dir);
    dir.parent!.entries.delete(dir.name);
    dir.parent!.entries.set(dir.name, new Dir(dir.name, dir.parent, false));
  }

  /** What is at a path; throws ENOENT or ENOTDIR. */
  resolve(path: string, from: Dir = this.root): Dir | Pin {
    const { entry, name, dir } = this.#locate(path, from);
    if (dir.isBpffs && name.includes('.') && name !== '..') throw new KernelError('EPERM', `${name} has a dot`, 'pathname');
    if (!entry) throw new KernelError('ENOENT', `${path}: there is no ${name}`, 'pathname');
    return entry;
  }

  /** Pins an object (`bpf_obj_pin_user`); the object takes its reference. Throws ENOENT, EPERM, EEXIST. */
  pin(path: string, object: KernelObject, from?: Dir): void {
    const { dir, name, entry } = this.#locate(path, from ?? this.root);
    if (entry) throw new KernelError('EEXIST', `${path} exists`, 'pathname');
    if (!dir.isBpffs || name.includes('.')) {
      throw new KernelError('EPERM', dir.isBpffs ? `${name} has a dot` : `${dir.path} is no directory of a bpffs`, 'pathname');
    }
    const full = `${dir.path === '/' ? '' : dir.path}/${name}`;
    object.acquire({ kind: 'pin', path: full });
    dir.entries.set(name, new Pin(object, full));
  }

  /** mkdir(2) inside a bpffs. Throws ENOENT, EEXIST, EPERM. */
  mkdir(path: string, from?: Dir): Dir {
    const { dir, name, entry } = this.#locate(path, from ?? this.root);
    if (entry) throw new KernelError('EEXIST', `${path} exists`, 'path');
    if (dir.isBpffs && name.includes('.')) throw new KernelError('EPERM', `${name} has a dot`, 'path');
    const made = new Dir(name, dir, dir.isBpffs);
    dir.entries.set(name, made);
    return made;
  }

  /** unlink(2): the pin's reference goes. Throws ENOENT, EISDIR. */
  unlink(path: string, from?: Dir): void {
    const { dir, name, entry } = this.#locate(path, from ?? this.root);
    if (!entry) throw new KernelError('ENOENT', `${path}: there is no ${name}`, 'path');
    if (entry.kind === 'dir') throw new KernelError('EISDIR', `${path} is a directory`, 'path');
    dir.entries.delete(name);
    entry.object.release({ kind: 'pin', path: entry.path });
  }

  /** rmdir(2). Throws ENOENT, ENOTDIR, ENOTEMPTY, EBUSY. */
  rmdir(path: string, from?: Dir): void {
    const { dir, name, entry } = this.#locate(path, from ?? this.root);
    if (!entry) throw new KernelError('ENOENT', `${path}: there is no ${name}`, 'path');
    if (entry.kind !== 'dir') throw new KernelError('ENOTDIR', `${path} is no directory`, 'path');
    if (entry.isBpffs && !dir.isBpffs) throw new KernelError('EBUSY', `${path} is a mount point`, 'path');
    if (entry.entries.size > 0) throw new KernelError('ENOTEMPTY', `${path} is not empty`, 'path');
    dir.entries.delete(name);
  }

  /** rename(2) of a pin inside one bpffs. Throws ENOENT, EXDEV, EPERM, EISDIR. */
  rename(oldPath: string, newPath: string): void {
    const from = this.#locate(oldPath, this.root);
    const to = this.#locate(newPath, this.root);
    if (!from.entry) throw new KernelError('ENOENT', `${oldPath}: there is no ${from.name}`, 'oldPath');
    if (from.dir.isBpffs !== to.dir.isBpffs)
      throw new KernelError('EXDEV', 'the two paths are on different file systems', 'newPath');
    if (to.name.includes('.')) throw new KernelError('EPERM', `${to.name} has a dot`, 'newPath');
    if (to.entry?.kind === 'dir') throw new KernelError('EISDIR', `${newPath} is a directory`, 'newPath');
    if (to.entry === from.entry) return;
    from.dir.entries.delete(from.name);
    to.dir.entries.set(to.name, from.entry);
    if (to.entry) to.entry.object.release({ kind: 'pin', path: to.entry.path });
  }

  /** Every pin with its present path. */
  *pins(dir: Dir = this.root): IterableIterator<{ readonly path: string; readonly object: KernelObject }> {
    const above = dir.path === '/' ? '' : dir.path;
    for (const [name, entry] of dir.entries) {
      if (entry.kind === 'dir') yield* this.pins(entry);
      else yield { path: `${above}/${name}`, object: entry.object };
    }
  }

  /** The same tree with each object's twin. */
  fork(fork: Fork): FileTree {
    const copy = new FileTree();
    copyDir(this.root, copy.root, fork);
    return copy;
  }

  #releaseAll(dir: Dir): void {
    for (const [name, entry] of Array.from(dir.entries)) {
      dir.entries.delete(name);
      if (entry.kind === 'dir') this.#releaseAll(entry);
      else entry.object.release({ kind: 'pin', path: entry.path });
    }
  }

  #find(from: Dir, path: string): Dir | Pin | undefined {
    let at: Dir | Pin | undefined = from;
    for (const part of parts(path)) at = at?.kind === 'dir' ? at.entries.get(part) : undefined;
    return at;
  }

  #makeDirs(path: string, bpffs: boolean): Dir {
    const names = parts(path);
    let at = this.root;
    names.forEach((name, index) => {
      const last = index === names.length - 1;
      let next = at.entries.get(name);
      if (next?.kind === 'pin') throw new KernelError('ENOTDIR', `${path}: ${name} is no directory`, 'path');
      if (!next || (last && bpffs)) at.entries.set(name, (next = new Dir(name, at, (last && bpffs) || at.isBpffs)));
      at = next as Dir;
    });
    return at;
  }

  #locate(path: string, from: Dir): Place {
    if (path === '') throw new KernelError('ENOENT', 'the path is empty', 'pathname');
    const names = parts(path);
    const name = names.pop();
    let dir = path.startsWith('/') ? this.root : from;
    if (name === undefined) return { dir, name: '/', entry: dir };
    for (const part of names) {
      const next = part === '..' ? (dir.parent ?? dir) : dir.entries.get(part);
      if (!next) throw new KernelError('ENOENT', `${path}: there is no ${part}`, 'pathname');
      if (next.kind !== 'dir') throw new KernelError('ENOTDIR', `${path}: ${part} is no directory`, 'pathname');
      dir = next;
    }
    if (name.length > 255) throw new KernelError('ENAMETOOLONG', 'a name has more than 255 bytes', 'pathname');
    return { dir, name, entry: name === '..' ? (dir.parent ?? dir) : dir.entries.get(name) };
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function copyDir(from: Dir, to: Dir, fork: Fork): void {
  fork.bind(from, to);
  for (const [name, entry] of from.entries) {
    if (entry.kind === 'pin') {
      to.entries.set(name, new Pin(fork.twin(entry.object as unknown as Twinnable) as unknown as KernelObject, entry.path));
      continue;
    }
    const dir = new Dir(name, to, entry.isBpffs);
    to.entries.set(name, dir);
    copyDir(entry, dir, fork);
  }
}
