/** Maps of the `maps` section: C structures of libbpf's early days (20 bytes), of samples/bpf (28) and of iproute2 (28 or 36). */

import type { ElfSymbol } from '@libbpf-ts/elf';
import { STT_SECTION } from '@libbpf-ts/elf';
import { BPF_F_NUMA_NODE, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS } from '@libbpf-ts/uapi';
import { fixMapSizes } from './map-sizes.ts';
import { sectionOf, type Parts } from './parts.ts';
import type { Fault, MapSpec } from './spec.ts';

/** Fields by position; bytes beyond those of a known layout must be zero. */
const LAYOUTS: Readonly<Record<number, readonly string[]>> = {
  20: [],
  28: ['inner_index', 'numa_or_pinning'],
  36: ['id', 'pinning', 'inner_id', 'inner_index'],
};

interface LegacyDefinition {
  readonly symbol: ElfSymbol;
  readonly words: readonly number[];
  readonly size: number;
}

/** Whether the section holds definitions as iproute2 writes them. */
export function isIproute2(parts: Parts): boolean {
  return definitions(parts).some(
    ({ words, size }) => size === 36 || (size === 28 && words[6] !== 0 && ((words[4] ?? 0) & BPF_F_NUMA_NODE) === 0),
  );
}

export function legacyMaps(parts: Parts): MapSpec[] {
  const all = definitions(parts);
  const section = sectionOf(parts.elf, 'maps');
  const specs = all.map((definition) => toSpec(definition, section!.index));
  return specs.map((spec, i) => ({ ...spec, inner: innerOf(spec, all[i]!, all, specs) }));
}

/** One definition a symbol, in the order of their offsets; each reaches to the next. */
function definitions(parts: Parts): LegacyDefinition[] {
  const section = sectionOf(parts.elf, 'maps');
  if (!section || section.data.length === 0) return [];
  const { data } = section;
  const symbols = parts.elf.symbols
    .filter(
      (symbol) =>
        symbol.section === section.index &&
        symbol.type !== STT_SECTION &&
        symbol.name &&
        symbol.value < data.length &&
        !/^\.?LBB|^\.L/.test(symbol.name),
    )
    .sort((a, b) => a.value - b.value);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return symbols.map((symbol, i) => {
    const size = (symbols[i + 1]?.value ?? data.length) - symbol.value;
    return {
      symbol,
      size,
      words: Array.from({ length: size >> 2 }, (_, word) => view.getUint32(symbol.value + word * 4, true)),
    };
  });
}

function toSpec({ symbol, words, size }: LegacyDefinition, sectionIndex: number): MapSpec {
  const [map_type = 0, key_size = 0, value_size = 0, max_entries = 0, map_flags = 0] = words;
  const extra = Object.fromEntries((LAYOUTS[size] ?? []).map((name, i) => [name, words[5 + i] ?? 0]));
  const numa = size === 28 && (map_flags & BPF_F_NUMA_NODE) !== 0;
  const pinning = extra['pinning'] ?? (size === 28 && !numa ? extra['numa_or_pinning']! : 0);
  return fixMapSizes({
    name: symbol.name!,
    origin: 'legacy',
    section: 'maps',
    sectionIndex,
    offset: symbol.value,
    map_type,
    key_size,
    value_size,
    max_entries,
    map_flags,
    map_extra: 0n,
    numa_node: numa ? extra['numa_or_pinning']! : 0,
    btf_key_type_id: 0,
    btf_value_type_id: 0,
    // iproute2 pins below directories of its own, by object or globally; libbpf's value 1 does not occur in this section.
    pinByName: false,
    pinning,
    inner: undefined,
    slots: [],
    data: undefined,
    fault: faultOf(words, size),
  });
}

function faultOf(words: readonly number[], size: number): Fault | undefined {
  if (size < 20)
    return { code: 'LOADER_BAD_MAP', message: `a map definition of ${size} bytes is less than the 20 of struct bpf_map_def` };
  if (LAYOUTS[size] || words.slice(5).every((word) => word === 0)) return undefined;
  return {
    code: 'LOADER_BAD_MAP',
    message: `a map definition of ${size} bytes is of no known layout and has non-zero bytes after the first 20`,
  };
}

/** Inner maps by iproute2's `inner_id` or `inner_idx`, or by the index of samples/bpf. */
function innerOf(
  spec: MapSpec,
  own: LegacyDefinition,
  all: readonly LegacyDefinition[],
  specs: readonly MapSpec[],
): MapSpec | undefined {
  if (spec.map_type !== BPF_MAP_TYPE_ARRAY_OF_MAPS && spec.map_type !== BPF_MAP_TYPE_HASH_OF_MAPS) return undefined;
  const byId =
    own.size === 36 && own.words[7]
      ? all.findIndex((other) => other !== own && other.size === 36 && other.words[5] === own.words[7])
      : -1;
  const index = byId >= 0 ? byId : own.size === 28 ? own.words[5]! : -1;
  const inner = specs[index];
  return inner === spec ? undefined : inner;
}
