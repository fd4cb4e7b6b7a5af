/** Packets, map values and contexts: what a program may reach, and after which check. */

import { cases, packet, PASS, value } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

const SIZES = [
  ['u8', 1],
  ['u16', 2],
  ['u32', 4],
  ['u64', 8],
] as const;

const packetReads: Row[] = SIZES.flatMap(([type, size]): Row[] =>
  [14 - size, 15 - size, 14, -1].map((off): Row => [
    `reads ${type} at ${off} of 14 bytes`,
    packet(14, `r3 = *(${type} *)(r7 ${off >= 0 ? `+${off}` : off})`),
  ]),
);

const COMPARISONS = [
  'r2 > r8',
  'r2 >= r8',
  'r8 > r2',
  'r8 >= r2',
  'r2 < r8',
  'r2 <= r8',
  'r8 < r2',
  'r8 <= r2',
  'r2 == r8',
  'r2 != r8',
  'r2 s> r8',
];
const checked = (condition: string, taken: boolean): string => `r7 = *(u32 *)(r1 +76)
  r8 = *(u32 *)(r1 +80)
  r2 = r7
  r2 += 8
  if ${condition} goto yes
  ${taken ? PASS : 'r0 = *(u64 *)(r7 +0)\nr0 = 0\nexit'}
  yes:
  ${taken ? 'r0 = *(u64 *)(r7 +0)\nr0 = 0\nexit' : PASS}`;
const packetChecks: Row[] = COMPARISONS.flatMap((condition): Row[] =>
  [true, false].map((taken): Row => [`${condition}, ${taken ? 'taken' : 'not taken'}`, checked(condition, taken)]),
);

const valueReads: Row[] = SIZES.flatMap(([type, size]): Row[] =>
  [48 - size, 49 - size, 48, -1].map((off): Row => [
    `reads ${type} at ${off} of a value of 48`,
    value('array48', `r3 = *(${type} *)(r0 ${off >= 0 ? `+${off}` : off})`),
  ]),
);

const MAP_OPS: Row[] = [
  'array',
  'hash',
  'percpu_hash',
  'percpu_array',
  'lru',
  'lpm',
  'outer',
  'outer_hash',
  'readonly',
  'writeonly',
  'queue',
  'ringbuf',
  'prog_array',
  'events',
  'sockmap',
  'devmap',
  'cpumap',
  'lock',
  'timer',
].flatMap((name): Row[] => [
  [`reads a value of ${name}`, value(name, 'r3 = *(u32 *)(r0 +0)')],
  [`writes a value of ${name}`, value(name, '*(u32 *)(r0 +0) = 1')],
  [`looks up and does not check in ${name}`, value(name, '').replace('if r0 != 0x0', 'r3 = *(u8 *)(r0 +0)\nif r0 != 0x0')],
]);

const direct: Row[] = [0, 8, 12, 15, 16, 20, -4].flatMap((off): Row[] => [
  [`direct value of array1 at ${off}`, `r1 = map[array1][0]+${off < 0 ? 4294967292 : off}\nr2 = *(u32 *)(r1 +0)\n${PASS}`],
]);

