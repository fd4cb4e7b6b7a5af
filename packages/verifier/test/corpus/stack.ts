/** The stack: where it ends, what was written, what a spill keeps. */

import { cases, PASS } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

const SIZES = [
  ['u8', 1],
  ['u16', 2],
  ['u32', 4],
  ['u64', 8],
] as const;

const edges: Row[] = SIZES.flatMap(([type, size]): Row[] =>
  [-520, -513, -512, -511, -size, -size + 1, 0, 8].map((off): Row => [
    `writes ${type} at fp${off >= 0 ? `+${off}` : off}`,
    `*(${type} *)(r10 ${off >= 0 ? `+${off}` : off}) = 1\n${PASS}`,
  ]),
);

const reads: Row[] = SIZES.flatMap(([written]): Row[] =>
  SIZES.map(([read]): Row => [
    `writes ${written}, reads ${read}`,
    `*(${written} *)(r10 -8) = 1\nr2 = *(${read} *)(r10 -8)\n${PASS}`,
  ]),
);

const fills: Row[] = SIZES.flatMap(([read, size]): Row[] =>
  [0, 8 - size].map((at): Row => [
    `reads ${read} at ${at} of a spilled pointer`,
    `*(u64 *)(r10 -8) = r1\nr2 = *(${read} *)(r10 ${-8 + at})\n${PASS}`,
  ]),
);

const spoils: Row[] = SIZES.flatMap(([type]): Row[] =>
  [0, 4].map((at): Row => [
    `writes ${type} at ${at} over a spilled pointer, then uses it`,
    `*(u64 *)(r10 -8) = r1\n*(${type} *)(r10 ${-8 + at}) = 0\nr2 = *(u64 *)(r10 -8)\nr3 = *(u32 *)(r2 +0)\n${PASS}`,
  ]),
);

const variable = (mask: number, then: string): string => `call bpf_get_prandom_u32
  r0 &= ${mask}
  r2 = r10
  r2 += -64
  r2 += r0
  ${then}
  ${PASS}`;

const zeroed = Array.from({ length: 8 }, (_, index) => `*(u64 *)(r10 ${-8 * (index + 1)}) = 0`).join('\n');

