/** Maps of the `.maps` section: C variables whose type says what the map is. */

import { BtfError, sizeOf, skipModifiers, type Btf, type BtfMember, type BtfStruct } from '@libbpf-ts/btf';
import { STT_SECTION, type ElfSection } from '@libbpf-ts/elf';
import { BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_PROG_ARRAY } from '@libbpf-ts/uapi';
import { LoaderError } from './errors.ts';
import { fixMapSizes } from './map-sizes.ts';
import { sectionOf, type Parts } from './parts.ts';
import type { Fault, MapSpec } from './spec.ts';

const LIBBPF_PIN_NONE = 0;
const LIBBPF_PIN_BY_NAME = 1;

type Draft = { -readonly [K in keyof MapSpec]: MapSpec[K] };

export function btfMaps(parts: Parts): MapSpec[] {
  const section = sectionOf(parts.elf, '.maps');
  if (!section || section.size === 0) return [];
  const datasec = parts.btf?.find('.maps', 'DATASEC');
  if (!parts.btf || datasec?.kind !== 'DATASEC') {
    throw new LoaderError(
      'LOADER_BAD_BTF',
      'map definitions need BTF that describes them',
      { section: '.maps' },
      { errno: 'ENOENT', hint: 'compile with -g' },
    );
  }
  const { btf } = parts;
  const maps = datasec.vars.map(({ type, offset }) => {
    const variable = btf.type(type);
    if (variable.kind !== 'VAR')
      throw new LoaderError('LOADER_BAD_BTF', `the BTF of .maps lists a ${variable.kind}, not a variable`, {
        section: '.maps',
      });
    return { typeId: variable.type, spec: btfMap(parts, section, btf, variable.name, variable.type, offset) };
  });
  const specs = maps.map(({ spec }) => spec);
  return maps.map(({ typeId, spec }) => withSlots(parts, section, btf, typeId, spec, specs));
}

/** Initial values of maps of maps and program arrays: each is a relocation of its slot. Mirrors `bpf_object__collect_map_relos`. */
function withSlots(
  parts: Parts,
  section: ElfSection,
  btf: Btf,
  typeId: number,
  spec: MapSpec,
  all: readonly MapSpec[],
): MapSpec {
  const struct = skipModifiers(btf, typeId);
  const values = struct.kind === 'STRUCT' ? struct.members.find((member) => member.name === 'values') : undefined;
  if (spec.fault || !values) return spec;
  const start = spec.offset + values.bit_offset / 8;
  const end = Math.min(...all.map(({ offset }) => offset).filter((offset) => offset > spec.offset), section.size);
  const entries = parts.elf.relocations.filter(({ target }) => target === section.index).flatMap((table) => table.entries);
  const slots = entries
    .filter(({ offset }) => offset >= start && offset < end)
    .map((entry) => {
      const symbol = parts.elf.symbols[entry.symbol];
      const kind = symbol && symbol.section === section.index ? ('map' as const) : ('program' as const);
      return { index: (entry.offset - start) / 8, target: symbol?.name ?? '', kind };
    });
  const wrong = slots.find(({ index, target }) => !Number.isInteger(index) || target === '');
  return { ...spec, slots, fault: wrong && bad(`the initial value at slot ${wrong.index} names no symbol`) };
}

function btfMap(parts: Parts, section: ElfSection, btf: Btf, name: string, typeId: number, offset: number): MapSpec {
  const draft: Draft = {
    name,
    origin: 'btf',
    section: '.maps',
    sectionIndex: section.index,
    offset: symbolOffset(parts, section, name) ?? offset,
    map_type: 0,
    key_size: 0,
    value_size: 0,
    max_entries: 0,
    map_flags: 0,
    map_extra: 0n,
    numa_node: 0,
    btf_key_type_id: 0,
    btf_value_type_id: 0,
    pinByName: false,
    pinning: 0,
    inner: undefined,
    slots: [],
    data: undefined,
    fault: undefined,
  };
  try {
    const struct = skipModifiers(btf, typeId);
    if (struct.kind !== 'STRUCT') return { ...draft, fault: bad(`a map is defined by a structure, not by a ${struct.kind}`) };
    const fault = readMembers(btf, struct, draft, true) ?? badInitializer(section, draft, struct);
    return { ...fixMapSizes(draft), fault };
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    return { ...draft, fault: bad(error.message) };
  }
}

const bad = (message: string): Fault => ({ code: 'LOADER_BAD_MAP', message });

function symbolOffset(parts: Parts, section: ElfSection, name: string): number | undefined {
  return parts.elf.symbols.find(
    (symbol) => symbol.section === section.index && symbol.name === name && symbol.type !== STT_SECTION,
  )?.value;
}

/** Only `values` may have an initial value: any other byte would be lost without a word. */
function badInitializer(section: ElfSection, draft: Draft, struct: BtfStruct): Fault | undefined {
  const values = struct.members.find((member) => member.name === 'values');
  const end = values ? values.bit_offset / 8 : struct.size;
  const bytes = section.data.subarray(draft.offset, draft.offset + end);
  return bytes.some((byte) => byte !== 0) ? bad('a map definition has initial values other than in `values`') : undefined;
}

