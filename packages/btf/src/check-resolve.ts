/** Second pass over BTF: types in relation to each other. Mirrors `btf_check_all_types` and the `resolve` of each kind. */

import type { Btf } from './btf.ts';
import { checkBitMember, checkMember, isRegular } from './check-member.ts';
import { BtfRefusal } from './check-refusal.ts';
import type {
  BtfArray,
  BtfDatasec,
  BtfDeclTag,
  BtfFunc,
  BtfFuncProto,
  BtfModifier,
  BtfPtr,
  BtfStruct,
  BtfType,
  BtfVar,
} from './types.ts';

const MAX_DEPTH = 32;
const MAX_TAG_CHAIN = 15;

type Mode = 'TBD' | 'PTR' | 'STRUCT_OR_ARRAY';
const SOURCE_ONLY = new Set(['VAR', 'DECL_TAG', 'DATASEC']);
const MODIFIERS = new Set(['TYPEDEF', 'VOLATILE', 'CONST', 'RESTRICT', 'TYPE_TAG']);
const NEEDS_RESOLVE = new Set([...MODIFIERS, 'PTR', 'STRUCT', 'UNION', 'ARRAY', 'VAR', 'FUNC', 'DECL_TAG', 'DATASEC']);
const NO_SIZE = new Set(['VOID', 'FWD', 'FUNC', 'FUNC_PROTO', 'DECL_TAG']);

interface Vertex {
  readonly type: BtfType;
  next: number;
}

/** Throws {@link BtfRefusal} for the first type that the kernel would refuse. */
export function checkTypes(btf: Btf): void {
  new TypeCheck(btf).run();
}

export class TypeCheck {
  readonly btf: Btf;
  /** 0 not visited, 1 on the stack, 2 resolved. */
  readonly #state: Uint8Array;
  readonly #resolvedIds: Uint32Array;
  readonly #resolvedSizes: Float64Array;
  #stack: Vertex[] = [];
  #mode: Mode = 'TBD';
  #current = 0;

  constructor(btf: Btf) {
    this.btf = btf;
    this.#state = new Uint8Array(btf.typeCount);
    this.#resolvedIds = new Uint32Array(btf.typeCount);
    this.#resolvedSizes = new Float64Array(btf.typeCount);
  }

