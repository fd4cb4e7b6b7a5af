/** CO-RE: computes what each relocation means on a target and patches the instruction, as libbpf and the kernel do. */

import type { Btf } from './btf.ts';
import { isAnyEnum, isComposite, kindsAreCompatible } from './core-compat.ts';
import {
  CORE_KINDS,
  coreSpecText,
  isEnumKind,
  isFieldKind,
  matchCoreSpec,
  parseCoreSpec,
  type CoreKind,
  type CoreSpec,
} from './core-spec.ts';
import { BtfError } from './errors.ts';
import { essentialName } from './name-index.ts';
import { BTF_INT_SIGNED } from './types.ts';
import { sizeOf, skipModifiers } from './walk.ts';

/** The instruction of a relocation that has no answer becomes a call of this helper number plus the relocation's index. */
export const CORE_POISON_BASE = 195896080;

/** What the engine needs of an instruction; `BpfInsn` of `@libbpf-ts/isa` is one. */
export interface CoreInsn {
  readonly code: number;
  readonly dst_reg: number;
  readonly src_reg: number;
  readonly off: number;
  readonly imm: number;
}

export interface CoreRequest {
  /** Type id in the local BTF. */
  readonly type_id: number;
  readonly access: string;
  /** `enum bpf_core_relo_kind`. */
  readonly kind: number;
}

/** What a relocation means on the target. Mirrors `struct bpf_core_relo_res`. */
export interface CoreResult {
  /** The value that the compiler put into the instruction. */
  readonly original: bigint;
  readonly value: bigint;
  /** No target has what is asked for: the instruction is poisoned, and the verifier refuses it if it can be reached. */
  readonly poison: boolean;
  /** Whether the instruction must hold `original` before it is patched. */
  readonly validate: boolean;
  /** The field has another size on the target, and its type does not allow the access to be resized. */
  readonly resizeFails: boolean;
  readonly originalSize: number;
  readonly size: number;
  readonly local: CoreSpec;
  /** `undefined` where nothing on the target matches. */
  readonly target: CoreSpec | undefined;
}

/** Resolves the relocations of one local BTF against targets (the kernel's BTF first, then those of modules). */
export class CoreResolver {
  readonly #local: Btf;
  readonly #targets: readonly Btf[];
  readonly #candidates = new Map<number, readonly { readonly btf: Btf; readonly id: number }[]>();

  constructor(local: Btf, targets: readonly Btf[]) {
    this.#local = local;
    this.#targets = targets;
  }

  /** Mirrors `bpf_core_calc_relo_insn`. Throws {@link BtfError} with a `CORE_…` code for a relocation that is malformed or ambiguous. */
  resolve(request: CoreRequest): CoreResult {
    const kind = CORE_KINDS[request.kind];
    if (!kind)
      throw new BtfError('CORE_BAD_SPEC', `CO-RE relocation of unknown kind ${request.kind}`, { type_id: request.type_id });
    const local = parseCoreSpec(this.#local, request.type_id, request.access, kind);
    if (kind === 'local_type_id')
      return { ...known(local, undefined), original: BigInt(request.type_id), value: BigInt(request.type_id), validate: false };
    const name = this.#local.type(request.type_id).name;
    if (name === '')
      throw new BtfError('CORE_BAD_SPEC', `${coreSpecText(local)}: CO-RE has no candidates for anonymous types`, {
        type_id: request.type_id,
      });
    const found: CoreResult[] = [];
    const matched: { readonly btf: Btf; readonly id: number }[] = [];
    for (const candidate of this.#candidatesOf(request.type_id, name)) {
      const target = matchCoreSpec(local, candidate.btf, candidate.id);
      if (!target) continue;
      found.push(calculate(local, target));
      matched.push(candidate);
    }
    const first = found[0];
    if (!first) return calculate(local, undefined);
    const other = found.find(
      (result) =>
        result.target!.bit_offset !== first.target!.bit_offset ||
        result.poison !== first.poison ||
        result.value !== first.value,
    );
    if (other) {
      throw new BtfError(
        'CORE_AMBIGUOUS',
        `${coreSpecText(local)}: the candidates [${first.target!.root_type_id}] and [${other.target!.root_type_id}] disagree: ${first.value} and ${other.value}`,
        { type_id: request.type_id },
      );
    }
    // Later relocations of this type ask only those that matched.
    this.#candidates.set(request.type_id, matched);
    return first;
  }

  #candidatesOf(type_id: number, name: string): readonly { readonly btf: Btf; readonly id: number }[] {
    const cached = this.#candidates.get(type_id);
    if (cached) return cached;
    const local = this.#local.type(type_id);
    const list = this.#targets.flatMap((btf) =>
      btf
        .idsByEssentialName(essentialName(name))
        .filter((id) => kindsAreCompatible(local, btf.type(id)))
        .map((id) => ({ btf, id })),
    );
    this.#candidates.set(type_id, list);
    return list;
  }
}