const CONTEXT: Row[] = [
  ['reads the length', `r2 = *(u32 *)(r1 +0)\n${PASS}`],
  ['writes the length', `*(u32 *)(r1 +0) = 1\n${PASS}`],
  ['writes the mark', `r2 = 1\n*(u32 *)(r1 +8) = r2\n${PASS}`],
  ['writes half of the mark', `r2 = 1\n*(u16 *)(r1 +8) = r2\n${PASS}`],
  ['stores a constant into the mark', `*(u32 *)(r1 +8) = 1\n${PASS}`],
  ['atomically adds to the mark', `r2 = 1\nlock *(u32 *)(r1 +8) += r2\n${PASS}`],
  ['reads unaligned', `r2 = *(u32 *)(r1 +2)\n${PASS}`],
  ['reads before the context', `r2 = *(u32 *)(r1 -4)\n${PASS}`],
  ['reads after the context', `r2 = *(u32 *)(r1 +192)\n${PASS}`],
  ['reads a moved context', `r1 += 4\nr2 = *(u32 *)(r1 +0)\n${PASS}`],
  ['moves the context by a variable', `r6 = r1\ncall bpf_get_prandom_u32\nr0 &= 4\nr6 += r0\nr2 = *(u32 *)(r6 +0)\n${PASS}`],
  ['passes a moved context', `r1 += 4\nr2 = 0\ncall bpf_skb_pull_data\n${PASS}`],
  ['reads data with a sign', `r2 = *(s32 *)(r1 +76)\n${PASS}`],
  ['reads 8 bytes of data', `r2 = *(u64 *)(r1 +76)\n${PASS}`],
  ['reads the time stamp', `r2 = *(u64 *)(r1 +152)\n${PASS}`],
  ['reads half of the time stamp', `r2 = *(u32 *)(r1 +152)\n${PASS}`],
  ['reads cb', `r2 = *(u64 *)(r1 +48)\n${PASS}`],
  ['reads beyond cb', `r2 = *(u64 *)(r1 +64)\n${PASS}`],
  ['reads the socket without a check', `r2 = *(u64 *)(r1 +168)\nr3 = *(u32 *)(r2 +0)\n${PASS}`],
  ['reads the socket', `r2 = *(u64 *)(r1 +168)\nif r2 == 0 goto out\nr3 = *(u32 *)(r2 +4)\nout:\n${PASS}`],
  [
    'reads a field of a full socket of a common one',
    `r2 = *(u64 *)(r1 +168)\nif r2 == 0 goto out\nr3 = *(u32 *)(r2 +8)\nout:\n${PASS}`,
  ],
  ['writes the socket', `r2 = *(u64 *)(r1 +168)\nif r2 == 0 goto out\n*(u32 *)(r2 +4) = 1\nout:\n${PASS}`],
  [
    'makes a full socket',
    `r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall bpf_sk_fullsock\nif r0 == 0 goto out\nr3 = *(u32 *)(r0 +8)\nout:\n${PASS}`,
  ],
  [
    'makes a full socket and does not check',
    `r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall bpf_sk_fullsock\nr3 = *(u32 *)(r0 +8)\nout:\n${PASS}`,
  ],
];

const PACKETS: Row[] = [
  ['reads without a check', `r2 = *(u32 *)(r1 +76)\nr3 = *(u8 *)(r2 +0)\n${PASS}`],
  ['reads the end', `r2 = *(u32 *)(r1 +80)\nr3 = *(u8 *)(r2 +0)\n${PASS}`],
  [
    'reads metadata',
    `r2 = *(u32 *)(r1 +140)\nr3 = *(u32 *)(r1 +76)\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr5 = *(u32 *)(r2 +0)\nout:\n${PASS}`,
  ],
  [
    'reads metadata checked against the end',
    `r2 = *(u32 *)(r1 +140)\nr3 = *(u32 *)(r1 +80)\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr5 = *(u32 *)(r2 +0)\nout:\n${PASS}`,
  ],
  ['writes', packet(14, '*(u8 *)(r7 +0) = 1')],
  ['stores a pointer', packet(14, '*(u64 *)(r7 +0) = r10')],
  ['atomically adds', packet(14, 'r3 = 1\nlock *(u64 *)(r7 +0) += r3')],
  ['reads after the packet changed', packet(14, 'r1 = r6\nr2 = 0\ncall bpf_skb_pull_data\nr3 = *(u8 *)(r7 +0)')],
  [
    'checks anew after the packet changed',
    packet(
      14,
      'r1 = r6\nr2 = 0\ncall bpf_skb_pull_data\nr7 = *(u32 *)(r6 +76)\nr8 = *(u32 *)(r6 +80)\nr2 = r7\nr2 += 1\nif r2 > r8 goto out\nr3 = *(u8 *)(r7 +0)',
    ),
  ],
  ['keeps the check over a helper that changes nothing', packet(14, 'call bpf_get_prandom_u32\nr3 = *(u8 *)(r7 +0)')],
  ['takes the length', packet(14, 'r8 -= r7\nif r8 > 100 goto out')],
  ['passes packet memory', packet(16, 'r1 = r7\nr2 = 16\nr3 = 0\nr4 = 0\nr5 = 0\ncall bpf_csum_diff')],
  ['passes packet memory beyond the check', packet(16, 'r1 = r7\nr2 = 20\nr3 = 0\nr4 = 0\nr5 = 0\ncall bpf_csum_diff')],
  ['passes packet memory to a helper that takes none', packet(16, 'r1 = r6\nr2 = 0\nr3 = r7\nr4 = 8\ncall bpf_skb_load_bytes')],
  ['uses packet memory as a key', packet(16, 'r1 = map[hash]\nr2 = r7\ncall bpf_map_lookup_elem')],
  ['uses packet memory as a key beyond the check', packet(2, 'r1 = map[hash]\nr2 = r7\ncall bpf_map_lookup_elem')],
  ['checks a copy', packet(0, 'r3 = r7\nr3 += 8\nr4 = r3\nif r4 > r8 goto out\nr5 = *(u64 *)(r7 +0)')],
  ['moves the end', packet(14, 'r8 += 1')],
  ['reads from a socket filter', packet(14, 'r3 = *(u8 *)(r7 +0)'), { type: 'socket_filter' }],
  ['reads in lwt_in', packet(14, 'r3 = *(u8 *)(r7 +0)'), { type: 'lwt_in' }],
  ['writes in lwt_in', packet(14, '*(u8 *)(r7 +0) = 1'), { type: 'lwt_in' }],
  ['writes in lwt_xmit', packet(14, '*(u8 *)(r7 +0) = 1'), { type: 'lwt_xmit' }],
  ['reads in cgroup_skb', packet(14, 'r3 = *(u8 *)(r7 +0)'), { type: 'cgroup_skb' }],
  ['writes in cgroup_skb', packet(14, '*(u8 *)(r7 +0) = 1'), { type: 'cgroup_skb' }],
  ['writes in sk_skb', packet(14, '*(u8 *)(r7 +0) = 1'), { type: 'sk_skb' }],
];

