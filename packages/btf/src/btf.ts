/** A parsed .BTF section: types by id, decoded when they are asked for, so that the kernel's own 6 MB cost milliseconds. */

import { BtfError } from './errors.ts';
import { NameIndex } from './name-index.ts';
import { BTF_KINDS, BTF_MAGIC, BTF_VERSION, type BtfKind, type BtfMember, type BtfType } from './types.ts';

export interface BtfHeader {
  readonly hdr_len: number;
  readonly type_off: number;
  readonly type_len: number;
  readonly str_off: number;
  readonly str_len: number;
}

export interface ParseBtfOptions {
  /** The BTF that split BTF goes on from. */
  readonly base?: Btf;
}

const VOID: BtfType = { kind: 'VOID', id: 0, name: 'void' };
const decoder = new TextDecoder();

/** Bytes that follow `struct btf_type`, by kind number: a fixed part and a part a `vlen` entry. */
const EXTRA_FIXED = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
const EXTRA_EACH = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];

/**
 * Parses BTF bytes of either byte order. The structure is checked at once (every record lies inside its section and is of a known
 * kind); ids and names are checked when a type is decoded. Throws {@link BtfError}.
 */
export function parseBtf(bytes: Uint8Array, options: ParseBtfOptions = {}): Btf {
  return new Btf(bytes, options.base);
}

export class Btf {
  readonly bytes: Uint8Array;
  readonly base: Btf | undefined;
  readonly header: BtfHeader;
  readonly littleEndian: boolean;
  /** Id of the first type of this (split) BTF; 1 where there is no base. */
  readonly startId: number;
  readonly #view: DataView;
  readonly #offsets: Uint32Array;
  readonly #count: number;
  readonly #types = new Map<number, BtfType>();
  readonly #startString: number;
  #index: NameIndex | undefined;

