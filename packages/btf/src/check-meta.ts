/** First pass over BTF records: each by itself. Mirrors `btf_check_all_metas` and the `check_meta` of each kind. */

import { BtfRefusal, type CheckedHeader } from './check-refusal.ts';
import { BTF_KINDS, BTF_MAX_TYPE, BTF_VAR_GLOBAL_ALLOCATED, BTF_VAR_STATIC, type BtfKind } from './types.ts';

const INFO_MASK = 0x9f00ffff;
const INT_MASK = 0x0fffffff;
const NAME_LIMIT = 512;

/** One record as it lies in the bytes. */
interface Record {
  readonly id: number;
  readonly at: number;
  readonly kind: BtfKind;
  readonly name: number;
  readonly vlen: number;
  readonly kflag: boolean;
  /** Size or type. */
  readonly value: number;
}

/** Offsets of the records. Throws {@link BtfRefusal}. */
export function checkMeta(bytes: Uint8Array, header: CheckedHeader): number[] {
  return new MetaCheck(bytes, header).run();
}

const EACH: Partial<{ readonly [K in BtfKind]: number }> = {
  STRUCT: 12,
  UNION: 12,
  ENUM: 8,
  ENUM64: 12,
  FUNC_PROTO: 8,
  DATASEC: 12,
};
const FIXED: Partial<{ readonly [K in BtfKind]: number }> = { INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4 };
const bytesOf = (bits: number): number => Math.ceil(bits / 8);

class MetaCheck {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #header: CheckedHeader;
  readonly #end: number;

