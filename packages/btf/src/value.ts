/** Values by type: bytes to JavaScript values and back. */

import type { Btf } from './btf.ts';
import { BtfError } from './errors.ts';
import {
  BTF_INT_BOOL,
  BTF_INT_SIGNED,
  type BtfArray,
  type BtfEnum,
  type BtfInt,
  type BtfMember,
  type BtfStruct,
} from './types.ts';
import { bitfieldOf, sizeOf, skipModifiers, skipQualifiers } from './walk.ts';

/**
 * A decoded value: integers up to 32 bits are numbers, wider ones bigints, `bool` is boolean, an enum's value is its name (the
 * number where it has none), `char[N]` with a C string is a string, other byte arrays are Uint8Array, structures and unions are
 * objects (anonymous members flattened, all members of a union), pointers are bigints.
 */
export type BtfValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly BtfValue[]
  | { readonly [name: string]: BtfValue };

/** Reads a value of type `id` from the start of `bytes`. Throws {@link BtfError} where the bytes are too few. */
export function decodeValue(btf: Btf, id: number, bytes: Uint8Array): BtfValue {
  const size = sizeOf(btf, id);
  if (bytes.length < size)
    throw new BtfError('BTF_BAD_VALUE', `${bytes.length} bytes are too few for a value of ${size}`, { type_id: id });
  return guarded(id, () => decodeAt(btf, id, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0));
}

/** Types that lie about their size, or contain themselves, end in a RangeError of the engine: that is a fault of the BTF. */
function guarded<T>(id: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError)
      throw new BtfError('BTF_BAD_VALUE', 'the type reaches beyond its own size', { type_id: id });
    throw error;
  }
}

function decodeAt(btf: Btf, id: number, view: DataView, at: number): BtfValue {
  const type = skipModifiers(btf, id);
  switch (type.kind) {
    case 'INT':
      return decodeInt(btf, type, view, at);
    case 'ENUM':
    case 'ENUM64':
      return enumName(type, readInteger(view, at, type.size, type.signed, btf.littleEndian));
    case 'PTR':
      return view.getBigUint64(at, btf.littleEndian);
    case 'FLOAT':
      return type.size === 4 ? view.getFloat32(at, btf.littleEndian) : view.getFloat64(at, btf.littleEndian);
    case 'ARRAY':
      return decodeArray(btf, type, view, at);
    case 'STRUCT':
    case 'UNION':
      return decodeStruct(btf, type, view, at);
    case 'VAR':
      return decodeAt(btf, type.type, view, at);
    case 'DATASEC':
      return Object.fromEntries(type.vars.map((v) => [btf.type(v.type).name, decodeAt(btf, v.type, view, at + v.offset)]));
    default:
      throw new BtfError('BTF_NO_SIZE', `a ${type.kind} has no value`, { type_id: id });
  }
}

function decodeInt(btf: Btf, type: BtfInt, view: DataView, at: number): BtfValue {
  if (type.bit_offset !== 0 || type.bits !== type.size * 8) {
    return narrow(
      readBits(view, at * 8 + type.bit_offset, type.bits, (type.encoding & BTF_INT_SIGNED) !== 0, btf.littleEndian),
      type.bits,
    );
  }
  const raw = readInteger(view, at, type.size, (type.encoding & BTF_INT_SIGNED) !== 0, btf.littleEndian);
  return type.encoding & BTF_INT_BOOL ? raw !== 0n : narrow(raw, type.bits);
}

const narrow = (value: bigint, bits: number): BtfValue => (bits <= 32 ? Number(value) : value);

const enumName = (type: BtfEnum, value: bigint): BtfValue =>
  type.values.find((v) => v.value === value)?.name ?? narrow(value, type.size * 8);

/** Reads an integer of 1 to 16 bytes. */
export function readInteger(view: DataView, at: number, size: number, signed: boolean, little: boolean): bigint {
  let value = 0n;
  for (let i = 0; i < size; i++) value = (value << 8n) | BigInt(view.getUint8(little ? at + size - 1 - i : at + i));
  return signed ? BigInt.asIntN(size * 8, value) : value;
}