  constructor(bytes: Uint8Array, base?: Btf) {
    // A Buffer's slice() would share memory with it; a plain view's copies.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.base = base;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.littleEndian = byteOrder(this.#view);
    this.header = readHeader(this.#view, this.littleEndian);
    this.startId = base ? base.typeCount : 1;
    this.#startString = base ? base.stringEnd : 0;
    [this.#offsets, this.#count] = this.#walkRecords();
  }

  /** Number of types including `void` and those of the base: ids are below it. */
  get typeCount(): number {
    return this.startId + this.#count;
  }

  /** End of the string offsets that are valid here, the base's included. */
  get stringEnd(): number {
    return this.#startString + this.header.str_len;
  }

  /** The type with this id; throws where there is none. Type 0 is `void`. */
  type(id: number): BtfType {
    if (id === 0) return VOID;
    if (id < this.startId && this.base) return this.base.type(id);
    const known = this.#types.get(id);
    if (known) return known;
    if (!Number.isInteger(id) || id < this.startId || id >= this.typeCount) {
      throw new BtfError('BTF_BAD_TYPE_ID', `no type has id ${id}; there are ${this.typeCount}`);
    }
    const made = this.#decode(id);
    this.#types.set(id, made);
    return made;
  }

  /** The kind alone, without decoding the type. */
  kind(id: number): BtfKind {
    if (id === 0) return 'VOID';
    if (id < this.startId && this.base) return this.base.kind(id);
    if (!(id < this.typeCount)) throw new BtfError('BTF_BAD_TYPE_ID', `no type has id ${id}; there are ${this.typeCount}`);
    return BTF_KINDS[this.#kindNumber(this.#offsets[id - this.startId]!)]!;
  }

  /** Where the record of a type of this BTF begins in `bytes`: for those who patch a copy. */
  recordOffset(id: number): number {
    if (id < this.startId || id >= this.typeCount) throw new BtfError('BTF_BAD_TYPE_ID', `type ${id} is not of this BTF`);
    return this.#offsets[id - this.startId]!;
  }

  /** The string at an offset of the string section (of the base's and this one's, as one). */
  string(offset: number): string {
    if (offset < this.#startString && this.base) return this.base.string(offset);
    const at = offset - this.#startString;
    if (at < 0 || at >= this.header.str_len) {
      if (offset === 0) return '';
      throw new BtfError('BTF_BAD_NAME', `string offset ${offset} is beyond the string section of ${this.stringEnd} bytes`);
    }
    const start = this.header.hdr_len + this.header.str_off + at;
    const limit = this.header.hdr_len + this.header.str_off + this.header.str_len;
    let end = start;
    while (end < limit && this.bytes[end] !== 0) end++;
    return decoder.decode(this.bytes.subarray(start, end));
  }

  /** Ids of all types with this name (and one of these kinds), the base's first. */
  idsByName(name: string, ...kinds: readonly BtfKind[]): number[] {
    const own = this.#names()
      .lookup(name)
      .filter((id) => kinds.length === 0 || kinds.includes(this.kind(id)));
    return this.base ? [...this.base.idsByName(name, ...kinds), ...own.filter((id) => id >= this.startId)] : own;
  }

  /** The first type with this name and one of these kinds (any kind where none is given). */
  find(name: string, ...kinds: readonly BtfKind[]): BtfType | undefined {
    const id = this.idsByName(name, ...kinds)[0];
    return id === undefined ? undefined : this.type(id);
  }

  /** Ids of the types whose name is `name`, or `name` with a `___flavour`: the candidates of CO-RE. */
  idsByEssentialName(name: string): number[] {
    const own = this.#names().lookupEssential(name);
    return this.base ? [...this.base.idsByEssentialName(name), ...own] : own;
  }

  /** All types of this BTF in the order of their ids, the base's first. */
  *types(): Generator<BtfType> {
    for (let id = 1; id < this.typeCount; id++) yield this.type(id);
  }

  #names(): NameIndex {
    this.#index ??= new NameIndex(this, this.#nameOffsets());
    return this.#index;
  }

  /** Byte positions of the names inside `bytes`, by index; -1 for no name, -2 for one that lies in the base's strings. */
  #nameOffsets(): Int32Array {
    const result = new Int32Array(this.#count);
    const strings = this.header.hdr_len + this.header.str_off;
    for (let i = 0; i < this.#count; i++) {
      const offset = this.#u32(this.#offsets[i]!);
      if (offset === 0 || offset >= this.stringEnd) result[i] = -1;
      else result[i] = offset < this.#startString ? -2 : strings + offset - this.#startString;
    }
    return result;
  }

  /** Walks the records once and notes where each begins. */
  #walkRecords(): [Uint32Array, number] {
    const { hdr_len, type_off, type_len } = this.header;
    const end = hdr_len + type_off + type_len;
    let offsets = new Uint32Array(Math.max(16, type_len >> 4));
    let count = 0;
    for (let at = hdr_len + type_off; at < end;) {
      const size = this.#recordSize(at, end, this.startId + count);
      if (count === offsets.length) {
        const grown = new Uint32Array(offsets.length * 2);
        grown.set(offsets);
        offsets = grown;
      }
      offsets[count++] = at;
      at += size;
    }
    return [offsets, count];
  }

  #recordSize(at: number, end: number, id: number): number {
    if (at + 12 > end) throw new BtfError('BTF_TRUNCATED', 'a type record is cut short', { offset: at, type_id: id });
    const info = this.#view.getUint32(at + 4, this.littleEndian);
    const kind = (info >>> 24) & 0x1f;
    if (kind === 0 || kind >= BTF_KINDS.length)
      throw new BtfError('BTF_BAD_KIND', `unknown kind ${kind}`, { offset: at, type_id: id });
    const size = 12 + EXTRA_FIXED[kind]! + EXTRA_EACH[kind]! * (info & 0xffff);
    if (at + size > end)
      throw new BtfError('BTF_TRUNCATED', `a ${BTF_KINDS[kind]} record is cut short`, { offset: at, type_id: id });
    return size;
  }

  #kindNumber(at: number): number {
    return (this.#view.getUint32(at + 4, this.littleEndian) >>> 24) & 0x1f;
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, this.littleEndian);
  }

  #name(at: number): string {
    return this.string(this.#u32(at));
  }

