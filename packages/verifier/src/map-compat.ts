/** Which map may be passed to which helper (`check_map_func_compatibility`). */

import * as F from '@libbpf-ts/uapi';

/** Map types that only some helpers take: a helper that is not listed here is refused. */
const HELPERS_OF_MAP: ReadonlyMap<number, readonly number[]> = new Map([
  [F.BPF_MAP_TYPE_PROG_ARRAY, [F.BPF_FUNC_tail_call]],
  [
    F.BPF_MAP_TYPE_PERF_EVENT_ARRAY,
    [
      F.BPF_FUNC_perf_event_read,
      F.BPF_FUNC_perf_event_output,
      F.BPF_FUNC_skb_output,
      F.BPF_FUNC_perf_event_read_value,
      F.BPF_FUNC_xdp_output,
    ],
  ],
  [
    F.BPF_MAP_TYPE_RINGBUF,
    [
      F.BPF_FUNC_ringbuf_output,
      F.BPF_FUNC_ringbuf_reserve,
      F.BPF_FUNC_ringbuf_query,
      F.BPF_FUNC_ringbuf_reserve_dynptr,
      F.BPF_FUNC_ringbuf_submit_dynptr,
      F.BPF_FUNC_ringbuf_discard_dynptr,
    ],
  ],
  [F.BPF_MAP_TYPE_USER_RINGBUF, [F.BPF_FUNC_user_ringbuf_drain]],
  [F.BPF_MAP_TYPE_STACK_TRACE, [F.BPF_FUNC_get_stackid]],
  [F.BPF_MAP_TYPE_CGROUP_ARRAY, [F.BPF_FUNC_skb_under_cgroup, F.BPF_FUNC_current_task_under_cgroup]],
  [F.BPF_MAP_TYPE_CGROUP_STORAGE, [F.BPF_FUNC_get_local_storage]],
  [F.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, [F.BPF_FUNC_get_local_storage]],
  [F.BPF_MAP_TYPE_DEVMAP, [F.BPF_FUNC_redirect_map, F.BPF_FUNC_map_lookup_elem]],
  [F.BPF_MAP_TYPE_DEVMAP_HASH, [F.BPF_FUNC_redirect_map, F.BPF_FUNC_map_lookup_elem]],
  [F.BPF_MAP_TYPE_CPUMAP, [F.BPF_FUNC_redirect_map]],
  [F.BPF_MAP_TYPE_XSKMAP, [F.BPF_FUNC_redirect_map, F.BPF_FUNC_map_lookup_elem]],
  [F.BPF_MAP_TYPE_ARRAY_OF_MAPS, [F.BPF_FUNC_map_lookup_elem]],
  [F.BPF_MAP_TYPE_HASH_OF_MAPS, [F.BPF_FUNC_map_lookup_elem]],
  [
    F.BPF_MAP_TYPE_SOCKMAP,
    [
      F.BPF_FUNC_sk_redirect_map,
      F.BPF_FUNC_sock_map_update,
      F.BPF_FUNC_msg_redirect_map,
      F.BPF_FUNC_sk_select_reuseport,
      F.BPF_FUNC_map_lookup_elem,
    ],
  ],
  [
    F.BPF_MAP_TYPE_SOCKHASH,
    [
      F.BPF_FUNC_sk_redirect_hash,
      F.BPF_FUNC_sock_hash_update,
      F.BPF_FUNC_msg_redirect_hash,
      F.BPF_FUNC_sk_select_reuseport,
      F.BPF_FUNC_map_lookup_elem,
    ],
  ],
  [F.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, [F.BPF_FUNC_sk_select_reuseport]],
  [F.BPF_MAP_TYPE_QUEUE, [F.BPF_FUNC_map_peek_elem, F.BPF_FUNC_map_pop_elem, F.BPF_FUNC_map_push_elem]],
  [F.BPF_MAP_TYPE_STACK, [F.BPF_FUNC_map_peek_elem, F.BPF_FUNC_map_pop_elem, F.BPF_FUNC_map_push_elem]],
  [F.BPF_MAP_TYPE_BLOOM_FILTER, [F.BPF_FUNC_map_peek_elem, F.BPF_FUNC_map_push_elem]],
  [F.BPF_MAP_TYPE_SK_STORAGE, [F.BPF_FUNC_sk_storage_get, F.BPF_FUNC_sk_storage_delete, F.BPF_FUNC_kptr_xchg]],
  [F.BPF_MAP_TYPE_INODE_STORAGE, [F.BPF_FUNC_inode_storage_get, F.BPF_FUNC_inode_storage_delete, F.BPF_FUNC_kptr_xchg]],
  [F.BPF_MAP_TYPE_TASK_STORAGE, [F.BPF_FUNC_task_storage_get, F.BPF_FUNC_task_storage_delete, F.BPF_FUNC_kptr_xchg]],
  [F.BPF_MAP_TYPE_CGRP_STORAGE, [F.BPF_FUNC_cgrp_storage_get, F.BPF_FUNC_cgrp_storage_delete, F.BPF_FUNC_kptr_xchg]],
]);

