/** What differs from program type to program type: results, helpers' forms, direct packet access, attach types, contexts by BTF. */

import { cases, PASS } from './case-list.ts';
import type { Case, Row } from './case-list.ts';
import type { Program } from '../support/case.ts';

const RETURNING: readonly (readonly [string, Partial<Program>])[] = [
  ['socket_filter', {}],
  ['xdp', {}],
  ['cgroup_skb', { attach: 0 }],
  ['cgroup_skb', { attach: 1 }],
  ['cgroup_sock', { attach: 2 }],
  ['cgroup_sock_addr', { attach: 8 }],
  ['cgroup_sock_addr', { attach: 10 }],
  ['cgroup_sock_addr', { attach: 19 }],
  ['cgroup_sock_addr', { attach: 30 }],
  ['cgroup_sockopt', { attach: 21 }],
  ['cgroup_sysctl', {}],
  ['cgroup_device', {}],
  ['sock_ops', {}],
  ['sk_lookup', { attach: 36 }],
  ['netfilter', { attach: 45 }],
  ['sk_msg', {}],
  ['flow_dissector', {}],
];
const returns: Row[] = RETURNING.flatMap(([type, options]): Row[] =>
  [-1, 0, 1, 2, 4].map((result): Row => [
    `${type}${options.attach === undefined ? '' : ` ${options.attach}`} returns ${result}`,
    `r0 = ${result}\nexit`,
    { type, ...options },
  ]),
);
const unknown: Row[] = RETURNING.map(([type, options]): Row => [
  `${type}${options.attach === undefined ? '' : ` ${options.attach}`} returns an unknown number`,
  'call bpf_get_prandom_u32\nexit',
  { type, ...options },
]);
const masked: Row[] = RETURNING.map(([type, options]): Row => [
  `${type}${options.attach === undefined ? '' : ` ${options.attach}`} returns a bit`,
  'call bpf_get_prandom_u32\nr0 &= 1\nexit',
  { type, ...options },
]);

const ATTACH: Row[] = [
  ['cgroup_skb', 5],
  ['cgroup_sock_addr', 0],
  ['cgroup_sockopt', 0],
  ['sk_lookup', 0],
  ['netfilter', 0],
  ['cgroup_sock', 3],
  ['sk_reuseport', 1],
].map(([type, attach]): Row => [`${type} for attach type ${attach}`, PASS, { type: type as string, attach: attach as number }]);

