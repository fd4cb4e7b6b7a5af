/** The batch commands: which map types have them, and how one does that knows no better way. Mirrors kernel/bpf/syscall.c. */

import { BPF_F_LOCK, BpfMapBatchAttr, ERRNO, errnoName, KernelError } from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import type { BpfMap } from '../map.ts';
import { copyValue, deleteKey, hasSpinLock, mayWrite, updateValue } from './map-elem.ts';

/** BPF_MAP_*_BATCH. */
export type BatchCmd = 24 | 25 | 26 | 27;

const ENOENT = -ERRNO.ENOENT;

/** `bpf_map_do_batch`. */
export function mapBatch(call: BpfCall<BatchCmd>): void {
  call.checkEnd(BpfMapBatchAttr.end);
  const { cmd, attr, task } = call;
  const map = task.map(attr.map_fd | 0, 'map_fd');
  const file = task.file(attr.map_fd | 0)!;
  if (cmd <= 25 && !file.canRead) throw new KernelError('EPERM', "the fd can't be read from", 'map_fd');
  if (cmd !== 24 && !mayWrite(file, map)) throw new KernelError('EPERM', "the map can't be written to", 'map_fd');
  const { ops } = map;
  const run =
    cmd === 24 ? ops.lookupBatch : cmd === 25 ? ops.lookupAndDeleteBatch : cmd === 26 ? ops.updateBatch : ops.deleteBatch;
  if (!run) throw new KernelError('ENOTSUPP', `maps of type ${ops.name} have no such batch command`, 'map_fd');
  run.call(ops, call as never, map);
}

/** `generic_map_lookup_batch`: walks by get_next_key; the batch token is the last key. */
export function genericLookupBatch(call: BpfCall<24>, map: BpfMap): void {
  const { attr } = call;
  checkElemFlags(call, map);
  const {
    keySize,
    kernel: { arena, scratch },
  } = map;
  const valueSize = map.userValueSize;
  if (attr.count === 0) return;
  call.put('count', 0);
  let previous = scratch.key(keySize);
  let key = scratch.nextKey(keySize);
  const value = scratch.value(valueSize);
  let from = 0;
  if (attr.in_batch !== 0n) {
    arena.u8.set(call.read(attr.in_batch, keySize, 'in_batch'), previous);
    from = previous;
  }
  let count = 0;
  let error = 0;
  while (count < attr.count) {
    error = map.ops.getNextKey ? map.ops.getNextKey(map, from, key) : -ERRNO.ENOTSUPP;
    if (error !== 0) break;
    error = copyValue(map, key, value, Number(attr.elem_flags));
    if (error !== 0 && error !== ENOENT) throw refusal(error);
    if (error === 0) {
      call.write(attr.keys + BigInt(count * keySize), arena.u8.subarray(key, key + keySize), 'keys');
      call.write(attr.values + BigInt(count * valueSize), arena.u8.subarray(value, value + valueSize), 'values');
      count++;
    }
    from = key;
    [previous, key] = [key, previous];
  }
  call.put('count', count);
  if (count > 0) call.write(attr.out_batch, arena.u8.subarray(from, from + keySize), 'out_batch');
  if (error !== 0) throw refusal(error);
}

/** `generic_map_update_batch`. */
export function genericUpdateBatch(call: BpfCall<26>, map: BpfMap): void {
  const { attr, task } = call;
  checkElemFlags(call, map);
  if (attr.count === 0) return;
  const {
    keySize,
    kernel: { arena, scratch },
  } = map;
  const valueSize = map.userValueSize;
  const flags = Number(attr.elem_flags);
  forEachGiven(call, attr.count, (index) => {
    const keyBytes = call.read(attr.keys + BigInt(index * keySize), keySize, 'keys');
    const valueBytes = call.read(attr.values + BigInt(index * valueSize), valueSize, 'values');
    const key = scratch.key(keySize);
    const value = scratch.value(valueSize);
    arena.u8.set(keyBytes, key);
    arena.u8.set(valueBytes, value);
    return updateValue(map, key, value, flags, task);
  });
}

/** `generic_map_delete_batch`. */
export function genericDeleteBatch(call: BpfCall<27>, map: BpfMap): void {
  const { attr } = call;
  checkElemFlags(call, map);
  if (attr.count === 0) return;
  const {
    keySize,
    kernel: { arena, scratch },
  } = map;
  forEachGiven(call, attr.count, (index) => {
    const bytes = call.read(attr.keys + BigInt(index * keySize), keySize, 'keys');
    const key = scratch.key(keySize);
    arena.u8.set(bytes, key);
    return deleteKey(map, key);
  });
}

/** elem_flags as every batch command checks them. Throws EINVAL. */
export function checkElemFlags({ attr }: BpfCall<BatchCmd>, map: BpfMap): void {
  if ((attr.elem_flags & ~BigInt(BPF_F_LOCK)) !== 0n) throw new KernelError('EINVAL', 'unknown elem_flags', 'elem_flags');
  if (attr.elem_flags !== 0n && !hasSpinLock(map))
    throw new KernelError('EINVAL', 'the values hold no spin lock', 'elem_flags');
}

/** Runs until one fails; `count` then says how many went well. */
function forEachGiven(call: BpfCall<BatchCmd>, count: number, run: (index: number) => number): void {
  let done = 0;
  call.put('count', 0);
  try {
    for (; done < count; done++) {
      const error = run(done);
      if (error !== 0) throw refusal(error);
    }
  } finally {
    call.put('count', done);
  }
}

/** A refusal from the -errno that a map operation returned. */
export function refusal(error: number, detail = 'the map refused', argument?: string): KernelError {
  return new KernelError(errnoName(error) ?? 'EINVAL', detail, argument);
}
