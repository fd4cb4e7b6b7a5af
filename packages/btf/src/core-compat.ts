/** When two types of two BTFs count as the same for CO-RE: for fields, for types, and for exact matches. */

import type { Btf } from './btf.ts';
import { essentialName } from './name-index.ts';
import {
  BTF_INT_SIGNED,
  type BtfEnum,
  type BtfFuncProto,
  type BtfFwd,
  type BtfInt,
  type BtfStruct,
  type BtfType,
} from './types.ts';
import { skipModifiers } from './walk.ts';

const MAX_DEPTH = 32;

export const isComposite = (type: BtfType): type is BtfStruct => type.kind === 'STRUCT' || type.kind === 'UNION';
export const isAnyEnum = (type: BtfType): type is BtfEnum => type.kind === 'ENUM' || type.kind === 'ENUM64';

/** Same kind, enums of both widths being one. */
export const kindsAreCompatible = (a: BtfType, b: BtfType): boolean => a.kind === b.kind || (isAnyEnum(a) && isAnyEnum(b));

/** Whether a member of the one type may stand for a member of the other. Mirrors `bpf_core_fields_are_compat`. */
export function fieldsAreCompatible(localBtf: Btf, localId: number, targetBtf: Btf, targetId: number): boolean {
  let local = skipModifiers(localBtf, localId);
  let target = skipModifiers(targetBtf, targetId);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    if (isComposite(local) && isComposite(target)) return true;
    if (!kindsAreCompatible(local, target)) return false;
    switch (local.kind) {
      case 'PTR':
      case 'FLOAT':
        return true;
      case 'FWD':
      case 'ENUM':
      case 'ENUM64': {
        const [a, b] = [essentialName(local.name), essentialName(target.name)];
        return a === '' || b === '' || a === b;
      }
      case 'INT':
        return local.bit_offset === 0 && (target as BtfInt).bit_offset === 0;
      case 'ARRAY':
        local = skipModifiers(localBtf, local.type);
        target = skipModifiers(targetBtf, (target as { type: number }).type);
        break;
      default:
        return false;
    }
  }
  return false;
}

/** Whether two types are of the same shape, not looking into structures. Mirrors `bpf_core_types_are_compat`. */
export function typesAreCompatible(localBtf: Btf, localId: number, targetBtf: Btf, targetId: number, depth = 0): boolean {
  if (depth > MAX_DEPTH) return false;
  const local = skipModifiers(localBtf, localId);
  const target = skipModifiers(targetBtf, targetId);
  if (!kindsAreCompatible(local, target)) return false;
  switch (local.kind) {
    case 'VOID':
    case 'STRUCT':
    case 'UNION':
    case 'ENUM':
    case 'FWD':
    case 'ENUM64':
      return true;
    case 'INT':
      return local.bit_offset === 0 && (target as BtfInt).bit_offset === 0;
    case 'PTR':
    case 'ARRAY':
      return typesAreCompatible(localBtf, local.type, targetBtf, (target as { type: number }).type, depth + 1);
    case 'FUNC_PROTO':
      return signatures(local, target as BtfFuncProto, (a, b) => typesAreCompatible(localBtf, a, targetBtf, b, depth + 1));
    default:
      return false;
  }
}

function signatures(local: BtfFuncProto, target: BtfFuncProto, same: (local: number, target: number) => boolean): boolean {
  if (local.params.length !== target.params.length) return false;
  return local.params.every((param, i) => same(param.type, target.params[i]!.type)) && same(local.type, target.type);
}

const namesMatch = (a: string, b: string): boolean => essentialName(a) === essentialName(b);

/** Whether the local type is a cut-down copy of the target: each of its members is there. Mirrors `bpf_core_types_match`. */
export function typesMatch(
  localBtf: Btf,
  localId: number,
  targetBtf: Btf,
  targetId: number,
  behindPointer = false,
  depth = 0,
): boolean {
  if (depth > MAX_DEPTH) return false;
  const local = skipModifiers(localBtf, localId);
  const target = skipModifiers(targetBtf, targetId);
  if (!namesMatch(local.name, target.name)) return false;
  const inner = (a: number, b: number, behind: boolean): boolean => typesMatch(localBtf, a, targetBtf, b, behind, depth + 1);
  switch (local.kind) {
    case 'VOID':
      return target.kind === 'VOID';
    case 'FWD':
      return forwardMatches(local, target, behindPointer);
    case 'ENUM':
    case 'ENUM64':
      return isAnyEnum(target) && enumMatches(local, target);
    case 'STRUCT':
    case 'UNION':
      if (behindPointer)
        return local.kind === target.kind || (target.kind === 'FWD' && (local.kind === 'UNION') === target.union);
      return local.kind === target.kind && compositeMatches(local, target as BtfStruct, (a, b) => inner(a, b, behindPointer));
    case 'INT':
      return (
        target.kind === 'INT' &&
        local.size === target.size &&
        (local.encoding & BTF_INT_SIGNED) === (target.encoding & BTF_INT_SIGNED)
      );
    case 'PTR':
      return target.kind === 'PTR' && inner(local.type, target.type, true);
    case 'ARRAY':
      return target.kind === 'ARRAY' && local.nelems === target.nelems && inner(local.type, target.type, behindPointer);
    case 'FUNC_PROTO':
      return target.kind === 'FUNC_PROTO' && signatures(local, target, (a, b) => inner(a, b, behindPointer));
    default:
      return false;
  }
}

function forwardMatches(local: BtfFwd, target: BtfType, behindPointer: boolean): boolean {
  if (target.kind === 'FWD') return local.union === target.union;
  return behindPointer && target.kind === (local.union ? 'UNION' : 'STRUCT');
}

function enumMatches(local: BtfEnum, target: BtfEnum): boolean {
  if (local.size !== target.size || local.values.length > target.values.length) return false;
  return local.values.every((value) => target.values.some((other) => namesMatch(value.name, other.name)));
}

function compositeMatches(local: BtfStruct, target: BtfStruct, same: (local: number, target: number) => boolean): boolean {
  if (local.members.length > target.members.length) return false;
  return local.members.every((member) =>
    target.members.some((other) => namesMatch(member.name, other.name) && same(member.type, other.type)),
  );
}
