/** The object's BTF as a kernel takes it: compilers leave sizes and offsets of variables, and declarations of externs, open. */

import { BTF_FUNC_GLOBAL, BTF_VAR_GLOBAL_ALLOCATED, BTF_VAR_STATIC, parseBtf, type Btf, type BtfDatasec } from '@libbpf-ts/btf';
import { STB_LOCAL, STV_HIDDEN, STV_INTERNAL, type ElfFile, type ElfSymbol } from '@libbpf-ts/elf';
import type { ExternSpec, ProgramSpec } from './spec.ts';

/** A copy of BTF bytes with fields to set. */
class Patch {
  readonly #btf: Btf;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.bytes = btf.bytes.slice();
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Sets 32-bit word `word` of the record of a type. */
  set(id: number, word: number, value: number): void {
    this.#view.setUint32(this.#btf.recordOffset(id) + word * 4, value, this.#btf.littleEndian);
  }

  get(id: number, word: number): number {
    return this.#view.getUint32(this.#btf.recordOffset(id) + word * 4, this.#btf.littleEndian);
  }

  /** Writes the variables of a DATASEC in the order of their offsets, as kernels demand. */
  setVariables(id: number, size: number, vars: BtfDatasec['vars']): void {
    this.set(id, 2, size);
    [...vars]
      .sort((a, b) => a.offset - b.offset)
      .forEach((item, i) => {
        [item.type, item.offset, item.size].forEach((value, word) => this.set(id, 3 + i * 3 + word, value));
      });
  }
}

/** Sizes of data sections and offsets of their variables, from the ELF symbols. Mirrors libbpf's `btf_fixup_datasec`. */
export function fixDatasecs(elf: ElfFile, btf: Btf): Btf {
  const open = [...btf.types()].filter(
    (type): type is BtfDatasec => type.kind === 'DATASEC' && type.name !== '.kconfig' && type.name !== '.ksyms',
  );
  if (open.length === 0) return btf;
  const patch = new Patch(btf);
  for (const datasec of open) {
    const section = elf.sections.findLast((candidate) => candidate.name === datasec.name);
    if (!section || section.size === 0) continue;
    const symbols = new Map(
      elf.symbols
        .filter((symbol) => symbol.section === section.index && symbol.binding !== STB_LOCAL)
        .map((symbol) => [symbol.name, symbol]),
    );
    const vars = datasec.vars.map((item) => ({
      ...item,
      offset: offsetOf(btf, patch, item, datasec.size === 0 ? symbols : new Map()),
    }));
    patch.setVariables(datasec.id, datasec.size || section.size, vars);
  }
  return parseBtf(patch.bytes);
}

function offsetOf(
  btf: Btf,
  patch: Patch,
  item: BtfDatasec['vars'][number],
  symbols: ReadonlyMap<string | undefined, ElfSymbol>,
): number {
  const variable = btf.type(item.type);
  if (variable.kind !== 'VAR' || variable.linkage === BTF_VAR_STATIC) return item.offset;
  const symbol = symbols.get(variable.name);
  if (!symbol) return item.offset;
  // A hidden variable is nobody's interface.
  if (symbol.visibility === STV_HIDDEN || symbol.visibility === STV_INTERNAL) patch.set(item.type, 3, BTF_VAR_STATIC);
  return symbol.value;
}

/**
 * Functions that no other object may call count as static: they are verified where they are called, not alone. Mirrors the use of
 * `mark_btf_static` in libbpf.
 */
export function fixHiddenFunctions(btf: Btf, functions: readonly ProgramSpec[]): Btf {
  const hidden = functions
    .filter((program) => program.subprogram && program.hidden)
    .flatMap((program) => btf.idsByName(program.name, 'FUNC'));
  const open = hidden.filter((id) => {
    const type = btf.type(id);
    return type.kind === 'FUNC' && type.linkage === BTF_FUNC_GLOBAL;
  });
  if (open.length === 0) return btf;
  const patch = new Patch(btf);
  open.forEach((id) => patch.set(id, 1, 12 << 24));
  return parseBtf(patch.bytes);
}

