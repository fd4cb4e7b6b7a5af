/** One bpf(2) call while it is being answered: the kernel's copy of the attr, and the caller's memory. */

import {
  BPF_ATTR_LAYOUTS,
  BPF_ATTR_SIZE,
  KernelError,
  type BpfCmdNumber,
  type RawBpfAttr,
  type Struct,
  type UserMemory,
} from '@libbpf-ts/uapi';

import type { Kernel } from './kernel.ts';
import type { Task } from './task.ts';

const decoder = new TextDecoder();

export class BpfCall<C extends BpfCmdNumber = BpfCmdNumber> {
  readonly task: Task;
  readonly kernel: Kernel;
  readonly cmd: C;
  /** The size of the attr that the caller named. */
  readonly size: number;
  readonly memory: UserMemory;
  /** The kernel's copy, zero-extended to the whole union. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The caller's attr, for results. */
  readonly #user: Uint8Array;
  #attr: RawBpfAttr<C> | undefined;

  constructor(task: Task, cmd: C, user: Uint8Array, size: number, memory: UserMemory) {
    this.task = task;
    this.kernel = task.kernel;
    this.cmd = cmd;
    this.size = size;
    this.memory = memory;
    this.#user = user;
    this.bytes = new Uint8Array(BPF_ATTR_SIZE);
    this.bytes.set(user.subarray(0, Math.min(size, BPF_ATTR_SIZE)));
    this.view = new DataView(this.bytes.buffer);
  }

  /** The fields of the command's member of `union bpf_attr`. Pointers are addresses in `memory`. */
  get attr(): RawBpfAttr<C> {
    return (this.#attr ??= (BPF_ATTR_LAYOUTS[this.cmd] as unknown as Struct).read(this.view) as unknown as RawBpfAttr<C>);
  }

  /** CHECK_ATTR: nothing may follow `end`, the end of the last field that the command reads. Throws EINVAL. */
  checkEnd(end: number): void {
    for (let at = end; at < BPF_ATTR_SIZE; at++) {
      if (this.bytes[at] !== 0)
        throw new KernelError(
          'EINVAL',
          `byte ${at} of the attr is not zero, though the command's fields end at ${end}`,
          'attr',
        );
    }
  }

  /** `copy_from_user`: a copy of the bytes. Throws EFAULT. */
  read(address: bigint, length: number, what: string): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    const found = this.memory.view(address, length);
    if (!found) throw new KernelError('EFAULT', `${length} bytes at ${what} can't be read`, what);
    return found.slice();
  }

  /** `copy_to_user`. Throws EFAULT. */
  write(address: bigint, bytes: Uint8Array, what: string): void {
    if (bytes.length === 0) return;
    const found = this.memory.view(address, bytes.length);
    if (!found) throw new KernelError('EFAULT', `${bytes.length} bytes at ${what} can't be written`, what);
    found.set(bytes);
  }

  /** `strncpy_from_user`: up to the NUL, at most `limit` bytes (then whatever is there). Throws EFAULT. */
  readString(address: bigint, limit: number, what: string): string {
    const found = this.memory.viewUpTo(address, limit);
    if (!found) throw new KernelError('EFAULT', `no string at ${what}`, what);
    const end = found.indexOf(0);
    if (end < 0 && found.length < limit) throw new KernelError('EFAULT', `the string at ${what} has no end`, what);
    return decoder.decode(end < 0 ? found : found.subarray(0, end));
  }

  /** Writes a field of the caller's attr (`put_user`), whatever size the caller named. Throws EFAULT beyond its buffer. */
  put(field: keyof RawBpfAttr<C> & string, value: number | bigint): void {
    const layout = BPF_ATTR_LAYOUTS[this.cmd] as unknown as Struct;
    const row = layout.fields.find(({ name }) => name === field);
    if (!row) throw new Error(`${layout.name} has no field ${field}`);
    if (row.offset + row.type.size > this.#user.length) throw new KernelError('EFAULT', `the attr ends before ${field}`, field);
    row.type.write(new DataView(this.#user.buffer, this.#user.byteOffset, this.#user.byteLength), row.offset, value);
  }
}
