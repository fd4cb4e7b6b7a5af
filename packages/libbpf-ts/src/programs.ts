/** Functions of an object: one a FUNC symbol, or one a label where old compilers wrote no FUNC symbols. */

import type { Btf } from '@libbpf-ts/btf';
import { decode, IsaError, type BpfInsn } from '@libbpf-ts/isa';
import {
  STB_GLOBAL,
  STB_LOCAL,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STV_HIDDEN,
  STV_INTERNAL,
  type ElfSection,
  type ElfSymbol,
} from '@libbpf-ts/elf';
import { LoaderError } from './errors.ts';
import { isIproute2 } from './legacy-maps.ts';
import { isCode, type Parts } from './parts.ts';
import { guessSectionKind, sectionKind } from './sections.ts';
import type { Fault, ProgramSpec } from './spec.ts';

interface Found {
  readonly section: ElfSection;
  readonly symbol: ElfSymbol;
  readonly size: number;
}

interface Context {
  readonly allNames: readonly string[];
  readonly iproute2: boolean;
  readonly callbacks: ReadonlyMap<string, string>;
}

/** All functions, without their relocations. Which ones are subprograms is decided when their callers are known. */
export function collectPrograms(parts: Parts): ProgramSpec[] {
  const found = parts.elf.sections.filter(isCode).flatMap((section) => functionsOf(parts, section));
  const allNames = found.flatMap(({ section, symbol }) => [section.name, symbol.name!]);
  const iproute2 = isIproute2(parts);
  const callbacks = exceptionCallbacks(parts.btf);
  return found.map((item) => toProgram(item, { allNames, iproute2, callbacks }));
}

/** Symbols that begin a function. Fuzzed and old files have them as NOTYPE or OBJECT, global or, at worst, local. */
function functionsOf(parts: Parts, section: ElfSection): Found[] {
  const here = parts.elf.symbols.filter(
    (symbol) => symbol.section === section.index && symbol.name && symbol.value < section.size,
  );
  const isLabel = (symbol: ElfSymbol): boolean => /^\.?LBB\d|^\.L/.test(symbol.name!);
  const choices = [
    here.filter((symbol) => symbol.type === STT_FUNC),
    here.filter((symbol) => symbol.binding === STB_GLOBAL && (symbol.type === STT_NOTYPE || symbol.type === STT_OBJECT)),
    here.filter((symbol) => symbol.binding === STB_LOCAL && symbol.type === STT_NOTYPE && !isLabel(symbol)),
  ];
  const symbols = [...(choices.find((choice) => choice.length > 0) ?? [])].sort((a, b) => a.value - b.value);
  if (symbols.length === 0) {
    parts.notes.push(`section ${section.name} has code but no symbol that names a function`);
    return [];
  }
  return symbols.map((symbol, i) => ({
    section,
    symbol,
    size: symbol.type === STT_FUNC && symbol.size > 0 ? symbol.size : nextStart(symbols, i, section.size) - symbol.value,
  }));
}

/** Where the next function begins: functions without a size reach to there. */
const nextStart = (symbols: readonly ElfSymbol[], i: number, end: number): number =>
  symbols.slice(i + 1).find((next) => next.value > symbols[i]!.value)?.value ?? end;

function toProgram({ section, symbol, size }: Found, context: Context): ProgramSpec {
  const name = symbol.name!;
  const [insns, fault] = instructions(section, symbol, size);
  const kind =
    sectionKind(section.name) ??
    guessSectionKind({ section: section.name, program: name, allNames: context.allNames, iproute2: context.iproute2 });
  return {
    ...kind,
    name,
    section: section.name,
    sectionIndex: section.index,
    sectionInsn: symbol.value >> 3,
    insns,
    relocations: [],
    subprogram: false,
    exceptionCallback: context.callbacks.get(name),
    autoload: !section.name.startsWith('?'),
    hidden: symbol.binding === STB_LOCAL || symbol.visibility === STV_HIDDEN || symbol.visibility === STV_INTERNAL,
    fault,
  };
}

/** Exception callbacks by the name of their program: tags on the program's function in BTF. */
function exceptionCallbacks(btf: Btf | undefined): Map<string, string> {
  const callbacks = new Map<string, string>();
  for (const tag of btf?.types() ?? []) {
    if (tag.kind !== 'DECL_TAG' || tag.component_idx !== -1 || !tag.name.startsWith('exception_callback:')) continue;
    callbacks.set(btf!.type(tag.type).name, tag.name.slice('exception_callback:'.length));
  }
  return callbacks;
}

function instructions(section: ElfSection, symbol: ElfSymbol, size: number): [BpfInsn[], Fault | undefined] {
  const place = { program: symbol.name, section: section.name, offset: section.offset + symbol.value };
  if (symbol.value + size > section.data.length) {
    throw new LoaderError(
      'LOADER_BAD_PROGRAM',
      `the function of ${size} bytes ends beyond its section of ${section.data.length}`,
      place,
    );
  }
  if (size % 8 !== 0 || symbol.value % 8 !== 0)
    throw new LoaderError('LOADER_BAD_PROGRAM', 'the function is no whole number of 8-byte instructions', place);
  try {
    return [decode(section.data.subarray(symbol.value, symbol.value + size)), undefined];
  } catch (error) {
    if (!(error instanceof IsaError)) throw error;
    return [[], { code: 'LOADER_BAD_PROGRAM', message: error.message }];
  }
}
