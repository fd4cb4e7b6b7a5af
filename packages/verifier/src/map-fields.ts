/** Fields of a map value that the kernel manages, accessed by load and store; and reads of `struct bpf_map` itself. */

import * as F from '@libbpf-ts/uapi';
import { walkStruct } from './btf-access.ts';
import type { Env } from './env.ts';
import type { Access } from './memory.ts';
import type { Reg } from './register.ts';
import { accessKptr } from './kptrs.ts';
import { isConstOffset } from './stack.ts';

const KPTRS: ReadonlySet<string> = new Set(['BPF_KPTR_UNREF', 'BPF_KPTR_REF', 'BPF_KPTR_PERCPU', 'BPF_UPTR']);

/** True where the access is of a kernel pointer in the value, and was judged here. */
export function checkFieldAccess(env: Env, reg: Reg, access: Access, off: number): boolean {
  const field = isConstOffset(reg)
    ? reg.map!.record?.find((row) => KPTRS.has(row.type) && row.offset === off + reg.vl)
    : undefined;
  if (!field) return false;
  accessKptr(env, access, field);
  return true;
}

/** Structs that maps are, by type (`map_btf_id` of their operations). */
const MAP_STRUCTS: ReadonlyMap<number, string> = new Map([
  [F.BPF_MAP_TYPE_HASH, 'bpf_htab'],
  [F.BPF_MAP_TYPE_ARRAY, 'bpf_array'],
  [F.BPF_MAP_TYPE_PROG_ARRAY, 'bpf_array'],
  [F.BPF_MAP_TYPE_PERF_EVENT_ARRAY, 'bpf_array'],
  [F.BPF_MAP_TYPE_PERCPU_HASH, 'bpf_htab'],
  [F.BPF_MAP_TYPE_PERCPU_ARRAY, 'bpf_array'],
  [F.BPF_MAP_TYPE_STACK_TRACE, 'bpf_stack_map'],
  [F.BPF_MAP_TYPE_CGROUP_ARRAY, 'bpf_array'],
  [F.BPF_MAP_TYPE_LRU_HASH, 'bpf_htab'],
  [F.BPF_MAP_TYPE_LRU_PERCPU_HASH, 'bpf_htab'],
  [F.BPF_MAP_TYPE_LPM_TRIE, 'lpm_trie'],
  [F.BPF_MAP_TYPE_ARRAY_OF_MAPS, 'bpf_array'],
  [F.BPF_MAP_TYPE_HASH_OF_MAPS, 'bpf_htab'],
  [F.BPF_MAP_TYPE_DEVMAP, 'bpf_dtab'],
  [F.BPF_MAP_TYPE_SOCKMAP, 'bpf_stab'],
  [F.BPF_MAP_TYPE_CPUMAP, 'bpf_cpu_map'],
  [F.BPF_MAP_TYPE_XSKMAP, 'xsk_map'],
  [F.BPF_MAP_TYPE_SOCKHASH, 'bpf_shtab'],
  [F.BPF_MAP_TYPE_CGROUP_STORAGE, 'bpf_cgroup_storage_map'],
  [F.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 'reuseport_array'],
  [F.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, 'bpf_cgroup_storage_map'],
  [F.BPF_MAP_TYPE_QUEUE, 'bpf_queue_stack'],
  [F.BPF_MAP_TYPE_STACK, 'bpf_queue_stack'],
  [F.BPF_MAP_TYPE_SK_STORAGE, 'bpf_local_storage_map'],
  [F.BPF_MAP_TYPE_DEVMAP_HASH, 'bpf_dtab'],
  [F.BPF_MAP_TYPE_RINGBUF, 'bpf_ringbuf_map'],
  [F.BPF_MAP_TYPE_INODE_STORAGE, 'bpf_local_storage_map'],
  [F.BPF_MAP_TYPE_TASK_STORAGE, 'bpf_local_storage_map'],
  [F.BPF_MAP_TYPE_BLOOM_FILTER, 'bpf_bloom_filter'],
  [F.BPF_MAP_TYPE_USER_RINGBUF, 'bpf_ringbuf_map'],
  [F.BPF_MAP_TYPE_CGRP_STORAGE, 'bpf_local_storage_map'],
  [F.BPF_MAP_TYPE_ARENA, 'bpf_arena'],
]);

/** A load through a map pointer reads the map's own struct, for the privileged. */
export function accessMapPointer(env: Env, reg: Reg, access: Access, off: number): void {
  const { regno, size, write, value } = access;
  if (!env.kernelBtf) env.refuse('ENOTSUPP', 'map_ptr access not supported without CONFIG_DEBUG_INFO_BTF');
  const struct = MAP_STRUCTS.get(reg.map!.map_type) ?? 'bpf_map';
  if (!env.allowPtrLeaks) env.refuse('EPERM', `'struct ${struct}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  if (off < 0) env.refuse('EACCES', `R${regno} is ${struct} invalid negative access: off=${off}`);
  if (write) env.refuse('EACCES', `only read from ${struct} is supported`);
  // Every map begins with what all maps have: that is enough where its own struct is not known.
  const id = env.kernelBtf!.find(struct, 'STRUCT') || env.kernelBtf!.find('bpf_map', 'STRUCT');
  if (id === 0) env.unsupported(`reads of struct ${struct}`);
  walkStruct(env, env.kernelBtf!, id, off, size, value, 0);
}