const PERCPU = [F.BPF_MAP_TYPE_PERCPU_HASH, F.BPF_MAP_TYPE_PERCPU_ARRAY, F.BPF_MAP_TYPE_LRU_PERCPU_HASH];
const EVENTS = [F.BPF_MAP_TYPE_PERF_EVENT_ARRAY];
const RINGBUF = [F.BPF_MAP_TYPE_RINGBUF];
const CGROUPS = [F.BPF_MAP_TYPE_CGROUP_ARRAY];
const SOCKMAP = [F.BPF_MAP_TYPE_SOCKMAP];
const SOCKHASH = [F.BPF_MAP_TYPE_SOCKHASH];
const QUEUES = [F.BPF_MAP_TYPE_QUEUE, F.BPF_MAP_TYPE_STACK];

/** Helpers that only take some map types. */
const MAPS_OF_HELPER: ReadonlyMap<number, readonly number[]> = new Map([
  [F.BPF_FUNC_tail_call, [F.BPF_MAP_TYPE_PROG_ARRAY]],
  [F.BPF_FUNC_perf_event_read, EVENTS],
  [F.BPF_FUNC_perf_event_output, EVENTS],
  [F.BPF_FUNC_perf_event_read_value, EVENTS],
  [F.BPF_FUNC_skb_output, EVENTS],
  [F.BPF_FUNC_xdp_output, EVENTS],
  [F.BPF_FUNC_ringbuf_output, RINGBUF],
  [F.BPF_FUNC_ringbuf_reserve, RINGBUF],
  [F.BPF_FUNC_ringbuf_query, RINGBUF],
  [F.BPF_FUNC_ringbuf_reserve_dynptr, RINGBUF],
  [F.BPF_FUNC_ringbuf_submit_dynptr, RINGBUF],
  [F.BPF_FUNC_ringbuf_discard_dynptr, RINGBUF],
  [F.BPF_FUNC_user_ringbuf_drain, [F.BPF_MAP_TYPE_USER_RINGBUF]],
  [F.BPF_FUNC_get_stackid, [F.BPF_MAP_TYPE_STACK_TRACE]],
  [F.BPF_FUNC_current_task_under_cgroup, CGROUPS],
  [F.BPF_FUNC_skb_under_cgroup, CGROUPS],
  [F.BPF_FUNC_redirect_map, [F.BPF_MAP_TYPE_DEVMAP, F.BPF_MAP_TYPE_DEVMAP_HASH, F.BPF_MAP_TYPE_CPUMAP, F.BPF_MAP_TYPE_XSKMAP]],
  [F.BPF_FUNC_sk_redirect_map, SOCKMAP],
  [F.BPF_FUNC_msg_redirect_map, SOCKMAP],
  [F.BPF_FUNC_sock_map_update, SOCKMAP],
  [F.BPF_FUNC_sk_redirect_hash, SOCKHASH],
  [F.BPF_FUNC_msg_redirect_hash, SOCKHASH],
  [F.BPF_FUNC_sock_hash_update, SOCKHASH],
  [F.BPF_FUNC_get_local_storage, [F.BPF_MAP_TYPE_CGROUP_STORAGE, F.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE]],
  [F.BPF_FUNC_sk_select_reuseport, [F.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, F.BPF_MAP_TYPE_SOCKMAP, F.BPF_MAP_TYPE_SOCKHASH]],
  [F.BPF_FUNC_map_pop_elem, QUEUES],
  [F.BPF_FUNC_map_peek_elem, [...QUEUES, F.BPF_MAP_TYPE_BLOOM_FILTER]],
  [F.BPF_FUNC_map_push_elem, [...QUEUES, F.BPF_MAP_TYPE_BLOOM_FILTER]],
  [F.BPF_FUNC_map_lookup_percpu_elem, PERCPU],
  [F.BPF_FUNC_sk_storage_get, [F.BPF_MAP_TYPE_SK_STORAGE]],
  [F.BPF_FUNC_sk_storage_delete, [F.BPF_MAP_TYPE_SK_STORAGE]],
  [F.BPF_FUNC_inode_storage_get, [F.BPF_MAP_TYPE_INODE_STORAGE]],
  [F.BPF_FUNC_inode_storage_delete, [F.BPF_MAP_TYPE_INODE_STORAGE]],
  [F.BPF_FUNC_task_storage_get, [F.BPF_MAP_TYPE_TASK_STORAGE]],
  [F.BPF_FUNC_task_storage_delete, [F.BPF_MAP_TYPE_TASK_STORAGE]],
  [F.BPF_FUNC_cgrp_storage_get, [F.BPF_MAP_TYPE_CGRP_STORAGE]],
  [F.BPF_FUNC_cgrp_storage_delete, [F.BPF_MAP_TYPE_CGRP_STORAGE]],
]);

