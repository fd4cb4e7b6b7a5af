/** The syscall border: what a loader may ask of a kernel, and the one codec between its typed and its raw form. */

import { BPF_ATTR_LAYOUTS, type BpfAttr, type BpfCmdNumber } from './attr.ts';
import type { Struct } from './layout.ts';
import type { NetlinkAnswer, NetlinkRequest } from './netlink.ts';
import { BufferMemory, type UserMemory } from './user-memory.ts';

/**
 * A kernel as one process sees it. Every call returns a value >= 0 or `-errno`, and never throws for what a kernel refuses.
 * `Task` of the in-process kernel and `linuxKernel()` of `@libbpf-ts/linux` implement it.
 */
export interface Syscalls {
  /**
   * bpf(2) in its typed form: any subset of the fields of the command's member of `union bpf_attr`, pointers as buffers.
   * Results are written back into `attr` (and into the buffers it points to), as the kernel does.
   */
  bpf<C extends BpfCmdNumber>(cmd: C, attr: BpfAttr<C>): number;
  /**
   * bpf(2) in its raw form: the attr as bytes, the size that the caller claims for it, and the memory that its pointers mean.
   * Short and over-long attrs, junk in padding and bad pointers are answered as the kernel answers them.
   */
  bpfRaw(cmd: number, attr: Uint8Array, size: number, memory: UserMemory): number;
  /** close(2). */
  close(fd: number): number;
  /**
   * One request on a NETLINK_ROUTE socket in the caller's network namespace, with everything up to its acknowledgement or the end of its
   * dump. `tc.ts` has typed requests and their codec.
   */
  rtnetlink(request: NetlinkRequest): NetlinkAnswer;
  /**
   * mmap(2) of a map's fd, MAP_SHARED: `length` bytes from `offset` on (both whole pages), or `-errno`. Ring buffers and maps made with
   * BPF_F_MMAPABLE have such memory.
   */
  mmap(fd: number, length: number, offset: number, writable: boolean): Mapping | number;
  /** if_nametoindex(3): the ifindex, or -ENODEV. */
  ifNameToIndex(name: string): number;
  /** The text of /proc/self/fdinfo/FD, or `-errno`. */
  fdInfo(fd: number): string | number;
}

/** Memory that a kernel and a process share. */
export interface Mapping extends Disposable {
  readonly length: number;
  /** The bytes as they are now. Ask anew after anything that may have run in the kernel: the memory may have moved within the process. */
  bytes(): Uint8Array<ArrayBuffer>;
  /** munmap(2). Unmapping twice is harmless. */
  unmap(): void;
}

const isBuffer = (value: unknown): value is ArrayBufferView => ArrayBuffer.isView(value);

function encodeFields(layout: Struct, attr: Record<string, unknown>, view: DataView, base: number, memory: BufferMemory): void {
  for (const { name, offset, type } of layout.fields) {
    const value = attr[name];
    if (value === undefined) continue;
    if (type.kind === 'pointer')
      type.write(view, base + offset, typeof value === 'bigint' ? value : memory.map(isBuffer(value) ? value : null));
    else type.write(view, base + offset, value);
  }
}

function decodeFields(layout: Struct, attr: Record<string, unknown>, before: DataView, after: DataView): void {
  for (const { name, offset, type } of layout.fields) {
    if (type.kind !== 'integer') continue;
    const value = type.read(after, offset);
    if (value !== type.read(before, offset)) attr[name] = value;
  }
}

/**
 * The typed form of bpf(2) in terms of the raw one: encodes `attr`, maps its buffers, calls, and writes changed integers back.
 * A kernel implements `bpf` by it, so both forms run the same checks.
 */
export function bpfTyped<C extends BpfCmdNumber>(
  raw: (cmd: number, attr: Uint8Array, size: number, memory: UserMemory) => number,
  cmd: C,
  attr: BpfAttr<C>,
): number {
  const layout = BPF_ATTR_LAYOUTS[cmd] as unknown as Struct;
  if (layout === undefined) return raw(cmd, new Uint8Array(0), 0, new BufferMemory());
  const memory = new BufferMemory();
  const bytes = new Uint8Array(layout.end);
  const view = new DataView(bytes.buffer);
  encodeFields(layout, attr as Record<string, unknown>, view, 0, memory);
  const before = new DataView(bytes.slice().buffer);
  const result = raw(cmd, bytes, bytes.length, memory);
  decodeFields(layout, attr as Record<string, unknown>, before, view);
  return result;
}

/** A NUL-terminated string as the kernel reads it. */
export function cString(value: string): Uint8Array {
  const encoded = new TextEncoder().encode(value);
  const bytes = new Uint8Array(encoded.length + 1);
  bytes.set(encoded);
  return bytes;
}
