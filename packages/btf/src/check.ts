/** BTF as BPF_BTF_LOAD judges it: the kernel's checks in the kernel's order, with its errno and the last line of its log. */

import { Btf } from './btf.ts';
import { BtfError } from './errors.ts';
import { checkMeta } from './check-meta.ts';
import { BtfRefusal, type BtfErrno, type CheckedHeader } from './check-refusal.ts';
import { checkTypes } from './check-resolve.ts';
import { BTF_MAGIC, BTF_MAX_NAME_OFFSET, BTF_MAX_TYPE, BTF_VERSION } from './types.ts';

export type BtfVerdict =
  | { readonly ok: true; readonly btf: Btf }
  | { readonly ok: false; readonly errno: BtfErrno; readonly detail: string };

const MAX_SIZE = 16 * 1024 * 1024;
const HEADER_SIZE = 24;

/** Judges the bytes of a BPF_BTF_LOAD. Never throws. Mirrors `btf_parse`. */
export function checkBtf(bytes: Uint8Array): BtfVerdict {
  try {
    const input = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (input.length > MAX_SIZE) throw new BtfRefusal('E2BIG', `${input.length} bytes are more than 16 MiB`);
    const header = checkHeader(input);
    checkStrings(input, header);
    if (header.type_off % 4 !== 0) throw new BtfRefusal('EINVAL', 'Unaligned type_off');
    if (header.type_len === 0) throw new BtfRefusal('EINVAL', 'No type found');
    const offsets = checkMeta(input, header);
    if (offsets.length >= BTF_MAX_TYPE) throw new BtfRefusal('E2BIG', 'too many types');
    const btf = new Btf(input);
    checkTypes(btf);
    return { ok: true, btf };
  } catch (error) {
    if (error instanceof BtfRefusal) return { ok: false, errno: error.errno, detail: error.message };
    // Names of parameters are all that the first pass leaves unchecked.
    if (error instanceof BtfError && error.code === 'BTF_BAD_NAME')
      return { ok: false, errno: 'EINVAL', detail: 'Invalid arg#1' };
    throw error;
  }
}

const invalid = (detail: string): BtfRefusal => new BtfRefusal('EINVAL', detail);

/** Mirrors `btf_parse_hdr`. */
function checkHeader(bytes: Uint8Array): CheckedHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw invalid('hdr_len not found');
  const hdr_len = view.getUint32(4, true);
  if (bytes.length < hdr_len) throw invalid('btf_header not found');
  if (bytes.subarray(HEADER_SIZE, Math.max(hdr_len, HEADER_SIZE)).some((byte) => byte !== 0))
    throw new BtfRefusal('E2BIG', 'Unsupported btf_header');
  // A shorter header is taken as if zeros followed it.
  const copy = new Uint8Array(HEADER_SIZE);
  copy.set(bytes.subarray(0, Math.min(hdr_len, HEADER_SIZE)));
  const header = new DataView(copy.buffer);
  if (header.getUint16(0, true) !== BTF_MAGIC) throw invalid('Invalid magic');
  if (header.getUint8(2) !== BTF_VERSION) throw new BtfRefusal('ENOTSUPP', 'Unsupported version');
  if (header.getUint8(3) !== 0) throw new BtfRefusal('ENOTSUPP', 'Unsupported flags');
  if (bytes.length === header.getUint32(4, true)) throw invalid('No data');
  const word = (at: number): number => header.getUint32(at, true);
  const result = { hdr_len: word(4), type_off: word(8), type_len: word(12), str_off: word(16), str_len: word(20) };
  checkSections(result, bytes.length - result.hdr_len);
  return result;
}

/** The two sections fill the space behind the header, without gap or overlap; the kernel sorts them by signed difference. Mirrors `btf_check_sec_info`. */
function checkSections(header: CheckedHeader, space: number): void {
  const sections = [
    [header.type_off, header.type_len],
    [header.str_off, header.str_len],
  ] as [number, number][];
  let total = 0;
  for (const [offset, length] of sections.sort((a, b) => (a[0] - b[0]) | 0 || (a[1] - b[1]) | 0)) {
    if (space < offset) throw invalid('Invalid section offset');
    if (total < offset) throw invalid('Unsupported section found');
    if (total > offset) throw invalid('Section overlap found');
    if (space - total < length) throw invalid('Total section length too long');
    total += length;
  }
  if (space !== total) throw invalid('Unsupported section found');
}

/** Mirrors `btf_parse_str_sec`. */
function checkStrings(bytes: Uint8Array, { hdr_len, str_off, str_len }: CheckedHeader): void {
  const start = hdr_len + str_off;
  if (start + str_len !== bytes.length) throw invalid('String section is not at the end');
  if (str_len === 0 || str_len - 1 > BTF_MAX_NAME_OFFSET || bytes[bytes.length - 1] !== 0 || bytes[start] !== 0)
    throw invalid('Invalid string section');
}