interface Answer {
  readonly value: bigint;
  readonly validate?: boolean;
  readonly size?: number;
  readonly type_id?: number;
}

const known = (local: CoreSpec, target: CoreSpec | undefined): CoreResult => ({
  original: 0n,
  value: 0n,
  poison: false,
  validate: true,
  resizeFails: false,
  originalSize: 0,
  size: 0,
  local,
  target,
});

function calculate(local: CoreSpec, target: CoreSpec | undefined): CoreResult {
  const answer = isFieldKind(local.kind) ? fieldAnswer : isEnumKind(local.kind) ? enumAnswer : typeAnswer;
  const mine = answer(local.kind, local);
  const theirs = answer(local.kind, target);
  const base = known(local, target);
  if (!mine || !theirs) return { ...base, original: mine?.value ?? 0n, poison: true };
  return {
    ...base,
    original: mine.value,
    value: theirs.value,
    validate: mine.validate ?? true,
    originalSize: mine.size ?? 0,
    size: theirs.size ?? 0,
    resizeFails: target !== undefined && mine.size !== theirs.size && !mayResize(local.btf, mine, target.btf, theirs),
  };
}

/** Pointers and unsigned integers keep their meaning when they are read at another width. */
function mayResize(localBtf: Btf, mine: Answer, targetBtf: Btf, theirs: Answer): boolean {
  const local = localBtf.type(mine.type_id!);
  const target = targetBtf.type(theirs.type_id!);
  if (local.kind === 'PTR' && target.kind === 'PTR') return true;
  return (
    local.kind === 'INT' && target.kind === 'INT' && local.encoding !== BTF_INT_SIGNED && target.encoding !== BTF_INT_SIGNED
  );
}

function fieldAnswer(kind: CoreKind, spec: CoreSpec | undefined): Answer | undefined {
  if (kind === 'field_exists') return { value: spec ? 1n : 0n };
  if (!spec) return undefined;
  const last = spec.accessors.at(-1)!;
  if (last.name === undefined) {
    const size = sizeOf(spec.btf, last.type_id);
    if (kind === 'byte_off') return { value: BigInt(spec.bit_offset >> 3), size, type_id: last.type_id };
    if (kind === 'byte_sz') return { value: BigInt(size) };
    throw new BtfError('CORE_BAD_SPEC', `${coreSpecText(spec)}: an array element has no such property`, {
      type_id: last.type_id,
    });
  }
  return memberAnswer(kind, spec);
}

function memberAnswer(kind: CoreKind, spec: CoreSpec): Answer {
  const { btf, bit_offset } = spec;
  const last = spec.accessors.at(-1)!;
  const holder = btf.type(last.type_id);
  const member = isComposite(holder) ? holder.members[last.index]! : undefined;
  if (!member) throw new BtfError('CORE_BAD_SPEC', 'a CO-RE accessor has lost its structure', { type_id: last.type_id });
  const type = skipModifiers(btf, member.type);
  const bitfield = member.bitfield_size > 0;
  const place = bitfield
    ? bitfieldPlace(bit_offset, member.bitfield_size, 'size' in type ? type.size : 0, last.type_id)
    : { offset: bit_offset >> 3, size: sizeOf(btf, type.id), bits: sizeOf(btf, type.id) * 8 };
  switch (kind) {
    case 'byte_off': {
      if (bitfield) return { value: BigInt(place.offset), validate: false };
      // An array is read by element: that is the size which the instruction has.
      let element = type;
      for (let depth = 0; element.kind === 'ARRAY' && depth < 32; depth++) element = skipModifiers(btf, element.type);
      return { value: BigInt(place.offset), size: sizeOf(btf, element.id), type_id: element.id };
    }
    case 'byte_sz':
      return { value: BigInt(place.size), validate: !bitfield };
    case 'signed': {
      const signed = isAnyEnum(type) ? type.signed : type.kind === 'INT' && (type.encoding & BTF_INT_SIGNED) !== 0;
      return { value: signed ? 1n : 0n };
    }
    case 'lshift_u64':
      return { value: BigInt(64 - (bit_offset + place.bits - place.offset * 8)), validate: !bitfield };
    case 'rshift_u64':
      return { value: BigInt(64 - place.bits) };
    default:
      throw new BtfError('CORE_BAD_SPEC', `${kind} is not about a field`, { type_id: last.type_id });
  }
}

