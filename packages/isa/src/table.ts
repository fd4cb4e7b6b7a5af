/**
 * The one table of what an instruction can be. Decoder, assembler, disassembler, validator, both engines and the verifier read it;
 * a reader keyed by `AluOp`, `JumpOp`, `AtomicOp`, `EndOp` or `Opcode['kind']` stops compiling when a row comes or goes.
 */

import type { BpfInsn } from './insn.ts';
import {
  BPF_ABS,
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CALL,
  BPF_DW,
  BPF_EXIT,
  BPF_IMM,
  BPF_IND,
  BPF_JCOND,
  BPF_JMP,
  BPF_JMP32,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_MAY_GOTO,
  BPF_MEM,
  BPF_MEMSX,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_ST,
  BPF_STX,
  BPF_X,
} from './opcode.ts';

/** Arithmetic. `bits` is the operation in the code byte, `off` the offset field that selects the variant, `text` the log's operator. */
export const ALU = {
  add: { bits: 0x00, off: 0, text: '+=' },
  sub: { bits: 0x10, off: 0, text: '-=' },
  mul: { bits: 0x20, off: 0, text: '*=' },
  div: { bits: 0x30, off: 0, text: '/=' },
  sdiv: { bits: 0x30, off: 1, text: 's/=' },
  or: { bits: 0x40, off: 0, text: '|=' },
  and: { bits: 0x50, off: 0, text: '&=' },
  lsh: { bits: 0x60, off: 0, text: '<<=' },
  rsh: { bits: 0x70, off: 0, text: '>>=' },
  neg: { bits: 0x80, off: 0, text: '-' },
  mod: { bits: 0x90, off: 0, text: '%=' },
  smod: { bits: 0x90, off: 1, text: 's%=' },
  xor: { bits: 0xa0, off: 0, text: '^=' },
  mov: { bits: 0xb0, off: 0, text: '=' },
  movsx8: { bits: 0xb0, off: 8, text: '= (s8)' },
  movsx16: { bits: 0xb0, off: 16, text: '= (s16)' },
  movsx32: { bits: 0xb0, off: 32, text: '= (s32)' },
  addr_space_cast: { bits: 0xb0, off: 1, text: 'addr_space_cast' },
  arsh: { bits: 0xc0, off: 0, text: 's>>=' },
} as const;
export type AluOp = keyof typeof ALU;

/** Conditional jumps. */
export const JUMP = {
  jeq: { bits: 0x10, text: '==' },
  jgt: { bits: 0x20, text: '>' },
  jge: { bits: 0x30, text: '>=' },
  jset: { bits: 0x40, text: '&' },
  jne: { bits: 0x50, text: '!=' },
  jsgt: { bits: 0x60, text: 's>' },
  jsge: { bits: 0x70, text: 's>=' },
  jlt: { bits: 0xa0, text: '<' },
  jle: { bits: 0xb0, text: '<=' },
  jslt: { bits: 0xc0, text: 's<' },
  jsle: { bits: 0xd0, text: 's<=' },
} as const;
export type JumpOp = keyof typeof JUMP;

/** Atomics by their immediate. `fetch` says that the old value comes back in a register. */
export const ATOMIC = {
  add: { imm: 0x00, fetch: false, text: '+=' },
  or: { imm: 0x40, fetch: false, text: '|=' },
  and: { imm: 0x50, fetch: false, text: '&=' },
  xor: { imm: 0xa0, fetch: false, text: '^=' },
  fetch_add: { imm: 0x01, fetch: true, text: 'fetch_add' },
  fetch_or: { imm: 0x41, fetch: true, text: 'fetch_or' },
  fetch_and: { imm: 0x51, fetch: true, text: 'fetch_and' },
  fetch_xor: { imm: 0xa1, fetch: true, text: 'fetch_xor' },
  xchg: { imm: 0xe1, fetch: true, text: 'xchg' },
  cmpxchg: { imm: 0xf1, fetch: true, text: 'cmpxchg' },
  load_acquire: { imm: 0x100, fetch: true, text: 'load_acquire' },
  store_release: { imm: 0x110, fetch: false, text: 'store_release' },
} as const;
export type AtomicOp = keyof typeof ATOMIC;

