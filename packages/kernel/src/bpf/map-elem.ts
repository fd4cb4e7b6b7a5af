/**
 * The element commands: lookup, update, delete, get_next_key, lookup_and_delete, freeze. Each has one function that works on the caller's
 * buffers; the raw form (addresses in a user memory) and the fast typed form (typed arrays) both call it, so both run the same checks.
 */

import {
  BPF_F_LOCK,
  BPF_MAP_TYPE_BLOOM_FILTER,
  BPF_MAP_TYPE_QUEUE,
  BPF_MAP_TYPE_STACK,
  BPF_MAP_TYPE_STRUCT_OPS,
  ERRNO,
  KernelError,
} from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import type { BpfMap } from '../map.ts';
import type { OpenFile } from '../open-file.ts';
import type { Task } from '../task.ts';

/** A user buffer: its bytes, `undefined` where the pointer is NULL, `null` where it points nowhere (EFAULT). */
export type UserBytes = Uint8Array | undefined | null;

/** Gives the buffer behind a pointer; it must have exactly `length` bytes, else `null`. */
export type UserPointerOf = (which: 'key' | 'value', length: number) => UserBytes;

const EFAULT = -ERRNO.EFAULT;
const EINVAL = -ERRNO.EINVAL;
const EPERM = -ERRNO.EPERM;
const ENOENT = -ERRNO.ENOENT;
const ENOTSUPP = -ERRNO.ENOTSUPP;

/** `map_lookup_elem`. */
export function lookupElem(task: Task, fd: number, flags: number, user: UserPointerOf): number {
  if (flags !== 0 && flags !== BPF_F_LOCK) return EINVAL;
  const file = task.file(fd);
  const map = mapOf(file);
  if (typeof map === 'number') return map;
  if (!file!.canRead) return EPERM;
  if (flags !== 0 && !hasSpinLock(map)) return EINVAL;
  const key = copyKey(map, user);
  if (key < 0) return key;
  const size = map.userValueSize;
  const value = map.kernel.scratch.value(size);
  if (map.type === BPF_MAP_TYPE_BLOOM_FILTER && !copyIn(map, user('value', size), value)) return EFAULT;
  const error = copyValue(map, key, value, flags);
  return error !== 0 ? error : copyOut(map, value, size, user('value', size));
}

/** `map_update_elem`. */
export function updateElem(task: Task, fd: number, flags: number, user: UserPointerOf): number {
  const file = task.file(fd);
  const map = mapOf(file);
  if (typeof map === 'number') return map;
  if (!mayWrite(file!, map)) return EPERM;
  if ((flags & BPF_F_LOCK) !== 0 && !hasSpinLock(map)) return EINVAL;
  const key = copyKey(map, user);
  if (key < 0) return key;
  const size = map.userValueSize;
  const value = map.kernel.scratch.value(size);
  if (!copyIn(map, user('value', size), value)) return EFAULT;
  return updateValue(map, key, value, flags, task);
}

/** `map_delete_elem`. */
export function deleteElem(task: Task, fd: number, user: UserPointerOf): number {
  const file = task.file(fd);
  const map = mapOf(file);
  if (typeof map === 'number') return map;
  if (!mayWrite(file!, map)) return EPERM;
  const key = copyKey(map, user);
  return key < 0 ? key : deleteKey(map, key);
}

/** `map_get_next_key`; `value` is where the next key goes. */
export function getNextKey(task: Task, fd: number, user: UserPointerOf): number {
  const file = task.file(fd);
  const map = mapOf(file);
  if (typeof map === 'number') return map;
  if (!file!.canRead) return EPERM;
  const { keySize } = map;
  const given = user('key', keySize);
  const key = given === undefined ? 0 : copyKey(map, user);
  if (key < 0) return key;
  const { ops } = map;
  if (!ops.getNextKey) return ENOTSUPP;
  const next = map.kernel.scratch.nextKey(keySize);
  const error = ops.getNextKey(map, key, next);
  return error !== 0 ? error : copyOut(map, next, keySize, user('value', keySize));
}

/** `map_lookup_and_delete_elem`. */
export function lookupAndDeleteElem(task: Task, fd: number, flags: number, user: UserPointerOf): number {
  if (flags !== 0 && flags !== BPF_F_LOCK) return EINVAL;
  const file = task.file(fd);
  const map = mapOf(file);
  if (typeof map === 'number') return map;
  if (!file!.canRead || !mayWrite(file!, map)) return EPERM;
  const isQueue = map.type === BPF_MAP_TYPE_QUEUE || map.type === BPF_MAP_TYPE_STACK;
  if (flags !== 0 && (isQueue || !hasSpinLock(map))) return EINVAL;
  const key = copyKey(map, user);
  if (key < 0) return key;
  const { ops } = map;
  const size = map.userValueSize;
  const value = map.kernel.scratch.value(size);
  let error = ENOTSUPP;
  if (isQueue) error = ops.pop ? ops.pop(map, value) : ENOTSUPP;
  else if (ops.userLookupAndDelete) error = ops.userLookupAndDelete(map, key, value, flags);
  return error !== 0 ? error : copyOut(map, value, size, user('value', size));
}

