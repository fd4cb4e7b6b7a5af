/**
 * Records: the fields of a map value, or of a structure that programs allocate, that the kernel keeps for itself. Mirrors
 * btf_parse_fields, btf_parse_struct_metas and btf_check_and_fixup_fields of kernel/bpf/btf.c.
 */

import type { Btf } from './btf.ts';
import { declTagsOf } from './fields.ts';
import type { BtfStruct, BtfType } from './types.ts';
import { skipModifiers } from './walk.ts';

/** Kinds as the kernel's `enum btf_field_type` names them, without the `BPF_`. */
export type FieldKind =
  | 'SPIN_LOCK'
  | 'RES_SPIN_LOCK'
  | 'TIMER'
  | 'WORKQUEUE'
  | 'TASK_WORK'
  | 'LIST_HEAD'
  | 'LIST_NODE'
  | 'RB_ROOT'
  | 'RB_NODE'
  | 'REFCOUNT'
  | 'KPTR_UNREF'
  | 'KPTR_REF'
  | 'KPTR_PERCPU'
  | 'UPTR';

/** One field of a record (`struct btf_field`). */
export interface RecordField {
  readonly kind: FieldKind;
  /** Bytes from the start of the value. */
  readonly offset: number;
  readonly size: number;
  /** Of kernel pointers: the structure pointed to, in the BTF of the value; of roots: the structure of the elements. */
  readonly type_id?: number;
  /** Of kernel pointers: the id of that type in kernel BTF, 0 where only the program knows it. */
  readonly kernel_id?: number;
  /** Of roots: byte offset of the node inside an element. */
  readonly node_offset?: number;
}

/** What a record asks of the kernel's own types. */
export interface KernelTypes {
  /** Id of the structure or union of that name; 0 where there is none. */
  find(name: string, kind: 'STRUCT' | 'UNION'): number;
  /** Whether objects of the type have a destructor, so that a map may own one. */
  hasDestructor(name: string): boolean;
}

/** The errno of BTF that holds no valid record. */
export type RecordErrno = 'EINVAL' | 'ENOENT' | 'E2BIG' | 'EEXIST' | 'EFAULT' | 'ELOOP';

export type RecordResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errno: RecordErrno };

/** What maps hold in their values, and what structures of `bpf_obj_new` may hold. */
export const MAP_FIELDS: ReadonlySet<FieldKind> = new Set<FieldKind>([
  'SPIN_LOCK',
  'RES_SPIN_LOCK',
  'TIMER',
  'WORKQUEUE',
  'TASK_WORK',
  'LIST_HEAD',
  'RB_ROOT',
  'REFCOUNT',
  'KPTR_UNREF',
  'KPTR_REF',
  'KPTR_PERCPU',
  'UPTR',
]);
const OBJECT_FIELDS: ReadonlySet<FieldKind> = new Set<FieldKind>([
  'SPIN_LOCK',
  'RES_SPIN_LOCK',
  'LIST_HEAD',
  'LIST_NODE',
  'RB_ROOT',
  'RB_NODE',
  'REFCOUNT',
  'KPTR_UNREF',
  'KPTR_REF',
  'KPTR_PERCPU',
]);

interface KnownStruct {
  readonly kind: FieldKind;
  readonly size: number;
  readonly align: number;
  /** At most one in a value. */
  readonly once: boolean;
}

const STRUCTS: Readonly<Record<string, KnownStruct>> = {
  bpf_spin_lock: { kind: 'SPIN_LOCK', size: 4, align: 4, once: true },
  bpf_res_spin_lock: { kind: 'RES_SPIN_LOCK', size: 4, align: 4, once: true },
  bpf_timer: { kind: 'TIMER', size: 16, align: 8, once: true },
  bpf_wq: { kind: 'WORKQUEUE', size: 16, align: 8, once: true },
  bpf_task_work: { kind: 'TASK_WORK', size: 8, align: 8, once: true },
  bpf_list_head: { kind: 'LIST_HEAD', size: 16, align: 8, once: false },
  bpf_list_node: { kind: 'LIST_NODE', size: 24, align: 8, once: false },
  bpf_rb_root: { kind: 'RB_ROOT', size: 16, align: 8, once: false },
  bpf_rb_node: { kind: 'RB_NODE', size: 32, align: 8, once: false },
  bpf_refcount: { kind: 'REFCOUNT', size: 4, align: 4, once: true },
};
const POINTER_TAGS: Readonly<Record<string, FieldKind>> = {
  kptr_untrusted: 'KPTR_UNREF',
  kptr: 'KPTR_REF',
  percpu_kptr: 'KPTR_PERCPU',
  uptr: 'UPTR',
};
const REPEATABLE: ReadonlySet<FieldKind> = new Set<FieldKind>([
  'KPTR_UNREF',
  'KPTR_REF',
  'KPTR_PERCPU',
  'UPTR',
  'LIST_HEAD',
  'RB_ROOT',
]);

