/** Makes a test program smaller as long as what it shows stays. */

import type { BpfInsn } from '@libbpf-ts/isa';
import type { Assembled } from './case.ts';

const NOTHING: BpfInsn = { code: 0x05, dst_reg: 0, src_reg: 0, off: 0, imm: 0 };
const LD_IMM64 = 0x18;

/** `goto +0`, or the second half of a wide load. */
export const isNothing = (insn: BpfInsn): boolean => insn === NOTHING || insn.code === 0;

/** Replaces instructions by `goto +0`, in halves first and one by one in the end, so that jumps keep their places. */
export async function shrink(of: Assembled, shows: (candidate: Assembled) => boolean | Promise<boolean>): Promise<Assembled> {
  let current = of;
  for (let size = of.insns.length >> 1; size > 0;) {
    let shrunk = false;
    for (let start = 0; start < of.insns.length; start += size) {
      const candidate = without(current, start, start + size);
      if (!candidate || !(await shows(candidate))) continue;
      current = candidate;
      shrunk = true;
    }
    if (size > 1) size >>= 1;
    else if (!shrunk) size = 0;
  }
  return current;
}

/** undefined where nothing is left to take away. */
function without(of: Assembled, start: number, end: number): Assembled | undefined {
  let changed = false;
  const insns = of.insns.map((insn, at) => {
    const wide = insn.code === LD_IMM64 || of.insns[at - 1]?.code === LD_IMM64;
    const first = of.insns[at - 1]?.code === LD_IMM64 ? at - 1 : at;
    const goes = first >= start && first < end && insn !== NOTHING && !(wide && first + 1 >= of.insns.length);
    changed ||= goes;
    return goes ? NOTHING : insn;
  });
  return changed ? { ...of, insns } : undefined;
}