  constructor(bytes: Uint8Array, header: CheckedHeader) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#header = header;
    this.#end = header.hdr_len + header.type_off + header.type_len;
  }

  run(): number[] {
    const offsets: number[] = [];
    for (let at = this.#header.hdr_len + this.#header.type_off; at < this.#end;) {
      offsets.push(at);
      at += this.#record(at, offsets.length);
    }
    return offsets;
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #refuse(id: number, why: string): BtfRefusal {
    return new BtfRefusal('EINVAL', `[${id}] ${why}`);
  }

  /** Checks a record and returns its length. */
  #record(at: number, id: number): number {
    const left = this.#end - at;
    if (left < 12) throw this.#refuse(id, `meta_left:${left} meta_needed:12`);
    const info = this.#u32(at + 4);
    if ((info & ~INFO_MASK) !== 0) throw this.#refuse(id, `Invalid btf_info:${info.toString(16)}`);
    const number = (info >>> 24) & 0x1f;
    const kind = BTF_KINDS[number];
    if (!kind || number === 0) throw this.#refuse(id, `Invalid kind:${number}`);
    const record: Record = {
      id,
      at,
      kind,
      name: this.#u32(at),
      vlen: info & 0xffff,
      kflag: info >>> 31 === 1,
      value: this.#u32(at + 8),
    };
    if (record.name >= this.#header.str_len) throw this.#refuse(id, `Invalid name_offset:${record.name}`);
    const needed = (FIXED[kind] ?? 0) + (EACH[kind] ?? 0) * record.vlen;
    if (left - 12 < needed) throw this.#refuse(id, `meta_left:${left - 12} meta_needed:${needed}`);
    this.#byKind(record);
    return 12 + needed;
  }

  #byKind(record: Record): void {
    switch (record.kind) {
      case 'INT':
        return this.#int(record);
      case 'PTR':
      case 'TYPEDEF':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
        return this.#reference(record);
      case 'ARRAY':
        return this.#array(record);
      case 'STRUCT':
      case 'UNION':
        return this.#composite(record);
      case 'ENUM':
      case 'ENUM64':
        return this.#enum(record);
      case 'FWD':
        this.#plain(record, { kflag: true });
        if (record.value !== 0) throw this.#refuse(record.id, 'type != 0');
        return this.#identifier(record, false);
      case 'FUNC':
        this.#identifier(record, false);
        if (record.vlen > 1) throw this.#refuse(record.id, 'Invalid func linkage');
        return this.#noFlag(record);
      case 'FUNC_PROTO':
        if (record.name !== 0) throw this.#refuse(record.id, 'Invalid name');
        return this.#noFlag(record);
      case 'VAR':
        return this.#variable(record);
      case 'DATASEC':
        return this.#datasec(record);
      case 'FLOAT':
        this.#plain(record);
        if (![2, 4, 8, 12, 16].includes(record.value)) throw this.#refuse(record.id, 'Invalid type_size');
        return;
      case 'DECL_TAG':
        return this.#declTag(record);
      default:
    }
  }

  #plain(record: Record, allow: { readonly kflag?: boolean } = {}): void {
    if (record.vlen !== 0) throw this.#refuse(record.id, 'vlen != 0');
    if (!allow.kflag) this.#noFlag(record);
  }

  #noFlag(record: Record): void {
    if (record.kflag) throw this.#refuse(record.id, 'Invalid btf_info kind_flag');
  }

  /** A C identifier; `optional` ones may be empty. */
  #identifier(record: Record, optional: boolean): void {
    if (record.name === 0 ? !optional : !this.#isIdentifier(record.name)) throw this.#refuse(record.id, 'Invalid name');
  }

  #text(offset: number): Uint8Array | undefined {
    const start = this.#header.hdr_len + this.#header.str_off + offset;
    const end = this.#bytes.indexOf(0, start);
    return end - start < NAME_LIMIT ? this.#bytes.subarray(start, end) : undefined;
  }

  #isIdentifier(offset: number): boolean {
    const text = this.#text(offset);
    return (
      text !== undefined && text.length > 0 && text.every((byte, i) => isWord(byte) || (i > 0 && byte >= 0x30 && byte <= 0x39))
    );
  }

  #int({ id, at, value, ...record }: Record): void {
    this.#plain({ id, at, value, ...record });
    const word = this.#u32(at + 12);
    if ((word & ~INT_MASK) !== 0) throw this.#refuse(id, `Invalid int_data:${word.toString(16)}`);
    const bits = (word & 0xff) + ((word >>> 16) & 0xff);
    if (bits > 128) throw this.#refuse(id, 'nr_bits exceeds 128');
    if (bytesOf(bits) > value) throw this.#refuse(id, 'nr_bits exceeds type_size');
    if (![0, 1, 2, 4].includes((word >>> 24) & 0xf)) throw new BtfRefusal('ENOTSUPP', `[${id}] Unsupported encoding`);
  }

  #reference(record: Record): void {
    this.#plain(record, { kflag: record.kind === 'TYPE_TAG' });
    if (record.value > BTF_MAX_TYPE) throw this.#refuse(record.id, 'Invalid type_id');
    if (record.kind === 'TYPEDEF') return this.#identifier(record, false);
    const named = record.kind === 'TYPE_TAG' ? (this.#text(record.name)?.length ?? 1) > 0 : record.name === 0;
    if (!named) throw this.#refuse(record.id, 'Invalid name');
  }

  #array(record: Record): void {
    if (record.name !== 0) throw this.#refuse(record.id, 'Invalid name');
    this.#plain(record);
    if (record.value !== 0) throw this.#refuse(record.id, 'size != 0');
    const [type, index] = [this.#u32(record.at + 12), this.#u32(record.at + 16)];
    if (type === 0 || type > BTF_MAX_TYPE) throw this.#refuse(record.id, 'Invalid elem');
    if (index === 0 || index > BTF_MAX_TYPE) throw this.#refuse(record.id, 'Invalid index');
  }

  #composite(record: Record): void {
    this.#identifier(record, true);
    let last = 0;
    for (let i = 0; i < record.vlen; i++) {
      const at = record.at + 12 + i * 12;
      const [name, type, word] = [this.#u32(at), this.#u32(at + 4), this.#u32(at + 8)];
      if (name >= this.#header.str_len) throw this.#refuse(record.id, `Invalid member name_offset:${name}`);
      if (name !== 0 && !this.#isIdentifier(name)) throw this.#refuse(record.id, 'Invalid name');
      if (type === 0 || type > BTF_MAX_TYPE) throw this.#refuse(record.id, 'Invalid type_id');
      const offset = record.kflag ? word & 0xffffff : word;
      if ((record.kind === 'UNION' && offset !== 0) || last > offset)
        throw this.#refuse(record.id, 'Invalid member bits_offset');
      if (bytesOf(offset) > record.value) throw this.#refuse(record.id, 'Member bits_offset exceeds its struct size');
      last = offset;
    }
  }

  #enum(record: Record): void {
    const size = record.value;
    if (size > 8 || size === 0 || (size & (size - 1)) !== 0) throw this.#refuse(record.id, 'Unexpected size');
    this.#identifier(record, true);
    const step = EACH[record.kind]!;
    for (let i = 0; i < record.vlen; i++) {
      const name = this.#u32(record.at + 12 + i * step);
      if (name >= this.#header.str_len) throw this.#refuse(record.id, `Invalid name_offset:${name}`);
      if (name === 0 || !this.#isIdentifier(name)) throw this.#refuse(record.id, 'Invalid name');
    }
  }

  #variable(record: Record): void {
    this.#plain(record);
    this.#identifier(record, false);
    if (record.value === 0 || record.value > BTF_MAX_TYPE) throw this.#refuse(record.id, 'Invalid type_id');
    const linkage = this.#u32(record.at + 12);
    if (linkage !== BTF_VAR_STATIC && linkage !== BTF_VAR_GLOBAL_ALLOCATED)
      throw this.#refuse(record.id, 'Linkage not supported');
  }

  #datasec(record: Record): void {
    const size = record.value;
    if (size === 0) throw this.#refuse(record.id, 'size == 0');
    this.#noFlag(record);
    const name = this.#text(record.name);
    if (!name || name.length === 0 || !name.every(isPrintable)) throw this.#refuse(record.id, 'Invalid name');
    let end = 0;
    let sum = 0;
    for (let i = 0; i < record.vlen; i++) {
      const at = record.at + 12 + i * 12;
      const [type, offset, length] = [this.#u32(at), this.#u32(at + 4), this.#u32(at + 8)];
      if (type === 0 || type > BTF_MAX_TYPE) throw this.#refuse(record.id, 'Invalid type_id');
      if (offset < end || offset >= size) throw this.#refuse(record.id, 'Invalid offset');
      if (length === 0 || length > size) throw this.#refuse(record.id, 'Invalid size');
      end = offset + length;
      if (end > size) throw this.#refuse(record.id, 'Invalid offset+size');
      sum += length;
    }
    if (size < sum) throw this.#refuse(record.id, 'Invalid btf_info size');
  }

  #declTag(record: Record): void {
    if (this.#text(record.name)?.length === 0) throw this.#refuse(record.id, 'Invalid value');
    this.#plain(record, { kflag: true });
    if ((this.#u32(record.at + 12) | 0) < -1) throw this.#refuse(record.id, 'Invalid component_idx');
  }
}

/** Letters, `_` and `.`. The kernel's table of characters is Latin-1: its letters count. */
function isWord(byte: number): boolean {
  if (byte >= 0xc0) return byte !== 0xd7 && byte !== 0xf7;
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x5f || byte === 0x2e;
}

const isPrintable = (byte: number): boolean => (byte >= 0x20 && byte <= 0x7e) || byte >= 0xa0;