const MAX_FIELDS = 11;
const MAX_RESOLVE_DEPTH = 32;
const PAGE_SIZE = 4096;

/** A field as found, before the types that it names are looked at. */
interface Found {
  readonly kind: FieldKind;
  readonly offset: number;
  readonly size: number;
  readonly type_id?: number;
  readonly node?: string;
}

/** Thrown inside this file, caught at its border. */
class RecordError extends Error {
  readonly errno: RecordErrno;
  constructor(errno: RecordErrno) {
    super(errno);
    this.errno = errno;
  }
}

const isStruct = (type: BtfType): type is BtfStruct => type.kind === 'STRUCT' || type.kind === 'UNION';

/** The tags of a BTF, collected when the first is asked for. */
class Tags {
  readonly btf: Btf;
  #tags: ReadonlyMap<number, readonly number[]> | undefined = undefined;

  constructor(btf: Btf) {
    this.btf = btf;
  }

  /** The text behind `contains:` of the one tag on a member; undefined where there is none, or more than one. */
  contains(id: number, component: number): string | undefined {
    this.#tags ??= declTagsOf(this.btf);
    const texts = (this.#tags.get(id) ?? []).flatMap((tagId) => {
      const tag = this.btf.type(tagId);
      const mine = tag.kind === 'DECL_TAG' && tag.component_idx === component && tag.name.startsWith('contains:');
      return mine ? [tag.name.slice('contains:'.length)] : [];
    });
    return texts.length === 1 ? texts[0] : undefined;
  }
}

/** Runs over one value; holds what was seen. */
class Finder {
  readonly btf: Btf;
  readonly kinds: ReadonlySet<FieldKind>;
  readonly tags: Tags;
  readonly seen: Set<FieldKind> = new Set();

  constructor(tags: Tags, kinds: ReadonlySet<FieldKind>) {
    this.btf = tags.btf;
    this.tags = tags;
    this.kinds = kinds;
  }

  /** `btf_find_struct_field`. */
  inStruct(type: BtfStruct, room: number, level: number): Found[] {
    const found: Found[] = [];
    type.members.forEach((member, index) => {
      if (member.bit_offset % 8 !== 0) return;
      const contains = (): string | undefined => this.tags.contains(type.id, index);
      found.push(...this.one(this.btf.type(member.type), member.bit_offset / 8, 0, room - found.length, level, contains));
    });
    return found;
  }

  /** `btf_find_field_one`: a member or variable of this type at this offset. `room`: how many more fields fit. */
  one(
    given: BtfType,
    offset: number,
    expected: number,
    room: number,
    level: number,
    contains: () => string | undefined,
  ): Found[] {
    let type = given;
    let count = 1;
    let depth = 0;
    for (; depth < MAX_RESOLVE_DEPTH && type.kind === 'ARRAY'; depth++) {
      count *= type.nelems;
      type = this.btf.type(type.type);
    }
    if (depth === MAX_RESOLVE_DEPTH) throw new RecordError('E2BIG');
    if (count === 0) return [];
    const known = isStruct(type) ? STRUCTS[type.name] : undefined;
    if (isStruct(type) && !(known && this.kinds.has(known.kind))) {
      if (expected !== 0 && expected !== type.size * count) return [];
      if (level + 1 >= MAX_RESOLVE_DEPTH) throw new RecordError('E2BIG');
      const inner = this.inStruct(type, room, level + 1).map((field) => ({ ...field, offset: field.offset + offset }));
      return count > 1 && inner.length > 0 ? repeat(inner, room, count, type.size) : inner;
    }
    const size = known?.size ?? 8;
    if (known?.once) {
      if (this.seen.has(known.kind)) throw new RecordError('E2BIG');
      this.seen.add(known.kind);
    }
    if (expected !== 0 && expected !== size * count) return [];
    if (offset % (known?.align ?? 8) !== 0) return [];
    const field = known
      ? this.#struct(type as BtfStruct, known, offset, contains)
      : findPointer(this.btf, type, offset, this.kinds);
    if (!field) return [];
    if (room <= 0) throw new RecordError('E2BIG');
    return count > 1 ? repeat([field], room, count, size) : [field];
  }