/** Byte swaps: `le` and `be` convert from or to host order (little-endian here), `bswap` always swaps. */
export const END = {
  le: { code: 0xd4, text: 'le' },
  be: { code: 0xdc, text: 'be' },
  bswap: { code: 0xd7, text: 'bswap' },
} as const;
export type EndOp = keyof typeof END;

/** Access sizes in bytes by the size bits of the code. */
export const SIZE = {
  w: { bits: 0x00, bytes: 4, text: 'u32', signed: 's32' },
  h: { bits: 0x08, bytes: 2, text: 'u16', signed: 's16' },
  b: { bits: 0x10, bytes: 1, text: 'u8', signed: 's8' },
  dw: { bits: 0x18, bytes: 8, text: 'u64', signed: 's64' },
} as const;
export type SizeBytes = 1 | 2 | 4 | 8;

/** Whether the second operand is the immediate or a register. */
export type Source = 'k' | 'x';

/** What one instruction does, all variants told apart. */
export type Opcode =
  | { readonly kind: 'alu'; readonly op: AluOp; readonly bits: 32 | 64; readonly source: Source }
  | { readonly kind: 'end'; readonly op: EndOp; readonly width: 16 | 32 | 64 }
  | { readonly kind: 'jump'; readonly op: JumpOp; readonly bits: 32 | 64; readonly source: Source }
  /** `far`: the offset is the 32-bit immediate. */
  | { readonly kind: 'goto'; readonly far: boolean }
  | { readonly kind: 'may_goto' }
  | { readonly kind: 'call'; readonly target: 'helper' | 'subprogram' | 'kfunc' | 'register' }
  | { readonly kind: 'exit' }
  | { readonly kind: 'load'; readonly size: SizeBytes; readonly signed: boolean }
  | { readonly kind: 'store'; readonly size: SizeBytes; readonly source: Source }
  | { readonly kind: 'atomic'; readonly op: AtomicOp; readonly size: SizeBytes }
  | { readonly kind: 'ld_imm64' }
  | { readonly kind: 'ld_packet'; readonly mode: 'abs' | 'ind'; readonly size: 1 | 2 | 4 };
export type OpcodeKind = Opcode['kind'];

/** A row by code byte: the rows that share the byte, and what tells them apart. */
export interface OpcodeRow {
  readonly code: number;
  /** Every opcode with this byte; one for most. */
  readonly variants: readonly OpcodeVariant[];
}

/** One opcode and the value of the field that selects it where several share a byte. */
export interface OpcodeVariant {
  readonly opcode: Opcode;
  readonly field: 'none' | 'off' | 'imm' | 'src_reg';
  readonly value: number;
}

/** Every code byte that means something; `undefined` elsewhere. Code 0 (second half of ld_imm64) is no opcode. */
export const OPCODES: readonly (OpcodeRow | undefined)[] = buildTable();

/** What `insn` does, or undefined where its code, or the field that selects a variant, is not an instruction. */
export function opcodeOf(insn: BpfInsn): Opcode | undefined {
  const variants = OPCODES[insn.code]?.variants;
  if (variants === undefined) return undefined;
  const first = variants[0]!;
  if (first.field === 'none') return first.opcode;
  for (const variant of variants) if (insn[variant.field as 'off' | 'imm' | 'src_reg'] === variant.value) return variant.opcode;
  return undefined;
}

function buildTable(): (OpcodeRow | undefined)[] {
  const rows = new Map<number, OpcodeVariant[]>();
  const add = (code: number, opcode: Opcode, field: OpcodeVariant['field'] = 'none', value = 0): void => {
    const row = rows.get(code);
    if (row) row.push({ opcode, field, value });
    else rows.set(code, [{ opcode, field, value }]);
  };
  addAlu(add);
  addEnd(add);
  addJumps(add);
  addMemory(add);
  return Array.from({ length: 256 }, (_, code) => {
    const variants = rows.get(code);
    return variants && { code, variants };
  });
}

