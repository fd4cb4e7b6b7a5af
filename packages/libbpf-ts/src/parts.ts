/** What every step of parsing reads: the object's parts, and its sections by name and kind. */

import type { Btf, BtfExt } from '@libbpf-ts/btf';
import { SHF_EXECINSTR, SHT_PROGBITS, type ElfFile, type ElfSection } from '@libbpf-ts/elf';

/** The parts of an object that every step of parsing reads. */
export interface Parts {
  readonly name: string;
  readonly elf: ElfFile;
  readonly btf: Btf | undefined;
  readonly btfExt: BtfExt | undefined;
  readonly notes: string[];
}

/** A section by name, as libbpf takes it: the last one of that name. */
export function sectionOf(elf: ElfFile, name: string): ElfSection | undefined {
  return elf.sections.findLast((section) => section.name === name);
}

export const isCode = (section: ElfSection): boolean =>
  section.type === SHT_PROGBITS && (section.flags & SHF_EXECINSTR) !== 0 && section.size > 0;
