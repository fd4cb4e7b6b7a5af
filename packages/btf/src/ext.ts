/** .BTF.ext: function info, line info and CO-RE relocations, by section of the object. */

import type { Btf } from './btf.ts';
import { BtfError } from './errors.ts';
import { BTF_MAGIC } from './types.ts';

/** `struct bpf_func_info`; `insn_off` in bytes from the start of the section, as the file has it. */
export interface FuncInfo {
  readonly insn_off: number;
  readonly type_id: number;
}

/** `struct bpf_line_info`; `insn_off` in bytes from the start of the section. */
export interface LineInfo {
  readonly insn_off: number;
  readonly file_name_off: number;
  readonly line_off: number;
  /** Line in the upper 22 bits, column in the lower 10. */
  readonly line_col: number;
}

/** `struct bpf_core_relo`; `insn_off` in bytes from the start of the section. */
export interface CoreRelocation {
  readonly insn_off: number;
  readonly type_id: number;
  readonly access_str_off: number;
  readonly kind: number;
}

/** The records of one kind for one ELF section. */
export interface ExtSection<T> {
  readonly section: string;
  readonly records: readonly T[];
}

export interface BtfExt {
  readonly funcInfo: readonly ExtSection<FuncInfo>[];
  readonly lineInfo: readonly ExtSection<LineInfo>[];
  readonly coreRelocations: readonly ExtSection<CoreRelocation>[];
}

export const lineOf = (info: LineInfo): number => info.line_col >>> 10;
export const columnOf = (info: LineInfo): number => info.line_col & 0x3ff;

type Words = (index: number) => number;

/** Parses .BTF.ext; `btf` gives the section names. Throws {@link BtfError}. */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24)
    throw new BtfError('BTF_TRUNCATED', `${bytes.length} bytes are too few for a .BTF.ext header`, { offset: 0 });
  const little = view.getUint16(0, true) === BTF_MAGIC;
  if (!little && view.getUint16(0, false) !== BTF_MAGIC) throw new BtfError('BTF_NOT_BTF', 'not .BTF.ext data', { offset: 0 });
  if (view.getUint8(2) !== 1)
    throw new BtfError('BTF_BAD_HEADER', `.BTF.ext version ${view.getUint8(2)} is not supported`, { offset: 2 });
  const hdr_len = view.getUint32(4, little);
  if (hdr_len < 24 || hdr_len > bytes.length)
    throw new BtfError('BTF_BAD_HEADER', `.BTF.ext header length ${hdr_len} is wrong`, { offset: 4 });
  const part = <T>(at: number, size: number, read: (words: Words) => T): ExtSection<T>[] => {
    if (hdr_len < at + 8) return [];
    return readSections(view, little, btf, hdr_len + view.getUint32(at, little), view.getUint32(at + 4, little), size, read);
  };
  return {
    funcInfo: part(8, 8, (w) => ({ insn_off: w(0), type_id: w(1) })),
    lineInfo: part(16, 16, (w) => ({ insn_off: w(0), file_name_off: w(1), line_off: w(2), line_col: w(3) })),
    coreRelocations: part(24, 16, (w) => ({ insn_off: w(0), type_id: w(1), access_str_off: w(2), kind: w(3) })),
  };
}

function readSections<T>(
  view: DataView,
  little: boolean,
  btf: Btf,
  start: number,
  length: number,
  least: number,
  read: (words: Words) => T,
): ExtSection<T>[] {
  if (length === 0) return [];
  const end = start + length;
  if (end > view.byteLength || length < 4)
    throw new BtfError('BTF_TRUNCATED', 'a part of .BTF.ext ends beyond the data', { offset: start });
  const size = view.getUint32(start, little);
  if (size < least || size % 4 !== 0)
    throw new BtfError('BTF_EXT_BAD_RECORD', `record size ${size} is less than ${least} or not a multiple of 4`, {
      offset: start,
    });
  const sections: ExtSection<T>[] = [];
  let at = start + 4;
  while (at < end) {
    if (at + 8 > end) throw new BtfError('BTF_TRUNCATED', 'a section header of .BTF.ext is cut short', { offset: at });
    const section = btf.string(view.getUint32(at, little));
    const count = view.getUint32(at + 4, little);
    at += 8;
    if (count === 0 || count * size > end - at)
      throw new BtfError('BTF_EXT_BAD_RECORD', `${count} records of ${size} bytes do not fit`, { offset: at });
    const base = at;
    sections.push({
      section,
      records: Array.from({ length: count }, (_, i) => read((word) => view.getUint32(base + i * size + word * 4, little))),
    });
    at += count * size;
  }
  return sections;
}
