/** What a CO-RE relocation asks for: an access into a local type, and the same access found in a target type. */

import type { Btf } from './btf.ts';
import { BtfError } from './errors.ts';
import { essentialName } from './name-index.ts';
import { fieldsAreCompatible, isAnyEnum, isComposite, typesAreCompatible, typesMatch } from './core-compat.ts';
import type { BtfArray, BtfStruct } from './types.ts';
import { sizeOf, skipModifiers } from './walk.ts';

/** `enum bpf_core_relo_kind`, by the names that libbpf prints. */
export const CORE_KINDS = [
  'byte_off',
  'byte_sz',
  'field_exists',
  'signed',
  'lshift_u64',
  'rshift_u64',
  'local_type_id',
  'target_type_id',
  'type_exists',
  'type_size',
  'enumval_exists',
  'enumval_value',
  'type_matches',
] as const;
export type CoreKind = (typeof CORE_KINDS)[number];

export const isFieldKind = (kind: CoreKind): boolean => CORE_KINDS.indexOf(kind) <= 5;
export const isEnumKind = (kind: CoreKind): boolean => kind === 'enumval_exists' || kind === 'enumval_value';

export interface CoreAccessor {
  readonly type_id: number;
  readonly index: number;
  /** Of a named member; `undefined` for an array element and for the root. */
  readonly name: string | undefined;
}

/** A resolved access: the accessors that have names or indexes, and where they end. */
export interface CoreSpec {
  readonly btf: Btf;
  readonly root_type_id: number;
  readonly kind: CoreKind;
  readonly raw: readonly number[];
  readonly accessors: readonly CoreAccessor[];
  readonly bit_offset: number;
}

const MAX_LENGTH = 64;

/** Parses an access string such as `0:1:2` against the local type. */
export function parseCoreSpec(btf: Btf, type_id: number, access: string, kind: CoreKind): CoreSpec {
  if (!/^\d+(:\d+)*$/.test(access))
    throw new BtfError('CORE_BAD_SPEC', `CO-RE access string '${access}' is malformed`, { type_id });
  const raw = access.split(':').map(Number);
  if (raw.length > MAX_LENGTH) throw new BtfError('CORE_BAD_SPEC', `CO-RE access string '${access}' is too long`, { type_id });
  const spec = { btf, root_type_id: type_id, kind, raw, accessors: [], bit_offset: 0 };
  if (isEnumKind(kind)) return { ...spec, accessors: [enumAccessor(btf, type_id, raw)] };
  if (!isFieldKind(kind)) {
    if (access !== '0')
      throw new BtfError('CORE_BAD_SPEC', `CO-RE access string '${access}' of a type is not '0'`, { type_id });
    return spec;
  }
  return { ...spec, ...walkLocal(btf, type_id, raw) };
}

function enumAccessor(btf: Btf, type_id: number, raw: readonly number[]): CoreAccessor {
  const type = skipModifiers(btf, type_id);
  const value = isAnyEnum(type) ? type.values[raw[0]!] : undefined;
  if (!value || raw.length !== 1) throw new BtfError('CORE_BAD_SPEC', 'CO-RE access string names no enum value', { type_id });
  return { type_id: type.id, index: raw[0]!, name: value.name };
}

function walkLocal(btf: Btf, type_id: number, raw: readonly number[]): Pick<CoreSpec, 'accessors' | 'bit_offset'> {
  let type = skipModifiers(btf, type_id);
  const accessors: CoreAccessor[] = [{ type_id: type.id, index: raw[0]!, name: undefined }];
  let bit_offset = raw[0]! * sizeOf(btf, type.id) * 8;
  for (const index of raw.slice(1)) {
    if (isComposite(type)) {
      const member = type.members[index];
      if (!member)
        throw new BtfError(
          'CORE_BAD_SPEC',
          `CO-RE access to member ${index} of '${type.name}', which has ${type.members.length}`,
          { type_id },
        );
      bit_offset += member.bit_offset;
      if (member.name !== '') accessors.push({ type_id: type.id, index, name: member.name });
      type = skipModifiers(btf, member.type);
    } else if (type.kind === 'ARRAY') {
      const flexible = isFlexible(btf, accessors.at(-1)!, type);
      if (!flexible && index >= type.nelems)
        throw new BtfError('CORE_BAD_SPEC', `CO-RE access to element ${index} of an array of ${type.nelems}`, { type_id });
      type = skipModifiers(btf, type.type);
      accessors.push({ type_id: type.id, index, name: undefined });
      bit_offset += index * sizeOf(btf, type.id) * 8;
    } else {
      throw new BtfError('CORE_BAD_SPEC', `CO-RE access into a ${type.kind}`, { type_id });
    }
  }
  return { accessors, bit_offset };
}

/** Whether an array of zero elements is the last member of its structure. */
function isFlexible(btf: Btf, last: CoreAccessor, array: BtfArray): boolean {
  if (last.name === undefined || array.nelems > 0) return false;
  const holder = btf.type(last.type_id);
  return isComposite(holder) && last.index === holder.members.length - 1;
}

