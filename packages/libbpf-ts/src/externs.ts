/** Symbols that an object leaves to the loader: kernel configuration, kernel variables, kernel functions. */

import { alignOf, BTF_FUNC_EXTERN, BTF_VAR_GLOBAL_EXTERN, BtfError, sizeOf, type Btf } from '@libbpf-ts/btf';
import { SHN_UNDEF, STB_GLOBAL, STB_WEAK, STT_NOTYPE, type ElfFile, type ElfSymbol } from '@libbpf-ts/elf';
import type { ExternSpec } from './spec.ts';

interface Found extends ExternSpec {
  readonly align: number;
}

/** Undefined symbols, with what BTF says of them. Values of the configuration get their place in the `.kconfig` map. */
export function collectExterns(elf: ElfFile, btf: Btf | undefined): ExternSpec[] {
  const symbols = elf.symbols.filter(
    (symbol) =>
      symbol.section === SHN_UNDEF &&
      symbol.type === STT_NOTYPE &&
      (symbol.binding === STB_GLOBAL || symbol.binding === STB_WEAK) &&
      symbol.name,
  );
  const declared = btf && symbols.length > 0 ? declarations(btf) : new Map<string, Declaration>();
  return layOut(symbols.map((symbol) => describe(symbol, btf, declared.get(symbol.name!))));
}

interface Declaration {
  readonly id: number;
  readonly section: string | undefined;
}

/** Extern variables and functions of the BTF by name, with the section that lists them. */
function declarations(btf: Btf): Map<string, Declaration> {
  const sections = new Map<number, string>();
  const found = new Map<string, number>();
  for (const type of btf.types()) {
    if (type.kind === 'DATASEC') type.vars.forEach((item) => sections.set(item.type, type.name));
    const isExtern =
      (type.kind === 'VAR' && type.linkage === BTF_VAR_GLOBAL_EXTERN) ||
      (type.kind === 'FUNC' && type.linkage === BTF_FUNC_EXTERN);
    if (isExtern && !found.has(type.name)) found.set(type.name, type.id);
  }
  return new Map([...found].map(([name, id]) => [name, { id, section: sections.get(id) }]));
}

function describe(symbol: ElfSymbol, btf: Btf | undefined, declared: Declaration | undefined): Found {
  const base = {
    name: symbol.name!,
    weak: symbol.binding === STB_WEAK,
    kind: 'unknown' as const,
    btf_id: declared?.id ?? 0,
    offset: 0,
    size: 0,
    align: 0,
  };
  if (!btf || !declared) return base;
  const type = btf.type(declared.id);
  if (declared.section === '.kconfig' && type.kind === 'VAR') {
    try {
      return { ...base, kind: 'kconfig', size: sizeOf(btf, type.type), align: alignOf(btf, type.type) || 1 };
    } catch (error) {
      if (error instanceof BtfError) return base;
      throw error;
    }
  }
  if (declared.section !== '.ksyms') return base;
  return { ...base, kind: type.kind === 'FUNC' ? 'kfunc' : 'ksym' };
}

/** As libbpf orders them: strictest alignment first, then the smaller, then by name. */
function layOut(externs: readonly Found[]): ExternSpec[] {
  const values = externs
    .filter((item) => item.kind === 'kconfig')
    .sort((a, b) => b.align - a.align || a.size - b.size || (a.name < b.name ? -1 : 1));
  let end = 0;
  const placed = values.map(({ align, ...item }) => {
    const offset = Math.ceil(end / align) * align;
    end = offset + item.size;
    return { ...item, offset };
  });
  return [...placed, ...externs.filter((item) => item.kind !== 'kconfig').map(({ align: _align, ...item }) => item)];
}
