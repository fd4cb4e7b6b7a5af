/** Opens an object: ELF bytes to an `ObjectSpec`. Needs no kernel. */

import { BtfError, parseBtf, parseBtfExt, type Btf, type BtfExt } from '@libbpf-ts/btf';
import { parseElf, SHT_NOBITS, type ElfFile, type ElfSection } from '@libbpf-ts/elf';
import { LoaderError } from './errors.ts';
import { collectExterns } from './externs.ts';
import { fixDatasecs, fixExterns, fixHiddenFunctions } from './object-btf.ts';
import { dataMaps, kconfigDataMap } from './data-maps.ts';
import { btfMaps } from './btf-maps.ts';
import { legacyMaps } from './legacy-maps.ts';
import { sectionOf, type Parts } from './parts.ts';
import { collectPrograms } from './programs.ts';
import { attachRelocations } from './relocations.ts';
import type { ExternSpec, MapSpec, ObjectSpec } from './spec.ts';
import { collectStructOps } from './struct-ops.ts';

export interface ParseOptions {
  /** Name of the object: the beginning of the names of its data maps. Default `obj`. */
  readonly name?: string;
}

/**
 * Parses an eBPF object. Faults of single programs and maps are kept in the spec (`fault`) and thrown when those are loaded; what
 * makes the whole object unreadable is thrown here, as `ElfError`, `BtfError` or {@link LoaderError}.
 */
export function parseObject(bytes: Uint8Array, options: ParseOptions = {}): ObjectSpec {
  const elf = parseElf(bytes);
  const notes: string[] = [];
  const read = readBtf(elf, notes);
  const externs = collectExterns(elf, read.btf);
  const btf = read.btf && fixExterns(read.btf, externs);
  const { btfExt } = read;
  const parts: Parts = { name: options.name ?? 'obj', elf, btf, btfExt, notes };
  const maps = [...legacyMaps(parts), ...btfMaps(parts), ...dataMaps(parts), ...kconfigMap(parts, externs)];
  const functions = attachRelocations(parts, collectPrograms(parts), maps);
  return {
    name: parts.name,
    license: readLicense(elf),
    kern_version: readVersion(elf),
    programs: functions.filter((f) => !f.subprogram),
    functions,
    maps,
    externs,
    structOps: collectStructOps(parts, functions),
    btf: btf && fixHiddenFunctions(btf, functions),
    btfExt,
    notes,
  };
}

/**
 * BTF is needed by `.maps`, struct_ops and externs only: an object without them loads though its BTF be damaged, as with libbpf.
 */
function readBtf(elf: ElfFile, notes: string[]): { btf: Btf | undefined; btfExt: BtfExt | undefined } {
  const section = sectionOf(elf, '.BTF');
  if (!section) return { btf: undefined, btfExt: undefined };
  const needed = ['.maps', '.struct_ops', '.struct_ops.link'].some((name) => sectionOf(elf, name));
  try {
    const btf = fixDatasecs(elf, parseBtf(section.data));
    const ext = sectionOf(elf, '.BTF.ext');
    return { btf, btfExt: ext ? readExt(ext, btf, notes) : undefined };
  } catch (error) {
    if (!(error instanceof BtfError) || needed) throw error;
    notes.push(`.BTF is ignored: ${error.message}`);
    return { btf: undefined, btfExt: undefined };
  }
}

function readExt(section: ElfSection, btf: Btf, notes: string[]): BtfExt | undefined {
  try {
    return parseBtfExt(section.data, btf);
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    notes.push(`.BTF.ext is ignored: ${error.message}`);
    return undefined;
  }
}

/** The license of the object; libbpf takes a missing one as empty, which is not GPL compatible. */
function readLicense(elf: ElfFile): string {
  const section = sectionOf(elf, 'license');
  if (!section || section.type === SHT_NOBITS) return '';
  const end = section.data.indexOf(0);
  return new TextDecoder().decode(section.data.subarray(0, Math.min(end < 0 ? section.data.length : end, 63)));
}

function readVersion(elf: ElfFile): number {
  const section = sectionOf(elf, 'version');
  if (!section || section.type === SHT_NOBITS) return 0;
  if (section.data.length !== 4)
    throw new LoaderError('LOADER_BAD_SECTION', `a version of ${section.data.length} bytes, not 4`, { section: 'version' });
  return new DataView(section.data.buffer, section.data.byteOffset).getUint32(0, true);
}

/** The map that holds the values of `extern … __kconfig`: filled when it is loaded. */
function kconfigMap(parts: Parts, externs: readonly ExternSpec[]): MapSpec[] {
  const values = externs.filter((item) => item.kind === 'kconfig');
  if (values.length === 0) return [];
  const size = Math.max(...values.map((item) => item.offset + item.size));
  return [kconfigDataMap(parts, size)];
}