  run(): void {
    for (let id = 1; id < this.btf.typeCount; id++) {
      this.#current = id;
      const type = this.btf.type(id);
      if (NEEDS_RESOLVE.has(type.kind) && this.#state[id] !== 2) this.#resolve(type);
      if (type.kind === 'FUNC_PROTO') this.#funcProto(type);
    }
    this.#typeTags();
  }

  refuse(why: string): BtfRefusal {
    return new BtfRefusal('EINVAL', `[${this.#current}] ${why}`);
  }

  /** A type by id, or `undefined` beyond the last one. */
  at(id: number): BtfType | undefined {
    return id < this.btf.typeCount ? this.btf.type(id) : undefined;
  }

  /** The type that has a value, behind what is resolved, and its size; `undefined` where there is none. Mirrors `btf_type_id_size`. */
  sized(id: number): { readonly type: BtfType; readonly size: number } | undefined {
    const type = this.at(id);
    if (!type || NO_SIZE.has(type.kind)) return undefined;
    if (MODIFIERS.has(type.kind) || type.kind === 'VAR') {
      const target = this.at(this.#resolvedIds[id]!);
      return this.#state[id] === 2 && target && target.kind !== 'VAR' && !MODIFIERS.has(target.kind)
        ? this.sized(target.id)
        : undefined;
    }
    if (type.kind === 'ARRAY') return { type, size: this.#resolvedSizes[id]! };
    if (type.kind === 'PTR') return { type, size: 8 };
    return 'size' in type ? { type, size: type.size } : undefined;
  }

  #resolve(type: BtfType): void {
    this.#stack = [];
    this.#mode = 'TBD';
    try {
      this.#push(type);
      while (this.#stack.length > 0) {
        const vertex = this.#stack.at(-1)!;
        this.#current = vertex.type.id;
        this.#step(vertex);
      }
    } catch (error) {
      if (error instanceof BtfRefusal && error.errno !== 'EINVAL') {
        throw new BtfRefusal(
          error.errno,
          `[${type.id}] ${error.errno === 'E2BIG' ? `Exceeded max resolving depth:${MAX_DEPTH}` : 'Loop detected'}`,
        );
      }
      throw error;
    }
    this.#current = type.id;
  }

  #push(type: BtfType): void {
    if (this.#stack.length === MAX_DEPTH) throw new BtfRefusal('E2BIG', '');
    if (this.#state[type.id] !== 0) throw new BtfRefusal('EEXIST', '');
    this.#state[type.id] = 1;
    this.#stack.push({ type, next: 0 });
    if (this.#mode !== 'TBD') return;
    if (type.kind === 'PTR') this.#mode = 'PTR';
    else if (type.kind === 'STRUCT' || type.kind === 'UNION' || type.kind === 'ARRAY') this.#mode = 'STRUCT_OR_ARRAY';
  }

  /** Marks the top as resolved to a type (and size). */
  #pop(id = 0, size = 0): void {
    const { type } = this.#stack.pop()!;
    this.#state[type.id] = 2;
    this.#resolvedIds[type.id] = id;
    this.#resolvedSizes[type.id] = size;
  }

  /** Whether the way to a value ends at this type, in the current mode: a pointer's target may stay open, a member may not. */
  #isSink(type: BtfType): boolean {
    switch (this.#mode) {
      case 'TBD':
        return !NEEDS_RESOLVE.has(type.kind);
      case 'PTR':
        return !MODIFIERS.has(type.kind) && type.kind !== 'PTR';
      case 'STRUCT_OR_ARRAY':
        return !MODIFIERS.has(type.kind) && type.kind !== 'ARRAY' && type.kind !== 'STRUCT' && type.kind !== 'UNION';
    }
  }

  /** Pushes a type that must be resolved first. True where it did. */
  #first(type: BtfType): boolean {
    if (this.#isSink(type) || this.#state[type.id] === 2) return false;
    this.#push(type);
    return true;
  }

  #step(vertex: Vertex): void {
    const { type } = vertex;
    switch (type.kind) {
      case 'TYPEDEF':
      case 'VOLATILE':
      case 'CONST':
      case 'RESTRICT':
      case 'TYPE_TAG':
      case 'PTR':
        return this.#reference(type);
      case 'VAR':
        return this.#variable(type);
      case 'ARRAY':
        return this.#array(type);
      case 'STRUCT':
      case 'UNION':
        return this.#composite(type, vertex);
      case 'FUNC':
        return this.#func(type);
      case 'DECL_TAG':
        return this.#declTag(type);
      case 'DATASEC':
        return this.#datasec(type, vertex);
      default:
        return this.#pop();
    }
  }

  #target(type: { readonly type: number }): BtfType {
    const target = this.at(type.type);
    if (!target || SOURCE_ONLY.has(target.kind)) throw this.refuse('Invalid type_id');
    return target;
  }

