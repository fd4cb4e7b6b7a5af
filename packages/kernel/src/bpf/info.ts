/** BPF_OBJ_GET_INFO_BY_FD. Mirrors bpf_*_get_info_by_fd of kernel/bpf/syscall.c and btf.c. */

import {
  bpf_btf_info,
  bpf_link_info,
  bpf_map_info,
  bpf_prog_info,
  BPF_MAP_TYPE_ARRAY,
  BpfInfoAttr,
  KernelError,
  type Struct,
} from '@libbpf-ts/uapi';

import type { BtfObject } from '../btf-object.ts';
import type { BpfCall } from '../call.ts';
import type { BpfLink } from '../link.ts';
import type { BpfMap } from '../map.ts';
import type { BpfProg } from '../prog.ts';
import { sha256 } from '../sha256.ts';
import { FUNC_INFO_SIZE, LINE_INFO_SIZE } from './prog-records.ts';

type InfoCall = BpfCall<15>;

export function objGetInfoByFd(call: InfoCall): void {
  call.checkEnd(BpfInfoAttr.end);
  const file = call.task.file(call.attr.bpf_fd | 0);
  if (!file) throw new KernelError('EBADFD', `fd ${call.attr.bpf_fd} is not open`, 'bpf_fd');
  const { object } = file;
  switch (object?.kind) {
    case 'prog':
      return progInfo(call, object as BpfProg);
    case 'map':
      return mapInfo(call, object as BpfMap);
    case 'btf':
      return btfInfo(call, object as BtfObject);
    case 'link':
      return linkInfo(call, object as BpfLink);
    default:
      throw new KernelError('EINVAL', `fd ${call.attr.bpf_fd} is no BPF object`, 'bpf_fd');
  }
}

