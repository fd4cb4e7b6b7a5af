/** Registers: what may be read, what pointers may be used for, what a number may be. */

import { cases, PASS, value } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

const REGISTERS = Array.from({ length: 10 }, (_, index) => index);

const POINTERS: readonly (readonly [string, (then: string) => string])[] = [
  ['ctx', (then) => `r2 = r1\n${then}\n${PASS}`],
  ['stack', (then) => `r2 = r10\nr2 += -8\n*(u64 *)(r2 +0) = 0\n${then}\n${PASS}`],
  ['map', (then) => `r2 = map[array]\n${then}\n${PASS}`],
  ['map value', (then) => value('array48', `r2 = r0\n${then}`)],
  ['packet', (then) => `r2 = *(u32 *)(r1 +76)\n${then}\n${PASS}`],
  ['packet end', (then) => `r2 = *(u32 *)(r1 +80)\n${then}\n${PASS}`],
  ['null or value', (then) => value('array48', '').replace('if r0 != 0x0', `r2 = r0\n${then}\nif r0 != 0x0`)],
  ['socket or null', (then) => `r2 = *(u64 *)(r1 +168)\n${then}\n${PASS}`],
];

const OPERATIONS = [
  'r2 += 8',
  'r2 -= 8',
  'r2 *= 2',
  'r2 /= 2',
  'r2 |= 1',
  'r2 &= 1',
  'r2 <<= 1',
  'r2 >>= 1',
  'r2 %= 2',
  'r2 ^= 1',
  'r2 s>>= 1',
  'r2 = -r2',
  'w2 += 1',
  'w2 = w2',
  'r2 = be16 r2',
  'r3 = r2\nr2 += r3',
  'r3 = r2\nr2 -= r3',
  'r3 = 8\nr3 += r2',
  'r3 = 8\nr3 -= r2',
];

const onPointers: Row[] = POINTERS.flatMap(([kind, make]) =>
  OPERATIONS.map((text): Row => [`${text.replaceAll('\n', ', ')} on ${kind}`, make(text)]),
);

const unset: Row[] = REGISTERS.map((n) => [`reads r${n} at entry`, `r0 = r${n}\n${PASS}`]);
const afterCall: Row[] = REGISTERS.map((n) => [
  `reads r${n} after a call`,
  `r6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\ncall bpf_get_prandom_u32\nr2 = r${n}\n${PASS}`,
]);

const shifts: Row[] = [0, 1, 31, 32, 63, 64, -1].flatMap((by): Row[] =>
  ['r', 'w'].flatMap((width) =>
    ['<<=', '>>=', 's>>='].map((op): Row => [`${width}1 ${op} ${by}`, `${width}1 = 1\n${width}1 ${op} ${by}\n${PASS}`]),
  ),
);

export const registers: readonly Case[] = [
  ...cases('uninitialised registers', [...unset, ...afterCall]),
  ...cases('pointer arithmetic', onPointers),
  ...cases('shifts', shifts),
  ...cases('registers', [
    ['returns nothing', 'exit'],
    ['writes the frame pointer', `r10 = 0\n${PASS}`],
    ['adds to the frame pointer', `r10 += 8\n${PASS}`],
    ['returns a pointer', 'r0 = r10\nexit'],
    ['returns the context', 'r0 = r1\nexit'],
    ['returns a map', 'r0 = map[array]\nexit'],
    ['divides by zero', `r1 = 1\nr1 /= 0\n${PASS}`],
    ['takes the remainder by zero', `r1 = 1\nw1 %= 0\n${PASS}`],
    ['divides by a register that is zero', `r1 = 1\nr2 = 0\nr1 /= r2\n${PASS}`],
    ['divides with a sign', `r1 = -8\nr1 s/= 3\n${PASS}`],
    ['moves with a sign from a pointer', `r1 = (s8)r1\n${PASS}`],
    ['moves 32 bits with a sign from a pointer', `r1 = (s32)r1\n${PASS}`],
    ['compares pointers of two kinds', `if r1 > r10 goto pc+0\n${PASS}`],
    ['compares a pointer with zero', `if r1 == 0 goto pc+0\n${PASS}`],
    ['compares a pointer with a number', `if r1 > 5 goto pc+0\n${PASS}`],
    ['compares the low half of a pointer', `if w1 == 0 goto pc+0\n${PASS}`],
    ['tests bits of a pointer', `if r1 & 1 goto pc+0\n${PASS}`],
    ['compares two unset registers', `if r2 == r3 goto pc+0\n${PASS}`],
    ['swaps bytes of an unset register', `r2 = be64 r2\n${PASS}`],
    ['swaps bytes without a direction', `r2 = 1\nr2 = bswap32 r2\n${PASS}`],
    ['negates an unset register', `r3 = -r3\n${PASS}`],
    ['adds two pointers in one', `r2 = r10\nr2 += r1\n${PASS}`],
    ['stores a pointer into the context', `*(u64 *)(r1 +48) = r10\n${PASS}`],
    ['loads a 64-bit number', `r1 = 0x123456789abcdef0 ll\n${PASS}`],
    ['reads through a number', `r1 = 5\nr0 = *(u8 *)(r1 +0)\n${PASS}`],
    ['writes through a number', `r1 = 5\n*(u8 *)(r1 +0) = 1\n${PASS}`],
    ['reads through an unset register', `r0 = *(u8 *)(r5 +0)\n${PASS}`],
    ['uses the low half of a pointer as a number', `w2 = w1\n${PASS}`],
  ]),
];