/** Reads the members of a definition into `draft`. Returns what is wrong with it. Mirrors `parse_btf_map_def`. */
function readMembers(btf: Btf, struct: BtfStruct, draft: Draft, outer: boolean): Fault | undefined {
  for (const member of struct.members) {
    const fault = readMember(btf, struct, member, draft, outer);
    if (fault) return fault;
  }
  return draft.map_type === 0 ? bad("a map definition has no 'type'") : undefined;
}

function readMember(btf: Btf, struct: BtfStruct, member: BtfMember, draft: Draft, outer: boolean): Fault | undefined {
  switch (member.name) {
    case 'type':
      return readNumber(btf, member, (value) => {
        draft.map_type = value;
      });
    case 'max_entries':
      return readNumber(btf, member, (value) => {
        draft.max_entries = value;
      });
    case 'map_flags':
      return readNumber(btf, member, (value) => {
        draft.map_flags = value;
      });
    case 'numa_node':
      return readNumber(btf, member, (value) => {
        draft.numa_node = value;
      });
    case 'key_size':
      return readNumber(btf, member, (value) => {
        draft.key_size = value;
      });
    case 'value_size':
      return readNumber(btf, member, (value) => {
        draft.value_size = value;
      });
    case 'map_extra':
      return readNumber(
        btf,
        member,
        (value) => {
          draft.map_extra = BigInt(value);
        },
        (value) => {
          draft.map_extra = value;
        },
      );
    case 'pinning':
      return (
        readNumber(btf, member, (value) => {
          draft.pinning = value;
          draft.pinByName = value === LIBBPF_PIN_BY_NAME;
        }) ?? (draft.pinning !== LIBBPF_PIN_NONE && !outer ? bad('an inner map cannot be pinned') : undefined)
      );
    case 'key':
      return readType(btf, member, draft, 'key');
    case 'value':
      return readType(btf, member, draft, 'value');
    case 'values':
      return readValues(btf, struct, member, draft, outer);
    default:
      return bad(`a map definition has an unknown member '${member.name}'`);
  }
}

/** `__uint(name, N)` is a pointer to an array of N; `__ulong` an enum whose only value is N. */
function readNumber(
  btf: Btf,
  member: BtfMember,
  set: (value: number) => void,
  setWide?: (value: bigint) => void,
): Fault | undefined {
  const type = skipModifiers(btf, member.type);
  if (type.kind === 'ENUM' || type.kind === 'ENUM64') {
    const value = type.values[0]?.value;
    if (value === undefined) return bad(`'${member.name}' is an enum without a value`);
    if (setWide) setWide(BigInt.asUintN(64, value));
    else set(Number(BigInt.asUintN(32, value)));
    return undefined;
  }
  const array = type.kind === 'PTR' ? btf.type(type.type) : undefined;
  if (array?.kind !== 'ARRAY') return bad(`'${member.name}' of a map definition is written as __uint(${member.name}, N)`);
  set(array.nelems);
  return undefined;
}

function readType(btf: Btf, member: BtfMember, draft: Draft, which: 'key' | 'value'): Fault | undefined {
  const type = skipModifiers(btf, member.type);
  if (type.kind !== 'PTR') return bad(`'${which}' of a map definition is written as __type(${which}, T)`);
  const size = sizeOf(btf, type.type);
  const field = which === 'key' ? 'key_size' : 'value_size';
  if (draft[field] !== 0 && draft[field] !== size)
    return bad(`'${which}' has ${size} bytes, but '${field}' says ${draft[field]}`);
  draft[field] = size;
  draft[which === 'key' ? 'btf_key_type_id' : 'btf_value_type_id'] = type.type;
  return undefined;
}

function readValues(btf: Btf, struct: BtfStruct, member: BtfMember, draft: Draft, outer: boolean): Fault | undefined {
  if (!outer) return bad('maps of maps of maps do not exist');
  if (member !== struct.members.at(-1)) return bad("'values' must be the last member of a map definition");
  const isMaps = draft.map_type === BPF_MAP_TYPE_ARRAY_OF_MAPS || draft.map_type === BPF_MAP_TYPE_HASH_OF_MAPS;
  if (!isMaps && draft.map_type !== BPF_MAP_TYPE_PROG_ARRAY) return bad("'values' is for maps of maps and program arrays only");
  const array = skipModifiers(btf, member.type);
  const pointer = array.kind === 'ARRAY' ? skipModifiers(btf, array.type) : undefined;
  if (pointer?.kind !== 'PTR') return bad("'values' is written as __array(values, T)");
  draft.value_size = 4;
  if (!isMaps) return undefined;
  const inner = skipModifiers(btf, pointer.type);
  if (inner.kind !== 'STRUCT') return bad(`the inner map is defined by a structure, not by a ${inner.kind}`);
  const template: Draft = {
    ...draft,
    name: `${draft.name}.inner`.slice(-15),
    map_type: 0,
    key_size: 0,
    value_size: 0,
    max_entries: 0,
    map_flags: 0,
    map_extra: 0n,
    numa_node: 0,
    btf_key_type_id: 0,
    btf_value_type_id: 0,
    pinByName: false,
    pinning: 0,
    inner: undefined,
    slots: [],
  };
  const fault = readMembers(btf, inner, template, false);
  if (fault) return fault;
  draft.inner = fixMapSizes(template);
  return undefined;
}
