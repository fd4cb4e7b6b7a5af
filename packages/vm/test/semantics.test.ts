/** What each instruction computes, on every engine. Expected values: the kernel's (BPF_PROG_TEST_RUN) or RFC 9669. */

import { describe, expect, test } from 'vitest';

import { engines, load, program } from './engines.ts';

type Row = readonly [what: string, source: string, r0: bigint];
const M1 = 0xffff_ffff_ffff_ffffn;

const rows: readonly Row[] = [
  ['moves extend', 'r0 = -1\nexit', M1],
  ['32-bit moves zero the upper half', 'r0 = -1\nw0 = w0\nexit', 0xffff_ffffn],
  ['32-bit immediates zero the upper half', 'w0 = -1\nexit', 0xffff_ffffn],
  ['ld_imm64', 'r0 = 0x123456789abcdef0 ll\nexit', 0x1234_5678_9abc_def0n],
  ['add wraps at 64 bits', 'r0 = -1\nr0 += 2\nexit', 1n],
  ['add wraps at 32 bits', 'w0 = -1\nw0 += 2\nexit', 1n],
  ['sub', 'r0 = 3\nr1 = 5\nr0 -= r1\nexit', BigInt.asUintN(64, -2n)],
  ['mul', 'r0 = 0x100000001 ll\nr0 *= 3\nexit', 0x3_0000_0003n],
  ['mul 32', 'w0 = 0x10001\nw0 *= 0x10001\nexit', 0x0002_0001n],
  ['div', 'r0 = 0x100000000 ll\nr1 = 3\nr0 /= r1\nexit', 0x5555_5555n],
  ['div by zero is zero', 'r0 = 7\nr1 = 0\nr0 /= r1\nexit', 0n],
  ['div 32 by zero is zero', 'r0 = -7\nr1 = 0x100000000 ll\nw0 /= w1\nexit', 0n],
  ['mod by zero keeps the dividend', 'r0 = -7\nr1 = 0\nr0 %= r1\nexit', BigInt.asUintN(64, -7n)],
  ['mod 32 by zero keeps the lower half', 'r0 = -7\nr1 = 0\nw0 %= w1\nexit', 0xffff_fff9n],
  ['div by a constant', 'r0 = -1\nr0 /= 10\nexit', M1 / 10n],
  ['div by a negative constant is unsigned', 'r0 = -1\nr0 /= -2\nexit', 1n],
  ['mod by a constant', 'r0 = -1\nw0 %= 1000\nexit', 0xffff_ffffn % 1000n],
  ['mod by a power of two', 'r0 = -1\nr0 %= 64\nexit', 63n],
  ['sdiv rounds to zero', 'r0 = -7\nr1 = 2\nr0 s/= r1\nexit', BigInt.asUintN(64, -3n)],
  ['sdiv by -1 of the least number', 'r0 = 0x8000000000000000 ll\nr1 = -1\nr0 s/= r1\nexit', 0x8000_0000_0000_0000n],
  ['sdiv 32 by -1 of the least number', 'w0 = 0x80000000\nw1 = -1\nw0 s/= w1\nexit', 0x8000_0000n],
  ['sdiv by constant -1', 'r0 = 0x8000000000000000 ll\nr0 s/= -1\nexit', 0x8000_0000_0000_0000n],
  ['sdiv by zero is zero', 'r0 = -7\nr1 = 0\nr0 s/= r1\nexit', 0n],
  ['smod has the sign of the dividend', 'r0 = -7\nr1 = 3\nr0 s%= r1\nexit', M1],
  ['smod by -1', 'r0 = 0x8000000000000000 ll\nr1 = -1\nr0 s%= r1\nexit', 0n],
  ['smod 32', 'w0 = -7\nw1 = -3\nw0 s%= w1\nexit', 0xffff_ffffn],
  ['smod 32 by zero', 'r0 = -7\nw1 = 0\nw0 s%= w1\nexit', 0xffff_fff9n],
  ['neg', 'r0 = 1\nr0 = -r0\nexit', M1],
  ['neg 32', 'w0 = 1\nw0 = -w0\nexit', 0xffff_ffffn],
  ['or and xor', 'r0 = 0xf0\nr0 |= 0xf\nr0 &= -16\nr0 ^= -1\nexit', BigInt.asUintN(64, ~0xf0n)],
  ['lsh masks the amount', 'r0 = 1\nr1 = 65\nr0 <<= r1\nexit', 2n],
  ['lsh 32 masks the amount', 'r0 = 1\nr1 = 33\nw0 <<= w1\nexit', 2n],
  ['rsh', 'r0 = -1\nr0 >>= 60\nexit', 15n],
  ['arsh', 'r0 = -16\nr0 s>>= 2\nexit', BigInt.asUintN(64, -4n)],
  ['rsh by a negative constant masks the amount', 'r0 = 31\nr1 = -493\nr0 >>= r1\nexit', 0n],
  ['arsh 32', 'w0 = -16\nw0 s>>= 2\nexit', 0xffff_fffcn],
  ['movsx 8', 'r1 = 0x80\nr0 = (s8)r1\nexit', BigInt.asUintN(64, -128n)],
  ['movsx 16 in 32 bits', 'r1 = 0x8000\nw0 = (s16)w1\nexit', 0xffff_8000n],
  ['movsx 32', 'r1 = 0x80000000 ll\nr0 = (s32)r1\nexit', 0xffff_ffff_8000_0000n],
  ['be16', 'r0 = 0x11223344 ll\nr0 = be16 r0\nexit', 0x4433n],
  ['be32', 'r0 = 0x1122334455667788 ll\nr0 = be32 r0\nexit', 0x8877_6655n],
  ['be64', 'r0 = 0x1122334455667788 ll\nr0 = be64 r0\nexit', 0x8877_6655_4433_2211n],
  ['le16 truncates', 'r0 = 0x11223344 ll\nr0 = le16 r0\nexit', 0x3344n],
  ['bswap32', 'r0 = 0x1122334455667788 ll\nr0 = bswap32 r0\nexit', 0x8877_6655n],
  ['shl and shr by 32 extend', 'r0 = -1\nr0 <<= 32\nr0 >>= 32\nexit', 0xffff_ffffn],
  ['shl and arsh by 32 extend the sign', 'r0 = 0x180000000 ll\nr0 <<= 32\nr0 s>>= 32\nexit', 0xffff_ffff_8000_0000n],
  ['a rotation', 'r1 = 0x123456789abcdef0 ll\nr0 = r1\nr1 <<= 13\nr0 >>= 51\nr0 |= r1\nexit', 0x8acf_1357_9bde_0246n],
  ['stack store and load', '*(u64 *)(r10 -8) = -2\nr0 = *(u64 *)(r10 -8)\nexit', BigInt.asUintN(64, -2n)],
  ['stack bytes overlap', '*(u64 *)(r10 -8) = 0x11223344\n*(u8 *)(r10 -7) = 0x55\nr0 = *(u32 *)(r10 -8)\nexit', 0x1122_5544n],
  ['stack through another register', 'r2 = r10\nr2 += -16\n*(u32 *)(r2 +4) = -1\nr0 = *(s32 *)(r10 -12)\nexit', M1],
  ['narrow stores truncate', 'r1 = 0x12345\n*(u16 *)(r10 -2) = r1\nr0 = *(u16 *)(r10 -2)\nexit', 0x2345n],
  ['signed loads', '*(u8 *)(r10 -1) = 0x80\nr0 = *(s8 *)(r10 -1)\nexit', BigInt.asUintN(64, -128n)],
  ['lock add', '*(u64 *)(r10 -8) = 5\nr1 = 3\nlock *(u64 *)(r10 -8) += r1\nr0 = *(u64 *)(r10 -8)\nexit', 8n],
  [
    'lock and 32 leaves the rest',
    'r1 = -1\n*(u64 *)(r10 -8) = r1\nr1 = 0xf0\nlock *(u32 *)(r10 -8) &= r1\nr0 = *(u64 *)(r10 -8)\nexit',
    0xffff_ffff_0000_00f0n,
  ],
  [
    'fetch_add gives the old value',
    '*(u64 *)(r10 -8) = 5\nr1 = 3\nr1 = atomic64_fetch_add((u64 *)(r10 -8), r1)\nr0 = *(u64 *)(r10 -8)\nr0 <<= 8\nr0 |= r1\nexit',
    0x805n,
  ],
  [
    'fetch_xor 32 zero-extends',
    'r1 = -1\n*(u64 *)(r10 -8) = r1\nr1 = atomic_fetch_xor((u32 *)(r10 -8), r1)\nr0 = r1\nexit',
    0xffff_ffffn,
  ],
  [
    'xchg',
    '*(u64 *)(r10 -8) = 5\nr1 = 9\nr1 = atomic64_xchg((u64 *)(r10 -8), r1)\nr0 = *(u64 *)(r10 -8)\nr0 *= 16\nr0 += r1\nexit',
    0x95n,
  ],
  [
    'cmpxchg that matches',
    '*(u64 *)(r10 -8) = 5\nr0 = 5\nr1 = 9\nr0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r1)\nr1 = *(u64 *)(r10 -8)\nr0 *= 16\nr0 += r1\nexit',
    0x59n,
  ],
  [
    'cmpxchg that does not',
    '*(u64 *)(r10 -8) = 5\nr0 = 4\nr1 = 9\nr0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r1)\nr1 = *(u64 *)(r10 -8)\nr0 *= 16\nr0 += r1\nexit',
    0x55n,
  ],
  [
    'cmpxchg 32 compares the lower half',
    '*(u32 *)(r10 -8) = 5\nr0 = 0x100000005 ll\nr1 = 9\nr0 = atomic_cmpxchg((u32 *)(r10 -8), r0, r1)\nr1 = *(u32 *)(r10 -8)\nr0 *= 16\nr0 += r1\nexit',
    0x59n,
  ],
  [
    'load_acquire and store_release',
    'r1 = 0x1ff\nstore_release((u8 *)(r10 -8), r1)\nr0 = load_acquire((u8 *)(r10 -8))\nexit',
    0xffn,
  ],
  ['gotol', 'r0 = 1\ngotol pc+1\nr0 = 2\nexit', 1n],
  ['a counted loop', 'r0 = 0\nr1 = 10\nr0 += r1\nr1 += -1\nif r1 != 0 goto pc-3\nexit', 55n],
  [
    'a loop that counts in memory',
    'r0 = 0\n*(u64 *)(r10 -104) = 18\nagain: r0 += 3\nr5 = le32 r5\nr5 = r10\nr1 = *(u64 *)(r10 -104)\nr1 += -1\n*(u64 *)(r10 -104) = r1\nif r1 != 0 goto again\nexit',
    54n,
  ],
  ['may_goto lets through 8 Mi times', 'r0 = 0\nagain: may_goto out\nr0 += 1\ngoto again\nout: exit', 8_388_608n],
  ['a call keeps r6 to r9', 'r6 = 7\nr1 = 5\ncall pc+2\nr0 += r6\nexit\nr6 = r1\nr6 *= 2\nr0 = r6\nexit', 17n],
  [
    'a call has its own frame',
    '*(u64 *)(r10 -8) = 1\nr1 = r10\ncall pc+2\nr0 = *(u64 *)(r10 -8)\nexit\n*(u64 *)(r10 -8) = 2\nr1 += -8\n*(u64 *)(r1 +0) = 3\nr0 = 0\nexit',
    3n,
  ],
  [
    'recursion within 8 frames',
    'r1 = 6\ncall pc+1\nexit\nr0 = 1\nif r1 == 0 goto pc+5\nr6 = r1\nr1 += -1\ncall pc-5\nr0 *= r6\nexit\nexit',
    720n,
  ],
];

