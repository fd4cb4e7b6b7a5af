/** Soundness of scalar tracking: whatever is known of the operands, the real result is among what is known of the result. */

import { expect, test } from 'vitest';
import { rangeWithin, syncBounds, update32, update64 } from '../src/bounds.ts';
import { branchTaken } from '../src/branch-taken.ts';
import { swapBytes } from '../src/byte-swap.ts';
import type { Env } from '../src/env.ts';
import { highOf, lowOf, toBigInt, toUnsignedBigInt } from '../src/int64.ts';
import { cloneReg, markConstScalar, markUnknown, Reg, setUnbounded } from '../src/register.ts';
import { refineBranch } from '../src/refine.ts';
import { scalarAlu } from '../src/scalar-alu.ts';
import { tnumIn, tnumMul } from '../src/tnum.ts';

/** Reproducible random numbers. */
class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  next(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) | 0;
    return (this.#state >>> 8) / 0x1000000;
  }
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  word(): number {
    return (this.below(0x10000) << 16) | this.below(0x10000);
  }
  /** Small, near a power of two, or anything. */
  value(): bigint {
    const kind = this.below(4);
    if (kind === 0) return U64(BigInt(this.below(64) - 32));
    if (kind === 1) return U64((1n << BigInt(this.below(64))) + BigInt(this.below(5) - 2));
    if (kind === 2) return BigInt(this.word() >>> 0);
    return toUnsignedBigInt(this.word(), this.word());
  }
}

// Masks, not BigInt.asUintN: the optimising compiler of Node 20 fails on a choice between two of its results.
const unsigned = (value: bigint, bits: bigint): bigint => value & ((1n << bits) - 1n);
const signed = (value: bigint, bits: bigint): bigint => {
  const low = unsigned(value, bits);
  return low >> (bits - 1n) ? low - (1n << bits) : low;
};
const U64 = (value: bigint): bigint => unsigned(value, 64n);
const S64 = (value: bigint): bigint => signed(value, 64n);

/** A register of which something is known that is true of `value`. */
function about(random: Random, value: bigint): Reg {
  const reg = new Reg();
  markUnknown(reg, false);
  const kind = random.below(4);
  if (kind === 0) {
    markConstScalar(reg, highOf(value), lowOf(value));
    return reg;
  }
  if (kind === 1) {
    const mask = random.value();
    reg.vh = highOf(value & ~mask);
    reg.vl = lowOf(value & ~mask);
    reg.mh = highOf(mask);
    reg.ml = lowOf(mask);
    setUnbounded(reg);
  } else if (kind === 2) {
    const [a, b] = [random.value() >> 1n, random.value() >> 1n];
    const min = value > a ? value - a : 0n;
    const max = U64(value + b) >= value ? U64(value + b) : U64(-1n);
    [reg.uminh, reg.uminl, reg.umaxh, reg.umaxl] = [highOf(min), lowOf(min), highOf(max), lowOf(max)];
  } else {
    const middle = S64(value);
    const span = random.value() >> BigInt(1 + random.below(60));
    const min = middle - span < -(1n << 63n) ? -(1n << 63n) : middle - span;
    const max = middle + span >= 1n << 63n ? (1n << 63n) - 1n : middle + span;
    [reg.sminh, reg.sminl, reg.smaxh, reg.smaxl] = [highOf(min), lowOf(min), highOf(max), lowOf(max)];
  }
  syncBounds(reg);
  return reg;
}

/** What is wrong with the register, where `value` is what it really holds. */
function flaw(reg: Reg, value: bigint): string {
  const known = { vh: highOf(value), vl: lowOf(value), mh: 0, ml: 0 };
  const exact = new Reg();
  markConstScalar(exact, known.vh, known.vl);
  if (!tnumIn(reg, known)) return 'known bits';
  if (!rangeWithin(reg, exact)) return 'bounds';
  return '';
}

type Alu = (a: bigint, b: bigint, bits: bigint) => bigint;
const shift = (b: bigint, bits: bigint): bigint => b & (bits - 1n);
const OPS: readonly (readonly [name: string, op: number, run: Alu])[] = [
  ['add', 0x00, (a, b) => a + b],
  ['sub', 0x10, (a, b) => a - b],
  ['mul', 0x20, (a, b) => a * b],
  ['or', 0x40, (a, b) => a | b],
  ['and', 0x50, (a, b) => a & b],
  ['xor', 0xa0, (a, b) => a ^ b],
  ['neg', 0x80, (a) => -a],
  ['lsh', 0x60, (a, b, bits) => a << shift(b, bits)],
  ['rsh', 0x70, (a, b, bits) => unsigned(a, bits) >> shift(b, bits)],
  ['arsh', 0xc0, (a, b, bits) => signed(a, bits) >> shift(b, bits)],
];