/** The same access in a target type, or `undefined` where the target has none. Mirrors `bpf_core_spec_match`. */
export function matchCoreSpec(local: CoreSpec, btf: Btf, type_id: number): CoreSpec | undefined {
  const target = { btf, root_type_id: type_id, kind: local.kind, raw: [], accessors: [], bit_offset: 0 };
  if (isEnumKind(local.kind)) return matchEnum(local, target, type_id);
  if (!isFieldKind(local.kind)) {
    const matches = local.kind === 'type_matches' ? typesMatch : typesAreCompatible;
    return matches(local.btf, local.root_type_id, btf, type_id) ? target : undefined;
  }
  return new FieldMatch(local, btf).run(type_id);
}

function matchEnum(local: CoreSpec, target: CoreSpec, type_id: number): CoreSpec | undefined {
  const type = skipModifiers(target.btf, type_id);
  if (!isAnyEnum(type)) return undefined;
  const wanted = essentialName(local.accessors[0]!.name!);
  const index = type.values.findIndex((value) => essentialName(value.name) === wanted);
  if (index < 0) return undefined;
  return { ...target, raw: [index], accessors: [{ type_id: type.id, index, name: type.values[index]!.name }] };
}

/** Follows the named accessors of a local field access through a target structure. */
class FieldMatch {
  readonly #local: CoreSpec;
  readonly #btf: Btf;
  readonly #accessors: CoreAccessor[] = [];
  #raw: number[] = [];
  #bits = 0;

  constructor(local: CoreSpec, btf: Btf) {
    this.#local = local;
    this.#btf = btf;
  }

  run(type_id: number): CoreSpec | undefined {
    let id = type_id;
    for (const [i, accessor] of this.#local.accessors.entries()) {
      const next =
        accessor.name === undefined ? this.#element(skipModifiers(this.#btf, id).id, accessor, i) : this.#member(id, accessor);
      if (next === undefined) return undefined;
      id = next;
    }
    return {
      btf: this.#btf,
      root_type_id: type_id,
      kind: this.#local.kind,
      raw: this.#raw,
      accessors: this.#accessors,
      bit_offset: this.#bits,
    };
  }

  #element(id: number, accessor: CoreAccessor, position: number): number | undefined {
    let element = id;
    if (position > 0) {
      const array = this.#btf.type(id);
      if (array.kind !== 'ARRAY') return undefined;
      if (!isFlexible(this.#btf, this.#accessors.at(-1)!, array) && accessor.index >= array.nelems) return undefined;
      element = skipModifiers(this.#btf, array.type).id;
    }
    this.#accessors.push({ type_id: element, index: accessor.index, name: undefined });
    this.#raw.push(accessor.index);
    this.#bits += accessor.index * sizeOf(this.#btf, element) * 8;
    return element;
  }

  #member(id: number, accessor: CoreAccessor, depth = 0): number | undefined {
    const holder = skipModifiers(this.#btf, id);
    if (!isComposite(holder) || depth > 32) return undefined;
    const local = (this.#local.btf.type(accessor.type_id) as BtfStruct).members[accessor.index]!;
    for (const [index, member] of holder.members.entries()) {
      if (member.name === '') {
        const saved = this.#raw.length;
        this.#raw.push(index);
        this.#bits += member.bit_offset;
        const found = this.#member(member.type, accessor, depth + 1);
        if (found !== undefined) return found;
        this.#bits -= member.bit_offset;
        this.#raw = this.#raw.slice(0, saved);
      } else if (member.name === local.name) {
        if (!fieldsAreCompatible(this.#local.btf, local.type, this.#btf, member.type)) return undefined;
        this.#accessors.push({ type_id: holder.id, index, name: member.name });
        this.#raw.push(index);
        this.#bits += member.bit_offset;
        return member.type;
      }
    }
    return undefined;
  }
}

/** Text of a relocation as libbpf prints it: `<byte_off> [4] struct task_struct.pid (0:2 @ offset 16)`. */
export function coreSpecText(spec: CoreSpec): string {
  const type = spec.btf.type(spec.root_type_id);
  const head = `<${spec.kind}> [${spec.root_type_id}] ${type.kind === 'VOID' ? 'unknown' : type.kind.toLowerCase()} ${type.name || '<anon>'}`;
  if (isEnumKind(spec.kind)) {
    const holder = skipModifiers(spec.btf, spec.root_type_id);
    const value = isAnyEnum(holder) ? holder.values[spec.raw[0]!] : undefined;
    return `${head}::${value?.name} = ${value?.value}`;
  }
  if (!isFieldKind(spec.kind)) return head;
  const path = spec.accessors.map((accessor, i) =>
    accessor.name !== undefined ? `.${accessor.name}` : i > 0 || accessor.index > 0 ? `[${accessor.index}]` : '',
  );
  const bits = spec.bit_offset % 8 === 0 ? '' : `.${spec.bit_offset % 8}`;
  return `${head}${path.join('')} (${spec.raw.join(':')} @ offset ${Math.floor(spec.bit_offset / 8)}${bits})`;
}
