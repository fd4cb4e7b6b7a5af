/** Tags on types (BTF_KIND_DECL_TAG), by what they are on. */

import type { Btf } from './btf.ts';

/** Ids of the tags on each type. */
export function declTagsOf(btf: Btf): ReadonlyMap<number, readonly number[]> {
  const tags = new Map<number, number[]>();
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.kind(id) === 'DECL_TAG' ? btf.type(id) : undefined;
    if (type?.kind === 'DECL_TAG') tags.set(type.type, [...(tags.get(type.type) ?? []), id]);
  }
  return tags;
}