  #struct(type: BtfStruct, known: KnownStruct, offset: number, contains: () => string | undefined): Found | undefined {
    if (type.size !== known.size) return undefined;
    if (known.kind !== 'LIST_HEAD' && known.kind !== 'RB_ROOT') return { kind: known.kind, offset, size: known.size };
    const tag = contains();
    const colon = tag?.indexOf(':') ?? -1;
    if (tag === undefined || colon < 0) throw new RecordError('EINVAL');
    const type_id = this.btf.idsByName(tag.slice(0, colon), 'STRUCT')[0];
    if (type_id === undefined) throw new RecordError('ENOENT');
    const node = tag.slice(colon + 1);
    if (node === '') throw new RecordError('EINVAL');
    return { kind: known.kind, offset, size: known.size, type_id, node };
  }
}

/** `btf_repeat_fields`: what one element holds, for each of `count`. */
function repeat(fields: readonly Found[], room: number, count: number, step: number): Found[] {
  if (fields.some((field) => !REPEATABLE.has(field.kind))) throw new RecordError('EINVAL');
  if (fields.length * count > room) throw new RecordError('E2BIG');
  return Array.from({ length: count }, (_, i) => fields.map((field) => ({ ...field, offset: field.offset + i * step }))).flat();
}

/** `btf_find_kptr`: a pointer to a structure behind one type tag that names its kind. */
function findPointer(btf: Btf, type: BtfType, offset: number, kinds: ReadonlySet<FieldKind>): Found | undefined {
  if (type.kind !== 'PTR') return undefined;
  const tag = btf.type(type.type);
  if (tag.kind !== 'TYPE_TAG') return undefined;
  if (btf.kind(tag.type) === 'TYPE_TAG') throw new RecordError('EINVAL');
  const kind = POINTER_TAGS[tag.name];
  if (kind === undefined || !kinds.has(kind)) return undefined;
  const target = skipModifiers(btf, tag.type);
  if (!isStruct(target)) throw new RecordError('EINVAL');
  return { kind, offset, size: 8, type_id: target.id };
}

/** `btf_parse_fields`: the record of a value type (a structure or a DATASEC), by offset; empty where it has no such field. */
export function parseRecord(
  btf: Btf,
  id: number,
  kinds: ReadonlySet<FieldKind>,
  valueSize: number,
  kernel: KernelTypes,
): RecordResult<readonly RecordField[]> {
  return guarded(() => record(new Tags(btf), id, kinds, valueSize, kernel));
}

function guarded<T>(run: () => T): RecordResult<T> {
  try {
    return { ok: true, value: run() };
  } catch (error) {
    if (error instanceof RecordError) return { ok: false, errno: error.errno };
    throw error;
  }
}

function record(
  tags: Tags,
  id: number,
  kinds: ReadonlySet<FieldKind>,
  valueSize: number,
  kernel: KernelTypes,
): readonly RecordField[] {
  const { btf } = tags;
  const found = findFields(btf, btf.type(id), new Finder(tags, kinds));
  let next = 0;
  for (const field of found) {
    if (field.offset + field.size > valueSize) throw new RecordError('EFAULT');
    if (field.offset < next) throw new RecordError('EEXIST');
    next = field.offset + field.size;
  }
  const fields = found.map((field) => resolve(btf, field, kernel));
  const has = (...names: readonly FieldKind[]): boolean => fields.some(({ kind }) => names.includes(kind));
  if (has('SPIN_LOCK') && has('RES_SPIN_LOCK')) throw new RecordError('EINVAL');
  if (has('LIST_HEAD', 'RB_ROOT') && !has('SPIN_LOCK', 'RES_SPIN_LOCK')) throw new RecordError('EINVAL');
  if (!has('REFCOUNT') && has('LIST_NODE') && has('RB_NODE')) throw new RecordError('EINVAL');
  return fields.sort((a, b) => a.offset - b.offset);
}