/** The smallest aligned load that holds all bits of a bit field. */
function bitfieldPlace(
  bit_offset: number,
  bits: number,
  size: number,
  type_id: number,
): { offset: number; size: number; bits: number } {
  if (size <= 0) throw new BtfError('CORE_BAD_SPEC', 'a bit field of a type without size', { type_id });
  const start = (bytes: number): number => Math.floor((bit_offset >> 3) / bytes) * bytes;
  let bytes = size;
  while (bit_offset + bits - start(bytes) * 8 > bytes * 8) {
    if (bytes >= 8) throw new BtfError('CORE_BAD_SPEC', 'a bit field does not fit a 64-bit load', { type_id });
    bytes *= 2;
  }
  return { offset: start(bytes), size: bytes, bits };
}

function typeAnswer(kind: CoreKind, spec: CoreSpec | undefined): Answer {
  if (!spec) return { value: 0n };
  switch (kind) {
    case 'target_type_id':
      return { value: BigInt(spec.root_type_id), validate: false };
    case 'type_size':
      return { value: BigInt(sizeOf(spec.btf, spec.root_type_id)) };
    default:
      return { value: 1n };
  }
}

function enumAnswer(kind: CoreKind, spec: CoreSpec | undefined): Answer | undefined {
  if (kind === 'enumval_exists') return { value: spec ? 1n : 0n };
  if (!spec) return undefined;
  const type = spec.btf.type(spec.accessors[0]!.type_id);
  if (!isAnyEnum(type)) return undefined;
  const { value } = type.values[spec.accessors[0]!.index]!;
  return { value: type.kind === 'ENUM' ? BigInt.asIntN(32, value) : value };
}

const LDX = 1;
const ST = 2;
const STX = 3;
const LD_IMM64 = 0x18;
const SIZES: Readonly<Record<number, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };

/**
 * Patches `insns[index]` in place of the array (the instruction objects themselves are replaced, never changed).
 * `relocation` is the relocation's number, which a poisoned instruction carries. Mirrors `bpf_core_patch_insn`.
 */
export function patchCore(insns: CoreInsn[], index: number, relocation: number, result: CoreResult): void {
  const insn = insns[index];
  if (!insn) throw refused(result, index, 'lies beyond the program');
  const wide = insn.code === LD_IMM64;
  if (result.poison) return poison(insns, index, relocation, wide);
  const { original, value } = result;
  switch (insn.code & 7) {
    case 4:
    case 7: // ALU, ALU64
      if (insn.code & 8) throw refused(result, index, 'takes a register, not a constant');
      expectValue(result, index, BigInt(insn.imm));
      insns[index] = { ...insn, imm: Number(BigInt.asIntN(32, value)) };
      return;
    case LDX:
    case ST:
    case STX:
      expectValue(result, index, BigInt(insn.off));
      if (value > 0x7fffn) throw refused(result, index, `cannot hold offset ${value}`);
      if (result.resizeFails) return poison(insns, index, relocation, wide);
      insns[index] = { ...insn, off: Number(value), code: resized(insn, index, result) };
      return;
    case 0: {
      const high = insns[index + 1];
      if (!wide || insn.src_reg !== 0 || !high || high.code !== 0) throw refused(result, index, 'is no 64-bit constant');
      const held = (BigInt(high.imm) << 32n) | BigInt(insn.imm >>> 0);
      if (result.validate && BigInt.asUintN(64, held) !== BigInt.asUintN(64, original))
        throw refused(result, index, `holds ${held}, not ${original}`);
      insns[index] = { ...insn, imm: Number(BigInt.asIntN(32, value)) };
      insns[index + 1] = { ...high, imm: Number(BigInt.asIntN(32, value >> 32n)) };
      return;
    }
    default:
      throw refused(result, index, `has opcode 0x${insn.code.toString(16)}, which no relocation can change`);
  }
}

function poison(insns: CoreInsn[], index: number, relocation: number, wide: boolean): void {
  const call: CoreInsn = { code: 0x85, dst_reg: 0, src_reg: 0, off: 0, imm: CORE_POISON_BASE + relocation };
  insns[index] = call;
  if (wide && index + 1 < insns.length) insns[index + 1] = call;
}

function expectValue(result: CoreResult, index: number, held: bigint): void {
  if (result.validate && BigInt.asIntN(32, held) !== BigInt.asIntN(32, result.original))
    throw refused(result, index, `holds ${held}, not ${result.original}`);
}

function resized(insn: CoreInsn, index: number, result: CoreResult): number {
  if (result.size === result.originalSize) return insn.code;
  const have = { 0x10: 1, 0x08: 2, 0x00: 4, 0x18: 8 }[insn.code & 0x18];
  const bits = SIZES[result.size];
  if (have !== result.originalSize || bits === undefined)
    throw refused(
      result,
      index,
      `accesses ${have} bytes; the field has ${result.originalSize} here and ${result.size} on the target`,
    );
  return (insn.code & ~0x18) | bits;
}

const refused = (result: CoreResult, index: number, why: string): BtfError =>
  new BtfError('CORE_UNEXPECTED_INSN', `${coreSpecText(result.local)}: instruction ${index} ${why}`);
