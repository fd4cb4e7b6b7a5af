/** Relocations of the code: what each instruction refers to, and which functions are called by others. */

import {
  SHN_LORESERVE,
  SHN_UNDEF,
  STB_GLOBAL,
  STB_WEAK,
  STT_SECTION,
  type ElfRelocation,
  type ElfSymbol,
} from '@libbpf-ts/elf';
import { BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, type BpfInsn } from '@libbpf-ts/isa';
import { isCode, type Parts } from './parts.ts';
import { ByPlace } from './sorted.ts';
import type { Fault, MapSpec, ProgramRelocation, ProgramSpec, RelocationTarget } from './spec.ts';

const CALL = 0x85;
const LD_IMM64 = 0x18;

/** The functions with their relocations, and with `subprogram` set for those that are only called. */
export function attachRelocations(parts: Parts, functions: readonly ProgramSpec[], maps: readonly MapSpec[]): ProgramSpec[] {
  const entries = new ByPlace<ElfRelocation>();
  const code = new Set(functions.map((program) => program.sectionIndex));
  parts.elf.relocations
    .filter((table) => code.has(table.target))
    .forEach((table) => table.entries.forEach((entry) => entries.add(table.target, entry.offset, entry)));
  entries.sort();
  const related = functions.map((program) => relate(parts, program, maps, entries));
  return related.map((program) => ({ ...program, subprogram: isSubprogram(program, related) }));
}

/**
 * Functions of .text are subprograms where another section has programs; elsewhere a local function that another one calls is.
 * libbpf knows the former rule only, since it refuses local functions outside .text and several programs inside it.
 */
function isSubprogram(program: ProgramSpec, all: readonly ProgramSpec[]): boolean {
  if (program.section === '.text') return all.some((other) => other.section !== '.text') || isCalled(program, all);
  return program.hidden && isCalled(program, all);
}

const isCalled = (program: ProgramSpec, all: readonly ProgramSpec[]): boolean =>
  all.some(
    (other) =>
      other !== program &&
      other.relocations.some(
        ({ target }) =>
          (target.kind === 'call' || target.kind === 'function') &&
          target.section === program.sectionIndex &&
          target.index === program.sectionInsn,
      ),
  );

function relate(parts: Parts, program: ProgramSpec, maps: readonly MapSpec[], entries: ByPlace<ElfRelocation>): ProgramSpec {
  const start = program.sectionInsn * 8;
  const relocations: ProgramRelocation[] = [];
  let fault = program.fault;
  for (const entry of entries.between(program.sectionIndex, start, start + program.insns.length * 8)) {
    const insn = (entry.offset - start) >> 3;
    const result = targetOf(parts, program, insn, entry, maps);
    if ('code' in result) fault ??= { ...result, insn };
    else relocations.push({ insn, target: result });
  }
  return {
    ...program,
    relocations: [...relocations, ...localCalls(program, relocations)].sort((a, b) => a.insn - b.insn),
    fault,
  };
}

const bad = (message: string): Fault => ({ code: 'LOADER_BAD_RELOCATION', message });

/** Mirrors `bpf_program__record_reloc`. */
function targetOf(
  parts: Parts,
  program: ProgramSpec,
  index: number,
  entry: ElfRelocation,
  maps: readonly MapSpec[],
): RelocationTarget | Fault {
  if (entry.offset % 8 !== 0) return bad(`a relocation at byte ${entry.offset} is not at the start of an instruction`);
  const symbol = parts.elf.symbols[entry.symbol];
  if (!symbol || symbol.name === undefined)
    return bad(`a relocation names symbol ${entry.symbol}, which ${symbol ? 'has no readable name' : 'does not exist'}`);
  const insn = program.insns[index]!;
  if (insn.code !== CALL && insn.code !== LD_IMM64)
    return bad(`symbol '${symbol.name}' relocates an instruction with opcode 0x${insn.code.toString(16)}`);
  if (insn.code === LD_IMM64 && index + 1 >= program.insns.length) return bad('the last instruction is half a 64-bit constant');
  if (symbol.section === SHN_UNDEF) return undefinedSymbol(symbol);
  if (symbol.section >= SHN_LORESERVE || !parts.elf.sections[symbol.section])
    return bad(`symbol '${symbol.name}' lies in no section (${symbol.section})`);
  return insn.code === CALL ? callTarget(parts, symbol, insn, entry) : dataTarget(parts, symbol, insn, entry, maps);
}

function undefinedSymbol(symbol: ElfSymbol): RelocationTarget | Fault {
  if (symbol.binding !== STB_GLOBAL && symbol.binding !== STB_WEAK)
    return bad(`symbol '${symbol.name}' is undefined and local`);
  return { kind: 'extern', name: symbol.name! };
}

function callTarget(parts: Parts, symbol: ElfSymbol, insn: BpfInsn, entry: ElfRelocation): RelocationTarget | Fault {
  if (insn.src_reg !== BPF_PSEUDO_CALL)
    return bad(`a call of '${symbol.name}' is no call of a function (src_reg ${insn.src_reg})`);
  if (!isCode(parts.elf.sections[symbol.section]!)) return bad(`a call of '${symbol.name}', which is no code`);
  if (symbol.value % 8 !== 0) return bad(`function '${symbol.name}' begins at byte ${symbol.value}, inside an instruction`);
  // REL: the constant holds the distance in instructions less one. RELA: the addend holds it in bytes.
  const distance = entry.addend === undefined ? insn.imm + 1 : Number(entry.addend) / 8;
  return { kind: 'call', section: symbol.section, index: symbol.value / 8 + distance };
}

function dataTarget(
  parts: Parts,
  symbol: ElfSymbol,
  insn: BpfInsn,
  entry: ElfRelocation,
  maps: readonly MapSpec[],
): RelocationTarget | Fault {
  const addend = entry.addend === undefined ? insn.imm : Number(entry.addend);
  const section = parts.elf.sections[symbol.section]!;
  if (isCode(section)) {
    const offset = symbol.value + addend;
    if (offset % 8 !== 0) return bad(`a pointer to byte ${offset} of section ${section.name}, inside an instruction`);
    return { kind: 'function', section: section.index, index: offset / 8 };
  }
  const inSection = maps.filter((map) => map.sectionIndex === section.index);
  const first = inSection[0];
  if (!first) return bad(`symbol '${symbol.name}' lies in section ${section.name}, which is no map and no data`);
  if (first.data) return { kind: 'data', map: first.name, offset: symbol.value + addend };
  const offset = symbol.type === STT_SECTION ? symbol.value + addend : symbol.value;
  const map = inSection.find((candidate) => candidate.offset === offset);
  return map ? { kind: 'map', map: map.name } : bad(`no map begins at byte ${offset} of section ${section.name}`);
}

/** Calls and pointers inside one section, which compilers resolve without a relocation. */
function localCalls(program: ProgramSpec, relocations: readonly ProgramRelocation[]): ProgramRelocation[] {
  const done = new Set(relocations.map(({ insn }) => insn));
  const found: ProgramRelocation[] = [];
  program.insns.forEach((insn, index) => {
    if (insn.code !== CALL && insn.code !== LD_IMM64) return;
    const isCall = insn.code === CALL && insn.src_reg === BPF_PSEUDO_CALL;
    if (done.has(index) || !(isCall || (insn.code === LD_IMM64 && insn.src_reg === BPF_PSEUDO_FUNC))) return;
    found.push({
      insn: index,
      target: {
        kind: isCall ? 'call' : 'function',
        section: program.sectionIndex,
        index: program.sectionInsn + index + insn.imm + 1,
      },
    });
  });
  return found;
}
