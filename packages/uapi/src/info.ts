/** What BPF_OBJ_GET_INFO_BY_FD fills in. Field names are the header's; later kernels may only append. */

import { at, bytes, nested, ptr, struct, text, u32, u64 } from './layout.ts';

export const bpf_prog_info = struct('bpf_prog_info', {
  type: u32,
  id: u32,
  tag: bytes(8),
  jited_prog_len: u32,
  xlated_prog_len: u32,
  jited_prog_insns: ptr,
  xlated_prog_insns: ptr,
  load_time: u64,
  created_by_uid: u32,
  nr_map_ids: u32,
  map_ids: ptr,
  name: text(16),
  ifindex: u32,
  gpl_compatible: u32,
  netns_dev: u64,
  netns_ino: u64,
  nr_jited_ksyms: u32,
  nr_jited_func_lens: u32,
  jited_ksyms: ptr,
  jited_func_lens: ptr,
  btf_id: u32,
  func_info_rec_size: u32,
  func_info: ptr,
  nr_func_info: u32,
  nr_line_info: u32,
  line_info: ptr,
  jited_line_info: ptr,
  nr_jited_line_info: u32,
  line_info_rec_size: u32,
  jited_line_info_rec_size: u32,
  nr_prog_tags: u32,
  prog_tags: ptr,
  run_time_ns: u64,
  run_cnt: u64,
  recursion_misses: u64,
  verified_insns: u32,
  attach_btf_obj_id: u32,
  attach_btf_id: u32,
});

export const bpf_map_info = struct('bpf_map_info', {
  type: u32,
  id: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  map_flags: u32,
  name: text(16),
  ifindex: u32,
  btf_vmlinux_value_type_id: u32,
  netns_dev: u64,
  netns_ino: u64,
  btf_id: u32,
  btf_key_type_id: u32,
  btf_value_type_id: u32,
  btf_vmlinux_id: u32,
  map_extra: u64,
  hash: ptr,
  hash_size: u32,
});

export const bpf_btf_info = struct('bpf_btf_info', {
  btf: ptr,
  btf_size: u32,
  id: u32,
  name: ptr,
  name_len: u32,
  kernel_btf: u32,
});

const ifindexOnly = struct('bpf_link_info.xdp', { ifindex: u32 });
const ifindexAndType = struct('bpf_link_info.tcx', { ifindex: u32, attach_type: u32 });

export const bpf_link_info = struct('bpf_link_info', {
  type: u32,
  id: u32,
  prog_id: u32,
  raw_tracepoint: at(16, nested(struct('bpf_link_info.raw_tracepoint', { tp_name: ptr, tp_name_len: u32, cookie: u64 }))),
  tracing: at(
    16,
    nested(struct('bpf_link_info.tracing', { attach_type: u32, target_obj_id: u32, target_btf_id: u32, cookie: u64 })),
  ),
  cgroup: at(16, nested(struct('bpf_link_info.cgroup', { cgroup_id: u64, attach_type: u32 }))),
  netns: at(16, nested(struct('bpf_link_info.netns', { netns_ino: u32, attach_type: u32 }))),
  xdp: at(16, nested(ifindexOnly)),
  tcx: at(16, nested(ifindexAndType)),
  netkit: at(16, nested(ifindexAndType)),
  struct_ops: at(16, nested(struct('bpf_link_info.struct_ops', { map_id: u32 }))),
  // The widest member (uprobe_multi) gives the structure its size.
  widest: at(16, bytes(48)),
});
