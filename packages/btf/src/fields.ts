/** Fields of map values that the kernel keeps for itself: locks, timers, kernel pointers, list heads and the like. */

import type { Btf } from './btf.ts';
import { BtfError } from './errors.ts';
import type { BtfStruct } from './types.ts';
import { sizeOf, skipQualifiers, skipModifiers } from './walk.ts';

/** Kinds as the kernel's `enum btf_field_type` names them, without the `BPF_`. */
export type SpecialFieldKind =
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

export interface SpecialField {
  readonly kind: SpecialFieldKind;
  /** Bytes from the start of the value. */
  readonly offset: number;
  readonly size: number;
  /** Of kernel pointers: the type pointed to, in the map's BTF. */
  readonly type_id?: number;
  /** Of list heads and tree roots: the structure of the elements and their node member (from the `contains:` tag). */
  readonly contains?: { readonly type: string; readonly node: string };
}

interface KnownStruct {
  readonly kind: SpecialFieldKind;
  readonly size: number;
  readonly align: number;
}

const STRUCTS: Readonly<Record<string, KnownStruct>> = {
  bpf_spin_lock: { kind: 'SPIN_LOCK', size: 4, align: 4 },
  bpf_res_spin_lock: { kind: 'RES_SPIN_LOCK', size: 4, align: 4 },
  bpf_timer: { kind: 'TIMER', size: 16, align: 8 },
  bpf_wq: { kind: 'WORKQUEUE', size: 16, align: 8 },
  bpf_task_work: { kind: 'TASK_WORK', size: 8, align: 8 },
  bpf_list_head: { kind: 'LIST_HEAD', size: 16, align: 8 },
  bpf_list_node: { kind: 'LIST_NODE', size: 24, align: 8 },
  bpf_rb_root: { kind: 'RB_ROOT', size: 16, align: 8 },
  bpf_rb_node: { kind: 'RB_NODE', size: 32, align: 8 },
  bpf_refcount: { kind: 'REFCOUNT', size: 4, align: 4 },
};

const POINTER_TAGS: Readonly<Record<string, SpecialFieldKind>> = {
  kptr_untrusted: 'KPTR_UNREF',
  kptr: 'KPTR_REF',
  percpu_kptr: 'KPTR_PERCPU',
  uptr: 'UPTR',
};

/** More than the kernel's BTF_FIELDS_MAX are refused there; the same bound keeps odd types from costing time here. */
const MAX_FIELDS = 11;
const MAX_NESTING = 4;

/**
 * The special fields of a value type (a structure or a DATASEC), by ascending offset. Throws {@link BtfError} for a field that is
 * misplaced or for more fields than the kernel keeps.
 */
export function findSpecialFields(btf: Btf, id: number): SpecialField[] {
  const type = skipModifiers(btf, id);
  const found: SpecialField[] = [];
  if (type.kind === 'STRUCT') inStruct(btf, type, 0, 0, found);
  if (type.kind === 'DATASEC') {
    for (const item of type.vars) {
      const variable = btf.type(item.type);
      if (variable.kind === 'VAR') inValue(btf, variable.type, item.offset, 0, found, () => containsOf(btf, variable.id, -1));
    }
  }
  if (found.length > MAX_FIELDS)
    throw new BtfError('BTF_TOO_LARGE', `${found.length} special fields are more than ${MAX_FIELDS}`, { type_id: id });
  return found.sort((a, b) => a.offset - b.offset);
}

function inStruct(btf: Btf, type: BtfStruct, base: number, depth: number, found: SpecialField[]): void {
  type.members.forEach((member, index) => {
    if (member.bitfield_size !== 0 || member.bit_offset % 8 !== 0) return;
    inValue(btf, member.type, base + member.bit_offset / 8, depth, found, () => containsOf(btf, type.id, index));
  });
}

function inValue(
  btf: Btf,
  id: number,
  offset: number,
  depth: number,
  found: SpecialField[],
  contains: () => SpecialField['contains'],
): void {
  if (depth > MAX_NESTING || found.length > MAX_FIELDS) return;
  // The kernel looks through arrays, not through typedefs of these structures.
  const type = btf.type(id);
  if (type.kind === 'ARRAY') {
    const step = sizeOf(btf, type.type);
    for (let i = 0; i < type.nelems && found.length <= MAX_FIELDS; i++) {
      const before = found.length;
      inValue(btf, type.type, offset + i * step, depth, found, contains);
      if (found.length === before) return;
    }
    return;
  }
  if (type.kind === 'PTR') return pointer(btf, type.type, offset, found);
  if (type.kind !== 'STRUCT') return;
  const known = STRUCTS[type.name];
  if (!known) return inStruct(btf, type, offset, depth + 1, found);
  if (type.size !== known.size) return;
  if (offset % known.align !== 0)
    throw new BtfError('BTF_BAD_VALUE', `${type.name} at byte ${offset} is not aligned to ${known.align}`, { type_id: id });
  const tag = known.kind === 'LIST_HEAD' || known.kind === 'RB_ROOT' ? contains() : undefined;
  found.push({ kind: known.kind, offset, size: known.size, ...(tag ? { contains: tag } : {}) });
}

/** `T __kptr *p`: a pointer to a type tag that names its kind. */
function pointer(btf: Btf, id: number, offset: number, found: SpecialField[]): void {
  const tag = btf.type(id);
  const kind = tag.kind === 'TYPE_TAG' ? POINTER_TAGS[tag.name] : undefined;
  if (!kind || tag.kind !== 'TYPE_TAG') return;
  if (offset % 8 !== 0)
    throw new BtfError('BTF_BAD_VALUE', `a kernel pointer at byte ${offset} is not aligned to 8`, { type_id: id });
  found.push({ kind, offset, size: 8, type_id: skipQualifiers(btf, tag.type).id });
}

/** The tag `contains:element:node` of a member. */
function containsOf(btf: Btf, id: number, component: number): SpecialField['contains'] {
  for (const tagId of declTagsOf(btf).get(id) ?? []) {
    const tag = btf.type(tagId);
    const match = tag.kind === 'DECL_TAG' && tag.component_idx === component ? /^contains:([^:]+):(.+)$/.exec(tag.name) : null;
    if (match) return { type: match[1]!, node: match[2]! };
  }
  return undefined;
}

/** Ids of the tags on each type. */
export function declTagsOf(btf: Btf): ReadonlyMap<number, readonly number[]> {
  const tags = new Map<number, number[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.kind(id) === 'DECL_TAG' ? btf.type(id) : undefined;
    if (type?.kind === 'DECL_TAG') tags.set(type.type, [...(tags.get(type.type) ?? []), id]);
  }
  return tags;
}
