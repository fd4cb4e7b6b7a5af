/** BTF as the verifier reads it. */

import type { Btf, BtfKind, BtfType } from '@libbpf-ts/btf';
import type { BtfKindName, BtfTypeView, VerifierBtf } from '@libbpf-ts/verifier';

/** A view of `btf` that decodes each type once. */
export function verifierBtf(btf: Btf, kernel: boolean): VerifierBtf {
  const views = new Map<number, BtfTypeView>();
  let tags: Map<number, { readonly name: string; readonly componentIdx: number }[]> | undefined;
  return {
    kernel,
    count: btf.typeCount,
    type(id) {
      if (!(id >= 0 && id < btf.typeCount)) return undefined;
      let view = views.get(id);
      if (!view) views.set(id, (view = typeView(btf.type(id))));
      return view;
    },
    find: (name, kind) => btf.idsByName(name, (kind === 'UNKN' ? 'VOID' : kind) as BtfKind)[0] ?? 0,
    declTags(id) {
      tags ??= declTags(btf);
      return tags.get(id) ?? [];
    },
  };
}

function declTags(btf: Btf): Map<number, { readonly name: string; readonly componentIdx: number }[]> {
  const found = new Map<number, { readonly name: string; readonly componentIdx: number }[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'DECL_TAG') continue;
    const tag = btf.type(id);
    if (tag.kind !== 'DECL_TAG') continue;
    const list = found.get(tag.type);
    const row = { name: tag.name, componentIdx: tag.component_idx };
    if (list) list.push(row);
    else found.set(tag.type, [row]);
  }
  return found;
}

function typeView(type: BtfType): BtfTypeView {
  const kind: BtfKindName = type.kind === 'VOID' ? 'UNKN' : type.kind;
  return {
    kind,
    name: type.name,
    size: 'size' in type ? type.size : 0,
    type: 'type' in type ? type.type : 0,
    members:
      'members' in type
        ? type.members.map((m) => ({ name: m.name, type: m.type, bitOffset: m.bit_offset, bitSize: m.bitfield_size }))
        : [],
    params: 'params' in type ? type.params : [],
    nelems: 'nelems' in type ? type.nelems : 0,
    signed:
      type.kind === 'INT' ? (type.encoding & 1) !== 0 : type.kind === 'ENUM' || type.kind === 'ENUM64' ? type.signed : false,
    linkage: 'linkage' in type ? type.linkage : 0,
    componentIdx: type.kind === 'DECL_TAG' ? type.component_idx : -1,
  };
}
