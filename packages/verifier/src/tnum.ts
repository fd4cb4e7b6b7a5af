/**
 * Tristate numbers (`kernel/bpf/tnum.c`): for each of 64 bits, known 0, known 1 or unknown. `v` holds the known ones, `m` the
 * unknown bits. A register is itself a Tnum, so results are written in place; every function may have `out` among its inputs.
 */

export interface Tnum {
  vh: number;
  vl: number;
  mh: number;
  ml: number;
}

export const tnumUnknown = (): Tnum => ({ vh: 0, vl: 0, mh: -1, ml: -1 });
export const tnumConst = (vh: number, vl: number): Tnum => ({ vh, vl, mh: 0, ml: 0 });
export const isConst = (t: Tnum): boolean => (t.mh | t.ml) === 0;
export const isUnknown = (t: Tnum): boolean => (t.mh & t.ml) === -1;
export const isConst32 = (t: Tnum): boolean => t.ml === 0;

export function setTnum(out: Tnum, vh: number, vl: number, mh: number, ml: number): void {
  out.vh = vh;
  out.vl = vl;
  out.mh = mh;
  out.ml = ml;
}

/** The smallest tnum that holds every value of [min, max], unsigned. */
export function tnumRange(out: Tnum, minh: number, minl: number, maxh: number, maxl: number): void {
  const ch = minh ^ maxh;
  const cl = minl ^ maxl;
  let dh: number;
  let dl: number;
  if (ch !== 0) {
    const bits = 32 - Math.clz32(ch);
    dh = bits === 32 ? -1 : (1 << bits) - 1;
    dl = -1;
  } else {
    const bits = 32 - Math.clz32(cl);
    dh = 0;
    dl = bits === 32 ? -1 : (1 << bits) - 1;
  }
  setTnum(out, minh & ~dh, minl & ~dl, dh, dl);
}

export function tnumAdd(out: Tnum, a: Tnum, b: Tnum): void {
  const sml = (a.ml + b.ml) | 0;
  const smh = (a.mh + b.mh + (sml >>> 0 < a.ml >>> 0 ? 1 : 0)) | 0;
  const svl = (a.vl + b.vl) | 0;
  const svh = (a.vh + b.vh + (svl >>> 0 < a.vl >>> 0 ? 1 : 0)) | 0;
  const gl = (sml + svl) | 0;
  const gh = (smh + svh + (gl >>> 0 < sml >>> 0 ? 1 : 0)) | 0;
  const mh = (gh ^ svh) | a.mh | b.mh;
  const ml = (gl ^ svl) | a.ml | b.ml;
  setTnum(out, svh & ~mh, svl & ~ml, mh, ml);
}

export function tnumSub(out: Tnum, a: Tnum, b: Tnum): void {
  const dl = (a.vl - b.vl) | 0;
  const dh = (a.vh - b.vh - (a.vl >>> 0 < b.vl >>> 0 ? 1 : 0)) | 0;
  const al = (dl + a.ml) | 0;
  const ah = (dh + a.mh + (al >>> 0 < dl >>> 0 ? 1 : 0)) | 0;
  const bl = (dl - b.ml) | 0;
  const bh = (dh - b.mh - (dl >>> 0 < b.ml >>> 0 ? 1 : 0)) | 0;
  const mh = (ah ^ bh) | a.mh | b.mh;
  const ml = (al ^ bl) | a.ml | b.ml;
  setTnum(out, dh & ~mh, dl & ~ml, mh, ml);
}

export function tnumAnd(out: Tnum, a: Tnum, b: Tnum): void {
  const vh = a.vh & b.vh;
  const vl = a.vl & b.vl;
  setTnum(out, vh, vl, (a.vh | a.mh) & (b.vh | b.mh) & ~vh, (a.vl | a.ml) & (b.vl | b.ml) & ~vl);
}

export function tnumOr(out: Tnum, a: Tnum, b: Tnum): void {
  const vh = a.vh | b.vh;
  const vl = a.vl | b.vl;
  setTnum(out, vh, vl, (a.mh | b.mh) & ~vh, (a.ml | b.ml) & ~vl);
}

export function tnumXor(out: Tnum, a: Tnum, b: Tnum): void {
  const mh = a.mh | b.mh;
  const ml = a.ml | b.ml;
  setTnum(out, (a.vh ^ b.vh) & ~mh, (a.vl ^ b.vl) & ~ml, mh, ml);
}

/** What both may be: bits that differ or are unknown in either are unknown. */
export function tnumUnion(out: Tnum, a: Tnum, b: Tnum): void {
  const mh = (a.vh ^ b.vh) | a.mh | b.mh;
  const ml = (a.vl ^ b.vl) | a.ml | b.ml;
  setTnum(out, a.vh & b.vh & ~mh, a.vl & b.vl & ~ml, mh, ml);
}

