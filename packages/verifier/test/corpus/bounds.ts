/** Bounds: how far a number from outside may reach into a map value of 48 bytes or a packet. */

import { cases, packet, value } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

/** r3 = a number from the map, then `check`, then an access of one byte at r3. */
const bounded = (check: string, access = 'r0 += r3\nr4 = *(u8 *)(r0 +0)'): string =>
  value('array48', `r3 = *(u64 *)(r0 +0)\n${check}\n${access}`);

const skip = (condition: string): string => `if ${condition} goto bad\ngoto good\nbad:\nr0 = 0\nexit\ngood:`;

const LIMITS = [0, 1, 46, 47, 48, 49, 63, 64, -1];
const upper: Row[] = LIMITS.flatMap((limit): Row[] => [
  [`r3 > ${limit} is out`, bounded(skip(`r3 > ${limit}`))],
  [`r3 >= ${limit} is out`, bounded(skip(`r3 >= ${limit}`))],
  [`r3 s> ${limit} is out`, bounded(skip(`r3 s> ${limit}`))],
  [`w3 > ${limit} is out`, bounded(skip(`w3 > ${limit}`))],
  [`r3 == ${limit} only`, bounded(skip(`r3 != ${limit}`))],
  [`r3 masked with ${limit}`, bounded(`r3 &= ${limit}`)],
]);

const both: Row[] = [-1, 0, 1].flatMap((low): Row[] =>
  [46, 47, 48].map((high): Row => [
    `r3 s< ${low} or s> ${high} is out`,
    bounded(`${skip(`r3 s< ${low}`)}\n${skip(`r3 s> ${high}`).replaceAll('bad', 'bad2').replaceAll('good', 'good2')}`),
  ]),
);

const shaped: Row[] = [
  ['shifted right by 58', bounded('r3 >>= 58')],
  ['shifted right by 59', bounded('r3 >>= 59')],
  ['shifted right with its sign', bounded('r3 s>>= 60')],
  ['shifted left and right', bounded('r3 <<= 58\nr3 >>= 58')],
  ['shifted left and right by 59', bounded('r3 <<= 59\nr3 >>= 59')],
  ['shifted left and right with its sign', bounded('r3 <<= 59\nr3 s>>= 59')],
  ['modulo 48', bounded('r3 %= 48')],
  ['modulo 49', bounded('r3 %= 49')],
  ['divided', bounded('r3 &= 255\nr3 /= 6')],
  ['doubled after a mask', bounded('r3 &= 15\nr3 *= 2')],
  ['tripled after a mask', bounded('r3 &= 15\nr3 *= 3')],
  ['times four after a mask', bounded('r3 &= 15\nr3 *= 4')],
  ['or-ed', bounded('r3 &= 7\nr3 |= 32')],
  ['or-ed too far', bounded('r3 &= 7\nr3 |= 48')],
  ['xor-ed', bounded('r3 &= 7\nr3 ^= 8')],
  ['xor-ed too far', bounded('r3 &= 31\nr3 ^= 32')],
  ['low byte by move', bounded('w3 = (s8)w3\nr3 &= 31')],
  ['sign extended from a byte', bounded('r3 = (s8)r3')],
  ['swapped to 16 bits', bounded('r3 = be16 r3')],
  ['swapped to 16 bits, then masked', bounded('r3 = be16 r3\nr3 &= 31')],
  ['subtracted from a bound', bounded('r3 &= 31\nr4 = 31\nr4 -= r3\nr3 = r4')],
  ['negated', bounded('r3 &= 31\nr3 = -r3')],
  ['negated and shifted up', bounded('r3 &= 31\nr3 = -r3\nr3 += 31')],
  ['32-bit sum', bounded('w3 &= 15\nw3 += 16')],
  ['32-bit sum that wraps', bounded('w3 += -1\nw3 &= 31')],
  ['32-bit shift', bounded('w3 >>= 27')],
  ['32-bit shift with sign', bounded('w3 s>>= 27\nr3 &= 31')],
  ['copied before the check', bounded(`r5 = r3\n${skip('r5 > 47')}`)],
  ['copied and added before the check', bounded(`r5 = r3\nr5 += 1\n${skip('r5 > 47')}`)],
  ['zero-extended copy before the check', bounded(`w5 = w3\n${skip('r5 > 47')}\nr3 = r5`)],
  ['checked against a register', bounded(`r5 = 47\n${skip('r3 > r5')}`)],
  ['checked from the other side', bounded(`r5 = 47\n${skip('r5 < r3')}`)],
  ['checked bits', bounded(skip('r3 & -32'))],
  ['checked bits, 32', bounded(skip('w3 & -32'))],
  ['bits of one side', bounded(skip('r3 & 64'))],
  ['spilled after the check', bounded(`${skip('r3 > 47')}\n*(u64 *)(r10 -24) = r3\nr3 = *(u64 *)(r10 -24)`)],
  ['spilled before the check', bounded(`*(u64 *)(r10 -24) = r3\n${skip('r3 > 47')}\nr3 = *(u64 *)(r10 -24)`)],
  ['half of it spilled after the check', bounded(`${skip('r3 > 47')}\n*(u32 *)(r10 -24) = r3\nr3 = *(u32 *)(r10 -24)`)],
  ['added twice', bounded('r3 &= 31', 'r0 += r3\nr0 += r3\nr4 = *(u8 *)(r0 +0)')],
  ['added and subtracted', bounded('r3 &= 31', 'r0 += r3\nr0 -= r3\nr4 = *(u8 *)(r0 +0)')],
  ['subtracted from the pointer', bounded('r3 &= 31', 'r0 -= r3\nr4 = *(u8 *)(r0 +0)')],
  ['with an offset that still fits', bounded('r3 &= 31', 'r0 += r3\nr4 = *(u8 *)(r0 +16)')],
  ['with an offset that does not', bounded('r3 &= 31', 'r0 += r3\nr4 = *(u8 *)(r0 +17)')],
  ['with a negative offset', bounded('r3 &= 31', 'r0 += r3\nr4 = *(u8 *)(r0 -1)')],
  ['unknown', bounded('')],
];

const inPacket: Row[] = [0, 1, 20, 63, 64, 255, 65535].map((mask): Row => [
  `packet at a number masked with ${mask}`,
  packet(1, `r3 = *(u8 *)(r7 +0)\nr3 &= ${mask}\nr7 += r3\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\nr4 = *(u32 *)(r7 +0)`),
]);

export const bounds: readonly Case[] = [
  ...cases('bounds by comparison', [...upper, ...both]),
  ...cases('bounds by arithmetic', shaped),
  ...cases('bounds in packets', inPacket),
];