const ABSOLUTE: Row[] = [
  ['loads a byte', `r6 = r1\nr0 = *(u8 *)skb[12]\n${PASS}`],
  ['loads without the context in r6', `r0 = *(u8 *)skb[12]\n${PASS}`],
  ['loads indirectly', `r6 = r1\nr7 = 12\nr0 = *(u16 *)skb[r7 + 0]\n${PASS}`],
  ['loads by an unset register', `r6 = r1\nr0 = *(u16 *)skb[r7 + 0]\n${PASS}`],
  ['uses r1 after a load', `r6 = r1\nr0 = *(u8 *)skb[12]\nr2 = r1\n${PASS}`],
  ['loads in xdp', `r6 = r1\nr0 = *(u8 *)skb[12]\n${PASS}`, { type: 'xdp' }],
  ['loads in a socket filter', `r6 = r1\nr0 = *(u32 *)skb[12]\nexit`, { type: 'socket_filter' }],
  ['loads with a pointer in r6', `r6 = r10\nr0 = *(u8 *)skb[12]\n${PASS}`],
];

export const memory: readonly Case[] = [
  ...cases('packet offsets', packetReads),
  ...cases('packet checks', packetChecks),
  ...cases('packets', PACKETS),
  ...cases('map values', [...valueReads, ...MAP_OPS]),
  ...cases('direct values', [
    ...direct,
    ['direct value of an array of two', `r1 = map[array48][0]+0\n${PASS}`],
    ['direct value of a hash', `r1 = map[hash][0]+0\n${PASS}`],
    ['writes a frozen map', `r1 = map[frozen][0]+0\n*(u32 *)(r1 +0) = 1\n${PASS}`],
    ['knows a frozen number', `r1 = map[frozen][0]+0\nr2 = *(u32 *)(r1 +4)\nr3 = r10\nr3 -= r2\n*(u8 *)(r3 +0) = 1\n${PASS}`],
    ['reads a write-only map', `r1 = map[writeonly][0]+0\nr2 = *(u32 *)(r1 +0)\n${PASS}`],
    ['writes a read-only map', `r1 = map[readonly][0]+0\n*(u32 *)(r1 +0) = 1\n${PASS}`],
  ]),
  ...cases('contexts', CONTEXT),
  ...cases('absolute loads', ABSOLUTE),
];