/** What is known of either; wrong (as the kernel's) where the two have no value in common. */
export function tnumIntersect(out: Tnum, a: Tnum, b: Tnum): void {
  const mh = a.mh & b.mh;
  const ml = a.ml & b.ml;
  setTnum(out, (a.vh | b.vh) & ~mh, (a.vl | b.vl) & ~ml, mh, ml);
}

export function tnumLshift(out: Tnum, a: Tnum, shift: number): void {
  if (shift === 0) return setTnum(out, a.vh, a.vl, a.mh, a.ml);
  if (shift >= 64) return setTnum(out, 0, 0, 0, 0);
  if (shift >= 32) return setTnum(out, a.vl << (shift - 32), 0, a.ml << (shift - 32), 0);
  const back = 32 - shift;
  setTnum(out, (a.vh << shift) | (a.vl >>> back), a.vl << shift, (a.mh << shift) | (a.ml >>> back), a.ml << shift);
}

export function tnumRshift(out: Tnum, a: Tnum, shift: number): void {
  if (shift === 0) return setTnum(out, a.vh, a.vl, a.mh, a.ml);
  if (shift >= 64) return setTnum(out, 0, 0, 0, 0);
  if (shift >= 32) return setTnum(out, 0, (a.vh >>> (shift - 32)) | 0, 0, (a.mh >>> (shift - 32)) | 0);
  const back = 32 - shift;
  setTnum(
    out,
    (a.vh >>> shift) | 0,
    (a.vl >>> shift) | (a.vh << back) | 0,
    (a.mh >>> shift) | 0,
    (a.ml >>> shift) | (a.mh << back) | 0,
  );
}

/** Arithmetic shift of the low 32 bits (result zero-extended) or of all 64. */
export function tnumArshift(out: Tnum, a: Tnum, shift: number, bits: 32 | 64): void {
  if (bits === 32) return setTnum(out, 0, a.vl >> shift, 0, a.ml >> shift);
  if (shift === 0) return setTnum(out, a.vh, a.vl, a.mh, a.ml);
  if (shift >= 32) return setTnum(out, a.vh >> 31, a.vh >> (shift - 32), a.mh >> 31, a.mh >> (shift - 32));
  const back = 32 - shift;
  setTnum(out, a.vh >> shift, (a.vl >>> shift) | (a.vh << back), a.mh >> shift, (a.ml >>> shift) | (a.mh << back));
}

/** Long multiplication: each bit of `a` adds `b` shifted, does not, or either. */
export function tnumMul(out: Tnum, a: Tnum, b: Tnum): void {
  const acc = tnumConst(0, 0);
  const left = { vh: a.vh, vl: a.vl, mh: a.mh, ml: a.ml };
  const right = { vh: b.vh, vl: b.vl, mh: b.mh, ml: b.ml };
  const sum = tnumConst(0, 0);
  while (left.vh | left.vl | left.mh | left.ml) {
    if (left.vl & 1) {
      tnumAdd(acc, acc, right);
    } else if (left.ml & 1) {
      tnumAdd(sum, acc, right);
      tnumUnion(acc, acc, sum);
    }
    tnumRshift(left, left, 1);
    tnumLshift(right, right, 1);
  }
  setTnum(out, acc.vh, acc.vl, acc.mh, acc.ml);
}

/** Is every value of `b` one of `a`? */
export function tnumIn(a: Tnum, b: Tnum): boolean {
  if ((b.mh & ~a.mh) | (b.ml & ~a.ml)) return false;
  return a.vh === (b.vh & ~a.mh) && a.vl === (b.vl & ~a.ml);
}

/** Have the two a value in common? */
export function tnumOverlap(a: Tnum, b: Tnum): boolean {
  const kh = ~a.mh & ~b.mh;
  const kl = ~a.ml & ~b.ml;
  return (a.vh & kh) === (b.vh & kh) && (a.vl & kl) === (b.vl & kl);
}

/** Keeps the low `size` bytes. */
export function tnumCast(out: Tnum, a: Tnum, size: number): void {
  if (size >= 8) return setTnum(out, a.vh, a.vl, a.mh, a.ml);
  const keep = size === 4 ? -1 : (1 << (size * 8)) - 1;
  setTnum(out, 0, a.vl & keep, 0, a.ml & keep);
}

/** Is every value a multiple of `size`, a power of two below 2^31? */
export const isAligned = (t: Tnum, size: number): boolean => size === 0 || ((t.vl | t.ml) & (size - 1)) === 0;