export const stack: readonly Case[] = [
  ...cases('stack edges', edges),
  ...cases('stack contents', [...reads, ...fills, ...spoils]),
  ...cases('stack', [
    ['reads what was not written', `r2 = *(u64 *)(r10 -8)\n${PASS}`],
    ['reads half of what was written', `*(u32 *)(r10 -8) = 0\nr2 = *(u64 *)(r10 -8)\n${PASS}`],
    ['reads two writes as one', `*(u32 *)(r10 -8) = 0\n*(u32 *)(r10 -4) = 0\nr2 = *(u64 *)(r10 -8)\n${PASS}`],
    ['keeps a pointer over a spill', `*(u64 *)(r10 -8) = r1\nr2 = *(u64 *)(r10 -8)\nr3 = *(u32 *)(r2 +0)\n${PASS}`],
    ['spills at an odd place', `*(u64 *)(r10 -12) = r1\n${PASS}`],
    ['spills 32 bits of a pointer', `*(u32 *)(r10 -8) = r1\n${PASS}`],
    [
      'keeps a constant over a spill',
      `r2 = 7\n*(u64 *)(r10 -8) = r2\nr3 = *(u64 *)(r10 -8)\nr4 = r10\nr4 -= r3\n*(u8 *)(r4 -1) = 0\n${PASS}`,
    ],
    [
      'keeps a constant over a 32-bit spill',
      `r2 = 7\n*(u32 *)(r10 -8) = r2\nr3 = *(u32 *)(r10 -8)\nr4 = r10\nr4 -= r3\n*(u8 *)(r4 -1) = 0\n${PASS}`,
    ],
    ['reads the upper half of a spilled number', `r2 = 7\n*(u64 *)(r10 -8) = r2\nr3 = *(u32 *)(r10 -4)\n${PASS}`],
    ['fills a spilled number with a sign', `r2 = -1\n*(u64 *)(r10 -8) = r2\nr3 = *(s32 *)(r10 -8)\n${PASS}`],
    ['writes at a variable place', variable(31, '*(u8 *)(r2 +0) = 1')],
    ['writes at a variable place beyond the frame', variable(127, '*(u8 *)(r2 +0) = 1')],
    ['reads at a variable place that was written', `${zeroed}\n${variable(63, 'r3 = *(u8 *)(r2 +0)')}`],
    ['reads at a variable place that was not', variable(63, 'r3 = *(u8 *)(r2 +0)')],
    ['reads 8 bytes at a variable place', `${zeroed}\n${variable(56, 'r3 = *(u64 *)(r2 +0)')}`],
    ['writes 8 bytes at a place of unknown alignment', variable(31, '*(u64 *)(r2 +0) = 1')],
    ['writes at a variable place over a spilled pointer', `*(u64 *)(r10 -64) = r1\n${variable(7, '*(u8 *)(r2 +0) = 1')}`],
    ...['-1', '0'].flatMap((spill): Row[] =>
      ['r4 = *(u64 *)(r10 -64)', 'r4 = *(u32 *)(r10 -60)', 'r4 = *(u8 *)(r10 -57)'].map((read) => [
        `writes at a variable place over a spilled ${spill}, then ${read}`,
        `*(u64 *)(r10 -64) = ${spill}\n${variable(4, `*(u8 *)(r2 +0) = 5\n${read}`)}`,
      ]),
    ),
    ['uses an unbounded place', `call bpf_get_prandom_u32\nr2 = r10\nr2 += r0\n*(u8 *)(r2 -1) = 1\n${PASS}`],
    ['subtracts an unbounded number', `call bpf_get_prandom_u32\nr2 = r10\nr2 -= r0\n*(u8 *)(r2 +0) = 1\n${PASS}`],
    ['passes a variable place to a helper', `${zeroed}\nr6 = r1\n${variable(28, 'r1 = map[array]\ncall bpf_map_lookup_elem')}`],
    ['atomically adds to the stack', `*(u64 *)(r10 -8) = 0\nr2 = 1\nlock *(u64 *)(r10 -8) += r2\n${PASS}`],
    ['atomically adds to what was not written', `r2 = 1\nlock *(u64 *)(r10 -8) += r2\n${PASS}`],
    ['atomically adds 16 bits', `*(u64 *)(r10 -8) = 0\nr2 = 1\nlock *(u16 *)(r10 -8) += r2\n${PASS}`],
    ['atomically adds a pointer', `*(u64 *)(r10 -8) = 0\nlock *(u64 *)(r10 -8) += r1\n${PASS}`],
    ['fetches and adds', `*(u64 *)(r10 -8) = 0\nr2 = 1\nr2 = atomic64_fetch_add((u64 *)(r10 -8), r2)\n${PASS}`],
    ['exchanges', `*(u64 *)(r10 -8) = 0\nr2 = 1\nr2 = atomic64_xchg((u64 *)(r10 -8), r2)\n${PASS}`],
    [
      'compares and exchanges without r0',
      `*(u64 *)(r10 -8) = 0\nr2 = 1\nr0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r2)\n${PASS}`,
    ],
    ['compares and exchanges', `*(u64 *)(r10 -8) = 0\nr0 = 0\nr2 = 1\nr0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r2)\n${PASS}`],
    ['loads with acquire', `*(u64 *)(r10 -8) = 0\nr2 = load_acquire((u64 *)(r10 -8))\n${PASS}`],
    ['stores with release', `r2 = 0\nstore_release((u64 *)(r10 -8), r2)\nr2 = *(u64 *)(r10 -8)\n${PASS}`],
  ]),
];
