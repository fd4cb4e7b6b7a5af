/** C declarations of types, in an order in which a compiler takes them. */

import type { Btf } from './btf.ts';
import { BtfError } from './errors.ts';
import {
  BTF_INT_BOOL,
  BTF_INT_CHAR,
  BTF_INT_SIGNED,
  type BtfEnum,
  type BtfInt,
  type BtfModifier,
  type BtfStruct,
  type BtfType,
} from './types.ts';
import { alignOf, sizeOf } from './walk.ts';

/** C text of the given types and of all that they need, or of all named types. */
export function dumpC(btf: Btf, ids?: readonly number[]): string {
  const dumper = new Dumper(btf);
  try {
    (ids ?? allDeclared(btf)).forEach((id) => dumper.need(id));
  } catch (error) {
    // Only types that refer to themselves without a name on the way go on for ever.
    if (error instanceof RangeError) throw new BtfError('BTF_LOOP', 'types refer to each other without an end');
    throw error;
  }
  return dumper.text();
}

/** A declaration of one name with a type: `int (*handler)(struct ctx *)`. */
export function declare(btf: Btf, id: number, name: string): string {
  return new Dumper(btf).declaration(id, name, 0);
}

/** Named types, and enums without a name that nothing refers to: they are there for their constants. */
function allDeclared(btf: Btf): number[] {
  const used = new Set<number>();
  const declared: BtfType[] = [];
  for (const type of btf.types()) {
    if ('members' in type) type.members.forEach((member) => used.add(member.type));
    else if ('type' in type) used.add(type.type);
    if (type.kind === 'FUNC_PROTO') type.params.forEach((param) => used.add(param.type));
    if (['STRUCT', 'UNION', 'ENUM', 'ENUM64', 'TYPEDEF', 'FWD'].includes(type.kind)) declared.push(type);
  }
  return declared
    .filter((type) => type.name !== '' || (type.kind.startsWith('ENUM') && !used.has(type.id)))
    .map((type) => type.id);
}

const INDENT = '\t';
/** Bits that are bridged by an array instead of bit fields. */
const LARGE_GAP = 1024;

class Dumper {
  readonly #btf: Btf;
  readonly #done = new Set<number>();
  readonly #doing = new Set<number>();
  readonly #forwarded = new Set<string>();
  readonly #blocks: string[] = [];
  /** Names in use, so that two types of one name do not collide. */
  readonly #names = new Map<string, number>();
  readonly #unique = new Map<number, string>();

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  text(): string {
    return this.#blocks.length === 0 ? '' : `${this.#blocks.join('\n\n')}\n`;
  }

  /** Emits a type, and first what it contains; what it only points to is declared forward. */
  need(id: number, byPointer = false): void {
    const type = this.#btf.type(id);
    switch (type.kind) {
      case 'STRUCT':
      case 'UNION':
        return type.name !== '' && byPointer ? this.#forward(type) : this.#needStruct(type);
      case 'ENUM':
      case 'ENUM64':
        return this.#once(type, () => this.#blocks.push(`${this.#enum(type, 0)};`));
      case 'FWD':
        return this.#forward(type);
      case 'TYPEDEF':
        return this.#typedef(type, byPointer);
      case 'PTR':
        return this.need(type.type, true);
      case 'ARRAY':
        return this.need(type.type);
      case 'CONST':
      case 'VOLATILE':
      case 'RESTRICT':
      case 'TYPE_TAG':
      case 'VAR':
      case 'DECL_TAG':
        return this.need(type.type, byPointer);
      case 'FUNC':
        return this.need(type.type, true);
      case 'FUNC_PROTO':
        this.need(type.type, true);
        return type.params.forEach((param) => this.need(param.type, true));
      default:
    }
  }

