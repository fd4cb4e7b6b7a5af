/** Finds the user pointers in an attr, and in the info structures that an attr points to. */

import { BPF_ATTR_LAYOUTS, bpf_btf_info, bpf_link_info, bpf_map_info, bpf_prog_info, type Struct } from '@libbpf-ts/uapi';

function pointersOf(layout: Struct): readonly number[] {
  return [...new Set(layout.fields.filter((field) => field.type.kind === 'pointer').map((field) => field.offset))];
}

/** Pointers inside the members of link_create that hold any; by attach type they share bytes with plain numbers. */
const LINK_CREATE_MULTI: ReadonlyMap<number, readonly number[]> = new Map([
  [28, [16]], // BPF_TRACE_ITER: iter_info
  [42, [24, 32, 40]], // BPF_TRACE_KPROBE_MULTI: syms, addrs, cookies
  [48, [16, 24, 32, 40]], // BPF_TRACE_UPROBE_MULTI: path, offsets, ref_ctr_offsets, cookies
]);

const LINK_CREATE = 28;

/** Offsets of the pointers in the attr of a command. */
export function attrPointers(cmd: number, attr: DataView): readonly number[] {
  if (cmd === LINK_CREATE) return attr.byteLength >= 12 ? (LINK_CREATE_MULTI.get(attr.getUint32(8, true)) ?? []) : [];
  const layout = (BPF_ATTR_LAYOUTS as Readonly<Record<number, unknown>>)[cmd] as Struct | undefined;
  return layout === undefined ? [] : pointersOf(layout);
}

const INFO: ReadonlyMap<string, Struct> = new Map<string, Struct>([
  ['bpf-prog', bpf_prog_info as unknown as Struct],
  ['bpf-map', bpf_map_info as unknown as Struct],
  ['btf', bpf_btf_info as unknown as Struct],
  ['bpf_link', bpf_link_info as unknown as Struct],
]);

/** Offsets of the pointers in the info structure of an object; `kind` is the target of its /proc/self/fd link. */
export function infoPointers(kind: string): readonly number[] {
  for (const [name, layout] of INFO) if (kind.includes(name)) return pointersOf(layout);
  return [];
}
