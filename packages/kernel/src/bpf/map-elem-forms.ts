/** The two forms in which the element commands arrive: raw attrs, and (without any encoding) typed ones. */

import type { BpfAttr } from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import type { Task } from '../task.ts';
import { deleteElem, getNextKey, lookupAndDeleteElem, lookupElem, updateElem, type UserBytes } from './map-elem.ts';

export type ElemCmd = 1 | 2 | 3 | 4 | 21;

/** End of the last field that each command reads. */
const ENDS: Readonly<Record<ElemCmd, number>> = { 1: 32, 2: 32, 3: 16, 4: 24, 21: 32 };

/** The raw form. Returns 0 or -errno. */
export function elemRaw(call: BpfCall<ElemCmd>): number {
  const { cmd, task, view, memory } = call;
  call.checkEnd(ENDS[cmd]);
  const fd = view.getInt32(0, true);
  const user = (which: 'key' | 'value', length: number): UserBytes => {
    const address = view.getBigUint64(which === 'key' ? 8 : 16, true);
    if (address === 0n) return undefined;
    return memory.view(address, length) ?? null;
  };
  return run(task, cmd, fd, Number(view.getBigUint64(24, true)), user);
}

/** The buffers of the typed call under way; one a task, so that a lookup allocates nothing. */
export class TypedUser {
  key: ArrayBufferView | null | undefined;
  value: ArrayBufferView | null | undefined;

  readonly of = (which: 'key' | 'value', length: number): UserBytes => {
    const buffer = which === 'key' ? this.key : this.value;
    if (buffer === undefined || buffer === null) return undefined;
    if (buffer.byteLength < length) return null;
    // No more than was asked for: the room that it is copied into has no more.
    if (buffer instanceof Uint8Array && buffer.byteLength === length) return buffer;
    return new Uint8Array(buffer.buffer, buffer.byteOffset, length);
  };
}

/**
 * The typed form without the detour over bytes. undefined where the attr is not plain enough for it (addresses as bigints, fields that
 * the command does not read), so that the codec and `elemRaw` decide.
 */
export function elemTyped(task: Task, cmd: ElemCmd, attr: BpfAttr<1>, user: TypedUser): number | undefined {
  const { map_fd: fd, key, value, next_key, flags } = attr;
  if (typeof fd !== 'number' || !isBuffer(key) || !isBuffer(value) || !isBuffer(next_key)) return undefined;
  if (flags !== undefined && typeof flags !== 'bigint') return undefined;
  if (cmd === 4 ? value || flags : cmd === 3 ? value || next_key || flags : next_key) return undefined;
  user.key = key;
  user.value = cmd === 4 ? next_key : value;
  task.lastError = undefined;
  try {
    return run(task, cmd, fd | 0, flags === undefined || flags === 0n ? 0 : Number(BigInt.asUintN(64, flags)), user.of);
  } finally {
    user.key = user.value = undefined;
  }
}

const isBuffer = (value: unknown): value is ArrayBufferView | null | undefined =>
  value === undefined || value === null || ArrayBuffer.isView(value);

function run(
  task: Task,
  cmd: ElemCmd,
  fd: number,
  flags: number,
  user: (which: 'key' | 'value', length: number) => UserBytes,
): number {
  const result = answer(task, cmd, fd, flags, user);
  if (result < 0) task.elementRefused(cmd, fd, result);
  return result;
}

function answer(
  task: Task,
  cmd: ElemCmd,
  fd: number,
  flags: number,
  user: (which: 'key' | 'value', length: number) => UserBytes,
): number {
  switch (cmd) {
    case 1:
      return lookupElem(task, fd, flags, user);
    case 2:
      return updateElem(task, fd, flags, user);
    case 3:
      return deleteElem(task, fd, user);
    case 4:
      return getNextKey(task, fd, user);
    case 21:
      return lookupAndDeleteElem(task, fd, flags, user);
  }
}