test.each(OPS.flatMap((row) => [32, 64].map((bits) => [`${row[0]}${bits}`, row, bits] as const)))(
  '%s',
  (_, [name, op, run], bits) => {
    const random = new Random(op * 7 + bits);
    const isShift = name.endsWith('sh');
    for (let i = 0; i < 1500; i++) {
      const a = random.value();
      const b = isShift ? BigInt(random.below(bits)) : random.value();
      const dst = about(random, a);
      const src = about(random, b);
      const before = JSON.stringify([dst, src]);
      scalarAlu(dst, src, op, bits === 32, true);
      const result = bits === 32 ? unsigned(run(U64(a), U64(b), 32n), 32n) : U64(run(U64(a), U64(b), 64n));
      expect(flaw(dst, result), `${name}${bits} of ${a} and ${b} gives ${result}: ${before}`).toBe('');
    }
  },
);

const JUMPS: readonly (readonly [
  name: string,
  op: number,
  holds: (a: bigint, b: bigint, signed: (x: bigint) => bigint) => boolean,
])[] = [
  ['==', 0x10, (a, b) => a === b],
  ['!=', 0x50, (a, b) => a !== b],
  ['>', 0x20, (a, b) => a > b],
  ['>=', 0x30, (a, b) => a >= b],
  ['<', 0xa0, (a, b) => a < b],
  ['<=', 0xb0, (a, b) => a <= b],
  ['&', 0x40, (a, b) => (a & b) !== 0n],
  ['s>', 0x60, (a, b, s) => s(a) > s(b)],
  ['s>=', 0x70, (a, b, s) => s(a) >= s(b)],
  ['s<', 0xc0, (a, b, s) => s(a) < s(b)],
  ['s<=', 0xd0, (a, b, s) => s(a) <= s(b)],
];

test.each(JUMPS.flatMap((row) => [32, 64].map((bits) => [`if a ${row[0]} b, ${bits} bits`, row, bits] as const)))(
  '%s',
  (_, [, op, holds], bits) => {
    const random = new Random(op * 3 + bits);
    const jmp32 = bits === 32;
    for (let i = 0; i < 1500; i++) {
      const a = random.value();
      const b = random.below(3) === 0 ? a : random.value();
      const [x, y] = jmp32 ? [unsigned(a, 32n), unsigned(b, 32n)] : [a, b];
      const truth = holds(x, y, (value) => signed(value, BigInt(bits)));
      const stayA = about(random, a);
      const stayB = about(random, b);
      const before = JSON.stringify([stayA, stayB]);
      const taken = branchTaken({} as Env, stayA, stayB, op, jmp32);
      if (taken >= 0) expect(taken === 1, `decided for ${a}, ${b}: ${before}`).toBe(truth);
      if (taken >= 0) continue;
      const [jumpA, jumpB] = [cloneReg(stayA), cloneReg(stayB)];
      refineBranch(jumpA, jumpB, stayA, stayB, op, jmp32);
      expect(flaw(truth ? jumpA : stayA, a), `a = ${a}, b = ${b}: ${before}`).toBe('');
      expect(flaw(truth ? jumpB : stayB, b), `a = ${a}, b = ${b}: ${before}`).toBe('');
    }
  },
);

test('byte swaps', () => {
  const random = new Random(9);
  for (let i = 0; i < 2000; i++) {
    const a = random.value();
    const bits = [16, 32, 64][random.below(3)]!;
    const swap = random.below(2) === 0;
    const reg = about(random, a);
    swapBytes(reg, bits, swap);
    let result = unsigned(a, BigInt(bits));
    if (swap) {
      let swapped = 0n;
      for (let byte = 0; byte < bits / 8; byte++) swapped = (swapped << 8n) | ((result >> BigInt(byte * 8)) & 0xffn);
      result = swapped;
    }
    expect(flaw(reg, result)).toBe('');
  }
});

test('products of tnums hold the product of every pair of their values', () => {
  const all = (v: number, m: number): number[] => [0, 1, 2, 3, 4, 5, 6, 7].filter((x) => (x & ~m) === v);
  for (let am = 0; am < 8; am++)
    for (let bm = 0; bm < 8; bm++) {
      for (let av = 0; av < 8; av++)
        for (let bv = 0; bv < 8; bv++) {
          if (av & am || bv & bm) continue;
          const out = { vh: 0, vl: 0, mh: 0, ml: 0 };
          tnumMul(out, { vh: 0, vl: av, mh: 0, ml: am }, { vh: 0, vl: bv, mh: 0, ml: bm });
          for (const a of all(av, am))
            for (const b of all(bv, bm)) {
              expect(tnumIn(out, { vh: 0, vl: a * b, mh: 0, ml: 0 })).toBe(true);
            }
        }
    }
});

test('bounds learnt from known bits hold', () => {
  const reg = new Reg();
  markUnknown(reg, false);
  [reg.vh, reg.vl, reg.mh, reg.ml] = [0, 4, 0, 3];
  update32(reg);
  update64(reg);
  expect([toBigInt(reg.sminh, reg.sminl), toBigInt(reg.smaxh, reg.smaxl), reg.u32min, reg.u32max]).toEqual([4n, 7n, 4, 7]);
});
