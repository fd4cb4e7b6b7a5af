/** Questions about types: what is behind modifiers, how large, how aligned, which member. */

import type { Btf } from './btf.ts';
import { BtfError } from './errors.ts';
import type { BtfMember, BtfStruct, BtfType } from './types.ts';

/** Deeper chains of modifiers are taken for loops, as libbpf does. */
const MAX_RESOLVE_DEPTH = 32;

/** The type behind typedefs, const, volatile, restrict and type tags. */
export function skipModifiers(btf: Btf, id: number): BtfType {
  return follow(btf, id, true);
}

/** The type behind const, volatile, restrict and type tags; stops at a typedef. */
export function skipQualifiers(btf: Btf, id: number): BtfType {
  return follow(btf, id, false);
}

function follow(btf: Btf, id: number, typedefs: boolean): BtfType {
  let type = btf.type(id);
  for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
    switch (type.kind) {
      case 'TYPEDEF':
        if (!typedefs) return type;
        break;
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
        break;
      default:
        return type;
    }
    type = btf.type(type.type);
  }
  throw new BtfError('BTF_LOOP', 'a chain of modifiers does not end', { type_id: id });
}

/** Bytes of a value of this type. Throws for types that have none (void, functions, forward declarations). */
export function sizeOf(btf: Btf, id: number, pointerSize = 8): number {
  let count = 1;
  let type = btf.type(id);
  for (let depth = 0; depth < MAX_RESOLVE_DEPTH; depth++) {
    switch (type.kind) {
      case 'INT':
      case 'STRUCT':
      case 'UNION':
      case 'ENUM':
      case 'ENUM64':
      case 'FLOAT':
      case 'DATASEC':
        return checked(type.size, count, id);
      case 'PTR':
        return checked(pointerSize, count, id);
      case 'ARRAY':
        count *= type.nelems;
        break;
      case 'TYPEDEF':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
      case 'VAR':
      case 'DECL_TAG':
        break;
      default:
        throw new BtfError('BTF_NO_SIZE', `a ${type.kind} has no size`, { type_id: id });
    }
    if (count > 0xffffffff) throw new BtfError('BTF_TOO_LARGE', 'an array is larger than 4 GiB', { type_id: id });
    type = btf.type(type.type);
  }
  throw new BtfError('BTF_LOOP', 'a chain of types does not end', { type_id: id });
}

function checked(size: number, count: number, id: number): number {
  const total = size * count;
  if (total > 0xffffffff) throw new BtfError('BTF_TOO_LARGE', 'a value is larger than 4 GiB', { type_id: id });
  return total;
}

/** Natural alignment in bytes; 0 where the type has none. */
export function alignOf(btf: Btf, id: number, pointerSize = 8, depth = 0): number {
  if (depth > MAX_RESOLVE_DEPTH) throw new BtfError('BTF_LOOP', 'a chain of types does not end', { type_id: id });
  const type = btf.type(id);
  switch (type.kind) {
    case 'INT':
    case 'ENUM':
    case 'ENUM64':
    case 'FLOAT':
      return Math.min(pointerSize, type.size);
    case 'PTR':
      return pointerSize;
    case 'TYPEDEF':
    case 'VOLATILE':
    case 'CONST':
    case 'RESTRICT':
    case 'TYPE_TAG':
    case 'ARRAY':
    case 'VAR':
      return alignOf(btf, type.type, pointerSize, depth + 1);
    case 'STRUCT':
    case 'UNION':
      return structAlign(btf, type, pointerSize, depth);
    default:
      return 0;
  }
}

/** As libbpf computes it: a structure whose layout only fits when packed has alignment 1. */
function structAlign(btf: Btf, type: BtfStruct, pointerSize: number, depth: number): number {
  let align = 1;
  for (const member of type.members) {
    const own = alignOf(btf, member.type, pointerSize, depth + 1);
    if (own === 0) return 0;
    align = Math.max(align, own);
    if (member.bitfield_size === 0 && member.bit_offset % (8 * own) !== 0) return 1;
  }
  return type.size % align === 0 ? align : 1;
}

export interface FoundMember {
  readonly member: BtfMember;
  /** Bits from the start of the outermost structure. */
  readonly bit_offset: number;
  /** The anonymous members passed, outermost first. */
  readonly path: readonly number[];
}

/** A member by name, also inside anonymous structures and unions. */
export function findMember(btf: Btf, struct: BtfStruct, name: string, depth = 0): FoundMember | undefined {
  if (depth > MAX_RESOLVE_DEPTH) throw new BtfError('BTF_LOOP', 'structures contain each other', { type_id: struct.id });
  for (const [index, member] of struct.members.entries()) {
    if (member.name === name && name !== '') return { member, bit_offset: member.bit_offset, path: [index] };
    if (member.name !== '') continue;
    const inner = skipModifiers(btf, member.type);
    if (inner.kind !== 'STRUCT' && inner.kind !== 'UNION') continue;
    const found = findMember(btf, inner, name, depth + 1);
    if (found) return { member: found.member, bit_offset: member.bit_offset + found.bit_offset, path: [index, ...found.path] };
  }
  return undefined;
}

export interface BitRange {
  /** Bits from the start of the value. */
  readonly bit_offset: number;
  readonly bits: number;
}

/** The bits of a bit field member, in either form of BTF; `undefined` where the member is no bit field. */
export function bitfieldOf(btf: Btf, member: BtfMember): BitRange | undefined {
  if (member.bitfield_size !== 0) return { bit_offset: member.bit_offset, bits: member.bitfield_size };
  const type = skipModifiers(btf, member.type);
  if (type.kind !== 'INT') return undefined;
  if (type.bit_offset === 0 && type.bits === type.size * 8 && member.bit_offset % 8 === 0) return undefined;
  return { bit_offset: member.bit_offset + type.bit_offset, bits: type.bits };
}

/** C name of a type as bpftool prints it: `struct flow_key`, `__u32`, `const char *`, `int[4]`. */
export function typeName(btf: Btf, id: number, depth = 0): string {
  if (depth > MAX_RESOLVE_DEPTH) throw new BtfError('BTF_LOOP', 'a chain of types does not end', { type_id: id });
  const type = btf.type(id);
  const inner = (): string => typeName(btf, (type as { type: number }).type, depth + 1);
  switch (type.kind) {
    case 'STRUCT':
    case 'UNION':
      return `${type.kind.toLowerCase()} ${type.name || '(anon)'}`;
    case 'ENUM':
    case 'ENUM64':
      return `enum ${type.name || '(anon)'}`;
    case 'FWD':
      return `${type.union ? 'union' : 'struct'} ${type.name}`;
    case 'PTR':
      return `${inner()} *`;
    case 'ARRAY':
      return `${inner()}[${type.nelems}]`;
    case 'CONST':
    case 'VOLATILE':
    case 'RESTRICT':
      return `${type.kind.toLowerCase()} ${inner()}`;
    case 'TYPE_TAG':
      return inner();
    case 'FUNC_PROTO':
      return `${inner()} (${type.params.map((p) => (p.type === 0 ? '...' : typeName(btf, p.type, depth + 1))).join(', ')})`;
    default:
      return type.name;
  }
}
