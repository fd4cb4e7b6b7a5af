/** Global variables of an object by name, before it is loaded. */

import { decodeValue, encodeValue, type BtfValue } from '@libbpf-ts/btf';
import { LoaderError } from './errors.ts';
import type { MapSpec, ObjectSpec } from './spec.ts';

/** Values by section (`.rodata`, `.data`, `.bss`, …) and variable. */
export type GlobalValues = Readonly<Record<string, Readonly<Record<string, BtfValue>> | undefined>>;

/** First contents of data maps with some variables changed: the `data` of `LoadOptions`. */
export function withGlobals(spec: ObjectSpec, values: GlobalValues): Record<string, Uint8Array> {
  const given = Object.entries(values).filter(
    (item): item is [string, Readonly<Record<string, BtfValue>>] => item[1] !== undefined,
  );
  return Object.fromEntries(given.map(([section, variables]) => [section, changed(spec, mapOf(spec, section), variables)]));
}

/** The variables of a data section as the object has them. */
export function globalsOf(spec: ObjectSpec, section: string): Record<string, BtfValue> {
  const map = mapOf(spec, section);
  return decodeValue(spec.btf!, map.btf_value_type_id, map.data!) as Record<string, BtfValue>;
}

function mapOf(spec: ObjectSpec, section: string): MapSpec {
  const map = spec.maps.find((item) => item.section === section && item.data !== undefined);
  if (map && spec.btf && map.btf_value_type_id !== 0) return map;
  throw new LoaderError(
    'LOADER_NO_MAP',
    `the object has no variables with types in section ${section}`,
    { section },
    { errno: 'ENOENT' },
  );
}

function changed(spec: ObjectSpec, map: MapSpec, values: Readonly<Record<string, BtfValue>>): Uint8Array {
  const btf = spec.btf!;
  const section = btf.type(map.btf_value_type_id);
  const data = new Uint8Array(map.data!);
  for (const [name, value] of Object.entries(values)) {
    const item = section.kind === 'DATASEC' ? section.vars.find(({ type }) => btf.type(type).name === name) : undefined;
    if (!item)
      throw new LoaderError('LOADER_BAD_OPTION', `section ${map.section} has no variable ${name}`, {
        section: map.section,
        symbol: name,
      });
    data.set(encodeValue(btf, item.type, value), item.offset);
  }
  return data;
}