function findFields(btf: Btf, type: BtfType, finder: Finder): Found[] {
  if (isStruct(type)) return finder.inStruct(type, MAX_FIELDS, 0);
  if (type.kind !== 'DATASEC') return [];
  const found: Found[] = [];
  for (const { type: id, offset, size } of type.vars) {
    const variable = btf.type(id);
    if (variable.kind !== 'VAR') continue;
    const contains = (): string | undefined => finder.tags.contains(id, -1);
    found.push(...finder.one(btf.type(variable.type), offset, size, MAX_FIELDS - found.length, 0, contains));
  }
  return found;
}

function resolve(btf: Btf, { kind, offset, size, type_id, node }: Found, kernel: KernelTypes): RecordField {
  if (type_id === undefined) return { kind, offset, size };
  if (node !== undefined) return { kind, offset, size, type_id, node_offset: nodeOffset(btf, kind, type_id, node) };
  const target = btf.type(type_id) as BtfStruct;
  const kernel_id = kernel.find(target.name, target.kind as 'STRUCT' | 'UNION');
  if (kernel_id !== 0 && kind === 'KPTR_REF' && !kernel.hasDestructor(target.name)) throw new RecordError('ENOENT');
  return { kind, offset, size, type_id, kernel_id };
}

/** `btf_parse_graph_root`: where the node lies in an element. */
function nodeOffset(btf: Btf, root: FieldKind, id: number, name: string): number {
  const wanted = root === 'LIST_HEAD' ? 'bpf_list_node' : 'bpf_rb_node';
  let offset = -1;
  for (const member of (btf.type(id) as BtfStruct).members) {
    if (member.name !== name) continue;
    if (offset >= 0) throw new RecordError('EINVAL');
    const type = btf.type(member.type);
    if (!isStruct(type) || type.name !== wanted || member.bit_offset % 64 !== 0) throw new RecordError('EINVAL');
    offset = member.bit_offset / 8;
  }
  if (offset < 0) throw new RecordError('ENOENT');
  return offset;
}

/** `btf_check_and_fixup_fields`: elements must be known, and ownership must not come back to where it began. */
export function checkOwnership(
  btf: Btf,
  fields: readonly RecordField[],
  metas: ReadonlyMap<number, readonly RecordField[]>,
): RecordErrno | undefined {
  const isNode = fields.some(({ kind }) => kind === 'LIST_NODE' || kind === 'RB_NODE');
  for (const { kind, type_id, kernel_id } of fields) {
    if (kind === 'UPTR') {
      const target = btf.type(type_id!) as BtfStruct;
      if (kernel_id !== 0 || target.size === 0) return 'EINVAL';
      if (target.size > PAGE_SIZE) return 'E2BIG';
    }
    if (kind !== 'LIST_HEAD' && kind !== 'RB_ROOT') continue;
    const element = metas.get(type_id!);
    if (!element) return 'EFAULT';
    if (isNode && element.some((field) => field.kind === 'LIST_HEAD' || field.kind === 'RB_ROOT')) return 'ELOOP';
  }
  return undefined;
}

/** `btf_parse_struct_metas`: the record of every structure with such a member, by type id. */
export function structRecords(btf: Btf, kernel: KernelTypes): RecordResult<ReadonlyMap<number, readonly RecordField[]>> {
  return guarded(() => {
    const special = specialTypes(btf);
    const tags = new Tags(btf);
    const metas = new Map<number, readonly RecordField[]>();
    if (special.size === 0) return metas;
    for (let id = 1; id < btf.typeCount; id++) {
      const type = btf.kind(id) === 'STRUCT' || btf.kind(id) === 'UNION' ? btf.type(id) : undefined;
      if (!type || !isStruct(type) || !type.members.some((member) => special.has(member.type))) continue;
      const fields = record(tags, id, OBJECT_FIELDS, type.size, kernel);
      if (fields.length === 0) throw new RecordError('EFAULT');
      metas.set(id, fields);
    }
    for (const fields of metas.values()) {
      const errno = checkOwnership(btf, fields, metas);
      if (errno) throw new RecordError(errno);
    }
    return metas;
  });
}

/** Ids of the types that make their holder one to be recorded. */
function specialTypes(btf: Btf): ReadonlySet<number> {
  const special = new Set<number>();
  for (const [name, { kind }] of Object.entries(STRUCTS)) {
    const id = OBJECT_FIELDS.has(kind) ? btf.idsByName(name, 'STRUCT')[0] : undefined;
    if (id !== undefined) special.add(id);
  }
  for (let id = 1; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'PTR') continue;
    try {
      if (findPointer(btf, btf.type(id), 0, OBJECT_FIELDS)) special.add(id);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
    }
  }
  return special;
}