type Add = (code: number, opcode: Opcode, field?: OpcodeVariant['field'], value?: number) => void;

function addAlu(add: Add): void {
  for (const op of Object.keys(ALU) as AluOp[]) {
    const { bits, off } = ALU[op];
    // div, mod and mov have variants by offset; sign-extending moves exist between registers only.
    const field = bits === 0x30 || bits === 0x90 || bits === 0xb0 ? 'off' : 'none';
    const registerOnly = bits === 0xb0 && off !== 0;
    for (const [source, flag] of [
      ['k', BPF_K],
      ['x', BPF_X],
    ] as const) {
      if (op === 'neg' ? source === 'x' : registerOnly && source === 'k') continue;
      if (op !== 'movsx32' && op !== 'addr_space_cast')
        add(BPF_ALU | bits | flag, { kind: 'alu', op, bits: 32, source }, field, off);
      add(BPF_ALU64 | bits | flag, { kind: 'alu', op, bits: 64, source }, field, off);
    }
  }
}

function addEnd(add: Add): void {
  for (const op of Object.keys(END) as EndOp[]) {
    for (const width of [16, 32, 64] as const) add(END[op].code, { kind: 'end', op, width }, 'imm', width);
  }
}

function addJumps(add: Add): void {
  for (const op of Object.keys(JUMP) as JumpOp[]) {
    for (const [source, flag] of [
      ['k', BPF_K],
      ['x', BPF_X],
    ] as const) {
      add(BPF_JMP | JUMP[op].bits | flag, { kind: 'jump', op, bits: 64, source });
      add(BPF_JMP32 | JUMP[op].bits | flag, { kind: 'jump', op, bits: 32, source });
    }
  }
  add(BPF_JMP, { kind: 'goto', far: false });
  add(BPF_JMP32, { kind: 'goto', far: true });
  add(BPF_JMP | BPF_JCOND, { kind: 'may_goto' }, 'src_reg', BPF_MAY_GOTO);
  add(BPF_JMP | BPF_CALL, { kind: 'call', target: 'helper' }, 'src_reg', 0);
  add(BPF_JMP | BPF_CALL, { kind: 'call', target: 'subprogram' }, 'src_reg', BPF_PSEUDO_CALL);
  add(BPF_JMP | BPF_CALL, { kind: 'call', target: 'kfunc' }, 'src_reg', BPF_PSEUDO_KFUNC_CALL);
  add(BPF_JMP | BPF_CALL | BPF_X, { kind: 'call', target: 'register' });
  add(BPF_JMP | BPF_EXIT, { kind: 'exit' });
}

function addMemory(add: Add): void {
  for (const { bits, bytes: size } of Object.values(SIZE)) {
    add(BPF_LDX | BPF_MEM | bits, { kind: 'load', size, signed: false });
    if (size !== 8) add(BPF_LDX | BPF_MEMSX | bits, { kind: 'load', size, signed: true });
    add(BPF_ST | BPF_MEM | bits, { kind: 'store', size, source: 'k' });
    add(BPF_STX | BPF_MEM | bits, { kind: 'store', size, source: 'x' });
    for (const op of Object.keys(ATOMIC) as AtomicOp[]) {
      if (size < 4 && op !== 'load_acquire' && op !== 'store_release') continue;
      add(BPF_STX | BPF_ATOMIC | bits, { kind: 'atomic', op, size }, 'imm', ATOMIC[op].imm);
    }
    if (size === 8) continue;
    add(BPF_LD | BPF_ABS | bits, { kind: 'ld_packet', mode: 'abs', size });
    add(BPF_LD | BPF_IND | bits, { kind: 'ld_packet', mode: 'ind', size });
  }
  add(BPF_LD | BPF_IMM | BPF_DW, { kind: 'ld_imm64' });
}