/** BPF_MAP_FREEZE: bpf(2) can write no more. */
export function freeze(call: BpfCall<22>): void {
  call.checkEnd(4);
  const { map_fd } = call.attr;
  const map = call.task.map(map_fd, 'map_fd');
  if (map.type === BPF_MAP_TYPE_STRUCT_OPS || map.record.length > 0) {
    throw new KernelError('ENOTSUPP', "a map with locks, timers or pointers in its values can't be frozen", 'map_fd');
  }
  if (!mayWrite(call.task.file(map_fd)!, map))
    throw new KernelError('EPERM', map.frozen ? 'the map is frozen already' : 'the fd is read-only', 'map_fd');
  if (map.writers > 0) throw new KernelError('EBUSY', `${map.writers} writable mappings of the map exist`, 'map_fd');
  map.frozen = true;
}

/** The map behind a file, or -EBADF, -EINVAL. */
function mapOf(file: OpenFile | undefined): BpfMap | number {
  if (file === undefined) return -ERRNO.EBADF;
  const { object } = file;
  return object !== undefined && object.kind === 'map' ? (object as BpfMap) : EINVAL;
}

/** `map_get_sys_perms`. */
export function mayWrite(file: OpenFile, map: BpfMap): boolean {
  return file.canWrite && !map.frozen;
}

export function hasSpinLock(map: BpfMap): boolean {
  return map.record.length > 0 && map.record.some(({ type }) => type === 'BPF_SPIN_LOCK');
}

/** Address of a copy of the key, or -errno; 0 for maps without keys. */
function copyKey(map: BpfMap, user: UserPointerOf): number {
  const { keySize } = map;
  const bytes = user('key', keySize);
  if (keySize === 0) return bytes === undefined ? 0 : EINVAL;
  if (bytes === undefined || bytes === null) return EFAULT;
  const address = map.kernel.scratch.key(keySize);
  copyBytes(map.kernel.arena.u8, address, bytes, keySize);
  return address;
}

function copyIn(map: BpfMap, bytes: UserBytes, address: number): boolean {
  if (bytes === undefined || bytes === null) return false;
  copyBytes(map.kernel.arena.u8, address, bytes, bytes.length);
  return true;
}

function copyOut(map: BpfMap, address: number, size: number, bytes: UserBytes): number {
  if (size === 0) return 0;
  if (bytes === undefined || bytes === null) return EFAULT;
  const { u8 } = map.kernel.arena;
  if (size <= 64) for (let i = 0; i < size; i++) bytes[i] = u8[address + i]!;
  else bytes.set(u8.subarray(address, address + size));
  return 0;
}

/** For short keys a loop is faster than `set`. */
function copyBytes(to: Uint8Array, address: number, from: Uint8Array, size: number): void {
  if (size <= 64) for (let i = 0; i < size; i++) to[address + i] = from[i]!;
  else to.set(from, address);
}

/** `bpf_map_copy_value`: the value as user space sees it. */
export function copyValue(map: BpfMap, key: number, value: number, flags: number): number {
  const { ops } = map;
  if (ops.userLookup) return ops.userLookup(map, key, value, flags);
  const found = map.lookup(key);
  if (found === 0) return ENOENT;
  const { u8 } = map.kernel.arena;
  const size = map.valueSize;
  u8.copyWithin(value, found, found + size);
  // Locks, timers and pointers are the kernel's own: user space reads zeros.
  for (const field of map.record) u8.fill(0, value + field.offset, value + field.offset + field.size);
  return 0;
}

/** `bpf_map_update_value`. */
export function updateValue(map: BpfMap, key: number, value: number, flags: number, task: Task): number {
  const { ops } = map;
  if (ops.userUpdate) return ops.userUpdate(map, key, value, flags, task);
  return ops.update ? ops.update(map, key, value, flags) : ENOTSUPP;
}

export function deleteKey(map: BpfMap, key: number): number {
  const { ops } = map;
  if (ops.userDelete) return ops.userDelete(map, key);
  return ops.delete ? ops.delete(map, key) : ENOTSUPP;
}
