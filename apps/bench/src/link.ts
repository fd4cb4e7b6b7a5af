/** Just enough of a linker for the bench programs: one program, the functions it calls, and its maps by name. */

import { parseElf } from '@libbpf-ts/elf';
import { decode } from '@libbpf-ts/isa';
import type { BpfInsn } from '@libbpf-ts/isa';

export interface LinkedProgram {
  readonly insns: readonly BpfInsn[];
  /** ld_imm64 (first slot) -> name of the map that it loads. */
  readonly mapLoads: ReadonlyMap<number, string>;
}

/** The program of section `tc`, with `.text` behind it where it calls into it. */
export function linkProgram(object: Uint8Array, name: string): LinkedProgram {
  const elf = parseElf(object);
  const main = elf.sections.find((section) => section.name === 'tc');
  const text = elf.sections.find((section) => section.name === '.text');
  if (!main) throw new Error(`${name}: no section 'tc'`);
  const insns = decode(main.data);
  const base = insns.length;
  if (text) insns.push(...decode(text.data));
  const mapLoads = new Map<number, string>();
  for (const { target, entries } of elf.relocations) {
    if (target !== main.index && target !== text?.index) continue;
    const shift = target === main.index ? 0 : base;
    for (const { offset, symbol } of entries) {
      const at = shift + offset / 8;
      const insn = insns[at]!;
      const { section, value, name: symbolName } = elf.symbols[symbol]!;
      if (insn.code === 0x18) mapLoads.set(at, symbolName!);
      else if (insn.code === 0x85 && section === text?.index)
        insns[at] = { ...insn, imm: base + value / 8 + insn.imm + 1 - at - 1 };
      else throw new Error(`${name}: a relocation of instruction ${at} that the bench does not know`);
    }
  }
  return { insns, mapLoads };
}
