/** ELF64 relocatable objects: sections, symbols, relocations. Every offset is checked before it is used. */

import {
  EM_BPF,
  EM_NONE,
  ET_REL,
  SHT_NOBITS,
  SHT_NULL,
  SHT_REL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHN_XINDEX,
} from './constants.ts';
import { ElfError } from './errors.ts';

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** SHT_*. */
  readonly type: number;
  /** SHF_*. */
  readonly flags: number;
  /** Position in the file. */
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entsize: number;
  /** The bytes of the file; empty for SHT_NOBITS, whose `size` counts zeros that the file does not hold. */
  readonly data: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  /** `undefined` where it lies beyond the string table: as libelf, that is a fault only of who uses the symbol. */
  readonly name: string | undefined;
  readonly value: number;
  readonly size: number;
  /** STB_*. */
  readonly binding: number;
  /** STT_*. */
  readonly type: number;
  /** STV_*. */
  readonly visibility: number;
  /** Index of its section (perhaps of none that exists), or SHN_UNDEF, SHN_ABS, SHN_COMMON. */
  readonly section: number;
}

export interface ElfRelocation {
  /** Bytes from the start of the section that it changes. */
  readonly offset: number;
  /** R_BPF_*. */
  readonly type: number;
  /** Index into `symbols` (perhaps of none that exists: a fault of who uses the entry). */
  readonly symbol: number;
  /** Of RELA entries; `undefined` for REL, whose addend is in the section's bytes. */
  readonly addend: bigint | undefined;
}

export interface ElfRelocationSection {
  readonly name: string;
  /** Index of the section that is changed. */
  readonly target: number;
  readonly entries: readonly ElfRelocation[];
}

export interface ElfFile {
  readonly littleEndian: boolean;
  readonly machine: number;
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  readonly relocations: readonly ElfRelocationSection[];
}

const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const decoder = new TextDecoder();

/**
 * Reads an eBPF object (ELF64, ET_REL, EM_BPF). Little- and big-endian files are recognised; `allowBigEndian` also reads the latter,
 * otherwise they are refused: this library runs little-endian programs only. Throws {@link ElfError} and nothing else.
 */
export function parseElf(bytes: Uint8Array, options: { readonly allowBigEndian?: boolean } = {}): ElfFile {
  // A Buffer's slice() shares memory with it; a plain view's copies.
  const reader = new Reader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const header = readHeader(reader);
  if (!reader.little && !options.allowBigEndian) {
    throw new ElfError('ELF_BAD_ENDIAN', 'this is a big-endian eBPF object; compile with -target bpfel (little-endian)', {
      offset: 5,
    });
  }
  const sections = readSections(reader, header);
  const symbols = readSymbols(reader, sections);
  return {
    littleEndian: reader.little,
    machine: header.machine,
    sections,
    symbols,
    relocations: readRelocations(reader, sections),
  };
}

class Reader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  little = true;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(at: number): number {
    return this.view.getUint16(at, this.little);
  }
  u32(at: number): number {
    return this.view.getUint32(at, this.little);
  }
  /** A 64-bit field as a number; above 2^53 it is no position in any file, so the lost digits do not matter. */
  u64(at: number): number {
    return Number(this.view.getBigUint64(at, this.little));
  }

  need(at: number, length: number, what: string, section?: string): void {
    if (!(at >= 0 && at + length <= this.bytes.length)) {
      throw new ElfError('ELF_TRUNCATED', `${what} ends beyond the file of ${this.bytes.length} bytes`, {
        offset: at,
        ...(section === undefined ? {} : { section }),
      });
    }
  }
}

interface Header {
  readonly machine: number;
  readonly shoff: number;
  readonly shnum: number;
  readonly shstrndx: number;
}

function readHeader(reader: Reader): Header {
  const { bytes } = reader;
  if (bytes.length < 4 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw new ElfError('ELF_NOT_ELF', 'not an ELF file: the first four bytes are not 7f 45 4c 46', { offset: 0 });
  }
  reader.need(0, 64, 'the ELF header');
  if (bytes[4] !== 2) throw new ElfError('ELF_BAD_CLASS', `ELF class ${bytes[4]} is not 64-bit`, { offset: 4 });
  if (bytes[5] !== 1 && bytes[5] !== 2)
    throw new ElfError('ELF_BAD_HEADER', `byte order ${bytes[5]} is neither little (1) nor big (2) endian`, { offset: 5 });
  reader.little = bytes[5] === 1;
  const type = reader.u16(16);
  const machine = reader.u16(18);
  if (machine !== EM_BPF && machine !== EM_NONE)
    throw new ElfError('ELF_BAD_MACHINE', `machine ${machine} is not eBPF (247); compile with -target bpf`, { offset: 18 });
  if (type !== ET_REL)
    throw new ElfError('ELF_BAD_TYPE', `ELF type ${type} is not a relocatable object (1); do not link it`, { offset: 16 });
  const entry = reader.u16(58);
  if (entry !== SECTION_HEADER_SIZE)
    throw new ElfError('ELF_BAD_HEADER', `section headers of ${entry} bytes, not 64`, { offset: 58 });
  return { machine, ...sectionTable(reader) };
}

