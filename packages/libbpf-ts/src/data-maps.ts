/** Global variables: an array map of one element for each of .data, .rodata, .bss and their `.…` variants, and for .kconfig. */

import { type Btf, BTF_VAR_STATIC } from '@libbpf-ts/btf';
import { SHT_NOBITS, SHT_PROGBITS, type ElfSection } from '@libbpf-ts/elf';
import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, BPF_MAP_TYPE_ARRAY } from '@libbpf-ts/uapi';
import type { Parts } from './parts.ts';
import type { MapOrigin, MapSpec } from './spec.ts';

const PREFIXES: readonly (readonly [prefix: string, origin: MapOrigin, type: number])[] = [
  ['.rodata', 'rodata', SHT_PROGBITS],
  ['.data', 'data', SHT_PROGBITS],
  ['.bss', 'bss', SHT_NOBITS],
];

function originOf(section: ElfSection): MapOrigin | undefined {
  if (section.size === 0) return undefined;
  return PREFIXES.find(
    ([prefix, , type]) => section.type === type && (section.name === prefix || section.name.startsWith(`${prefix}.`)),
  )?.[1];
}

/** The map behind `extern … __kconfig`, to be filled when it is loaded. */
export function kconfigDataMap(parts: Parts, size: number): MapSpec {
  return dataMap(parts, '.kconfig', -1, 'kconfig', new Uint8Array(size), parts.btf?.find('.kconfig', 'DATASEC')?.id ?? 0);
}

/** The data maps of an object. */
export function dataMaps(parts: Parts): MapSpec[] {
  return parts.elf.sections.flatMap((section) => {
    const origin = originOf(section);
    if (!origin) return [];
    const data = new Uint8Array(section.size);
    data.set(section.data);
    return [dataMap(parts, section.name, section.index, origin, data, parts.btf?.find(section.name, 'DATASEC')?.id ?? 0)];
  });
}

function dataMap(
  parts: Parts,
  section: string,
  sectionIndex: number,
  origin: MapOrigin,
  data: Uint8Array,
  btfId: number,
): MapSpec {
  const readonly = origin === 'rodata' || origin === 'kconfig' ? BPF_F_RDONLY_PROG : 0;
  return {
    name: dataMapName(parts.name, section),
    origin,
    section,
    sectionIndex,
    offset: 0,
    map_type: BPF_MAP_TYPE_ARRAY,
    key_size: 4,
    value_size: data.length,
    max_entries: 1,
    map_flags: readonly | (isMmapable(parts.btf, btfId) ? BPF_F_MMAPABLE : 0),
    map_extra: 0n,
    numa_node: 0,
    btf_key_type_id: 0,
    btf_value_type_id: btfId,
    pinByName: false,
    pinning: 0,
    inner: undefined,
    slots: [],
    data,
    fault: undefined,
  };
}

/** User space may map a data map when it has a variable that others can see. */
function isMmapable(btf: Btf | undefined, btfId: number): boolean {
  const type = btfId ? btf?.type(btfId) : undefined;
  if (!btf || type?.kind !== 'DATASEC') return false;
  return type.vars.some(({ type: id }) => {
    const variable = btf.type(id);
    return variable.kind === 'VAR' && variable.linkage !== BTF_VAR_STATIC;
  });
}

/** `fw` and `.rodata` make `fw.rodata`, of 15 characters at most; a section with a name of its own keeps it whole. */
export function dataMapName(object: string, section: string): string {
  if (section.indexOf('.', 1) > 0) return section;
  return `${object.slice(0, Math.max(15 - section.length, 0))}${section}`.replace(/[^A-Za-z0-9_.]/g, '_');
}
