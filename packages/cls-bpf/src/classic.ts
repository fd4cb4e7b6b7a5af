/** Classic BPF, as `tcpdump -ddd` prints it, and its translation to eBPF. Mirrors bpf_check_classic and bpf_convert_filter. */

import type { BpfInsn } from '@libbpf-ts/isa';
import { KernelError, __sk_buff, type ClassicInsn } from '@libbpf-ts/uapi';

const MAX_INSNS = 4096;
const MEMORY_WORDS = 16;

/** Reads the output of `tcpdump -ddd`: a line with the number of instructions, then four numbers a line; commas do as line ends. */
export function parseClassic(text: string): ClassicInsn[] {
  const rows = text
    .split(/[,\n]/)
    .map((row) => row.trim())
    .filter(Boolean);
  const count = Number(rows[0]);
  const insns = rows.slice(1).map((row) => {
    const [code, jt, jf, k] = row.split(/\s+/).map(Number);
    if ([code, jt, jf, k].some((each) => each === undefined || !Number.isInteger(each)))
      throw new KernelError('EINVAL', `not a classic instruction: ${row}`, 'ops');
    return { code: code!, jt: jt!, jf: jf!, k: k! >>> 0 };
  });
  if (insns.length !== count)
    throw new KernelError('EINVAL', `the first line says ${rows[0]} instructions, there are ${insns.length}`, 'ops');
  return insns;
}

const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, RET: 6, MISC: 7 } as const;
const MODE = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, LEN: 0x80, MSH: 0xa0 } as const;
const X_SOURCE = 0x08;

/** Codes that a filter may have. */
const VALID: ReadonlySet<number> = new Set([
  ...[0x20, 0x28, 0x30, 0x40, 0x48, 0x50].flatMap((code) => code),
  0x00,
  0x60,
  0x80,
  0x01,
  0x61,
  0x81,
  0xb1,
  0x02,
  0x03,
  ...[0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0].flatMap((op) => [0x04 | op, 0x0c | op]),
  0x84,
  0x05,
  ...[0x10, 0x20, 0x30, 0x40].flatMap((op) => [0x05 | op, 0x0d | op]),
  0x06,
  0x16,
  0x07,
  0x87,
]);

/** Refuses what `bpf_check_classic` refuses. Throws EINVAL. */
export function checkClassic(insns: readonly ClassicInsn[]): void {
  if (insns.length === 0 || insns.length > MAX_INSNS)
    throw new KernelError('EINVAL', `a filter has 1 to ${MAX_INSNS} instructions`, 'ops');
  insns.forEach((insn, pc) => checkInsn(insn, pc, insns.length));
  const last = insns.at(-1)!.code;
  if (last !== 0x06 && last !== 0x16) throw new KernelError('EINVAL', 'the last instruction of a filter must return', 'ops');
}

function checkInsn({ code, jt, jf, k }: ClassicInsn, pc: number, length: number): void {
  const bad = (why: string): never => {
    throw new KernelError('EINVAL', `classic instruction ${pc}: ${why}`, 'ops');
  };
  if (!VALID.has(code)) bad(`unknown code 0x${code.toString(16)}`);
  if ((code === 0x34 || code === 0x94) && k === 0) bad('division by zero');
  if ((code === 0x64 || code === 0x74) && k >= 32) bad('shift by 32 or more');
  if ([0x60, 0x61, 0x02, 0x03].includes(code) && k >= MEMORY_WORDS) bad(`memory word ${k} of ${MEMORY_WORDS}`);
  if (code === 0x05 && k >= length - pc - 1) bad('jump out of the program');
  if ((code & 7) === CLASS.JMP && code !== 0x05 && (pc + jt + 1 >= length || pc + jf + 1 >= length))
    bad('jump out of the program');
}

/** Registers: A is r0 (what ld_abs leaves), X is r7, the context r6 (where ld_abs looks). */
const A = 0;
const X = 7;
const CTX = 6;
const FP = 10;

const insn = (code: number, dst_reg = 0, src_reg = 0, off = 0, imm = 0): BpfInsn => ({
  code,
  dst_reg,
  src_reg,
  off,
  imm: imm | 0,
});
const movReg = (dst: number, src: number): BpfInsn => insn(0xbc, dst, src);
const movImm = (dst: number, imm: number): BpfInsn => insn(0xb4, dst, 0, 0, imm);
const EXIT = insn(0x95);
const memory = (word: number): number => (word - MEMORY_WORDS) * 4;

