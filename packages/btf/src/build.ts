/** Writes BTF: types are added by name and reference, then encoded. For kernels that describe themselves, and for tests. */

import { BTF_KINDS, BTF_MAGIC, BTF_VERSION, type BtfKind } from './types.ts';

export interface MemberSpec {
  readonly name: string;
  readonly type: number;
  /** Bits from the start. */
  readonly bit_offset: number;
  /** Bits; makes the whole structure carry the bit field flag. */
  readonly bitfield_size?: number;
}

export interface BuildOptions {
  /** First id of the types to come: the base's type count for split BTF. */
  readonly startId?: number;
  /** First string offset: the base's string end for split BTF. */
  readonly startString?: number;
}

/** Adds types one by one; every method returns the id of the new type. */
export class BtfBuilder {
  readonly #words: number[] = [];
  readonly #strings = new Map<string, number>();
  readonly #startId: number;
  readonly #startString: number;
  #stringBytes: number[];
  #count = 0;

  constructor(options: BuildOptions = {}) {
    this.#startId = options.startId ?? 1;
    this.#startString = options.startString ?? 0;
    this.#stringBytes = this.#startString === 0 ? [0] : [];
  }

  /** Id that the next type will have: for types that refer to themselves. */
  get nextId(): number {
    return this.#startId + this.#count;
  }

  /** Offset of a string in the string section, adding it where it is new. */
  string(text: string): number {
    if (text === '') return 0;
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    const offset = this.#startString + this.#stringBytes.length;
    this.#stringBytes.push(...new TextEncoder().encode(text), 0);
    this.#strings.set(text, offset);
    return offset;
  }

  int(name: string, size: number, encoding = 0, bits: number = size * 8): number {
    return this.#add('INT', name, 0, size, false, [(encoding << 24) | bits]);
  }

  ptr(type: number): number {
    return this.#add('PTR', '', 0, type);
  }

  array(type: number, nelems: number, index_type: number): number {
    return this.#add('ARRAY', '', 0, 0, false, [type, index_type, nelems]);
  }

  struct(name: string, size: number, members: readonly MemberSpec[]): number {
    return this.#composite('STRUCT', name, size, members);
  }

  union(name: string, size: number, members: readonly MemberSpec[]): number {
    return this.#composite('UNION', name, size, members);
  }

  enum(
    name: string,
    values: Readonly<Record<string, number>>,
    options: { readonly size?: number; readonly signed?: boolean } = {},
  ): number {
    const list = Object.entries(values);
    const signed = options.signed ?? list.some(([, value]) => value < 0);
    return this.#add(
      'ENUM',
      name,
      list.length,
      options.size ?? 4,
      signed,
      list.flatMap(([n, v]) => [this.string(n), v]),
    );
  }

  enum64(name: string, values: Readonly<Record<string, bigint>>, signed = false): number {
    const list = Object.entries(values);
    const words = list.flatMap(([n, v]) => [
      this.string(n),
      Number(BigInt.asUintN(32, v)),
      Number(BigInt.asUintN(32, v >> 32n)),
    ]);
    return this.#add('ENUM64', name, list.length, 8, signed, words);
  }

  fwd(name: string, union = false): number {
    return this.#add('FWD', name, 0, 0, union);
  }

  modifier(kind: 'TYPEDEF' | 'VOLATILE' | 'CONST' | 'RESTRICT' | 'TYPE_TAG', type: number, name = ''): number {
    return this.#add(kind, name, 0, type);
  }

  typedef(name: string, type: number): number {
    return this.modifier('TYPEDEF', type, name);
  }

  func(name: string, proto: number, linkage = 1): number {
    return this.#add('FUNC', name, linkage, proto);
  }

  funcProto(returns: number, params: readonly { readonly name: string; readonly type: number }[]): number {
    return this.#add(
      'FUNC_PROTO',
      '',
      params.length,
      returns,
      false,
      params.flatMap((p) => [this.string(p.name), p.type]),
    );
  }

  variable(name: string, type: number, linkage = 1): number {
    return this.#add('VAR', name, 0, type, false, [linkage]);
  }

  datasec(
    name: string,
    size: number,
    vars: readonly { readonly type: number; readonly offset: number; readonly size: number }[],
  ): number {
    return this.#add(
      'DATASEC',
      name,
      vars.length,
      size,
      false,
      vars.flatMap((v) => [v.type, v.offset, v.size]),
    );
  }

  float(name: string, size: number): number {
    return this.#add('FLOAT', name, 0, size);
  }

  declTag(value: string, type: number, component_idx = -1): number {
    return this.#add('DECL_TAG', value, 0, type, false, [component_idx]);
  }

  /** The bytes of the .BTF section. */
  encode(): Uint8Array {
    const typeLength = this.#words.length * 4;
    const bytes = new Uint8Array(24 + typeLength + this.#stringBytes.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, BTF_MAGIC, true);
    view.setUint8(2, BTF_VERSION);
    [24, 0, typeLength, typeLength, this.#stringBytes.length].forEach((value, i) => view.setUint32(4 + i * 4, value, true));
    this.#words.forEach((word, i) => view.setUint32(24 + i * 4, word, true));
    bytes.set(this.#stringBytes, 24 + typeLength);
    return bytes;
  }

  #composite(kind: 'STRUCT' | 'UNION', name: string, size: number, members: readonly MemberSpec[]): number {
    const kflag = members.some((m) => m.bitfield_size !== undefined);
    const words = members.flatMap((m) => [
      this.string(m.name),
      m.type,
      kflag ? ((m.bitfield_size ?? 0) << 24) | m.bit_offset : m.bit_offset,
    ]);
    return this.#add(kind, name, members.length, size, kflag, words);
  }

  #add(kind: BtfKind, name: string, vlen: number, sizeOrType: number, kflag = false, rest: readonly number[] = []): number {
    const info = ((kflag ? 1 << 31 : 0) | (BTF_KINDS.indexOf(kind) << 24) | vlen) >>> 0;
    this.#words.push(this.string(name), info, sizeOrType, ...rest);
    return this.#startId + this.#count++;
  }
}