  /** A typedef of a named structure needs no more than its name, so that the two may refer to each other. */
  #typedef(type: BtfModifier, byPointer: boolean): void {
    const target = this.#btf.type(type.type);
    const named = (target.kind === 'STRUCT' || target.kind === 'UNION') && target.name !== '';
    this.#once(type, () => {
      this.need(type.type, named || byPointer);
      this.#blocks.push(`typedef ${this.declaration(type.type, this.#nameOf(type), 0)};`);
    });
    if (!byPointer) this.need(type.type);
  }

  #once(type: BtfType, emit: () => void): void {
    if (this.#done.has(type.id) || this.#doing.has(type.id)) return;
    this.#doing.add(type.id);
    emit();
    this.#doing.delete(type.id);
    this.#done.add(type.id);
  }

  #forward(type: BtfType): void {
    if (this.#done.has(type.id) || type.name === '') return;
    const keyword = type.kind === 'UNION' || (type.kind === 'FWD' && type.union) ? 'union' : 'struct';
    const key = `${keyword} ${this.#nameOf(type)}`;
    if (this.#forwarded.has(key)) return;
    this.#forwarded.add(key);
    this.#blocks.push(`${key};`);
  }

  #needStruct(type: BtfStruct): void {
    this.#once(type, () => {
      type.members.forEach((member) => this.need(member.type));
      if (type.name !== '') this.#blocks.push(`${this.#struct(type, 0)};`);
    });
  }

  /** The type's name, with a number where another type of its kind has the same. */
  #nameOf(type: BtfType): string {
    const known = this.#unique.get(type.id);
    if (known !== undefined || type.name === '') return known ?? '';
    const space = type.kind === 'TYPEDEF' ? 'typedef' : 'tag';
    const key = `${space} ${type.name}`;
    const forward = type.kind === 'FWD';
    const count = (this.#names.get(key) ?? 0) + (forward ? 0 : 1);
    this.#names.set(key, count);
    const name = count > 1 ? `${type.name}___${count}` : type.name;
    this.#unique.set(type.id, name);
    return name;
  }

  #struct(type: BtfStruct, level: number): string {
    const packed = this.#isPacked(type);
    const lines: string[] = [];
    let end = 0;
    for (const member of type.members) {
      const bits = member.bitfield_size ? `: ${member.bitfield_size}` : '';
      if (type.kind === 'STRUCT')
        lines.push(
          ...this.#padding(
            end,
            member.bit_offset,
            packed ? 1 : member.bitfield_size ? 0 : alignOf(this.#btf, member.type) || 1,
          ),
        );
      lines.push(`${this.declaration(member.type, member.name, level + 1)}${bits};`);
      end = member.bit_offset + (member.bitfield_size || sizeOf(this.#btf, member.type) * 8);
    }
    const align = packed ? 1 : alignOf(this.#btf, type.id) || 1;
    if (type.kind === 'STRUCT' && lines.length > 0) lines.push(...this.#padding(end, type.size * 8, align));
    const pad = INDENT.repeat(level + 1);
    const name = this.#nameOf(type);
    const head = `${type.kind.toLowerCase()}${name ? ` ${name}` : ''}`;
    const attribute = packed ? ' __attribute__((packed))' : '';
    return lines.length === 0
      ? `${head} {}${attribute}`
      : `${head} {\n${lines.map((line) => pad + line).join('\n')}\n${INDENT.repeat(level)}}${attribute}`;
  }

  /** Unnamed bit fields for a gap that the alignment of what follows does not explain. `align` 0: a bit field follows. */
  #padding(end: number, next: number, align: number): string[] {
    const reached = align === 0 ? end : Math.ceil(end / (8 * align)) * 8 * align;
    const lines: string[] = [];
    for (let at = end; reached < next && at < next;) {
      if (at % 8 === 0 && next - at > LARGE_GAP) {
        lines.push(`unsigned char __pad_${at / 8}[${Math.floor((next - at) / 8)}];`);
        at += Math.floor((next - at) / 8) * 8;
        continue;
      }
      const unit = [64, 32, 16, 8].find((bits) => at % bits === 0 && next - at >= bits);
      const bits = unit ?? Math.min(next - at, 8 - (at % 8));
      lines.push(`${unit ? { 64: 'long long', 32: 'int', 16: 'short', 8: 'char' }[unit as 64] : 'char'}: ${bits};`);
      at += bits;
    }
    return lines;
  }

  #isPacked(type: BtfStruct): boolean {
    const aligns = type.members.map((member) => alignOf(this.#btf, member.type) || 1);
    if (type.size % Math.max(1, ...aligns) !== 0) return true;
    return type.members.some((member, i) => member.bitfield_size === 0 && member.bit_offset % (8 * aligns[i]!) !== 0);
  }

  #enum(type: BtfEnum, level: number): string {
    const pad = INDENT.repeat(level + 1);
    const suffix = type.kind === 'ENUM64' ? (type.signed ? 'LL' : 'ULL') : '';
    const name = this.#nameOf(type);
    const lines = type.values.map((value) => `${pad}${this.#constant(value.name)} = ${value.value}${suffix},`);
    const attribute = { 1: ' __attribute__((mode(byte)))', 2: ' __attribute__((mode(HI)))' }[type.size as 1 | 2] ?? '';
    return `enum${name ? ` ${name}` : ''} {\n${lines.join('\n')}\n${INDENT.repeat(level)}}${attribute}`;
  }

  /** Constants share one space of names. */
  #constant(name: string): string {
    const count = (this.#names.get(`constant ${name}`) ?? 0) + 1;
    this.#names.set(`constant ${name}`, count);
    return count > 1 ? `${name}___${count}` : name;
  }

  /** C's inside-out declarations: qualifiers and base type to the left, pointers around the name, arrays and parameters to the right. */
  declaration(id: number, name: string, level: number): string {
    let inner = name;
    let current = this.#btf.type(id);
    let qualifiers: string[] = [];
    for (let depth = 0; depth < 64; depth++) {
      switch (current.kind) {
        case 'CONST':
        case 'VOLATILE':
        case 'RESTRICT':
          if (!qualifiers.includes(current.kind.toLowerCase())) qualifiers.push(current.kind.toLowerCase());
          current = this.#btf.type(current.type);
          continue;
        case 'TYPE_TAG':
          current = this.#btf.type(current.type);
          continue;
        case 'PTR':
          inner = `*${qualifiers.length > 0 ? `${qualifiers.join(' ')} ` : ''}${inner}`;
          qualifiers = [];
          current = this.#btf.type(current.type);
          continue;
        case 'ARRAY':
          inner = `${bracketed(inner)}[${current.nelems}]`;
          current = this.#btf.type(current.type);
          continue;
        case 'FUNC_PROTO': {
          const params = current.params.map((param) =>
            param.type === 0 ? '...' : this.declaration(param.type, param.name, level),
          );
          inner = `${bracketed(inner)}(${params.length > 0 ? params.join(', ') : 'void'})`;
          current = this.#btf.type(current.type);
          continue;
        }
        default:
      }
      break;
    }
    const base = [...qualifiers, this.#base(current, level)].join(' ');
    return inner === '' ? base : `${base} ${inner}`;
  }

  #base(type: BtfType, level: number): string {
    switch (type.kind) {
      case 'VOID':
        return 'void';
      case 'INT':
        return type.name || intName(type);
      case 'STRUCT':
      case 'UNION':
        return type.name === '' ? this.#struct(type, level) : `${type.kind.toLowerCase()} ${this.#nameOf(type)}`;
      case 'ENUM':
      case 'ENUM64':
        return type.name === '' ? this.#enum(type, level) : `enum ${this.#nameOf(type)}`;
      case 'FWD':
        return `${type.union ? 'union' : 'struct'} ${type.name}`;
      case 'TYPEDEF':
        return this.#nameOf(type);
      default:
        return type.name;
    }
  }
}

const bracketed = (inner: string): string => (inner.startsWith('*') ? `(${inner})` : inner);

function intName(type: BtfInt): string {
  if (type.encoding & BTF_INT_BOOL) return 'bool';
  if (type.encoding & BTF_INT_CHAR) return 'char';
  const name = { 1: 'char', 2: 'short', 4: 'int', 8: 'long long', 16: '__int128' }[type.size] ?? 'int';
  return type.encoding & BTF_INT_SIGNED ? name : `unsigned ${name}`;
}