  #list<T>(at: number, step: number, count: number, read: (at: number) => T): T[] {
    return Array.from({ length: count }, (_, i) => read(at + i * step));
  }

  #decode(id: number): BtfType {
    const at = this.#offsets[id - this.startId]!;
    const info = this.#u32(at + 4);
    const kind = BTF_KINDS[(info >>> 24) & 0x1f]!;
    const name = this.#name(at);
    const value = this.#u32(at + 8);
    const vlen = info & 0xffff;
    const kflag = info >>> 31 === 1;
    const rest = at + 12;
    switch (kind) {
      case 'VOID':
        return VOID;
      case 'INT': {
        const word = this.#u32(rest);
        return {
          kind,
          id,
          name,
          size: value,
          encoding: (word >>> 24) & 0xf,
          bit_offset: (word >>> 16) & 0xff,
          bits: word & 0xff,
        };
      }
      case 'PTR':
        return { kind, id, name, type: value };
      case 'ARRAY':
        return { kind, id, name, type: this.#u32(rest), index_type: this.#u32(rest + 4), nelems: this.#u32(rest + 8) };
      case 'STRUCT':
      case 'UNION':
        return { kind, id, name, size: value, members: this.#list(rest, 12, vlen, (m) => this.#member(m, kflag)) };
      case 'ENUM':
        return {
          kind,
          id,
          name,
          size: value,
          signed: kflag,
          values: this.#list(rest, 8, vlen, (v) => ({
            name: this.#name(v),
            value: BigInt(kflag ? this.#u32(v + 4) | 0 : this.#u32(v + 4)),
          })),
        };
      case 'ENUM64':
        return {
          kind,
          id,
          name,
          size: value,
          signed: kflag,
          values: this.#list(rest, 12, vlen, (v) => ({ name: this.#name(v), value: this.#wide(v, kflag) })),
        };
      case 'FWD':
        return { kind, id, name, union: kflag };
      case 'TYPEDEF':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
        return { kind, id, name, type: value };
      case 'FUNC':
        return { kind, id, name, type: value, linkage: vlen };
      case 'FUNC_PROTO':
        return {
          kind,
          id,
          name,
          type: value,
          params: this.#list(rest, 8, vlen, (p) => ({ name: this.#name(p), type: this.#u32(p + 4) })),
        };
      case 'VAR':
        return { kind, id, name, type: value, linkage: this.#u32(rest) };
      case 'DATASEC':
        return {
          kind,
          id,
          name,
          size: value,
          vars: this.#list(rest, 12, vlen, (v) => ({ type: this.#u32(v), offset: this.#u32(v + 4), size: this.#u32(v + 8) })),
        };
      case 'FLOAT':
        return { kind, id, name, size: value };
      case 'DECL_TAG':
        return { kind, id, name, type: value, component_idx: this.#u32(rest) | 0 };
    }
  }

  #wide(at: number, signed: boolean): bigint {
    const raw = (BigInt(this.#u32(at + 8)) << 32n) | BigInt(this.#u32(at + 4));
    return signed ? BigInt.asIntN(64, raw) : raw;
  }

  #member(at: number, kflag: boolean): BtfMember {
    const word = this.#u32(at + 8);
    return {
      name: this.#name(at),
      type: this.#u32(at + 4),
      bit_offset: kflag ? word & 0xffffff : word,
      bitfield_size: kflag ? word >>> 24 : 0,
    };
  }
}

function byteOrder(view: DataView): boolean {
  if (view.byteLength < 8)
    throw new BtfError('BTF_TRUNCATED', `${view.byteLength} bytes are too few for a BTF header`, { offset: 0 });
  if (view.getUint16(0, true) === BTF_MAGIC) return true;
  if (view.getUint16(0, false) === BTF_MAGIC) return false;
  throw new BtfError('BTF_NOT_BTF', `magic is 0x${view.getUint16(0, true).toString(16)}, not 0xeb9f`, { offset: 0 });
}

function readHeader(view: DataView, little: boolean): BtfHeader {
  const hdr_len = view.getUint32(4, little);
  if (view.getUint8(2) !== BTF_VERSION)
    throw new BtfError('BTF_BAD_HEADER', `version ${view.getUint8(2)} is not supported`, { offset: 2 });
  if (hdr_len < 24 || hdr_len > view.byteLength) {
    throw new BtfError('BTF_BAD_HEADER', `header length ${hdr_len} does not fit ${view.byteLength} bytes`, { offset: 4 });
  }
  const [type_off, type_len, str_off, str_len] = [8, 12, 16, 20].map((at) => view.getUint32(at, little)) as [
    number,
    number,
    number,
    number,
  ];
  const space = view.byteLength - hdr_len;
  if (type_off + type_len > space) throw new BtfError('BTF_TRUNCATED', 'the type section ends beyond the data', { offset: 8 });
  if (str_off + str_len > space) throw new BtfError('BTF_TRUNCATED', 'the string section ends beyond the data', { offset: 16 });
  if (type_off % 4 !== 0)
    throw new BtfError('BTF_BAD_HEADER', `type section offset ${type_off} is not aligned to 4`, { offset: 8 });
  return { hdr_len, type_off, type_len, str_off, str_len };
}
