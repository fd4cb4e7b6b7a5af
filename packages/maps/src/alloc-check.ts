/** The checks that several `map_alloc_check` share, in the kernel's order. */

import type { BpfMap, MapCreateAttr } from '@libbpf-ts/kernel';
import {
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  KernelError,
} from '@libbpf-ts/uapi';

/** BPF_F_ACCESS_MASK: who may read and write. */
export const ACCESS_FLAGS: number = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

/** KMALLOC_MAX_SIZE of x86-64: the largest element. */
export const KMALLOC_MAX_SIZE: number = 1 << 22;
/** PCPU_MIN_UNIT_SIZE: the largest value a CPU. */
export const PCPU_MIN_UNIT_SIZE = 32_768;

/** EINVAL where a flag is set that is not in `allowed`, or two that exclude each other. */
export function checkFlags(attr: MapCreateAttr, allowed: number): void {
  const { map_flags } = attr;
  if ((map_flags & ~allowed) !== 0)
    throw new KernelError('EINVAL', `flags 0x${(map_flags & ~allowed).toString(16)} are not for this map type`, 'map_flags');
  if ((map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) === (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) {
    throw new KernelError('EINVAL', 'programs could neither read nor write', 'map_flags');
  }
}

export function checkMaxEntries(attr: MapCreateAttr): void {
  if (attr.max_entries === 0) throw new KernelError('EINVAL', 'a map needs room for an element', 'max_entries');
}

export function checkKeySize(attr: MapCreateAttr, ...sizes: readonly number[]): void {
  if (!sizes.includes(attr.key_size))
    throw new KernelError('EINVAL', `key_size is ${attr.key_size}, not ${sizes.join(' or ')}`, 'key_size');
}

export function checkValueSize(attr: MapCreateAttr, ...sizes: readonly number[]): void {
  if (!sizes.includes(attr.value_size))
    throw new KernelError('EINVAL', `value_size is ${attr.value_size}, not ${sizes.join(' or ')}`, 'value_size');
}

export function checkNotEmpty(attr: MapCreateAttr): void {
  if (attr.value_size === 0) throw new KernelError('EINVAL', 'value_size is 0', 'value_size');
}

/** Per-CPU memory comes from no node. */
export function refuseNumaNode(attr: MapCreateAttr): void {
  if ((attr.map_flags & BPF_F_NUMA_NODE) !== 0) throw new KernelError('EINVAL', 'per-CPU maps are on every node', 'map_flags');
}

export function checkPerCpuSize(attr: MapCreateAttr): void {
  if (attr.value_size > PCPU_MIN_UNIT_SIZE) {
    throw new KernelError('E2BIG', `a per-CPU value has at most ${PCPU_MIN_UNIT_SIZE} bytes`, 'value_size');
  }
}

/** The kernel has a table of pointers for these entries; one that is larger than an arena could be is -ENOMEM here too. */
export function checkPointerTable({ maxEntries }: BpfMap): void {
  if (maxEntries > 0x0fff_ffff) throw new KernelError('ENOMEM', `no room for ${maxEntries} pointers`, 'max_entries');
}
