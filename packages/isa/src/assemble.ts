/** Text in the spelling of the kernel's verifier log, back into instructions. */

import { IsaError } from './error.ts';
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
  BPF_LD,
  BPF_LDX,
  BPF_MEM,
  BPF_MEMSX,
  BPF_PSEUDO_BTF_ID,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_IDX,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  BPF_ST,
  BPF_STX,
  BPF_X,
} from './opcode.ts';
import { ALU, ATOMIC, END, JUMP, SIZE } from './table.ts';
import type { AluOp, AtomicOp, EndOp } from './table.ts';

export interface AssembleOptions {
  /** Number of a helper by its name, for `call bpf_map_lookup_elem` without `#1`. */
  readonly helperId?: (name: string) => number | undefined;
}

/**
 * Instructions of `text`, one a line. An instruction number (`12:`), the code in brackets (`(b7)`) and a comment (`; …` or `// …`) are
 * skipped, so lines of a verifier log can be given as they are. A jump target is `pc+3`, or a label that a line `name:` sets.
 * `r1 = 5` is a move; `r1 = 0x5` and `r1 = 5 ll` are ld_imm64, which takes two slots. Throws IsaError `text` with the line number.
 */
export function assemble(text: string, options: AssembleOptions = {}): BpfInsn[] {
  const insns: BpfInsn[] = [];
  const labels = new Map<string, number>();
  const jumps: { at: number; target: string; line: number; field: 'off' | 'imm' }[] = [];
  text.split('\n').forEach((raw, index) => {
    const line = index + 1;
    let source = raw
      .replace(/(;|\/\/).*$/, '')
      .trim()
      .replace(/^\d+:\s*/, '')
      .replace(/^\([0-9a-f]{2}\)\s*/, '');
    for (let label = /^([A-Za-z_.][\w.]*):\s*/.exec(source); label; label = /^([A-Za-z_.][\w.]*):\s*/.exec(source)) {
      labels.set(label[1]!, insns.length);
      source = source.slice(label[0].length);
    }
    if (source === '') return;
    const jump = (target: string, field: 'off' | 'imm'): number => {
      const relative = /^pc([+-]\d+)$/.exec(target);
      if (relative) return Number(relative[1]);
      jumps.push({ at: insns.length, target, line, field });
      return 0;
    };
    insns.push(...parseLine(source, line, jump, options));
  });
  for (const { at, target, line, field } of jumps) {
    const label = labels.get(target);
    if (label === undefined) throw new IsaError('text', `line ${line}: no label ${target}`, line);
    insns[at] = { ...insns[at]!, [field]: label - at - 1 };
  }
  return insns;
}

type Jump = (target: string, field: 'off' | 'imm') => number;

interface Context {
  readonly line: number;
  readonly jump: Jump;
  readonly options: AssembleOptions;
}

/** A spelling and what it means. The first that matches is taken. */
interface Rule {
  readonly pattern: RegExp;
  readonly make: (match: readonly string[], context: Context) => BpfInsn[];
}

const bySpelling = <Row extends { text: string }>(table: Record<string, Row>): Map<string, Row> =>
  new Map(Object.values(table).map((row) => [row.text, row]));
const sizes = new Map(
  Object.values(SIZE).flatMap(
    (row) =>
      [
        [row.text, row.bits],
        [row.signed, row.bits],
      ] as [string, number][],
  ),
);
const aluByText = bySpelling(ALU);
const jumpByText = bySpelling(JUMP);

const insnOf = (code: number, dst_reg: number, src_reg: number, off: number, imm: number): BpfInsn => ({
  code,
  dst_reg,
  src_reg,
  off,
  imm,
});
const number = (text: string): number => Number(text.replace(/\s/g, ''));
const offset = (text: string | undefined): number => (text === undefined ? 0 : number(text));

