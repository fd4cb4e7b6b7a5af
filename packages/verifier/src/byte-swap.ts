/** le16 … bswap64: known bits move with their bytes, bounds are learnt anew from them. */

import { syncBounds } from './bounds.ts';
import { type Reg, setUnbounded } from './register.ts';

/** Reverses the four bytes of an int32. */
const swap32 = (x: number): number => (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24) | 0;

/** Truncates to 16, 32 or 64 bits; with `swap`, reverses the bytes. */
export function swapBytes(reg: Reg, bits: number, swap: boolean): void {
  if (bits === 64) {
    if (swap) {
      const { vh, mh } = reg;
      reg.vh = swap32(reg.vl);
      reg.vl = swap32(vh);
      reg.mh = swap32(reg.ml);
      reg.ml = swap32(mh);
    }
  } else {
    reg.vh = reg.mh = 0;
    if (bits === 16) {
      reg.vl = swap ? swap32(reg.vl) >>> 16 : reg.vl & 0xffff;
      reg.ml = swap ? swap32(reg.ml) >>> 16 : reg.ml & 0xffff;
    } else if (swap) {
      reg.vl = swap32(reg.vl);
      reg.ml = swap32(reg.ml);
    }
  }
  reg.off = 0;
  setUnbounded(reg);
  syncBounds(reg);
}
