/** Whether a member fits its structure. Mirrors the `check_member` and `check_kflag_member` of each kind. */

import type { TypeCheck } from './check-resolve.ts';
import type { BtfInt, BtfMember, BtfStruct, BtfType } from './types.ts';

const bytesOf = (bits: number): number => Math.ceil(bits / 8);
const COPY_LIMIT = 128;

/** A member of a structure without the bit field flag: its offset has all 32 bits. */
export function checkMember(check: TypeCheck, struct: BtfStruct, member: BtfMember, type: BtfType): void {
  const target = behindModifiers(check, type);
  const bit = member.bit_offset;
  switch (target.kind) {
    case 'INT':
      return checkInt(check, struct, bit + target.bit_offset, target.bits);
    case 'PTR':
    case 'ARRAY':
    case 'STRUCT':
    case 'UNION':
    case 'ENUM':
    case 'ENUM64':
      return checkAligned(check, struct, bit, check.sized(target.id)!.size);
    case 'FLOAT':
      if ((bit >> 3) % Math.min(8, target.size) !== 0) throw check.refuse('Member is not properly aligned');
      return checkFits(check, struct, bit >> 3, target.size);
    default:
      throw check.refuse('Unsupported check_member');
  }
}

/** A member of a structure with the bit field flag: 24 bits of offset, 8 bits of size. */
export function checkBitMember(check: TypeCheck, struct: BtfStruct, member: BtfMember, type: BtfType): void {
  const target = behindModifiers(check, type);
  const { bit_offset, bitfield_size } = member;
  if (target.kind === 'INT') return checkIntField(check, struct, bit_offset, bitfield_size, target);
  if (target.kind === 'ENUM' || target.kind === 'ENUM64') return checkEnumField(check, struct, bit_offset, bitfield_size);
  if (bitfield_size !== 0) throw check.refuse('Invalid member bitfield_size');
  checkMember(check, struct, member, type);
}

function behindModifiers(check: TypeCheck, type: BtfType): BtfType {
  switch (type.kind) {
    case 'TYPEDEF':
    case 'VOLATILE':
    case 'CONST':
    case 'RESTRICT':
    case 'TYPE_TAG':
      return check.sized(type.id)?.type ?? type;
    default:
      return type;
  }
}

function checkFits(check: TypeCheck, struct: BtfStruct, offset: number, size: number): void {
  if (struct.size < offset || struct.size - offset < size) throw check.refuse('Member exceeds struct_size');
}

function checkAligned(check: TypeCheck, struct: BtfStruct, bit: number, size: number): void {
  if (bit % 8 !== 0) throw check.refuse('Member is not byte aligned');
  checkFits(check, struct, bit / 8, size);
}

function checkInt(check: TypeCheck, struct: BtfStruct, bit: number, bits: number): void {
  if (bit > 0xffffffff) throw check.refuse('bits_offset exceeds U32_MAX');
  const copied = bits + (bit % 8);
  if (copied > COPY_LIMIT) throw check.refuse('nr_copy_bits exceeds 128');
  checkFits(check, struct, Math.floor(bit / 8), bytesOf(copied));
}

function checkIntField(check: TypeCheck, struct: BtfStruct, bit: number, size: number, type: BtfInt): void {
  if (!isRegular(type)) throw check.refuse('Invalid member base type');
  if (size === 0 && bit % 8 !== 0) throw check.refuse('Invalid member offset');
  if (size > type.bits) throw check.refuse('Invalid member bitfield_size');
  checkInt(check, struct, bit, size || type.bits);
}

function checkEnumField(check: TypeCheck, struct: BtfStruct, bit: number, size: number): void {
  const width = 32;
  if (size === 0 && bit % 8 !== 0) throw check.refuse('Member is not byte aligned');
  if (size > width) throw check.refuse('Invalid member bitfield_size');
  const bytes = size === 0 ? width / 8 : bytesOf(size + (bit % 8));
  checkFits(check, struct, bit >> 3, bytes);
}

/** An integer whose bits are a power of two of whole bytes. The kernel does not compare them with its size. */
export const isRegular = (type: { readonly bit_offset: number; readonly bits: number }): boolean =>
  type.bit_offset === 0 && [8, 16, 32, 64, 128].includes(type.bits);
