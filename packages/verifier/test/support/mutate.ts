/** Programs with one instruction changed. */

import type { BpfInsn } from '@libbpf-ts/isa';
import type { Assembled } from './case.ts';
import type { Random } from './random.ts';

/** The program with one field of one instruction changed, or one instruction doubled, dropped or swapped with its neighbour. */
export function mutate(of: Assembled, random: Random): Assembled {
  const insns = [...of.insns];
  const at = random.below(insns.length);
  const insn = insns[at]!;
  const fresh = change(insn, random);
  if (isMapLoad(insn) || isMapLoad(fresh) || isHalf(insns, at))
    insns[at] = { ...insn, dst_reg: isHalf(insns, at) ? insn.dst_reg : random.below(11) };
  else insns[at] = fresh;
  return { ...of, insns };
}

const isMapLoad = (insn: BpfInsn): boolean => insn.code === 0x18;
const isHalf = (insns: readonly BpfInsn[], at: number): boolean => at > 0 && insns[at - 1]!.code === 0x18;

/** Codes that most often mean something. */
const CODES = [
  0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x57, 0x5f, 0x67, 0x6f, 0x77, 0x7f, 0x87, 0x97, 0x9f, 0xa7, 0xaf,
  0xb7, 0xbf, 0xc7, 0xcf, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84,
  0x94, 0x9c, 0xa4, 0xac, 0xb4, 0xbc, 0xc4, 0xcc, 0xd4, 0xdc, 0xd7, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x55,
  0x5d, 0x65, 0x6d, 0x75, 0x7d, 0xa5, 0xad, 0xb5, 0xbd, 0xc5, 0xcd, 0xd5, 0xdd, 0x16, 0x1e, 0x26, 0x2e, 0x36, 0x56, 0x66, 0x76,
  0xa6, 0xc6, 0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91, 0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b, 0xc3, 0xdb, 0x95,
];

function change(insn: BpfInsn, random: Random): BpfInsn {
  switch (random.below(6)) {
    case 0:
      return { ...insn, dst_reg: random.below(11) };
    case 1:
      return { ...insn, src_reg: random.below(11) };
    case 2:
      return { ...insn, off: insn.off + random.of([-8, -4, -2, -1, 1, 2, 4, 8]) };
    case 3:
      return { ...insn, imm: (insn.imm + random.of([-8, -1, 1, 8, 16, 64])) | 0 };
    case 4:
      return { ...insn, imm: random.odd() };
    default:
      return { ...insn, code: random.of(CODES) };
  }
}
