/** What arrays of fds (programs, perf events, cgroups, maps) have in common. Mirrors fd_array_map_* of kernel/bpf/arraymap.c. */

import type { BpfMap, Holder, MapCreateAttr } from '@libbpf-ts/kernel';
import { BPF_ANY, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, KernelError } from '@libbpf-ts/uapi';
import { MAP_HEADER } from '@libbpf-ts/vm';

import { checkValueSize } from './alloc-check.ts';
import { checkArrayAttr } from './array.ts';
import { E2BIG, EINVAL } from './errno.ts';
import { keepPermanentFlags } from './header.ts';

/** `fd_array_map_alloc_check`. */
export function checkFdArrayAttr(attr: MapCreateAttr, more = 0): void {
  checkValueSize(attr, 4);
  if ((attr.map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) !== 0) {
    throw new KernelError('EINVAL', 'programs only ever follow the entries of this map', 'map_flags');
  }
  checkArrayAttr(attr, false, more);
}

/** A u32 a entry, all 0. */
export function fdArrayAlloc(map: BpfMap): void {
  keepPermanentFlags(map);
  map.setHeader('stride', 4);
  map.setHeader('data', map.kernel.arena.allocate(map.maxEntries * 4, 16));
}

export function fdArrayFree(map: BpfMap): void {
  map.kernel.arena.free(map.header('data'));
}

/** Writes the word of an entry: what WebAssembly sees of it. */
export function setEntry(map: BpfMap, index: number, word: number): void {
  const { u32 } = map.kernel.arena;
  u32[(u32[(map.address + MAP_HEADER.data) >> 2]! >> 2) + index] = word;
}

/** The refusal of an update, or 0; only BPF_ANY is allowed. */
export function checkFdArrayUpdate(map: BpfMap, index: number, flags: number): number {
  if (flags !== BPF_ANY) return -EINVAL;
  return index >= map.maxEntries ? -E2BIG : 0;
}

export function u32At(map: BpfMap, address: number): number {
  return map.kernel.arena.view.getUint32(address, true);
}

/** The name under which a map holds what its entry `key` names. */
export function entryHolder(map: BpfMap, key: string): Holder {
  return { kind: 'map', id: map.id, key };
}