  #reference(type: BtfModifier | BtfPtr): void {
    let target = this.#target(type);
    if (this.#first(target)) return;
    // A pointer to a type that a modifier resolves to another pointer: that one comes first.
    if (type.kind === 'PTR' && MODIFIERS.has(target.kind)) {
      const behind = this.at(this.#resolvedIds[target.id]!);
      if (behind?.kind === 'PTR' && this.#first(behind)) return;
    }
    const found = this.sized(target.id);
    if (!found) {
      if (this.#state[target.id] === 2) target = this.at(this.#resolvedIds[target.id]!) ?? target;
      if (target.kind !== 'VOID' && target.kind !== 'FWD' && target.kind !== 'FUNC_PROTO') throw this.refuse('Invalid type_id');
    }
    this.#pop(found?.type.id ?? target.id);
  }

  #variable(type: BtfVar): void {
    const target = this.#target(type);
    if (this.#first(target)) return;
    if (MODIFIERS.has(target.kind)) {
      const behind = this.at(this.#resolvedIds[target.id]!);
      if (behind?.kind === 'PTR' && this.#first(behind)) return;
    }
    const found = this.sized(target.id);
    if (!found) throw this.refuse('Invalid type_id');
    this.#pop(found.type.id);
  }

  #array(type: BtfArray): void {
    const index = this.at(type.index_type);
    if (!index || NO_SIZE.has(index.kind) || SOURCE_ONLY.has(index.kind)) throw this.refuse('Invalid index');
    if (this.#first(index)) return;
    const indexType = this.sized(index.id)?.type;
    if (indexType?.kind !== 'INT' || !isRegular(indexType)) throw this.refuse('Invalid index');
    const element = this.at(type.type);
    if (!element || NO_SIZE.has(element.kind) || SOURCE_ONLY.has(element.kind)) throw this.refuse('Invalid elem');
    if (this.#first(element)) return;
    const found = this.sized(element.id);
    if (!found) throw this.refuse('Invalid elem');
    if (found.type.kind === 'INT' && !isRegular(found.type)) throw this.refuse('Invalid array of int');
    if (found.size * type.nelems > 0xffffffff) throw this.refuse('Array size overflows U32_MAX');
    this.#pop(found.type.id, found.size * type.nelems);
  }

  #composite(type: BtfStruct, vertex: Vertex): void {
    const kflag = hasFlag(this.btf, type.id);
    for (; vertex.next < type.members.length; vertex.next++) {
      const member = type.members[vertex.next]!;
      const target = this.at(member.type);
      if (!target || NO_SIZE.has(target.kind) || SOURCE_ONLY.has(target.kind)) throw this.refuse('Invalid member');
      if (this.#first(target)) return;
      if (kflag) checkBitMember(this, type, member, target);
      else checkMember(this, type, member, target);
    }
    this.#pop();
  }

  #func(type: BtfFunc): void {
    const proto = this.at(type.type);
    if (proto?.kind !== 'FUNC_PROTO') throw this.refuse('Invalid type_id');
    proto.params.forEach((param, i) => {
      if (param.name === '' && param.type !== 0) throw this.refuse(`Invalid arg#${i + 1}`);
    });
    this.#pop();
  }

  #declTag(type: BtfDeclTag): void {
    const target = this.at(type.type);
    if (!target || !['FUNC', 'STRUCT', 'UNION', 'VAR', 'TYPEDEF'].includes(target.kind)) throw this.refuse('Invalid type_id');
    if (this.#first(target)) return;
    if (type.component_idx !== -1) {
      const proto = target.kind === 'FUNC' ? this.at(target.type) : undefined;
      const count =
        target.kind === 'STRUCT' || target.kind === 'UNION'
          ? target.members.length
          : proto?.kind === 'FUNC_PROTO'
            ? proto.params.length
            : 0;
      if (type.component_idx >= count) throw this.refuse('Invalid component_idx');
    }
    this.#pop(target.id);
  }

  #datasec(type: BtfDatasec, vertex: Vertex): void {
    for (; vertex.next < type.vars.length; vertex.next++) {
      const item = type.vars[vertex.next]!;
      const variable = this.at(item.type);
      if (variable?.kind !== 'VAR') throw this.refuse('Not a VAR kind member');
      if (this.#first(variable)) return;
      const found = this.sized(variable.type);
      if (!found) throw this.refuse('Invalid type');
      if (item.size < found.size) throw this.refuse('Invalid size');
    }
    this.#pop();
  }

  /** Mirrors `btf_func_proto_check`. */
  #funcProto(type: BtfFuncProto): void {
    if (type.type !== 0 && !this.#hasValue(type.type, type.id)) throw this.refuse('Invalid return type');
    const last = type.params.at(-1);
    const variadic = last !== undefined && last.type === 0;
    if (variadic && last.name !== '') throw this.refuse(`Invalid arg#${type.params.length}`);
    type.params.slice(0, variadic ? -1 : undefined).forEach((param, i) => {
      if (param.type === 0 || !isIdentifierOrEmpty(param.name) || !this.#hasValue(param.type, type.id))
        throw this.refuse(`Invalid arg#${i + 1}`);
    });
  }

  #hasValue(id: number, owner: number): boolean {
    const type = this.at(id);
    if (!type || SOURCE_ONLY.has(type.kind)) return false;
    if (NEEDS_RESOLVE.has(type.kind) && this.#state[id] !== 2) this.#resolve(type);
    this.#current = owner;
    return this.sized(id) !== undefined;
  }

  /** In a chain of modifiers the tags come first. Mirrors `btf_check_type_tags`. */
  #typeTags(): void {
    for (let id = 1; id < this.btf.typeCount; id++) {
      let type = this.btf.type(id);
      let inTags = type.kind === 'TYPE_TAG';
      for (let left = MAX_TAG_CHAIN; MODIFIERS.has(type.kind); left--) {
        if (left === 0) throw new BtfRefusal('ELOOP', 'Max chain length or cycle detected');
        if (type.kind !== 'TYPE_TAG') inTags = false;
        else if (!inTags) throw new BtfRefusal('EINVAL', "Type tags don't precede modifiers");
        type = this.btf.type((type as BtfModifier).type);
      }
    }
  }
}

/** Characters beyond ASCII were judged as bytes in the first pass, where they stand in names of types. */
const isIdentifierOrEmpty = (name: string): boolean =>
  name === '' || (/^[A-Za-z_.\u00c0-\uffff][\w.\u00c0-\uffff]*$/.test(name) && name.length < 512);

/** The kind flag of a record: bit 31 of its info word. */
function hasFlag(btf: Btf, id: number): boolean {
  const at = btf.recordOffset(id);
  return (btf.bytes[at + (btf.littleEndian ? 7 : 4)]! & 0x80) !== 0;
}