/** Fields that a filter reads at negative offsets (SKF_AD_OFF + n). */
const ANCILLARY = -0x1000;
const field = (name: Parameters<typeof __sk_buff.offsetOf>[0]): BpfInsn[] => [insn(0x61, A, CTX, __sk_buff.offsetOf(name))];
const swapped = (name: Parameters<typeof __sk_buff.offsetOf>[0]): BpfInsn[] => [...field(name), insn(0xdc, A, 0, 0, 16)];
const ANCILLARIES: Readonly<Record<number, BpfInsn[]>> = {
  0: swapped('protocol'),
  4: field('pkt_type'),
  8: field('ifindex'),
  20: field('mark'),
  24: field('queue_mapping'),
  32: field('hash'),
  40: [insn(0xac, A, X)],
  44: field('vlan_tci'),
  48: field('vlan_present'),
  60: swapped('vlan_proto'),
};

/** Where a jump must be filled in: from this eBPF instruction to that classic one. */
interface Jump {
  readonly at: number;
  readonly to: number;
}

/** The eBPF program of a filter that `checkClassic` accepts. Throws EOPNOTSUPP for ancillary loads that packets here have no answer for. */
export function convertClassic(classic: readonly ClassicInsn[]): BpfInsn[] {
  const out: BpfInsn[] = [insn(0xbf, CTX, 1), movImm(A, 0), movImm(X, 0)];
  for (let word = 0; word < MEMORY_WORDS; word++) out.push(insn(0x62, FP, 0, memory(word), 0));
  const starts: number[] = [];
  const jumps: Jump[] = [];
  classic.forEach((each, pc) => {
    starts.push(out.length);
    if ((each.code & 7) === CLASS.JMP) convertJump(each, pc, out, jumps);
    else out.push(...convertOne(each));
  });
  for (const { at, to } of jumps) out[at] = { ...out[at]!, off: starts[to]! - at - 1 };
  return out;
}

function convertJump({ code, jt, jf, k }: ClassicInsn, pc: number, out: BpfInsn[], jumps: Jump[]): void {
  const go = (to: number): void => {
    jumps.push({ at: out.length, to });
    out.push(insn(0x05));
  };
  if (code === 0x05) return go(pc + 1 + k);
  const bySource = code & X_SOURCE;
  // The upper half of A is always zero, so 32-bit comparisons do.
  jumps.push({ at: out.length, to: pc + 1 + jt });
  out.push(bySource ? insn((code & 0xf0) | 0x0e, A, X) : insn((code & 0xf0) | 0x06, A, 0, 0, k));
  go(pc + 1 + jf);
}

function convertOne({ code, k }: ClassicInsn): BpfInsn[] {
  switch (code & 7) {
    case CLASS.LD:
      return convertLoad(code, k);
    case CLASS.LDX:
      return convertLoadX(code, k);
    case CLASS.ST:
      return [insn(0x63, FP, A, memory(k))];
    case CLASS.STX:
      return [insn(0x63, FP, X, memory(k))];
    case CLASS.ALU:
      return convertAlu(code, k);
    case CLASS.RET:
      return code === 0x16 ? [EXIT] : [movImm(A, k), EXIT];
    default:
      return [code === 0x07 ? movReg(X, A) : movReg(A, X)];
  }
}

function convertLoad(code: number, k: number): BpfInsn[] {
  switch (code & 0xe0) {
    case MODE.IMM:
      return [movImm(A, k)];
    case MODE.MEM:
      return [insn(0x61, A, FP, memory(k))];
    case MODE.LEN:
      return [insn(0x61, A, CTX, __sk_buff.offsetOf('len'))];
    case MODE.ABS:
      return (k | 0) < 0 && (k | 0) >= ANCILLARY ? ancillary((k | 0) - ANCILLARY) : [insn(code, 0, 0, 0, k)];
    default:
      return [insn(code, 0, X, 0, k)];
  }
}

function ancillary(number: number): BpfInsn[] {
  const known = ANCILLARIES[number];
  if (!known) throw new KernelError('EOPNOTSUPP', `the ancillary load ${number} is not supported`, 'ops');
  return known;
}

function convertLoadX(code: number, k: number): BpfInsn[] {
  switch (code & 0xe0) {
    case MODE.IMM:
      return [movImm(X, k)];
    case MODE.MEM:
      return [insn(0x61, X, FP, memory(k))];
    case MODE.LEN:
      return [insn(0x61, X, CTX, __sk_buff.offsetOf('len'))];
    // X = 4 * (byte & 15), A kept: the length of an IPv4 header.
    default:
      return [
        movReg(8, A),
        insn(0x30, 0, 0, 0, k),
        insn(0x54, A, 0, 0, 15),
        insn(0x64, A, 0, 0, 2),
        movReg(X, A),
        movReg(A, 8),
      ];
  }
}

function convertAlu(code: number, k: number): BpfInsn[] {
  if (code === 0x84) return [insn(0x84, A)];
  if (!(code & X_SOURCE)) return [insn(code, A, 0, 0, k)];
  // A division by X = 0 ends the program with 0.
  if (code === 0x3c || code === 0x9c) return [insn(0x56, X, 0, 2, 0), movImm(A, 0), EXIT, insn(code, A, X)];
  return [insn(code, A, X)];
}