const PLACE = String.raw`\((u8|u16|u32|u64|s8|s16|s32) \*\)\s*\(r(\d+)\s*([+-]\s*\d+)?\)`;
const IMM = String.raw`([+-]?(?:0x[0-9a-fA-F]+|\d+))`;
const ALU_TEXT = [...aluByText.keys()]
  .filter((text) => text.endsWith('='))
  .map((text) => text.replace(/[|*+^]/g, '\\$&'))
  .join('|');
const JUMP_TEXT = [...jumpByText.keys()].sort((a, b) => b.length - a.length).join('|');

const rules: readonly Rule[] = [
  { pattern: /^exit$/, make: () => [insnOf(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)] },
  { pattern: /^(?:gotol|goto_l) (\S+)$/, make: ([, target], { jump }) => [insnOf(BPF_JMP32, 0, 0, 0, jump(target!, 'imm'))] },
  { pattern: /^goto (\S+)$/, make: ([, target], { jump }) => [insnOf(BPF_JMP, 0, 0, jump(target!, 'off'), 0)] },
  { pattern: /^may_goto (\S+)$/, make: ([, target], { jump }) => [insnOf(BPF_JMP | BPF_JCOND, 0, 0, jump(target!, 'off'), 0)] },
  { pattern: new RegExp(`^if ([rw])(\\d+) (${JUMP_TEXT}) (?:([rw])(\\d+)|${IMM}) goto (\\S+)$`), make: makeJump },
  {
    pattern: /^call (pc[+-]\d+)$/,
    make: ([, target], { jump }) => [insnOf(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, jump(target!, 'imm'))],
  },
  { pattern: /^callx r(\d+)$/, make: ([, reg]) => [insnOf(BPF_JMP | BPF_CALL | BPF_X, number(reg!), 0, 0, 0)] },
  { pattern: /^call kernel-function#(-?\d+)(?: off=(-?\d+))?$/, make: makeKfunc },
  { pattern: /^call \w+#(-?\d+) kfunc(?: off=(-?\d+))?$/, make: makeKfunc },
  { pattern: /^call (?:\w+#)?(-?\d+)$/, make: ([, id]) => [insnOf(BPF_JMP | BPF_CALL, 0, 0, 0, number(id!))] },
  { pattern: /^call ([A-Za-z_]\w*)$/, make: makeNamedCall },
  { pattern: new RegExp(`^r(\\d+) = \\*${PLACE}$`), make: makeLoad },
  { pattern: new RegExp(`^\\*${PLACE} = (?:r(\\d+)|${IMM})$`), make: makeStore },
  { pattern: new RegExp(`^lock \\*${PLACE} (\\S+) r(\\d+)$`), make: makeLock },
  {
    pattern: new RegExp(`^r(\\d+) = load_acquire\\(${PLACE}\\)$`),
    make: ([, dst, size, src, off]) => atomic('load_acquire', size!, dst!, src!, off),
  },
  {
    pattern: new RegExp(`^store_release\\(${PLACE}, r(\\d+)\\)$`),
    make: ([, size, dst, off, src]) => atomic('store_release', size!, dst!, src!, off),
  },
  {
    pattern: new RegExp(`^r0 = atomic(?:64)?_cmpxchg\\(${PLACE}, r0, r(\\d+)\\)$`),
    make: ([, size, dst, off, src]) => atomic('cmpxchg', size!, dst!, src!, off),
  },
  { pattern: new RegExp(`^r(\\d+) = atomic(?:64)?_(\\w+)\\(${PLACE}, r(\\d+)\\)$`), make: makeFetch },
  {
    pattern: /^r0 = \*\((u8|u16|u32) \*\)skb\[r(\d+) \+ (-?\w+)\]$/,
    make: ([, size, src, imm]) => [insnOf(BPF_LD | BPF_IND | sizes.get(size!)!, 0, number(src!), 0, number(imm!))],
  },
  {
    pattern: /^r0 = \*\((u8|u16|u32) \*\)skb\[(-?\w+)\]$/,
    make: ([, size, imm]) => [insnOf(BPF_LD | BPF_ABS | sizes.get(size!)!, 0, 0, 0, number(imm!))],
  },
  { pattern: /^[rw](\d+) = (le|be|bswap)(16|32|64) [rw](\d+)$/, make: makeEnd },
  { pattern: /^([rw])(\d+) = -([rw])(\d+)$/, make: makeNeg },
  { pattern: /^([rw])(\d+) = \((s8|s16|s32)\)\s*([rw])(\d+)$/, make: makeMovsx },
  { pattern: /^r(\d+) = addr_space_cast\(r(\d+), (\d+), (\d+)\)$/, make: makeCast },
  { pattern: /^r(\d+) = map\[(fd|idx):(-?\d+)\](?:\[0\]\+(\d+))?$/, make: makeMap },
  {
    pattern: /^r(\d+) = ksym\[btf:(-?\d+)\]\+(\d+)$/,
    make: ([, dst, id, off]) => wide(number(dst!), BPF_PSEUDO_BTF_ID, number(id!), number(off!) | 0),
  },
  { pattern: /^r(\d+) = subprog\[([+-]\d+)\]$/, make: ([, dst, at]) => wide(number(dst!), BPF_PSEUDO_FUNC, number(at!), 0) },
  { pattern: /^r(\d+) = (0x[0-9a-fA-F]+|-?(?:0x)?[0-9a-fA-F]+ ll|0x[0-9a-fA-F]+ ll)$/, make: makeImm64 },
  { pattern: new RegExp(`^([rw])(\\d+) (${ALU_TEXT}) (?:([rw])(\\d+)|${IMM})$`), make: makeAlu },
];

function parseLine(source: string, line: number, jump: Jump, options: AssembleOptions): BpfInsn[] {
  const text = source.replace(/\s+/g, ' ');
  for (const { pattern, make } of rules) {
    const match = pattern.exec(text);
    if (!match) continue;
    const insns = make(match, { line, jump, options });
    for (const { dst_reg, src_reg } of insns) {
      if (dst_reg > 15 || src_reg > 15) throw new IsaError('text', `line ${line}: no such register in "${text}"`, line);
    }
    return insns;
  }
  throw new IsaError('text', `line ${line}: not an instruction: "${text}"`, line);
}

function imm32(text: string, line: number): number {
  const value = number(text);
  if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0xffff_ffff) {
    throw new IsaError('text', `line ${line}: ${text} does not fit 32 bits`, line);
  }
  return value | 0;
}

function makeJump([, width, dst, text, , src, imm, target]: readonly string[], { line, jump }: Context): BpfInsn[] {
  const code = (width === 'r' ? BPF_JMP : BPF_JMP32) | jumpByText.get(text!)!.bits;
  const off = jump(target!, 'off');
  return [
    src === undefined
      ? insnOf(code, number(dst!), 0, off, imm32(imm!, line))
      : insnOf(code | BPF_X, number(dst!), number(src), off, 0),
  ];
}

function makeKfunc([, id, off]: readonly string[]): BpfInsn[] {
  return [insnOf(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, offset(off), number(id!))];
}

function makeNamedCall([, name]: readonly string[], { line, options }: Context): BpfInsn[] {
  const id = options.helperId?.(name!);
  if (id === undefined) throw new IsaError('text', `line ${line}: no helper ${name}`, line);
  return [insnOf(BPF_JMP | BPF_CALL, 0, 0, 0, id)];
}

function makeLoad([, dst, size, src, off]: readonly string[]): BpfInsn[] {
  const mode = size!.startsWith('s') ? BPF_MEMSX : BPF_MEM;
  return [insnOf(BPF_LDX | mode | sizes.get(size!)!, number(dst!), number(src!), offset(off), 0)];
}

function makeStore([, size, dst, off, src, imm]: readonly string[], { line }: Context): BpfInsn[] {
  const bits = BPF_MEM | sizes.get(size!)!;
  return [
    src === undefined
      ? insnOf(BPF_ST | bits, number(dst!), 0, offset(off), imm32(imm!, line))
      : insnOf(BPF_STX | bits, number(dst!), number(src), offset(off), 0),
  ];
}

function atomic(op: AtomicOp, size: string, dst: string, src: string, off: string | undefined): BpfInsn[] {
  return [insnOf(BPF_STX | BPF_ATOMIC | sizes.get(size)!, number(dst), number(src), offset(off), ATOMIC[op].imm)];
}

function makeLock([, size, dst, off, text, src]: readonly string[], { line }: Context): BpfInsn[] {
  const found = (Object.keys(ATOMIC) as AtomicOp[]).find((op) => ATOMIC[op].text === text);
  if (!found) throw new IsaError('text', `line ${line}: no atomic operation ${text}`, line);
  return atomic(found, size!, dst!, src!, off);
}

function makeFetch([, to, name, size, dst, off, src]: readonly string[], { line }: Context): BpfInsn[] {
  if (!Object.hasOwn(ATOMIC, name!) || to !== src)
    throw new IsaError('text', `line ${line}: no atomic operation ${name}`, line);
  return atomic(name as AtomicOp, size!, dst!, src!, off);
}

function makeEnd([, dst, op, width, src]: readonly string[], { line }: Context): BpfInsn[] {
  if (dst !== src) throw new IsaError('text', `line ${line}: a byte swap has one register`, line);
  return [insnOf(END[op as EndOp].code, number(dst!), 0, 0, number(width!))];
}

function makeNeg([, width, dst, , src]: readonly string[], { line }: Context): BpfInsn[] {
  if (dst !== src) throw new IsaError('text', `line ${line}: a negation has one register`, line);
  return [insnOf((width === 'r' ? BPF_ALU64 : BPF_ALU) | ALU.neg.bits, number(dst!), 0, 0, 0)];
}

function makeMovsx([, width, dst, size, , src]: readonly string[]): BpfInsn[] {
  const row = ALU[`movsx${size!.slice(1)}` as AluOp];
  return [insnOf((width === 'r' ? BPF_ALU64 : BPF_ALU) | row.bits | BPF_X, number(dst!), number(src!), row.off, 0)];
}

function makeCast([, dst, src, to, from]: readonly string[]): BpfInsn[] {
  const row = ALU.addr_space_cast;
  return [insnOf(BPF_ALU64 | row.bits | BPF_X, number(dst!), number(src!), row.off, (number(to!) << 16) | number(from!))];
}

function wide(dst: number, src: number, low: number, high: number): BpfInsn[] {
  return [insnOf(BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, low), insnOf(0, 0, 0, 0, high)];
}

function makeMap([, dst, by, id, value]: readonly string[]): BpfInsn[] {
  const pseudo =
    value === undefined
      ? by === 'fd'
        ? BPF_PSEUDO_MAP_FD
        : BPF_PSEUDO_MAP_IDX
      : by === 'fd'
        ? BPF_PSEUDO_MAP_VALUE
        : BPF_PSEUDO_MAP_IDX_VALUE;
  return wide(number(dst!), pseudo, number(id!), offset(value) | 0);
}

function makeImm64([, dst, text]: readonly string[], { line }: Context): BpfInsn[] {
  const plain = text!.replace(/ ll$/, '');
  let value: bigint;
  try {
    value = plain.startsWith('-') ? -BigInt(plain.slice(1)) : BigInt(plain);
  } catch {
    throw new IsaError('text', `line ${line}: not a number: ${plain}`, line);
  }
  return wide(number(dst!), 0, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

function makeAlu([, width, dst, text, srcWidth, src, imm]: readonly string[], { line }: Context): BpfInsn[] {
  const row = aluByText.get(text!)!;
  if (src !== undefined && srcWidth !== width)
    throw new IsaError('text', `line ${line}: r and w registers in one operation`, line);
  const code = (width === 'r' ? BPF_ALU64 : BPF_ALU) | row.bits;
  return [
    src === undefined
      ? insnOf(code, number(dst!), 0, row.off, imm32(imm!, line))
      : insnOf(code | BPF_X, number(dst!), number(src), row.off, 0),
  ];
}
