/** The batch commands of hash maps. Mirrors __htab_map_lookup_and_delete_batch: the token is a place in the order of the walk. */

import {
  checkElemFlags,
  genericDeleteBatch,
  genericUpdateBatch,
  type BpfCall,
  type BpfMap,
  type MapTypeOps,
} from '@libbpf-ts/kernel';
import { KernelError } from '@libbpf-ts/uapi';

import { elementFrom, nextElement, rankOf, type HashLayout } from './hash-table.ts';

/** Token after the last element. */
const END = 0xffff_ffff;

/** How one element is read and taken out. */
export interface BatchAccess<T extends HashLayout> {
  /** Writes the value as user space gets it. */
  copyOut(map: BpfMap<T>, element: number, value: number): void;
  remove(map: BpfMap<T>, element: number): void;
}

export function hashBatchRows<T extends HashLayout>({ copyOut, remove }: BatchAccess<T>): Partial<MapTypeOps<T>> {
  return {
    lookupBatch: (call, map) => walkBatch(call, map, copyOut, undefined),
    lookupAndDeleteBatch: (call, map) => walkBatch(call, map, copyOut, remove),
    updateBatch: genericUpdateBatch,
    deleteBatch: genericDeleteBatch,
  };
}

function walkBatch<T extends HashLayout>(
  call: BpfCall<24> | BpfCall<25>,
  map: BpfMap<T>,
  copyOut: BatchAccess<T>['copyOut'],
  remove: BatchAccess<T>['remove'] | undefined,
): void {
  const { attr } = call;
  checkElemFlags(call as BpfCall<24>, map);
  if (attr.flags !== 0n) throw new KernelError('EINVAL', 'unknown flags', 'flags');
  if (attr.count === 0) return;
  call.put('count', 0);
  const start = attr.in_batch === 0n ? 0 : new DataView(call.read(attr.in_batch, 4, 'in_batch').buffer).getUint32(0, true);
  if (start === END) throw new KernelError('ENOENT', 'the walk is over', 'in_batch');
  const elements = collect(map, start, attr.count);
  if (elements.length === 0 && elementFrom(map, start) !== 0)
    throw new KernelError('ENOSPC', 'the elements of one hash do not fit', 'count');
  give(call, map, elements, copyOut);
  const last = elements.at(-1);
  const next = last === undefined ? 0 : nextElement(map, last);
  const token = next === 0 ? END : rankOf(map, next);
  if (remove) for (const element of elements) remove(map, element);
  call.write(attr.out_batch, new Uint8Array(new Uint32Array([token]).buffer), 'out_batch');
  call.put('count', elements.length);
  if (token === END) throw new KernelError('ENOENT', 'that was the last element', 'count');
}

/** Up to `count` elements from a place on; those of one hash are given together or not at all. */
function collect<T extends HashLayout>(map: BpfMap<T>, start: number, count: number): number[] {
  const elements: number[] = [];
  let element = elementFrom(map, start);
  for (; element !== 0 && elements.length < count; element = nextElement(map, element)) elements.push(element);
  const cut = element === 0 ? -1 : rankOf(map, element);
  while (elements.length > 0 && rankOf(map, elements.at(-1)!) === cut) elements.pop();
  return elements;
}

function give<T extends HashLayout>(
  call: BpfCall<24> | BpfCall<25>,
  map: BpfMap<T>,
  elements: readonly number[],
  copyOut: BatchAccess<T>['copyOut'],
): void {
  const { arena, scratch } = map.kernel;
  const { keySize, userValueSize } = map;
  const value = scratch.value(userValueSize);
  const { keys, values } = call.attr;
  elements.forEach((element, index) => {
    const key = element + map.data.keyOffset;
    copyOut(map, element, value);
    call.write(keys + BigInt(index * keySize), arena.u8.subarray(key, key + keySize), 'keys');
    call.write(values + BigInt(index * userValueSize), arena.u8.subarray(value, value + userValueSize), 'values');
  });
}
