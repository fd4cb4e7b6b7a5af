/** Instructions as the kernel's verifier log spells them. */

import { imm64 } from './codec.ts';
import type { BpfInsn } from './insn.ts';
import {
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
} from './opcode.ts';
import { ALU, ATOMIC, JUMP, opcodeOf, SIZE } from './table.ts';
import type { Opcode, OpcodeKind, SizeBytes } from './table.ts';

export interface DisassembleOptions {
  /** Name of a helper by its number, as `bpf_map_lookup_elem`. */
  readonly helperName?: (id: number) => string | undefined;
  /** Name of a kfunc by its BTF id. */
  readonly kfuncName?: (id: number) => string | undefined;
}

/**
 * One instruction; `next` is the slot after it, which ld_imm64 needs. What is no instruction reads `BUG_` and the code, as in the kernel.
 * The pseudo forms of ld_imm64, which the kernel's log shows resolved, read `map[fd:3]`, `map[fd:3][0]+8`, `map[idx:3]`,
 * `map[idx:3][0]+8`, `ksym[btf:7]+0` and `subprog[+5]`.
 */
export function disassemble(insn: BpfInsn, next?: BpfInsn, options: DisassembleOptions = {}): string {
  const opcode = opcodeOf(insn);
  if (!opcode) return `BUG_${insn.code.toString(16).padStart(2, '0')}`;
  return (printers[opcode.kind] as Printer<Opcode>)(insn, opcode, next, options);
}

/** All instructions, one a line; the second slot of a ld_imm64 has no line of its own. */
export function disassembleProgram(insns: readonly BpfInsn[], options: DisassembleOptions = {}): string {
  const lines: string[] = [];
  for (let index = 0; index < insns.length; index++) {
    const insn = insns[index]!;
    lines.push(disassemble(insn, insns[index + 1], options));
    if (opcodeOf(insn)?.kind === 'ld_imm64') index++;
  }
  return lines.join('\n');
}

type Printer<Row> = (insn: BpfInsn, opcode: Row, next: BpfInsn | undefined, options: DisassembleOptions) => string;
type Of<Kind extends OpcodeKind> = Extract<Opcode, { kind: Kind }>;

const printers: { readonly [Kind in OpcodeKind]: Printer<Of<Kind>> } = {
  alu: printAlu,
  end: ({ dst_reg }, { op, width }) => `r${dst_reg} = ${op}${width} r${dst_reg}`,
  jump: (insn, { op, bits, source }) => {
    const right = source === 'x' ? register(insn.src_reg, bits) : hex(insn.imm >>> 0);
    return `if ${register(insn.dst_reg, bits)} ${JUMP[op].text} ${right} goto pc${signed(insn.off)}`;
  },
  goto: (insn, { far }) => (far ? `gotol pc${signed(insn.imm)}` : `goto pc${signed(insn.off)}`),
  may_goto: (insn) => `may_goto pc${signed(insn.off)}`,
  call: printCall,
  exit: () => 'exit',
  load: (insn, { size, signed: sign }) =>
    `r${insn.dst_reg} = *(${sizeText(size, sign)} *)(r${insn.src_reg} ${signed(insn.off)})`,
  store: (insn, { size, source }) =>
    `*(${sizeText(size)} *)(r${insn.dst_reg} ${signed(insn.off)}) = ${source === 'x' ? `r${insn.src_reg}` : insn.imm}`,
  atomic: printAtomic,
  ld_imm64: printImm64,
  ld_packet: (insn, { mode, size }) =>
    mode === 'abs'
      ? `r0 = *(${sizeText(size)} *)skb[${insn.imm}]`
      : `r0 = *(${sizeText(size)} *)skb[r${insn.src_reg} + ${insn.imm}]`,
};

function printAlu(insn: BpfInsn, { op, bits, source }: Of<'alu'>): string {
  const dst = register(insn.dst_reg, bits);
  const right = source === 'x' ? register(insn.src_reg, bits) : `${insn.imm}`;
  if (op === 'neg') return `${dst} = -${dst}`;
  if (op === 'addr_space_cast') return `${dst} = addr_space_cast(${right}, ${insn.imm >>> 16}, ${insn.imm & 0xffff})`;
  const { text } = ALU[op];
  return text.endsWith(')') ? `${dst} ${text}${right}` : `${dst} ${text} ${right}`;
}

function printCall(insn: BpfInsn, { target }: Of<'call'>, _next: BpfInsn | undefined, options: DisassembleOptions): string {
  if (target === 'subprogram') return `call pc${signed(insn.imm)}`;
  if (target === 'register') return `callx r${insn.dst_reg}`;
  if (target === 'helper') return `call ${options.helperName?.(insn.imm) ?? 'unknown'}#${insn.imm}`;
  const module = insn.off === 0 ? '' : ` off=${insn.off}`;
  return `call ${options.kfuncName?.(insn.imm) ?? 'kernel-function'}#${insn.imm}${options.kfuncName?.(insn.imm) ? ' kfunc' : ''}${module}`;
}

function printAtomic(insn: BpfInsn, { op, size }: Of<'atomic'>): string {
  const place = `(${sizeText(size)} *)(r${insn.dst_reg} ${signed(insn.off)})`;
  const wide = size === 8 ? '64' : '';
  switch (op) {
    case 'load_acquire':
      return `r${insn.dst_reg} = load_acquire((${sizeText(size)} *)(r${insn.src_reg} ${signed(insn.off)}))`;
    case 'store_release':
      return `store_release(${place}, r${insn.src_reg})`;
    case 'cmpxchg':
      return `r0 = atomic${wide}_cmpxchg(${place}, r0, r${insn.src_reg})`;
    default:
      return ATOMIC[op].fetch
        ? `r${insn.src_reg} = atomic${wide}_${ATOMIC[op].text}(${place}, r${insn.src_reg})`
        : `lock *${place} ${ATOMIC[op].text} r${insn.src_reg}`;
  }
}

function printImm64(insn: BpfInsn, _opcode: Of<'ld_imm64'>, next: BpfInsn | undefined): string {
  const dst = `r${insn.dst_reg} = `;
  const offset = next ? `+${next.imm >>> 0}` : '';
  switch (insn.src_reg) {
    case BPF_PSEUDO_MAP_FD:
      return `${dst}map[fd:${insn.imm}]`;
    case BPF_PSEUDO_MAP_VALUE:
      return `${dst}map[fd:${insn.imm}][0]${offset}`;
    case BPF_PSEUDO_MAP_IDX:
      return `${dst}map[idx:${insn.imm}]`;
    case BPF_PSEUDO_MAP_IDX_VALUE:
      return `${dst}map[idx:${insn.imm}][0]${offset}`;
    case BPF_PSEUDO_BTF_ID:
      return `${dst}ksym[btf:${insn.imm}]${offset}`;
    case BPF_PSEUDO_FUNC:
      return `${dst}subprog[${signed(insn.imm)}]`;
    default:
      return `${dst}0x${next ? imm64(insn, next).toString(16) : (insn.imm >>> 0).toString(16)}`;
  }
}

function register(number: number, bits: 32 | 64): string {
  return `${bits === 64 ? 'r' : 'w'}${number}`;
}

function signed(value: number): string {
  return value < 0 ? `${value}` : `+${value}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function sizeText(size: SizeBytes, sign = false): string {
  const row = Object.values(SIZE).find(({ bytes }) => bytes === size)!;
  return sign ? row.signed : row.text;
}