/** Reads a bit field: `bit` counts from the start of the view, from the low end on little-endian targets. */
export function readBits(view: DataView, bit: number, bits: number, signed: boolean, little: boolean): bigint {
  const first = bit >> 3;
  const bytes = ((bit & 7) + bits + 7) >> 3;
  const word = readInteger(view, first, bytes, false, little);
  const shift = little ? bit & 7 : bytes * 8 - (bit & 7) - bits;
  const value = BigInt.asUintN(bits, word >> BigInt(shift));
  return signed ? BigInt.asIntN(bits, value) : value;
}

function isByte(btf: Btf, id: number): boolean {
  const type = skipModifiers(btf, id);
  return type.kind === 'INT' && type.size === 1 && type.bits === 8 && (type.encoding & BTF_INT_BOOL) === 0;
}

/** Whether the elements are the C type `char` by name, as bpftool asks before it prints a string. */
function isChar(btf: Btf, id: number): boolean {
  const type = skipQualifiers(btf, id);
  return type.kind === 'INT' && type.name === 'char';
}

/** The text of a `char` array that holds a C string of printable characters followed by zeros only; else `undefined`. */
export function cStringOf(btf: Btf, type: BtfArray, bytes: Uint8Array): string | undefined {
  if (!isChar(btf, type.type)) return undefined;
  const end = bytes.indexOf(0);
  if (end < 0 || bytes.subarray(end).some((byte) => byte !== 0)) return undefined;
  const text = bytes.subarray(0, end);
  return text.every((byte) => byte >= 0x20 && byte < 0x7f) ? String.fromCharCode(...text) : undefined;
}

function decodeArray(btf: Btf, type: BtfArray, view: DataView, at: number): BtfValue {
  if (isByte(btf, type.type)) {
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at, type.nelems);
    return cStringOf(btf, type, bytes) ?? bytes.slice();
  }
  const step = sizeOf(btf, type.type);
  if (step === 0) return [];
  return Array.from({ length: type.nelems }, (_, i) => decodeAt(btf, type.type, view, at + i * step));
}

function decodeStruct(btf: Btf, type: BtfStruct, view: DataView, at: number): BtfValue {
  const result: Record<string, BtfValue> = {};
  for (const member of type.members) {
    const value = decodeMember(btf, member, view, at);
    if (member.name === '') {
      // An unnamed bit field is padding; an anonymous structure's members belong to the outer one.
      if (typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array)) Object.assign(result, value);
    } else result[member.name] = value;
  }
  return result;
}

function decodeMember(btf: Btf, member: BtfMember, view: DataView, at: number): BtfValue {
  const field = bitfieldOf(btf, member);
  if (!field) return decodeAt(btf, member.type, view, at + member.bit_offset / 8);
  const type = skipModifiers(btf, member.type);
  const signed =
    type.kind === 'INT'
      ? (type.encoding & BTF_INT_SIGNED) !== 0
      : type.kind === 'ENUM' || type.kind === 'ENUM64'
        ? type.signed
        : false;
  const value = readBits(view, at * 8 + field.bit_offset, field.bits, signed, btf.littleEndian);
  if (type.kind === 'ENUM' || type.kind === 'ENUM64') return enumName(type, value);
  return type.kind === 'INT' && type.encoding & BTF_INT_BOOL ? value !== 0n : narrow(value, field.bits);
}

/**
 * Writes a value of type `id` into new bytes. Takes what {@link decodeValue} gives, and for each integer a number, a bigint or a
 * boolean; members that are absent stay zero. Throws {@link BtfError} for values that do not fit.
 */
export function encodeValue(btf: Btf, id: number, value: BtfValue): Uint8Array {
  const bytes = new Uint8Array(sizeOf(btf, id));
  guarded(id, () => encodeAt(btf, id, value, new DataView(bytes.buffer), 0));
  return bytes;
}

