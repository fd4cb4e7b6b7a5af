/**
 * `union bpf_attr`: one layout for each member, with the header's field names.
 * The typed form of an attr gives any subset of the fields; a pointer field takes a buffer.
 */

import { at, nested, ptr, s32, struct, text, u32, u64, type FieldType, type Struct } from './layout.ts';

/** What the typed form takes where the ABI has a pointer: a buffer that the kernel reads or fills, or nothing. */
export type UserPointer = ArrayBufferView | null;

const pointer = ptr as FieldType<unknown> as FieldType<UserPointer>;

export const BpfMapCreateAttr = struct('bpf_attr.map_create', {
  map_type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  map_flags: u32,
  inner_map_fd: u32,
  numa_node: u32,
  map_name: text(16),
  map_ifindex: u32,
  btf_fd: u32,
  btf_key_type_id: u32,
  btf_value_type_id: u32,
  btf_vmlinux_value_type_id: u32,
  map_extra: u64,
  value_type_btf_obj_fd: s32,
  map_token_fd: s32,
  excl_prog_hash: pointer,
  excl_prog_hash_size: u32,
});

export const BpfMapElemAttr = struct('bpf_attr.map_elem', {
  map_fd: u32,
  key: pointer,
  value: pointer,
  next_key: at(16, pointer),
  flags: u64,
});

export const BpfMapBatchAttr = struct('bpf_attr.batch', {
  in_batch: pointer,
  out_batch: pointer,
  keys: pointer,
  values: pointer,
  count: u32,
  map_fd: u32,
  elem_flags: u64,
  flags: u64,
});

export const BpfProgLoadAttr = struct('bpf_attr.prog_load', {
  prog_type: u32,
  insn_cnt: u32,
  insns: pointer,
  license: pointer,
  log_level: u32,
  log_size: u32,
  log_buf: pointer,
  kern_version: u32,
  prog_flags: u32,
  prog_name: text(16),
  prog_ifindex: u32,
  expected_attach_type: u32,
  prog_btf_fd: u32,
  func_info_rec_size: u32,
  func_info: pointer,
  func_info_cnt: u32,
  line_info_rec_size: u32,
  line_info: pointer,
  line_info_cnt: u32,
  attach_btf_id: u32,
  attach_prog_fd: u32,
  attach_btf_obj_fd: at(112, u32),
  core_relo_cnt: u32,
  fd_array: pointer,
  core_relos: pointer,
  core_relo_rec_size: u32,
  log_true_size: u32,
  prog_token_fd: s32,
  fd_array_cnt: u32,
  signature: pointer,
  signature_size: u32,
  keyring_id: s32,
});

export const BpfObjAttr = struct('bpf_attr.obj', { pathname: pointer, bpf_fd: u32, file_flags: u32, path_fd: s32 });

export const BpfProgAttachAttr = struct('bpf_attr.prog_attach', {
  target_fd: u32,
  target_ifindex: at(0, u32),
  attach_bpf_fd: at(4, u32),
  attach_type: u32,
  attach_flags: u32,
  replace_bpf_fd: u32,
  relative_fd: u32,
  relative_id: at(20, u32),
  expected_revision: u64,
});

export const BpfTestRunAttr = struct('bpf_attr.test', {
  prog_fd: u32,
  retval: u32,
  data_size_in: u32,
  data_size_out: u32,
  data_in: pointer,
  data_out: pointer,
  repeat: u32,
  duration: u32,
  ctx_size_in: u32,
  ctx_size_out: u32,
  ctx_in: pointer,
  ctx_out: pointer,
  flags: u32,
  cpu: u32,
  batch_size: u32,
});

export const BpfIdAttr = struct('bpf_attr.id', {
  start_id: u32,
  prog_id: at(0, u32),
  map_id: at(0, u32),
  btf_id: at(0, u32),
  link_id: at(0, u32),
  next_id: at(4, u32),
  open_flags: u32,
  fd_by_id_token_fd: s32,
});

export const BpfInfoAttr = struct('bpf_attr.info', { bpf_fd: u32, info_len: u32, info: pointer });

export const BpfProgQueryAttr = struct('bpf_attr.query', {
  target_fd: u32,
  target_ifindex: at(0, u32),
  attach_type: at(4, u32),
  query_flags: u32,
  attach_flags: u32,
  prog_ids: pointer,
  count: u32,
  prog_cnt: at(24, u32),
  prog_attach_flags: at(32, pointer),
  link_ids: pointer,
  link_attach_flags: pointer,
  revision: u64,
});

export const BpfRawTracepointAttr = struct('bpf_attr.raw_tracepoint', { name: pointer, prog_fd: u32, cookie: u64 });

export const BpfBtfLoadAttr = struct('bpf_attr.btf_load', {
  btf: pointer,
  btf_log_buf: pointer,
  btf_size: u32,
  btf_log_size: u32,
  btf_log_level: u32,
  btf_log_true_size: u32,
  btf_flags: u32,
  btf_token_fd: s32,
});

export const BpfTaskFdQueryAttr = struct('bpf_attr.task_fd_query', {
  pid: u32,
  fd: u32,
  flags: u32,
  buf_len: u32,
  buf: pointer,
  prog_id: u32,
  fd_type: u32,
  probe_offset: u64,
  probe_addr: u64,
});

const relativeTo = struct('bpf_attr.link_create.tcx', { relative_fd: u32, relative_id: at(0, u32), expected_revision: u64 });

