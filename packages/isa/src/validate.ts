/** Whether a program is well-formed: what can be said without following values. */

import { IsaError } from './error.ts';
import type { BpfInsn } from './insn.ts';
import {
  BPF_LD,
  BPF_MAX_INSNS,
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  BPF_REG_FP,
  MAX_BPF_REG,
} from './opcode.ts';
import { ATOMIC, OPCODES, opcodeOf } from './table.ts';
import type { AluOp, Opcode, OpcodeKind } from './table.ts';

export interface ValidateOptions {
  /** Most instruction slots; BPF_MAX_INSNS by default. */
  readonly maxInsns?: number;
  /** Takes `callx` and shifts by more than the width, which the kernel refuses and an engine defines (the amount is masked). */
  readonly unverified?: boolean;
}

/** Throws IsaError, naming the instruction and its field, unless every instruction is one and control stays inside of the program. */
export function validate(insns: readonly BpfInsn[], options: ValidateOptions = {}): void {
  const { maxInsns = BPF_MAX_INSNS } = options;
  if (insns.length === 0) throw new IsaError('empty', 'a program has at least one instruction');
  if (insns.length > maxInsns)
    throw new IsaError('too-long', `${insns.length} instructions are more than ${maxInsns}`, maxInsns);
  const second = new Uint8Array(insns.length);
  const targets: { from: number; to: number; field: string }[] = [];
  for (let index = 0; index < insns.length; index++) {
    if (second[index]) continue;
    const insn = insns[index]!;
    const opcode = checkedOpcode(insn, index);
    checkRegisters(insn, opcode, index);
    checkReserved(insn, opcode, index, options.unverified ?? false);
    const target = targetOf(insn, opcode, index);
    if (target) targets.push({ from: index, ...target });
    if (opcode.kind === 'ld_imm64') {
      checkSecondHalf(insns, index);
      second[index + 1] = 1;
    }
  }
  for (const { from, to, field } of targets) {
    if (to < 0 || to >= insns.length) throw new IsaError('jump', `jump out of range from insn ${from} to ${to}`, from, field);
    if (second[to]) throw new IsaError('jump', `jump into the middle of ldimm64 insn ${to}`, from, field);
  }
  const last = insns.length - 1;
  const end = second[last] ? undefined : opcodeOf(insns[last]!);
  if (end?.kind !== 'exit' && end?.kind !== 'goto') throw new IsaError('exit', 'last insn is not an exit or jmp', last, 'code');
}

function checkedOpcode(insn: BpfInsn, index: number): Opcode {
  const opcode = opcodeOf(insn);
  if (opcode) return opcode;
  const variants = OPCODES[insn.code]?.variants;
  const code = insn.code.toString(16).padStart(2, '0');
  if (!variants) throw new IsaError('opcode', `unknown opcode ${code}`, index, 'code');
  const field = variants[0]!.field;
  throw new IsaError(
    'opcode',
    `opcode ${code} has no variant with ${field} ${insn[field as 'off' | 'imm' | 'src_reg']}`,
    index,
    field,
  );
}

function checkRegisters(insn: BpfInsn, opcode: Opcode, index: number): void {
  for (const field of ['dst_reg', 'src_reg'] as const) {
    if (insn[field] >= MAX_BPF_REG) throw new IsaError('register', `R${insn[field]} is invalid`, index, field);
  }
  if (insn.dst_reg === BPF_REG_FP && writesDestination(opcode)) {
    throw new IsaError('register', 'frame pointer is read only', index, 'dst_reg');
  }
  if (
    insn.src_reg === BPF_REG_FP &&
    opcode.kind === 'atomic' &&
    opcode.op !== 'cmpxchg' &&
    opcode.op !== 'load_acquire' &&
    ATOMIC[opcode.op].fetch
  ) {
    throw new IsaError('register', 'frame pointer is read only', index, 'src_reg');
  }
}

function writesDestination(opcode: Opcode): boolean {
  const { kind } = opcode;
  return (
    kind === 'alu' ||
    kind === 'end' ||
    kind === 'load' ||
    kind === 'ld_imm64' ||
    (kind === 'atomic' && opcode.op === 'load_acquire')
  );
}

type Field = 'dst_reg' | 'src_reg' | 'off' | 'imm';

