/** Link types, `enum bpf_link_type`. */

export const BPF_LINK_TYPE_UNSPEC = 0;
export const BPF_LINK_TYPE_RAW_TRACEPOINT = 1;
export const BPF_LINK_TYPE_TRACING = 2;
export const BPF_LINK_TYPE_CGROUP = 3;
export const BPF_LINK_TYPE_ITER = 4;
export const BPF_LINK_TYPE_NETNS = 5;
export const BPF_LINK_TYPE_XDP = 6;
export const BPF_LINK_TYPE_PERF_EVENT = 7;
export const BPF_LINK_TYPE_KPROBE_MULTI = 8;
export const BPF_LINK_TYPE_STRUCT_OPS = 9;
export const BPF_LINK_TYPE_NETFILTER = 10;
export const BPF_LINK_TYPE_TCX = 11;
export const BPF_LINK_TYPE_UPROBE_MULTI = 12;
export const BPF_LINK_TYPE_NETKIT = 13;
export const BPF_LINK_TYPE_SOCKMAP = 14;

/** Names by number; where two names share a number, the first of the header. */
export const BPF_LINK_TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'BPF_LINK_TYPE_UNSPEC'],
  [1, 'BPF_LINK_TYPE_RAW_TRACEPOINT'],
  [2, 'BPF_LINK_TYPE_TRACING'],
  [3, 'BPF_LINK_TYPE_CGROUP'],
  [4, 'BPF_LINK_TYPE_ITER'],
  [5, 'BPF_LINK_TYPE_NETNS'],
  [6, 'BPF_LINK_TYPE_XDP'],
  [7, 'BPF_LINK_TYPE_PERF_EVENT'],
  [8, 'BPF_LINK_TYPE_KPROBE_MULTI'],
  [9, 'BPF_LINK_TYPE_STRUCT_OPS'],
  [10, 'BPF_LINK_TYPE_NETFILTER'],
  [11, 'BPF_LINK_TYPE_TCX'],
  [12, 'BPF_LINK_TYPE_UPROBE_MULTI'],
  [13, 'BPF_LINK_TYPE_NETKIT'],
  [14, 'BPF_LINK_TYPE_SOCKMAP'],
]);
