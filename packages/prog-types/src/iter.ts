/** What the arguments of an iterator program are, beyond what BTF says: `ctx_arg_info` of the kernel's iterator targets. */

import type { CtxArgInfo, ProgFacts } from '@libbpf-ts/verifier';

const trusted = (offset: number, btfStruct: string): CtxArgInfo => ({
  offset,
  reg: 'PTR_TO_BTF_ID',
  flags: ['PTR_MAYBE_NULL', 'PTR_TRUSTED'],
  btfStruct,
});
const orNull = (offset: number, btfStruct: string): CtxArgInfo => ({
  offset,
  reg: 'PTR_TO_BTF_ID',
  flags: ['PTR_MAYBE_NULL'],
  btfStruct,
});
const buffer = (offset: number): CtxArgInfo => ({ offset, reg: 'PTR_TO_BUF', flags: ['PTR_MAYBE_NULL'] });
const readOnlyBuffer = (offset: number): CtxArgInfo => ({ offset, reg: 'PTR_TO_BUF', flags: ['PTR_MAYBE_NULL', 'MEM_RDONLY'] });

const TARGETS: ReadonlyMap<string, readonly CtxArgInfo[]> = new Map([
  ['bpf_iter_bpf_link', [orNull(8, 'bpf_link')]],
  ['bpf_iter_bpf_map', [trusted(8, 'bpf_map')]],
  ['bpf_iter_bpf_map_elem', [readOnlyBuffer(16), buffer(24)]],
  ['bpf_iter_bpf_prog', [orNull(8, 'bpf_prog')]],
  ['bpf_iter_bpf_sk_storage_map', [orNull(16, 'sock'), buffer(24)]],
  ['bpf_iter_cgroup', [trusted(8, 'cgroup')]],
  ['bpf_iter_dmabuf', [orNull(8, 'dma_buf')]],
  ['bpf_iter_ipv6_route', [orNull(8, 'fib6_info')]],
  ['bpf_iter_kmem_cache', [trusted(8, 'kmem_cache')]],
  ['bpf_iter_ksym', [orNull(8, 'kallsym_iter')]],
  ['bpf_iter_netlink', [orNull(8, 'netlink_sock')]],
  ['bpf_iter_sockmap', [readOnlyBuffer(16), orNull(24, 'sock')]],
  ['bpf_iter_task', [trusted(8, 'task_struct')]],
  ['bpf_iter_task_file', [orNull(8, 'task_struct'), orNull(24, 'file')]],
  ['bpf_iter_task_vma', [orNull(8, 'task_struct'), orNull(16, 'vm_area_struct')]],
  ['bpf_iter_tcp', [trusted(8, 'sock_common')]],
  ['bpf_iter_udp', [trusted(8, 'udp_sock')]],
  ['bpf_iter_unix', [orNull(8, 'unix_sock')]],
]);

/** The typed arguments of the iterator that the program is for; none where it is no iterator. */
export function iterContext(prog: ProgFacts): readonly CtxArgInfo[] {
  return TARGETS.get(prog.attachName ?? '') ?? [];
}