/** Fields that an instruction of a kind uses; the others must be 0. */
const usedFields: { readonly [Kind in OpcodeKind]: (opcode: Extract<Opcode, { kind: Kind }>) => readonly Field[] } = {
  alu: ({ op, source }) =>
    op === 'neg'
      ? ['dst_reg']
      : op === 'addr_space_cast'
        ? ['dst_reg', 'src_reg', 'off', 'imm']
        : ['dst_reg', 'off', source === 'x' ? 'src_reg' : 'imm'],
  end: () => ['dst_reg', 'imm'],
  jump: ({ source }) => ['dst_reg', 'off', source === 'x' ? 'src_reg' : 'imm'],
  goto: ({ far }) => [far ? 'imm' : 'off'],
  may_goto: () => ['off'],
  call: ({ target }) =>
    target === 'register' ? ['dst_reg'] : target === 'kfunc' ? ['src_reg', 'off', 'imm'] : ['src_reg', 'imm'],
  exit: () => [],
  load: () => ['dst_reg', 'src_reg', 'off'],
  store: ({ source }) => ['dst_reg', 'off', source === 'x' ? 'src_reg' : 'imm'],
  atomic: () => ['dst_reg', 'src_reg', 'off', 'imm'],
  ld_imm64: () => ['dst_reg', 'src_reg', 'imm'],
  ld_packet: ({ mode }) => (mode === 'ind' ? ['src_reg', 'imm'] : ['imm']),
};

const shifts: ReadonlySet<AluOp> = new Set(['lsh', 'rsh', 'arsh']);
const divisions: ReadonlySet<AluOp> = new Set(['div', 'sdiv', 'mod', 'smod']);

function checkReserved(insn: BpfInsn, opcode: Opcode, index: number, unverified: boolean): void {
  const used = (usedFields[opcode.kind] as (opcode: Opcode) => readonly Field[])(opcode);
  for (const field of ['dst_reg', 'src_reg', 'off', 'imm'] as const) {
    if (insn[field] !== 0 && !used.includes(field)) {
      throw new IsaError('reserved', `${field} is reserved and must be 0, not ${insn[field]}`, index, field);
    }
  }
  // div, mod and mov use the offset to choose a variant; for other operations opcodeOf does not look at it.
  if (
    opcode.kind === 'alu' &&
    insn.off !== 0 &&
    !divisions.has(opcode.op) &&
    !opcode.op.startsWith('movsx') &&
    opcode.op !== 'addr_space_cast'
  ) {
    throw new IsaError('reserved', `off is reserved and must be 0, not ${insn.off}`, index, 'off');
  }
  if (opcode.kind === 'ld_imm64' && insn.src_reg > BPF_PSEUDO_MAP_IDX_VALUE) {
    throw new IsaError('reserved', `ld_imm64 has no form with src_reg ${insn.src_reg}`, index, 'src_reg');
  }
  if (unverified || opcode.kind !== 'alu' || opcode.source === 'x') return;
  if (shifts.has(opcode.op) && (insn.imm < 0 || insn.imm >= opcode.bits)) {
    throw new IsaError('immediate', `invalid shift ${insn.imm}`, index, 'imm');
  }
  if (divisions.has(opcode.op) && insn.imm === 0) throw new IsaError('immediate', 'div by zero', index, 'imm');
}

function targetOf(insn: BpfInsn, opcode: Opcode, index: number): { to: number; field: string } | undefined {
  switch (opcode.kind) {
    case 'jump':
    case 'may_goto':
      return { to: index + 1 + insn.off, field: 'off' };
    case 'goto':
      return opcode.far ? { to: index + 1 + insn.imm, field: 'imm' } : { to: index + 1 + insn.off, field: 'off' };
    case 'call':
      return opcode.target === 'subprogram' ? { to: index + 1 + insn.imm, field: 'imm' } : undefined;
    case 'ld_imm64':
      return insn.src_reg === BPF_PSEUDO_FUNC ? { to: index + 1 + insn.imm, field: 'imm' } : undefined;
    default:
      return undefined;
  }
}

/** Kinds of ld_imm64 whose upper half must be 0. */
const emptyUpperHalf: ReadonlySet<number> = new Set([BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_IDX, BPF_PSEUDO_FUNC]);
const knownPseudo: ReadonlySet<number> = new Set([
  0,
  BPF_PSEUDO_MAP_VALUE,
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_MAP_IDX_VALUE,
  ...emptyUpperHalf,
]);

function checkSecondHalf(insns: readonly BpfInsn[], index: number): void {
  const upper = insns[index + 1];
  if (!upper || upper.code !== BPF_LD)
    throw new IsaError('ld_imm64', 'invalid bpf_ld_imm64 insn: its second half is missing', index, 'code');
  for (const field of ['dst_reg', 'src_reg', 'off'] as const) {
    if (upper[field] !== 0)
      throw new IsaError('ld_imm64', `${field} of the second half of ld_imm64 must be 0`, index + 1, field);
  }
  const pseudo = insns[index]!.src_reg;
  if (!knownPseudo.has(pseudo) || (emptyUpperHalf.has(pseudo) && upper.imm !== 0)) {
    throw new IsaError('ld_imm64', 'the second half of this ld_imm64 must be 0', index + 1, 'imm');
  }
}
