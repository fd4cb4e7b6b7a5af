/** What a map type contributes (`struct bpf_map_ops`). */

import type { Btf } from '@libbpf-ts/btf';
import { KernelError, type RawBpfAttr } from '@libbpf-ts/uapi';

import type { BpfCall } from './call.ts';
import type { Erased } from './erased.ts';
import type { Fork } from './fork.ts';
import type { Kernel } from './kernel.ts';
import type { BpfMap, MapTemplate } from './map.ts';
import type { MappedRange } from './mapping.ts';
import type { BpfProg } from './prog.ts';
import type { Task } from './task.ts';

export type MapCreateAttr = RawBpfAttr<0>;

/**
 * One map type. The rows are stateless: what belongs to one map is `map.data` (a `T`) and its bytes in the arena behind `map.address`.
 * Keys and values are addresses in the arena; results are 0 (or a count) or `-errno`. `flags` is a u64 as a double.
 */
export interface MapTypeOps<T = Erased> {
  /** BPF_MAP_TYPE_*, or a number outside of the ABI. */
  readonly type: number;
  /** As bpftool names it: `lru_hash`. */
  readonly name: string;
  /** Bytes of the map header, MAP_HEADER_SIZE (128) unless the type needs more. */
  readonly headerSize?: number;

  /** `map_alloc_check`: sizes and flags, in the kernel's order. Throws. */
  allocCheck(attr: MapCreateAttr, kernel: Kernel, task: Task): void;
  /**
   * `map_alloc`: allocates what the map needs in the arena and fills `lookup_slot`, `data`, `stride`, … of its header; the header is there,
   * with sizes, flags and type set. Throws (ENOMEM, EBADF of an inner map, …) after giving back what it took; the header is the kernel's.
   */
  alloc(map: BpfMap<T>, attr: MapCreateAttr, task: Task): T;
  /** `map_free`: gives back everything but the header. No program runs that could see it. */
  free(map: BpfMap<T>): void;
  /** The `data` of the map's twin. The arena is copied already. `map` is the original. */
  clone(data: T, fork: Fork, map: BpfMap<T>): T;

  /** `map_lookup_elem` from JavaScript: the address of the value, or 0. Where omitted, `lookup_slot` of the header is called. */
  lookup?(map: BpfMap<T>, key: number): number;
  /** `map_update_elem`, by programs and (where `userUpdate` is omitted) by bpf(2). */
  update?(map: BpfMap<T>, key: number, value: number, flags: number): number;
  /** `map_delete_elem`. */
  delete?(map: BpfMap<T>, key: number): number;
  /** `map_get_next_key`: writes the key after `key` (0: the first) to `next`; -ENOENT after the last. ENOTSUPP where omitted. */
  getNextKey?(map: BpfMap<T>, key: number, next: number): number;
  push?(map: BpfMap<T>, value: number, flags: number): number;
  pop?(map: BpfMap<T>, value: number): number;
  peek?(map: BpfMap<T>, value: number): number;

  /** Bytes of a value at the bpf(2) border (`bpf_map_value_size`); `map.valueSize` where omitted. Per-CPU maps: 8-byte rounded, times CPUs. */
  userValueSize?(map: BpfMap<T>): number;
  /** bpf(2) lookup: writes `userValueSize` bytes to `value`. Where omitted: the value that `lookup` finds, managed fields zeroed. */
  userLookup?(map: BpfMap<T>, key: number, value: number, flags: number): number;
  /** bpf(2) update with the calling task, for values that are fds. */
  userUpdate?(map: BpfMap<T>, key: number, value: number, flags: number, task: Task): number;
  userDelete?(map: BpfMap<T>, key: number): number;
  /** BPF_MAP_LOOKUP_AND_DELETE_ELEM (`map_lookup_and_delete_elem`). ENOTSUPP where omitted and the type is neither queue nor stack. */
  userLookupAndDelete?(map: BpfMap<T>, key: number, value: number, flags: number): number;
  /** Batch commands; ENOTSUPP where omitted. The kernel package exports generic ones. They write results through `call` and throw. */
  lookupBatch?(call: BpfCall<24>, map: BpfMap<T>): void;
  lookupAndDeleteBatch?(call: BpfCall<25>, map: BpfMap<T>): void;
  updateBatch?(call: BpfCall<26>, map: BpfMap<T>): void;
  deleteBatch?(call: BpfCall<27>, map: BpfMap<T>): void;

  /** All elements in the map's own order, for iterators and bpf_for_each_map_elem; `visit` returns true to stop. Returns how many it saw. */
  forEach?(map: BpfMap<T>, visit: (key: number, value: number) => boolean | void): number;
  /** `map_direct_value_addr`: address of byte `off` of the only value; undefined where `off` is outside. */
  valueAddress?(map: BpfMap<T>, off: number): number | undefined;
  /**
   * `map_mmap`: the bytes that a mapping of `length` bytes (whole pages) from `offset` on shows, or `-errno`. ENOTSUPP where omitted.
   */
  mmap?(map: BpfMap<T>, offset: number, length: number, writable: boolean): MappedRange | number;
  /**
   * `map_check_btf`: key (0: none given) and value types, as types of `btf`; their sizes are checked already. Throws. Where omitted any types
   * of the right sizes will do, but the key's must be given. `mapCheckNoBtf` refuses BTF altogether (ENOTSUPP).
   */
  checkBtf?(map: BpfMap<T>, btf: Btf, keyTypeId: number, valueTypeId: number): void;
  /** `map_meta_equal`: may `map` stand where `template` was given? Type, key, value and flags compared where omitted. */
  metaEqual?(template: MapTemplate, map: BpfMap<T>): boolean;
  /** False where a map of this type can't be the inner map of another (`map_meta_equal` missing in the kernel). */
  readonly canBeInner?: boolean;
  /** May a program that names the map be loaded? Asked once, when it is; true where omitted (`bpf_prog_map_compatible`). */
  admitsProg?(map: BpfMap<T>, prog: BpfProg): boolean;
  /** `map_release_uref`: the last fd and pin are gone (prog_array then forgets its programs). */
  lastUserRefGone?(map: BpfMap<T>): void;
  /** `map_mem_usage`, for fdinfo. */
  memUsage?(map: BpfMap<T>): number;
  /** Further lines for fdinfo. */
  fdInfo?(map: BpfMap<T>): string;
}

/** `map_check_no_btf`: for types whose elements nobody can describe. */
export function mapCheckNoBtf(): never {
  throw new KernelError('ENOTSUPP', 'maps of this type take no BTF', 'btf_value_type_id');
}

/** `bpf_map_meta_equal`. */
export function mapMetaEqual(template: MapTemplate, map: BpfMap): boolean {
  return (
    template.type === map.type &&
    template.keySize === map.keySize &&
    template.valueSize === map.valueSize &&
    template.flags === map.flags &&
    sameRecord(template, map)
  );
}

function sameRecord({ record: a }: MapTemplate, { record: b }: BpfMap): boolean {
  return a.length === b.length && a.every((field, index) => field.type === b[index]!.type && field.offset === b[index]!.offset);
}