const jumps: readonly (readonly [op: string, left: bigint, right: bigint, taken64: boolean, taken32: boolean])[] = [
  ['==', 0x1_0000_0001n, 1n, false, true],
  ['!=', 0x1_0000_0001n, 1n, true, false],
  ['>', 0x1_0000_0000n, 1n, true, false],
  ['>', M1, 1n, true, true],
  ['>=', 1n, 1n, true, true],
  ['<', 1n, M1, true, true],
  ['<', 0x1_0000_0000n, 1n, false, true],
  ['<=', 2n, 1n, false, false],
  ['s>', M1, 1n, false, false],
  ['s>', 0x8000_0000n, 0n, true, false],
  ['s>=', 1n, M1, true, true],
  ['s<', M1, 0n, true, true],
  ['s<', 0x8000_0000n, 1n, false, true],
  ['s<=', 0x7fff_ffff_ffff_ffffn, 0n, false, true],
  ['&', 0x1_0000_0000n, 0x1_0000_0000n, true, false],
  ['&', 6n, 3n, true, true],
  ['&', 4n, 3n, false, false],
];

/** Loops that count a register from `first` by `step` until the condition fails; r0 sums what the register was. */
const loops = [1, 2, 3, 7, 8, 9, 15, 16, 17, 40, 257].flatMap((trips) =>
  [1, 3, -2].flatMap((step) =>
    [
      ['r', '!='],
      ['w', '!='],
      ['r', step > 0 ? 's<' : 's>'],
    ].map(([width, op]) => ({ trips, step, width: width!, op: op! })),
  ),
);