/**
 * Externs as definitions that a kernel's BTF check accepts: configuration values at their places, kernel symbols as plain `int`
 * variables, kernel functions as global ones with named parameters. Mirrors the end of libbpf's `bpf_object__collect_externs`.
 */
export function fixExterns(btf: Btf, externs: readonly ExternSpec[]): Btf {
  const known = externs.filter((item) => item.btf_id !== 0);
  if (known.length === 0) return btf;
  const grown = withDummies(btf);
  const patch = new Patch(grown.btf);
  for (const item of known) {
    const type = btf.type(item.btf_id);
    if (type.kind === 'VAR') patch.set(type.id, 3, BTF_VAR_GLOBAL_ALLOCATED);
    if (type.kind === 'VAR' && item.kind === 'ksym') patch.set(type.id, 2, grown.int);
    if (type.kind === 'FUNC') defineFunction(grown.btf, patch, type.id, type.type, grown.dummyName);
  }
  fixExternSections(btf, patch, known, grown.dummy);
  return parseBtf(patch.bytes);
}

function defineFunction(btf: Btf, patch: Patch, id: number, protoId: number, name: number): void {
  patch.set(id, 1, ((12 << 24) | BTF_FUNC_GLOBAL) >>> 0);
  const proto = btf.type(protoId);
  if (proto.kind !== 'FUNC_PROTO') return;
  proto.params.forEach((param, i) => {
    if (param.name === '' && param.type !== 0) patch.set(protoId, 3 + i * 2, name);
  });
}

function fixExternSections(btf: Btf, patch: Patch, externs: readonly ExternSpec[], dummy: number): void {
  const byType = new Map(externs.map((item) => [item.btf_id, item]));
  for (const type of btf.types()) {
    if (type.kind !== 'DATASEC') continue;
    if (type.name === '.kconfig') {
      const vars = type.vars.map((item) => ({
        ...item,
        offset: byType.get(item.type)?.offset ?? item.offset,
        size: byType.get(item.type)?.size ?? item.size,
      }));
      patch.setVariables(type.id, Math.max(0, ...vars.map((item) => item.offset + item.size)), vars);
    } else if (type.name === '.ksyms') {
      const vars = type.vars.map((item, i) => ({
        type: btf.type(item.type).kind === 'FUNC' ? dummy : item.type,
        offset: i * 4,
        size: 4,
      }));
      patch.setVariables(type.id, vars.length * 4, vars);
    }
  }
}

/** BTF with an `int` and a variable of it, which stand in for kernel symbols. */
function withDummies(btf: Btf): {
  readonly btf: Btf;
  readonly int: number;
  readonly dummy: number;
  readonly dummyName: number;
} {
  const { hdr_len, type_off, type_len, str_off, str_len } = btf.header;
  const names = new TextEncoder().encode('int\0dummy_ksym\0');
  const int = btf.typeCount;
  // INT int, 4 bytes, signed; VAR dummy_ksym of it, allocated.
  const words = [str_len, 1 << 24, 4, (1 << 24) | 32, str_len + 4, 14 << 24, int, BTF_VAR_GLOBAL_ALLOCATED];
  const bytes = new Uint8Array(24 + type_len + words.length * 4 + str_len + names.length);
  const view = new DataView(bytes.buffer);
  bytes.set(btf.bytes.subarray(0, 8));
  const typeEnd = type_len + words.length * 4;
  [24, 0, typeEnd, typeEnd, str_len + names.length].forEach((value, i) => view.setUint32(4 + i * 4, value, btf.littleEndian));
  bytes.set(btf.bytes.subarray(hdr_len + type_off, hdr_len + type_off + type_len), 24);
  words.forEach((word, i) => view.setUint32(24 + type_len + i * 4, word, btf.littleEndian));
  bytes.set(btf.bytes.subarray(hdr_len + str_off, hdr_len + str_off + str_len), 24 + typeEnd);
  bytes.set(names, 24 + typeEnd + str_len);
  return { btf: parseBtf(bytes), int, dummy: int + 1, dummyName: str_len + 4 };
}
