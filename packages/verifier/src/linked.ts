/** Scalars that are copies of one another (or a constant apart): what a branch teaches of one holds for all. */

import { BPF_ADD_CONST, copyReg, markConstScalar, Reg } from './register.ts';
import { SCALAR_VALUE } from './regtype.ts';
import { addScalar } from './scalar-alu.ts';
import { type FuncState, isSpilledScalar, type VerifierState } from './state.ts';

/** A register (or spilled slot) of one frame that shares an id. */
export interface LinkedReg {
  readonly frameno: number;
  readonly isReg: boolean;
  /** Register number, or slot. */
  readonly index: number;
}

const MAX_LINKED = 6;

/** Finds every scalar with this id, up to six; further ones lose their id. Adds to `found`. */
export function collectLinked(state: VerifierState, id: number, found: LinkedReg[]): void {
  const base = id & ~BPF_ADD_CONST;
  for (let f = state.curframe; f >= 0; f--) {
    const frame = state.frames[f]!;
    for (let i = 0; i < 10; i++) consider(frame.regs[i]!, base, found, f, true, i);
    for (let spi = 0; spi < frame.slots.length; spi++) {
      if (isSpilledScalar(frame, spi)) consider(frame.spilled[spi]!, base, found, f, false, spi);
    }
  }
}

function consider(reg: Reg, base: number, found: LinkedReg[], frameno: number, isReg: boolean, index: number): void {
  if (reg.type !== SCALAR_VALUE || (reg.id & ~BPF_ADD_CONST) !== base) return;
  if (found.length < MAX_LINKED) found.push({ frameno, isReg, index });
  else reg.id = 0;
}

export function linkedReg(state: VerifierState, link: LinkedReg): Reg | undefined {
  const frame: FuncState | undefined = state.frames[link.frameno];
  return link.isReg ? frame?.regs[link.index] : frame?.spilled[link.index];
}

/** Gives all linked scalars of a state what is now known of one of them. */
export function syncLinked(state: VerifierState, known: Reg, linked: readonly LinkedReg[]): void {
  for (const link of linked) {
    const reg = linkedReg(state, link);
    if (!reg || reg === known || reg.type !== SCALAR_VALUE) continue;
    if ((reg.id & ~BPF_ADD_CONST) !== (known.id & ~BPF_ADD_CONST)) continue;
    const bothPlain = !(reg.id & BPF_ADD_CONST) && !(known.id & BPF_ADD_CONST);
    if (bothPlain || reg.off === known.off) {
      copyReg(reg, known);
    } else {
      addDistance(reg, known);
    }
  }
}

/** reg = known + (reg.off − known.off), keeping reg's own distance. */
function addDistance(reg: Reg, known: Reg): void {
  const { off, id } = reg;
  const distance = new Reg();
  const delta = off - known.off;
  markConstScalar(distance, Math.floor(delta / 4294967296) | 0, delta | 0);
  copyReg(reg, known);
  reg.off = off;
  reg.id = id;
  addScalar(reg, distance);
}

