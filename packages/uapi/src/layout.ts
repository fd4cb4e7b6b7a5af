/** Layouts of C structures: named fields with fixed offsets, little endian, read and written in place. */

const latin1 = new TextDecoder('latin1');
const utf8 = new TextEncoder();

/** How one field is stored. `T` is what a reader gets and a writer gives. */
export interface FieldType<T> {
  readonly size: number;
  readonly align: number;
  readonly kind: 'integer' | 'pointer' | 'bytes' | 'text' | 'struct';
  read(view: DataView, offset: number): T;
  write(view: DataView, offset: number, value: T): void;
}

/** A field type pinned to an offset, as the members of a C union are. */
export interface PlacedField<T> {
  readonly offset: number;
  readonly type: FieldType<T>;
}

type FieldSpec = FieldType<unknown> | PlacedField<unknown>;
type ValueOf<S> = S extends FieldType<infer T> ? T : S extends PlacedField<infer T> ? T : never;

/** The object that mirrors a structure: one property a field. */
export type StructOf<S> = S extends Struct<infer F> ? { [K in keyof F]: ValueOf<F[K]> } : never;

export interface StructField {
  readonly name: string;
  readonly offset: number;
  readonly type: FieldType<unknown>;
}

/** A C structure (or one member of `union bpf_attr`) with its fields in order. */
export interface Struct<F extends Record<string, FieldSpec> = Record<string, FieldSpec>> {
  readonly name: string;
  readonly size: number;
  /** End of the last field: bytes from here on are padding. */
  readonly end: number;
  readonly fields: readonly StructField[];
  /** Offset of a field in bytes. */
  offsetOf(field: keyof F & string): number;
  read(view: DataView, offset?: number): { [K in keyof F]: ValueOf<F[K]> };
  /** Writes the fields given; the others keep what is there. */
  write(view: DataView, value: { readonly [K in keyof F]?: ValueOf<F[K]> | undefined }, offset?: number): void;
}

const integer = <T>(
  size: number,
  read: (view: DataView, offset: number) => T,
  write: (view: DataView, offset: number, value: T) => void,
): FieldType<T> => ({ size, align: size, kind: 'integer', read, write });

export const u8: FieldType<number> = integer(
  1,
  (v, o) => v.getUint8(o),
  (v, o, n) => v.setUint8(o, n),
);
export const u16: FieldType<number> = integer(
  2,
  (v, o) => v.getUint16(o, true),
  (v, o, n) => v.setUint16(o, n, true),
);
export const u32: FieldType<number> = integer(
  4,
  (v, o) => v.getUint32(o, true),
  (v, o, n) => v.setUint32(o, n, true),
);
export const s32: FieldType<number> = integer(
  4,
  (v, o) => v.getInt32(o, true),
  (v, o, n) => v.setInt32(o, n, true),
);
export const u64: FieldType<bigint> = integer(
  8,
  (v, o) => v.getBigUint64(o, true),
  (v, o, n) => v.setBigUint64(o, n, true),
);
/** A user pointer: the address as the raw form carries it. The typed form gives a buffer instead. */
export const ptr: FieldType<bigint> = { ...u64, kind: 'pointer' };

/** `char name[length]` as bytes. */
export function bytes(length: number): FieldType<Uint8Array> {
  return {
    size: length,
    align: 1,
    kind: 'bytes',
    read: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, length).slice(),
    write: (view, offset, value) => {
      const target = new Uint8Array(view.buffer, view.byteOffset + offset, length);
      target.fill(0);
      target.set(value.subarray(0, length));
    },
  };
}

/** `char name[length]` as text up to the first NUL; the last byte is cut so that a NUL remains. */
export function text(length: number): FieldType<string> {
  return {
    size: length,
    align: 1,
    kind: 'text',
    read: (view, offset) => {
      const raw = new Uint8Array(view.buffer, view.byteOffset + offset, length);
      const end = raw.indexOf(0);
      return latin1.decode(raw.subarray(0, end < 0 ? length : end));
    },
    write: (view, offset, value) => {
      const target = new Uint8Array(view.buffer, view.byteOffset + offset, length);
      target.fill(0);
      target.set(utf8.encode(value).subarray(0, length - 1));
    },
  };
}

/** Pins a field to an offset: for unions and for gaps. */
export function at<T>(offset: number, type: FieldType<T>): PlacedField<T> {
  return { offset, type };
}

/** A structure as a field of another. */
export function nested<F extends Record<string, FieldSpec>>(
  inner: Struct<F>,
): FieldType<{ [K in keyof F]?: ValueOf<F[K]> | undefined }> {
  return {
    size: inner.size,
    align: 8,
    kind: 'struct',
    read: (view, offset) => inner.read(view, offset),
    write: (view, offset, value) => inner.write(view, value, offset),
  };
}

function place(fields: Record<string, FieldSpec>): { list: StructField[]; end: number; align: number } {
  let end = 0;
  let align = 1;
  const list = Object.entries(fields).map(([name, spec]) => {
    const type = 'type' in spec ? spec.type : spec;
    const offset = 'offset' in spec ? spec.offset : Math.ceil(end / type.align) * type.align;
    end = Math.max(end, offset + type.size);
    align = Math.max(align, type.align);
    return { name, offset, type };
  });
  return { list, end, align };
}

/** Lays out fields as a C compiler does: in order, each at its natural alignment. */
export function struct<F extends Record<string, FieldSpec>>(name: string, fields: F): Struct<F> {
  const { list, end, align } = place(fields);
  const offsets = new Map(list.map((field) => [field.name, field.offset]));
  return {
    name,
    end,
    fields: list,
    size: Math.ceil(end / align) * align,
    offsetOf: (field) => offsets.get(field)!,
    read: (view, offset = 0) =>
      Object.fromEntries(list.map((field) => [field.name, field.type.read(view, offset + field.offset)])) as never,
    write: (view, value, offset = 0) => {
      for (const field of list) {
        const given = value[field.name];
        if (given !== undefined) field.type.write(view, offset + field.offset, given);
      }
    },
  };
}