const SOCKOPT = 'r7 = *(u64 *)(r1 +8)\nr8 = *(u64 *)(r1 +16)\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\n';
const OTHERS: Row[] = [
  ['sockopt writes its value', `${SOCKOPT}*(u32 *)(r7 +0) = 1\nout:\nr0 = 1\nexit`, { type: 'cgroup_sockopt', attach: 22 }],
  ['sockopt writes its length', 'r2 = 1\n*(u32 *)(r1 +32) = r2\nr0 = 1\nexit', { type: 'cgroup_sockopt', attach: 22 }],
  ['getsockopt writes its level', 'r2 = 1\n*(u32 *)(r1 +24) = r2\nr0 = 1\nexit', { type: 'cgroup_sockopt', attach: 21 }],
  ['bind writes the address', `r2 = 1\n*(u32 *)(r1 +4) = r2\nr0 = 1\nexit`, { type: 'cgroup_sock_addr', attach: 8 }],
  ['bind6 writes the address of v4', `r2 = 1\n*(u32 *)(r1 +4) = r2\nr0 = 1\nexit`, { type: 'cgroup_sock_addr', attach: 9 }],
  ['post_bind reads the address', `r2 = *(u32 *)(r1 +24)\nr0 = 1\nexit`, { type: 'cgroup_sock', attach: 12 }],
  ['create reads the address', `r2 = *(u32 *)(r1 +24)\nr0 = 1\nexit`, { type: 'cgroup_sock', attach: 2 }],
  ['create writes the mark', `r2 = 1\n*(u32 *)(r1 +16) = r2\nr0 = 1\nexit`, { type: 'cgroup_sock', attach: 2 }],
  ['sock_ops sets reply', `r2 = 1\n*(u32 *)(r1 +4) = r2\nr0 = 1\nexit`, { type: 'sock_ops' }],
  ['sock_ops reads a byte', `r2 = *(u8 *)(r1 +0)\nr0 = 1\nexit`, { type: 'sock_ops' }],
  [
    'sock_ops reads the packet',
    `r7 = *(u64 *)(r1 +192)\nr8 = *(u64 *)(r1 +200)\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\nr3 = *(u32 *)(r7 +0)\nout:\nr0 = 1\nexit`,
    { type: 'sock_ops' },
  ],
  [
    'sock_ops writes the packet',
    `r7 = *(u64 *)(r1 +192)\nr8 = *(u64 *)(r1 +200)\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\n*(u32 *)(r7 +0) = 1\nout:\nr0 = 1\nexit`,
    { type: 'sock_ops' },
  ],
  [
    'sk_msg reads its data',
    `r7 = *(u64 *)(r1 +0)\nr8 = *(u64 *)(r1 +8)\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\nr3 = *(u32 *)(r7 +0)\nout:\nr0 = 1\nexit`,
    { type: 'sk_msg' },
  ],
  [
    'xdp reads its data',
    `r7 = *(u32 *)(r1 +0)\nr8 = *(u32 *)(r1 +4)\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\nr3 = *(u32 *)(r7 +0)\nout:\n${PASS}`,
    { type: 'xdp' },
  ],
  ['xdp reads the device it leaves by', `r2 = *(u32 *)(r1 +20)\n${PASS}`, { type: 'xdp' }],
  ['xdp in a devmap reads the device it leaves by', `r2 = *(u32 *)(r1 +20)\n${PASS}`, { type: 'xdp', attach: 33 }],
  ['a flow dissector writes its keys', `r2 = *(u64 *)(r1 +144)\n*(u16 *)(r2 +0) = 1\n${PASS}`, { type: 'flow_dissector' }],
  [
    'a flow dissector reads beyond its keys',
    `r2 = *(u64 *)(r1 +144)\nr3 = *(u32 *)(r2 +56)\n${PASS}`,
    { type: 'flow_dissector' },
  ],
  ['a flow dissector reads the length', `r2 = *(u32 *)(r1 +0)\n${PASS}`, { type: 'flow_dissector' }],
  ['a kprobe reads registers', `r2 = *(u64 *)(r1 +112)\n${PASS}`, { type: 'kprobe' }],
  ['a kprobe writes registers', `*(u64 *)(r1 +112) = 1\n${PASS}`, { type: 'kprobe' }],
  ['a kprobe reads beyond the registers', `r2 = *(u64 *)(r1 +168)\n${PASS}`, { type: 'kprobe' }],
  ['a tracepoint reads its first bytes', `r2 = *(u64 *)(r1 +0)\n${PASS}`, { type: 'tracepoint' }],
  ['a tracepoint reads a field', `r2 = *(u64 *)(r1 +16)\n${PASS}`, { type: 'tracepoint' }],
  ['a raw tracepoint reads an argument', `r2 = *(u64 *)(r1 +8)\n${PASS}`, { type: 'raw_tracepoint' }],
  ['a raw tracepoint follows an argument', `r2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r2 +0)\n${PASS}`, { type: 'raw_tracepoint' }],
  ['a raw tracepoint reads a thirteenth argument', `r2 = *(u64 *)(r1 +96)\n${PASS}`, { type: 'raw_tracepoint' }],
  [
    'a writable raw tracepoint writes its buffer',
    `r2 = *(u64 *)(r1 +0)\n*(u32 *)(r2 +0) = 1\n${PASS}`,
    { type: 'raw_tracepoint_writable' },
  ],
  [
    'a writable raw tracepoint writes before its buffer',
    `r2 = *(u64 *)(r1 +0)\n*(u32 *)(r2 -4) = 1\n${PASS}`,
    { type: 'raw_tracepoint_writable' },
  ],
  ['perf_event reads the period', `r2 = *(u64 *)(r1 +168)\n${PASS}`, { type: 'perf_event' }],
  ['perf_event reads half a register', `r2 = *(u32 *)(r1 +0)\n${PASS}`, { type: 'perf_event' }],
  ['a syscall program writes its context', `*(u64 *)(r1 +0) = 1\n${PASS}`, { type: 'syscall', flags: 16 }],
  ['a syscall program that does not sleep', PASS, { type: 'syscall' }],
  ['a sleepable classifier', PASS, { flags: 16 }],
  ['a sleepable kprobe', PASS, { type: 'kprobe', flags: 16 }],
  ['strict alignment, aligned', `r2 = r10\n*(u64 *)(r10 -8) = 0\nr3 = *(u32 *)(r2 -4)\n${PASS}`, { flags: 1 }],
  [
    'strict alignment, packet',
    `r7 = *(u32 *)(r1 +76)\nr8 = *(u32 *)(r1 +80)\nr2 = r7\nr2 += 8\nif r2 > r8 goto out\nr3 = *(u32 *)(r7 +4)\nout:\n${PASS}`,
    { flags: 1 },
  ],
  [
    'strict alignment, packet at 2',
    `r7 = *(u32 *)(r1 +76)\nr8 = *(u32 *)(r1 +80)\nr2 = r7\nr2 += 8\nif r2 > r8 goto out\nr3 = *(u32 *)(r7 +2)\nout:\n${PASS}`,
    { flags: 1 },
  ],
  ['unknown flags', PASS, { flags: 1 << 20 }],
];

export const types: readonly Case[] = [
  ...cases('return values', [...returns, ...unknown, ...masked]),
  ...cases('attach types', ATTACH),
  ...cases('program types', OTHERS),
];