/** A struct of the caller's that may be shorter or longer than ours. */
class InfoBuffer {
  readonly #call: InfoCall;
  readonly #length: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  /** Throws EFAULT, or E2BIG where bytes beyond our struct are not zero. */
  constructor(call: InfoCall, layout: Struct) {
    const { info, info_len } = call.attr;
    if (info_len > 4096) throw new KernelError('E2BIG', 'an info of more than a page', 'info_len');
    const given = call.read(info, info_len, 'info');
    if (given.subarray(layout.size).some((byte) => byte !== 0))
      throw new KernelError('E2BIG', `the info has set bytes beyond its ${layout.size}`, 'info');
    this.#call = call;
    this.#length = Math.min(info_len, layout.size);
    this.bytes = new Uint8Array(layout.size);
    this.bytes.set(given.subarray(0, this.#length));
    this.view = new DataView(this.bytes.buffer);
  }

  finish(): void {
    this.#call.write(this.#call.attr.info, this.bytes.subarray(0, this.#length), 'info');
    this.#call.put('info_len', this.#length);
  }
}

function progInfo(call: InfoCall, prog: BpfProg): void {
  const buffer = new InfoBuffer(call, bpf_prog_info);
  const given = bpf_prog_info.read(buffer.view);
  const { attributes } = prog;
  const ids = Uint32Array.from(prog.usedMaps, ({ id }) => id);
  copyArray(call, given.map_ids, given.nr_map_ids, new Uint8Array(ids.buffer), 4, 'map_ids');
  checkRecordSize(given.nr_func_info, given.func_info_rec_size, FUNC_INFO_SIZE, 'func_info_rec_size');
  checkRecordSize(given.nr_line_info, given.line_info_rec_size, LINE_INFO_SIZE, 'line_info_rec_size');
  checkRecordSize(given.nr_jited_line_info, given.jited_line_info_rec_size, 8, 'jited_line_info_rec_size');
  const { bpf, sysAdmin } = call.task.capabilities;
  const capable = bpf || sysAdmin;
  bpf_prog_info.write(buffer.view, {
    type: prog.type,
    id: prog.id,
    tag: attributes.tag,
    load_time: attributes.loadTime,
    created_by_uid: attributes.uid,
    nr_map_ids: ids.length,
    name: prog.name,
    ifindex: 0,
    gpl_compatible: attributes.gplCompatible ? 1 : 0,
    netns_dev: 0n,
    netns_ino: 0n,
    btf_id: prog.btf?.id ?? 0,
    run_time_ns: prog.runTimeNs,
    run_cnt: prog.runCnt,
    recursion_misses: prog.recursionMisses,
    verified_insns: attributes.verified.stats.processed,
    attach_btf_obj_id: attachBtfObject(call, prog),
    attach_btf_id: attributes.attachBtfId,
    func_info_rec_size: FUNC_INFO_SIZE,
    line_info_rec_size: LINE_INFO_SIZE,
    jited_line_info_rec_size: 8,
    xlated_prog_len: capable ? attributes.bytes.length : 0,
    jited_prog_len: 0,
    nr_jited_ksyms: 0,
    nr_jited_func_lens: 0,
    nr_func_info: capable ? attributes.funcInfo.length / FUNC_INFO_SIZE : 0,
    nr_line_info: capable ? attributes.lineInfo.length / LINE_INFO_SIZE : 0,
    nr_jited_line_info: 0,
    nr_prog_tags: capable ? 1 : 0,
  });
  if (capable) copyProgram(call, given, prog);
  buffer.finish();
}

/** There is no machine code to show: `jited_prog_len` and its like stay 0. `xlated_prog_insns` are the instructions as they were loaded. */
function copyProgram(call: InfoCall, given: ReturnType<typeof bpf_prog_info.read>, { attributes }: BpfProg): void {
  copyArray(call, given.xlated_prog_insns, given.xlated_prog_len, attributes.bytes, 1, 'xlated_prog_insns');
  copyArray(call, given.func_info, given.nr_func_info, attributes.funcInfo, FUNC_INFO_SIZE, 'func_info');
  copyArray(call, given.line_info, given.nr_line_info, attributes.lineInfo, LINE_INFO_SIZE, 'line_info');
  copyArray(call, given.prog_tags, given.nr_prog_tags, attributes.tag, 8, 'prog_tags');
}

function attachBtfObject({ kernel }: InfoCall, prog: BpfProg): number {
  if (prog.attachProg) return prog.attachProg.btf?.id ?? 0;
  return prog.attributes.attachBtfId === 0 ? 0 : kernel.kernelBtf.id;
}

/** As many records as the caller has room for. */
function copyArray(call: InfoCall, address: bigint, room: number, bytes: Uint8Array, size: number, what: string): void {
  const length = Math.min(room, bytes.length / size) * size;
  if (length > 0) call.write(address, bytes.subarray(0, length), what);
}

/** `set_info_rec_size`: 0 where nothing is asked for, else our size. */
function checkRecordSize(count: number, given: number, size: number, argument: string): void {
  if ((count !== 0 || given !== 0) && given !== size)
    throw new KernelError('EINVAL', `records have ${size} bytes here, not ${given}`, argument);
}

function mapInfo(call: InfoCall, map: BpfMap): void {
  const buffer = new InfoBuffer(call, bpf_map_info);
  const given = bpf_map_info.read(buffer.view);
  copyHash(call, map, given.hash, given.hash_size);
  bpf_map_info.write(buffer.view, {
    type: map.type,
    id: map.id,
    key_size: map.keySize,
    value_size: map.valueSize,
    max_entries: map.maxEntries,
    map_flags: map.flags,
    name: map.name,
    ifindex: 0,
    btf_vmlinux_value_type_id: map.btfVmlinuxValueTypeId,
    netns_dev: 0n,
    netns_ino: 0n,
    btf_id: map.btf?.id ?? 0,
    btf_key_type_id: map.btfKeyTypeId,
    btf_value_type_id: map.btfValueTypeId,
    btf_vmlinux_id: map.btfVmlinuxValueTypeId === 0 ? 0 : call.kernel.kernelBtf.id,
    map_extra: map.attributes.extra,
  });
  buffer.finish();
}

/** SHA-256 of a frozen array's values (`array_map_get_hash`). */
function copyHash(call: InfoCall, map: BpfMap, address: bigint, size: number): void {
  if (address === 0n) {
    if (size !== 0) throw new KernelError('EINVAL', 'a size without a place for the hash', 'hash_size');
    return;
  }
  if (map.type !== BPF_MAP_TYPE_ARRAY) throw new KernelError('EINVAL', 'only arrays have a hash', 'hash');
  if (size !== 32) throw new KernelError('EINVAL', 'a SHA-256 has 32 bytes', 'hash_size');
  if (!map.frozen) throw new KernelError('EPERM', 'only a frozen map has a hash', 'hash');
  const data = map.header('data');
  call.write(address, sha256(map.kernel.arena.u8.subarray(data, data + map.header('stride') * map.maxEntries)), 'hash');
}

function btfInfo(call: InfoCall, object: BtfObject): void {
  const buffer = new InfoBuffer(call, bpf_btf_info);
  const given = bpf_btf_info.read(buffer.view);
  const { bytes } = object;
  if (given.btf_size > 0) call.write(given.btf, bytes.subarray(0, Math.min(given.btf_size, bytes.length)), 'btf');
  if ((given.name !== 0n) !== (given.name_len !== 0))
    throw new KernelError('EINVAL', 'a name needs a buffer and its length, or neither', 'name');
  const short = copyName(call, given.name, given.name_len, object.name);
  bpf_btf_info.write(buffer.view, {
    btf_size: bytes.length,
    id: object.id,
    name_len: object.name.length,
    kernel_btf: object.isKernel ? 1 : 0,
  });
  buffer.finish();
  if (short) throw new KernelError('ENOSPC', `the name has ${object.name.length} bytes`, 'name_len');
}

/** True where the name was cut. */
function copyName(call: InfoCall, address: bigint, room: number, name: string): boolean {
  if (address === 0n) return false;
  const bytes = new TextEncoder().encode(`${name}\0`);
  if (bytes.length <= room) {
    call.write(address, bytes, 'name');
    return false;
  }
  const cut = bytes.slice(0, room);
  cut[room - 1] = 0;
  call.write(address, cut, 'name');
  return true;
}

function linkInfo(call: InfoCall, link: BpfLink): void {
  const buffer = new InfoBuffer(call, bpf_link_info);
  bpf_link_info.write(buffer.view, { type: link.type, id: link.id, prog_id: link.prog?.id ?? 0 });
  const own = link.ops.fillInfo?.(link, call);
  if (own) bpf_link_info.write(buffer.view, own);
  buffer.finish();
}
