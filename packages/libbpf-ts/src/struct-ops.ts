/** Variables of `.struct_ops`: tables of functions for the kernel, with the programs that fill them. */

import { skipModifiers } from '@libbpf-ts/btf';
import { SHN_LORESERVE } from '@libbpf-ts/elf';
import { sectionOf, type Parts } from './parts.ts';
import type { ProgramSpec, StructOpsSpec } from './spec.ts';

export function collectStructOps(parts: Parts, functions: readonly ProgramSpec[]): StructOpsSpec[] {
  return ['.struct_ops', '.struct_ops.link'].flatMap((name) => inSection(parts, name, functions));
}

function inSection(parts: Parts, name: string, functions: readonly ProgramSpec[]): StructOpsSpec[] {
  const section = sectionOf(parts.elf, name);
  const { btf } = parts;
  const datasec = btf?.find(name, 'DATASEC');
  if (!section || !btf || datasec?.kind !== 'DATASEC') return [];
  const relocations = parts.elf.relocations.filter(({ target }) => target === section.index).flatMap(({ entries }) => entries);
  return datasec.vars.flatMap((item) => {
    const variable = btf.type(item.type);
    const struct = variable.kind === 'VAR' ? skipModifiers(btf, variable.type) : undefined;
    if (struct?.kind !== 'STRUCT') return [];
    const programs = struct.members.flatMap((member, index) => {
      const at = item.offset + member.bit_offset / 8;
      const relocation = relocations.find((entry) => entry.offset === at);
      const program = relocation && functionAt(parts, relocation.symbol, functions);
      return program ? [{ member: member.name, index, program: program.name }] : [];
    });
    const data = section.data.slice(item.offset, item.offset + struct.size);
    return [{ name: variable.name, type: struct.name, link: name === '.struct_ops.link', data, programs }];
  });
}

function functionAt(parts: Parts, index: number, functions: readonly ProgramSpec[]): ProgramSpec | undefined {
  const symbol = parts.elf.symbols[index];
  if (!symbol || symbol.section >= SHN_LORESERVE) return undefined;
  return functions.find((program) => program.sectionIndex === symbol.section && program.sectionInsn * 8 === symbol.value);
}
