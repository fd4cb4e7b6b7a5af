/** `Btf` of `@libbpf-ts/btf` as the narrow view that the verifier reads. */

import type { Btf, BtfType } from '@libbpf-ts/btf';
import type { BtfField, BtfKindName, BtfMemberView, BtfTypeView, VerifierBtf } from './types.ts';

/** `kernel`: these are the kernel's own types, not a program's. `record`: managed fields of a program's structures. */
export function adaptBtf(btf: Btf, kernel: boolean, record?: (id: number) => readonly BtfField[] | undefined): VerifierBtf {
  const views = new Map<number, BtfTypeView>();
  let tags: Map<number, { readonly name: string; readonly componentIdx: number }[]> | undefined;
  return {
    kernel,
    count: btf.typeCount,
    type(id) {
      if (!Number.isInteger(id) || id < 0 || id >= btf.typeCount) return undefined;
      let view = views.get(id);
      if (!view) {
        view = viewOf(btf.type(id));
        views.set(id, view);
      }
      return view;
    },
    find: (name, kind) => btf.idsByName(name, kind === 'UNKN' ? 'VOID' : kind)[0] ?? 0,
    declTags(id) {
      tags ??= collectTags(btf);
      return tags.get(id) ?? [];
    },
    ...(record ? { record } : {}),
  };
}

function collectTags(btf: Btf): Map<number, { readonly name: string; readonly componentIdx: number }[]> {
  const tags = new Map<number, { readonly name: string; readonly componentIdx: number }[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'DECL_TAG') continue;
    const tag = btf.type(id);
    if (tag.kind !== 'DECL_TAG') continue;
    const list = tags.get(tag.type) ?? [];
    list.push({ name: tag.name, componentIdx: tag.component_idx });
    tags.set(tag.type, list);
  }
  return tags;
}

function membersOf(type: BtfType): BtfMemberView[] {
  if (type.kind === 'DATASEC')
    return type.vars.map((row) => ({ name: '', type: row.type, bitOffset: row.offset * 8, bitSize: 0 }));
  if (!('members' in type)) return [];
  return type.members.map((m) => ({ name: m.name, type: m.type, bitOffset: m.bit_offset, bitSize: m.bitfield_size }));
}

function viewOf(type: BtfType): BtfTypeView {
  return {
    kind: type.kind === 'VOID' ? 'UNKN' : (type.kind satisfies BtfKindName),
    name: type.name,
    size: 'size' in type ? type.size : 0,
    type: 'type' in type ? type.type : 0,
    members: membersOf(type),
    params: type.kind === 'FUNC_PROTO' ? type.params : [],
    nelems: type.kind === 'ARRAY' ? type.nelems : 0,
    signed:
      type.kind === 'INT' ? (type.encoding & 1) !== 0 : type.kind === 'ENUM' || type.kind === 'ENUM64' ? type.signed : false,
    linkage: type.kind === 'FUNC' || type.kind === 'VAR' ? type.linkage : 0,
    componentIdx: type.kind === 'DECL_TAG' ? type.component_idx : -1,
  };
}
