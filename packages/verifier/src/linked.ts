/** Scalars that are copies of one another (or a constant apart): what a branch teaches of one holds for all. */

import { BPF_ADD_CONST, copyReg, markConstScalar, Reg } from './register.ts';
import { SCALAR_VALUE } from './regtype.ts';
import { addScalar } from './scalar-alu.ts';
import { isSpilledScalar, slotReg, type VerifierState } from './state.ts';

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
    for (let i = 0; i < 10; i++) {
      const reg = frame.regs[i]!;
      if (reg.type !== SCALAR_VALUE || (reg.id & ~BPF_ADD_CONST) !== base) continue;
      if (found.length < MAX_LINKED) found.push({ frameno: f, isReg: true, index: i });
      else reg.id = 0;
    }
    for (let spi = 0; spi < frame.slots.length; spi++) {
      if (!isSpilledScalar(frame, spi) || (frame.spilled[spi]!.id & ~BPF_ADD_CONST) !== base) continue;
      if (found.length < MAX_LINKED) found.push({ frameno: f, isReg: false, index: spi });
      else slotReg(frame, spi).id = 0;
    }
  }
}

/** The register that a link names, this state's own. */
function linkedReg(state: VerifierState, link: LinkedReg): Reg {
  const frame = state.frames[link.frameno]!;
  return link.isReg ? frame.regs[link.index]! : slotReg(frame, link.index);
}

/** Gives all linked scalars of a state what is now known of one of them. */
export function syncLinked(state: VerifierState, known: Reg, linked: readonly LinkedReg[]): void {
  for (const link of linked) {
    const reg = linkedReg(state, link);
    if (reg === known || reg.type !== SCALAR_VALUE) continue;
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