describe.each(engines)('%s', (engine) => {
  test.each(loops)('$trips rounds by $step while $width $op', ({ trips, step, width, op }) => {
    const end = 5 + trips * step;
    const bodies = [
      `r0 += r2\n${width}2 += ${step}\nif ${width}2 ${op} ${end} goto again`,
      // The test comes before the last use of the counter, and the body has two paths.
      `r3 = r2\nr3 &= 1\nif r3 == 0 goto even\nr0 += r2\ngoto next\neven: r0 += r2\nnext: ${width}2 += ${step}\nif ${width}2 ${op} ${end} goto again`,
    ];
    let sum = 0n;
    for (let round = 0, value = 5n; round < trips; round++) {
      sum += width === 'w' ? BigInt.asUintN(32, value) : value;
      value += BigInt(step);
    }
    for (const body of bodies) {
      expect(load(engine, program(`r0 = 0\nr2 = 5\nagain: ${body}\nexit`)).loaded.run64(0)).toBe(BigInt.asUintN(64, sum));
    }
  });

  test.each(rows)('%s', (_, source, expected) => {
    expect(load(engine, program(source)).loaded.run64(0)).toBe(expected);
  });

  test.each(jumps)('jump %s of %x and %x', (op, left, right, taken64, taken32) => {
    const source = (width: string): string =>
      `r1 = 0x${left.toString(16)} ll\nr2 = 0x${right.toString(16)} ll\nr0 = 1\nif ${width}1 ${op} ${width}2 goto pc+1\nr0 = 0\nexit`;
    expect(load(engine, program(source('r'))).loaded.run(0) === 1).toBe(taken64);
    expect(load(engine, program(source('w'))).loaded.run(0) === 1).toBe(taken32);
  });

  // The same comparisons where nothing is known of the operands when the program is compiled.
  test.each(jumps)('jump %s of %x and %x from memory', (op, left, right, taken64, taken32) => {
    for (const [width, taken] of [
      ['r', taken64],
      ['w', taken32],
    ] as const) {
      const source = `r2 = *(u64 *)(r1 +8)\nr1 = *(u64 *)(r1 +0)\nr0 = 1\nif ${width}1 ${op} ${width}2 goto pc+1\nr0 = 0\nexit`;
      const { runtime, loaded } = load(engine, program(source));
      const ctx = runtime.arena.allocate(16);
      runtime.arena.view.setBigUint64(ctx, left, true);
      runtime.arena.view.setBigUint64(ctx + 8, right, true);
      expect(loaded.run(ctx) === 1).toBe(taken);
    }
  });

  test('two loops that are entered in the middle', () => {
    // r1 chooses the entry; both halves of the loop count r0 up until it is 10 or more.
    const source = 'r0 = 0\nif r1 == 0 goto b\na: r0 += 1\nif r0 s> 9 goto out\nb: r0 += 2\nif r0 s<= 9 goto a\nout: exit';
    const { runtime, loaded } = load(engine, program(source));
    const ctx = runtime.arena.allocate(8);
    expect(loaded.run(0)).toBe(11);
    expect(loaded.run(ctx)).toBe(10);
  });

  test('programs of any size', () => {
    const lines = ['r0 = 1'];
    for (let index = 0; index < 3000; index++) lines.push(`r0 *= 3`, `if r0 == ${index} goto out`);
    lines.push('out: exit');
    expect(load(engine, program(lines.join('\n'))).loaded.run64(0)).toBe(BigInt.asUintN(64, 3n ** 3000n));
  });
});