/** Program types that may put sockets into a sockmap by bpf_map_update_elem (`may_update_sockmap`). */
const SOCKMAP_WRITERS: ReadonlySet<number> = new Set([
  F.BPF_PROG_TYPE_SOCKET_FILTER,
  F.BPF_PROG_TYPE_SCHED_CLS,
  F.BPF_PROG_TYPE_SCHED_ACT,
  F.BPF_PROG_TYPE_XDP,
  F.BPF_PROG_TYPE_SK_REUSEPORT,
  F.BPF_PROG_TYPE_FLOW_DISSECTOR,
  F.BPF_PROG_TYPE_SK_LOOKUP,
]);

/** `may_update_sockmap`; iterators may too. */
export function mayUpdateSockmap(helper: number, prog_type: number, expected_attach_type: number): boolean {
  if (helper !== F.BPF_FUNC_map_update_elem && helper !== F.BPF_FUNC_map_delete_elem) return false;
  if (prog_type === F.BPF_PROG_TYPE_TRACING) return expected_attach_type === F.BPF_TRACE_ITER;
  if (prog_type === F.BPF_PROG_TYPE_SOCK_OPS) return helper === F.BPF_FUNC_map_delete_elem;
  return SOCKMAP_WRITERS.has(prog_type);
}

/** False: `cannot pass map_type N into func F`. */
export function mapFitsHelper(map_type: number, helper: number, prog_type: number, expected_attach_type: number): boolean {
  const helpers = HELPERS_OF_MAP.get(map_type);
  if (helpers && !helpers.includes(helper)) {
    const sockets = map_type === F.BPF_MAP_TYPE_SOCKMAP || map_type === F.BPF_MAP_TYPE_SOCKHASH;
    if (!(sockets && mayUpdateSockmap(helper, prog_type, expected_attach_type))) return false;
  }
  return MAPS_OF_HELPER.get(helper)?.includes(map_type) ?? true;
}