/** Where the section headers are; counts that do not fit the header stand in section 0. */
function sectionTable(reader: Reader): Omit<Header, 'machine'> {
  const shoff = reader.u64(40);
  if (shoff === 0) throw new ElfError('ELF_BAD_HEADER', 'there are no section headers', { offset: 40 });
  reader.need(shoff, SECTION_HEADER_SIZE, 'the section header table');
  const shnum = reader.u16(60) || reader.u64(shoff + 32);
  const shstrndx = reader.u16(62) === SHN_XINDEX ? reader.u32(shoff + 40) : reader.u16(62);
  reader.need(shoff, shnum * SECTION_HEADER_SIZE, `the table of ${shnum} section headers`);
  if (shstrndx >= shnum)
    throw new ElfError('ELF_BAD_HEADER', `section ${shstrndx} of the section names does not exist`, { offset: 62 });
  return { shoff, shnum, shstrndx };
}

function readSections(reader: Reader, { shoff, shnum, shstrndx }: Header): ElfSection[] {
  const names = sectionBytes(reader, shoff + shstrndx * SECTION_HEADER_SIZE, 'of the section names');
  return Array.from({ length: shnum }, (_, index) => {
    const at = shoff + index * SECTION_HEADER_SIZE;
    const name = index === 0 ? '' : stringAt(names, reader.u32(at), `number ${index}`);
    return {
      index,
      name,
      type: reader.u32(at + 4),
      flags: reader.u64(at + 8),
      offset: reader.u64(at + 24),
      size: reader.u64(at + 32),
      link: reader.u32(at + 40),
      info: reader.u32(at + 44),
      align: reader.u64(at + 48),
      entsize: reader.u64(at + 56),
      data: index === 0 ? new Uint8Array(0) : sectionBytes(reader, at, name || `number ${index}`),
    };
  });
}

function sectionBytes(reader: Reader, at: number, section: string): Uint8Array {
  const type = reader.u32(at + 4);
  const offset = reader.u64(at + 24);
  const size = reader.u64(at + 32);
  if (type === SHT_NOBITS || type === SHT_NULL || size === 0) {
    if (size > 0xffffffff)
      throw new ElfError('ELF_BAD_SECTION', `a size of ${size} bytes is more than 4 GiB`, { offset: at, section });
    return new Uint8Array(0);
  }
  reader.need(offset, size, 'the section', section);
  return reader.bytes.subarray(offset, offset + size);
}

function stringAt(table: Uint8Array, offset: number, section: string): string {
  const text = textAt(table, offset);
  if (text === undefined)
    throw new ElfError('ELF_BAD_STRING', `a name at ${offset} lies beyond its string table of ${table.length} bytes`, {
      section,
    });
  return text;
}

function textAt(table: Uint8Array, offset: number): string | undefined {
  if (offset === 0 && table.length === 0) return '';
  const end = offset < table.length ? table.indexOf(0, offset) : -1;
  return end < 0 ? undefined : decoder.decode(table.subarray(offset, end));
}

function readSymbols(reader: Reader, sections: readonly ElfSection[]): ElfSymbol[] {
  const tables = sections.filter((section) => section.type === SHT_SYMTAB);
  const table = tables[0];
  if (!table) return [];
  if (tables.length > 1) throw new ElfError('ELF_BAD_SECTION', 'there are two symbol tables', { section: tables[1]!.name });
  const strings = sections[table.link];
  if (!strings || strings.type !== SHT_STRTAB)
    throw new ElfError('ELF_BAD_SECTION', `its string table, section ${table.link}, is none`, { section: table.name });
  if (table.data.length % SYMBOL_SIZE !== 0)
    throw new ElfError('ELF_BAD_SECTION', `${table.data.length} bytes are no whole number of symbols`, { section: table.name });
  return Array.from({ length: table.data.length / SYMBOL_SIZE }, (_, index) => {
    const at = table.offset + index * SYMBOL_SIZE;
    const info = reader.bytes[at + 4]!;
    const section = reader.u16(at + 6);
    return {
      index,
      name: textAt(strings.data, reader.u32(at)),
      value: reader.u64(at + 8),
      size: reader.u64(at + 16),
      binding: info >> 4,
      type: info & 0xf,
      visibility: reader.bytes[at + 5]! & 3,
      section,
    };
  });
}

function readRelocations(reader: Reader, sections: readonly ElfSection[]): ElfRelocationSection[] {
  return sections
    .filter((section) => section.type === SHT_REL || section.type === SHT_RELA)
    .map((section) => {
      const size = section.type === SHT_RELA ? 24 : 16;
      const target = sections[section.info];
      if (!target || section.info === 0)
        throw new ElfError('ELF_BAD_SECTION', `it relocates section ${section.info}, which does not exist`, {
          section: section.name,
        });
      if (section.data.length % size !== 0)
        throw new ElfError('ELF_BAD_SECTION', `${section.data.length} bytes are no whole number of relocations`, {
          section: section.name,
        });
      return new RelocationSection(reader, section, size);
    });
}

/** Decodes its entries when they are asked for: those of debug sections, by far the most, never are. */
class RelocationSection implements ElfRelocationSection {
  readonly name: string;
  readonly target: number;
  readonly #read: () => ElfRelocation[];
  #entries: readonly ElfRelocation[] | undefined;

  constructor(reader: Reader, section: ElfSection, size: number) {
    this.name = section.name;
    this.target = section.info;
    this.#read = () =>
      Array.from({ length: section.data.length / size }, (_, i) => readRelocation(reader, section, section.offset + i * size));
  }

  get entries(): readonly ElfRelocation[] {
    return (this.#entries ??= this.#read());
  }
}

function readRelocation(reader: Reader, section: ElfSection, at: number): ElfRelocation {
  return {
    offset: reader.u64(at),
    type: reader.u32(at + (reader.little ? 8 : 12)),
    symbol: reader.u32(at + (reader.little ? 12 : 8)),
    addend: section.type === SHT_RELA ? reader.view.getBigInt64(at + 16, reader.little) : undefined,
  };
}