export const BpfLinkCreateAttr = struct('bpf_attr.link_create', {
  prog_fd: u32,
  map_fd: at(0, u32),
  target_fd: u32,
  target_ifindex: at(4, u32),
  attach_type: at(8, u32),
  flags: u32,
  target_btf_id: at(16, u32),
  iter_info: at(16, pointer),
  iter_info_len: at(24, u32),
  perf_event: at(16, nested(struct('bpf_attr.link_create.perf_event', { bpf_cookie: u64 }))),
  tracing: at(16, nested(struct('bpf_attr.link_create.tracing', { target_btf_id: u32, cookie: u64 }))),
  netfilter: at(16, nested(struct('bpf_attr.link_create.netfilter', { pf: u32, hooknum: u32, priority: s32, flags: u32 }))),
  kprobe_multi: at(
    16,
    nested(
      struct('bpf_attr.link_create.kprobe_multi', {
        flags: u32,
        cnt: u32,
        syms: pointer,
        addrs: pointer,
        cookies: pointer,
      }),
    ),
  ),
  uprobe_multi: at(
    16,
    nested(
      struct('bpf_attr.link_create.uprobe_multi', {
        path: pointer,
        offsets: pointer,
        ref_ctr_offsets: pointer,
        cookies: pointer,
        cnt: u32,
        flags: u32,
        pid: u32,
      }),
    ),
  ),
  tcx: at(16, nested(relativeTo)),
  netkit: at(16, nested(relativeTo)),
  cgroup: at(16, nested(relativeTo)),
});

export const BpfLinkUpdateAttr = struct('bpf_attr.link_update', {
  link_fd: u32,
  new_prog_fd: u32,
  new_map_fd: at(4, u32),
  flags: at(8, u32),
  old_prog_fd: u32,
  old_map_fd: at(12, u32),
});

export const BpfLinkDetachAttr = struct('bpf_attr.link_detach', { link_fd: u32 });
export const BpfEnableStatsAttr = struct('bpf_attr.enable_stats', { type: u32 });
export const BpfIterCreateAttr = struct('bpf_attr.iter_create', { link_fd: u32, flags: u32 });
export const BpfProgBindMapAttr = struct('bpf_attr.prog_bind_map', { prog_fd: u32, map_fd: u32, flags: u32 });
export const BpfTokenCreateAttr = struct('bpf_attr.token_create', { flags: u32, bpffs_fd: u32 });
export const BpfProgStreamReadAttr = struct('bpf_attr.prog_stream_read', {
  stream_buf: pointer,
  stream_buf_len: u32,
  stream_id: u32,
  prog_fd: u32,
});

/** `sizeof(union bpf_attr)` of Linux 6.18: bytes beyond it must be zero, else -E2BIG. */
export const BPF_ATTR_SIZE = 168;

/** The member of `union bpf_attr` that each command reads, by command number. */
export const BPF_ATTR_LAYOUTS = {
  0: BpfMapCreateAttr,
  1: BpfMapElemAttr,
  2: BpfMapElemAttr,
  3: BpfMapElemAttr,
  4: BpfMapElemAttr,
  5: BpfProgLoadAttr,
  6: BpfObjAttr,
  7: BpfObjAttr,
  8: BpfProgAttachAttr,
  9: BpfProgAttachAttr,
  10: BpfTestRunAttr,
  11: BpfIdAttr,
  12: BpfIdAttr,
  13: BpfIdAttr,
  14: BpfIdAttr,
  15: BpfInfoAttr,
  16: BpfProgQueryAttr,
  17: BpfRawTracepointAttr,
  18: BpfBtfLoadAttr,
  19: BpfIdAttr,
  20: BpfTaskFdQueryAttr,
  21: BpfMapElemAttr,
  22: BpfMapElemAttr,
  23: BpfIdAttr,
  24: BpfMapBatchAttr,
  25: BpfMapBatchAttr,
  26: BpfMapBatchAttr,
  27: BpfMapBatchAttr,
  28: BpfLinkCreateAttr,
  29: BpfLinkUpdateAttr,
  30: BpfIdAttr,
  31: BpfIdAttr,
  32: BpfEnableStatsAttr,
  33: BpfIterCreateAttr,
  34: BpfLinkDetachAttr,
  35: BpfProgBindMapAttr,
  36: BpfTokenCreateAttr,
  37: BpfProgStreamReadAttr,
} as const;

type Layouts = typeof BPF_ATTR_LAYOUTS;
export type BpfCmdNumber = keyof Layouts;

type Fields<S> =
  S extends Struct<infer F>
    ? {
        -readonly [K in keyof F]?:
          | (F[K] extends FieldType<infer T> ? T : F[K] extends { readonly type: FieldType<infer T> } ? T : never)
          | undefined;
      }
    : never;

/** The attr of a command in its typed form. Results are written back into it, as the kernel does. */
export type BpfAttr<C extends BpfCmdNumber = BpfCmdNumber> = Fields<Layouts[C]>;

type RawValue<T> = T extends UserPointer ? bigint : T;
type RawFields<S> =
  S extends Struct<infer F>
    ? {
        -readonly [K in keyof F]: RawValue<
          F[K] extends FieldType<infer T> ? T : F[K] extends { readonly type: FieldType<infer T> } ? T : never
        >;
      }
    : never;

/** The attr of a command as a kernel reads it: every field there, pointers as addresses. */
export type RawBpfAttr<C extends BpfCmdNumber = BpfCmdNumber> = RawFields<Layouts[C]>;