function encodeAt(btf: Btf, id: number, value: BtfValue, view: DataView, at: number): void {
  const type = skipModifiers(btf, id);
  switch (type.kind) {
    case 'INT':
      return writeBits(view, at * 8 + type.bit_offset, type.bits, toInteger(value, id), btf.littleEndian, id);
    case 'ENUM':
    case 'ENUM64':
      return writeBits(view, at * 8, type.size * 8, enumNumber(type, value), btf.littleEndian, id);
    case 'PTR':
      return writeBits(view, at * 8, 64, toInteger(value, id), btf.littleEndian, id);
    case 'FLOAT':
      return type.size === 4
        ? view.setFloat32(at, Number(value), btf.littleEndian)
        : view.setFloat64(at, Number(value), btf.littleEndian);
    case 'ARRAY':
      return encodeArray(btf, type, value, view, at);
    case 'STRUCT':
    case 'UNION':
      return encodeStruct(btf, type, value, view, at);
    case 'VAR':
      return encodeAt(btf, type.type, value, view, at);
    case 'DATASEC':
      return type.vars.forEach((v) =>
        encodeMember(btf, v.type, toObject(value, id)[btf.type(v.type).name], view, at + v.offset),
      );
    default:
      throw new BtfError('BTF_NO_SIZE', `a ${type.kind} has no value`, { type_id: id });
  }
}

function encodeMember(btf: Btf, id: number, value: BtfValue | undefined, view: DataView, at: number): void {
  if (value !== undefined) encodeAt(btf, id, value, view, at);
}

function toInteger(value: BtfValue, id: number): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  throw new BtfError('BTF_BAD_VALUE', `${typeof value === 'number' ? value : typeof value} is not an integer`, { type_id: id });
}

function enumNumber(type: BtfEnum, value: BtfValue): bigint {
  if (typeof value !== 'string') return toInteger(value, type.id);
  const found = type.values.find((v) => v.name === value);
  if (!found) throw new BtfError('BTF_BAD_VALUE', `enum ${type.name} has no value '${value}'`, { type_id: type.id });
  return found.value;
}

function toObject(value: BtfValue, id: number): Record<string, BtfValue> {
  if (typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array))
    return value as Record<string, BtfValue>;
  throw new BtfError('BTF_BAD_VALUE', 'a structure needs an object', { type_id: id });
}

function writeBits(view: DataView, bit: number, bits: number, value: bigint, little: boolean, id: number): void {
  if (value >= 1n << BigInt(bits) || value < -(1n << BigInt(bits - 1))) {
    throw new BtfError('BTF_BAD_VALUE', `${value} does not fit ${bits} bits`, { type_id: id });
  }
  const first = bit >> 3;
  const bytes = ((bit & 7) + bits + 7) >> 3;
  const shift = BigInt(little ? bit & 7 : bytes * 8 - (bit & 7) - bits);
  const mask = ((1n << BigInt(bits)) - 1n) << shift;
  let word = (readInteger(view, first, bytes, false, little) & ~mask) | (BigInt.asUintN(bits, value) << shift);
  for (let i = 0; i < bytes; i++, word >>= 8n) view.setUint8(little ? first + i : first + bytes - 1 - i, Number(word & 0xffn));
}

function encodeArray(btf: Btf, type: BtfArray, value: BtfValue, view: DataView, at: number): void {
  const items = typeof value === 'string' ? new TextEncoder().encode(value) : (value as readonly BtfValue[] | Uint8Array);
  if (typeof items !== 'object' || !('length' in items))
    throw new BtfError('BTF_BAD_VALUE', 'an array needs an array', { type_id: type.id });
  if (items.length > type.nelems)
    throw new BtfError('BTF_BAD_VALUE', `${items.length} elements do not fit ${type.nelems}`, { type_id: type.id });
  const step = sizeOf(btf, type.type);
  for (let i = 0; i < items.length; i++) encodeAt(btf, type.type, items[i]!, view, at + i * step);
}

function encodeStruct(btf: Btf, type: BtfStruct, value: BtfValue, view: DataView, at: number): void {
  const given = toObject(value, type.id);
  for (const member of type.members) {
    if (member.name === '') {
      const inner = skipModifiers(btf, member.type);
      if (inner.kind === 'STRUCT' || inner.kind === 'UNION') encodeStruct(btf, inner, given, view, at + member.bit_offset / 8);
      continue;
    }
    const item = given[member.name];
    if (item === undefined) continue;
    const field = bitfieldOf(btf, member);
    const target = skipModifiers(btf, member.type);
    if (!field) encodeAt(btf, member.type, item, view, at + member.bit_offset / 8);
    else {
      const number = target.kind === 'ENUM' || target.kind === 'ENUM64' ? enumNumber(target, item) : toInteger(item, type.id);
      writeBits(view, at * 8 + field.bit_offset, field.bits, number, btf.littleEndian, type.id);
    }
  }
}
