/** Calls of helpers: which, with what, and what comes back. */

import { cases, PASS, value } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

const key = '*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\nr2 = r10\nr2 += -16';

const lookup: Row[] = [
  ['a key on the stack', `${key}\nr1 = map[hash]\ncall bpf_map_lookup_elem\n${PASS}`],
  ['a key that was not written', `r2 = r10\nr2 += -8\nr1 = map[hash]\ncall bpf_map_lookup_elem\n${PASS}`],
  ['half a key', `*(u16 *)(r10 -8) = 0\nr2 = r10\nr2 += -8\nr1 = map[hash]\ncall bpf_map_lookup_elem\n${PASS}`],
  ['a key beyond the frame', `*(u64 *)(r10 -8) = 0\nr2 = r10\nr2 += -2\nr1 = map[hash]\ncall bpf_map_lookup_elem\n${PASS}`],
  ['a number for a key', `r2 = 5\nr1 = map[hash]\ncall bpf_map_lookup_elem\n${PASS}`],
  ['NULL for a key', `r2 = 0\nr1 = map[hash]\ncall bpf_map_lookup_elem\n${PASS}`],
  ['the context for a key', `r2 = r1\nr1 = map[hash]\ncall bpf_map_lookup_elem\n${PASS}`],
  ['a number for a map', `${key}\nr1 = 5\ncall bpf_map_lookup_elem\n${PASS}`],
  ['the stack for a map', `${key}\nr1 = r10\ncall bpf_map_lookup_elem\n${PASS}`],
  ['a map value for a key', value('array48', 'r2 = r0\nr1 = map[hash]\ncall bpf_map_lookup_elem')],
  ['a map value too short for a key', value('array', 'r2 = r0\nr2 += 5\nr1 = map[hash]\ncall bpf_map_lookup_elem')],
  [
    'a constant index in an array',
    `*(u32 *)(r10 -8) = 1\nr2 = r10\nr2 += -8\nr1 = map[array]\ncall bpf_map_lookup_elem\nr3 = *(u64 *)(r0 +0)\n${PASS}`,
  ],
  [
    'a constant index beyond an array',
    `*(u32 *)(r10 -8) = 9\nr2 = r10\nr2 += -8\nr1 = map[array]\ncall bpf_map_lookup_elem\nr3 = *(u64 *)(r0 +0)\n${PASS}`,
  ],
  [
    'two maps in two ways',
    `${key}\nr3 = *(u32 *)(r1 +0)\nif r3 > 5 goto other\nr1 = map[hash]\ngoto go\nother:\nr1 = map[lru]\ngo:\ncall bpf_map_lookup_elem\n${PASS}`,
  ],
  [
    'an inner map',
    value(
      'outer',
      'r1 = r0\n*(u32 *)(r10 -24) = 0\nr2 = r10\nr2 += -24\ncall bpf_map_lookup_elem\nif r0 == 0 goto none\nr3 = *(u64 *)(r0 +0)\nnone:',
    ),
  ],
  [
    'an inner map without a check',
    value('outer', '').replace(
      'if r0 != 0x0',
      'r1 = r0\n*(u32 *)(r10 -24) = 0\nr2 = r10\nr2 += -24\ncall bpf_map_lookup_elem\nif r0 != 0x0',
    ),
  ],
];

const update = (then: string): string =>
  `${key}\nr3 = r10\nr3 += -8\nr4 = 0\nr1 = map[hash]\n${then}\ncall bpf_map_update_elem\n${PASS}`;

const SIZED = (size: string): string => `r1 = r1\nr2 = 0\nr3 = r10\nr3 += -16\nr4 = ${size}\ncall bpf_skb_load_bytes\n${PASS}`;
const sizes: Row[] = ['0', '1', '16', '17', '-1', '512'].map((size): Row => [`reads ${size} bytes into 16`, SIZED(size)]);

const HELPERS: Row[] = [
  ['update', update('')],
  ['update without flags', update('').replace('r4 = 0\n', '')],
  [
    'update with a value of the map',
    value('hash', 'r3 = r0\nr2 = r10\nr2 += -16\nr4 = 0\nr1 = map[hash]\ncall bpf_map_update_elem'),
  ],
  ['update with an unwritten value', update('r3 = r10\nr3 += -32')],
  ['an unknown helper', `call 999\n${PASS}`],
  ['helper 0', `call 0\n${PASS}`],
  ['a helper of another type', `r2 = 0\ncall bpf_xdp_adjust_head\n${PASS}`],
  ['an XDP helper in XDP', `r2 = 0\ncall bpf_xdp_adjust_head\n${PASS}`, { type: 'xdp' }],
  ['a GPL helper', `r2 = 8\nr1 = r10\nr1 += -8\n*(u64 *)(r10 -8) = 0\ncall bpf_trace_printk\n${PASS}`],
  [
    'a GPL helper without GPL',
    `r2 = 8\nr1 = r10\nr1 += -8\n*(u64 *)(r10 -8) = 0\ncall bpf_trace_printk\n${PASS}`,
    { license: 'MIT' },
  ],
  ['a helper without its arguments', `call bpf_skb_load_bytes\n${PASS}`],
  ['a helper without its context', `r1 = 5\nr2 = 0\ncall bpf_skb_pull_data\n${PASS}`],
  ['a context that may be NULL', `r1 = 0\ncall bpf_get_netns_cookie\n${PASS}`],
  ['the stack for a context', `r1 = r10\nr2 = 0\ncall bpf_skb_pull_data\n${PASS}`],
  [
    'a size from the packet',
    `r6 = r1\ncall bpf_get_prandom_u32\nr0 &= 15\nr0 += 1\nr4 = r0\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_skb_load_bytes\n${PASS}`,
  ],
  [
    'a size that may be zero',
    `r6 = r1\ncall bpf_get_prandom_u32\nr0 &= 15\nr4 = r0\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_skb_load_bytes\n${PASS}`,
  ],
  [
    'a size without a bound',
    `r6 = r1\ncall bpf_get_prandom_u32\nr4 = r0\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_skb_load_bytes\n${PASS}`,
  ],
  [
    'a size that may be negative',
    `r6 = r1\ncall bpf_ktime_get_ns\nr4 = r0\nif r4 s> 16 goto out\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_skb_load_bytes\nout:\n${PASS}`,
  ],
  [
    'what the helper wrote is written',
    `r2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nr5 = *(u64 *)(r10 -8)\n${PASS}`,
  ],
  [
    'what the helper wrote is no pointer',
    `*(u64 *)(r10 -8) = r1\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_skb_load_bytes\nr5 = *(u64 *)(r10 -8)\nr6 = *(u8 *)(r5 +0)\n${PASS}`,
  ],
  ['writes into a map value', value('array48', 'r1 = r6\nr2 = 0\nr3 = r0\nr4 = 48\ncall bpf_skb_load_bytes')],
  ['writes beyond a map value', value('array48', 'r1 = r6\nr2 = 0\nr3 = r0\nr4 = 49\ncall bpf_skb_load_bytes')],
  ['writes into a read-only map', value('readonly', 'r1 = r6\nr2 = 0\nr3 = r0\nr4 = 8\ncall bpf_skb_load_bytes')],
  ['a tail call', `r2 = map[prog_array]\nr3 = 0\ncall bpf_tail_call\n${PASS}`],
  ['a tail call by another map', `r2 = map[array]\nr3 = 0\ncall bpf_tail_call\n${PASS}`],
  ['a tail call without a context', `r1 = r10\nr2 = map[prog_array]\nr3 = 0\ncall bpf_tail_call\n${PASS}`],
  [
    'an event',
    `*(u64 *)(r10 -8) = 0\nr2 = map[events]\nr3 = 0xffffffff ll\nr4 = r10\nr4 += -8\nr5 = 8\ncall bpf_perf_event_output\n${PASS}`,
  ],
  [
    'an event through a wrong map',
    `*(u64 *)(r10 -8) = 0\nr2 = map[array]\nr3 = 0\nr4 = r10\nr4 += -8\nr5 = 8\ncall bpf_perf_event_output\n${PASS}`,
  ],
  ['pushes', `*(u64 *)(r10 -8) = 0\nr1 = map[queue]\nr2 = r10\nr2 += -8\nr3 = 0\ncall bpf_map_push_elem\n${PASS}`],
  [
    'pops into what was not written',
    `r1 = map[queue]\nr2 = r10\nr2 += -8\ncall bpf_map_pop_elem\nr3 = *(u64 *)(r10 -8)\n${PASS}`,
  ],
  ['pops from a bloom filter', `r1 = map[bloom]\nr2 = r10\nr2 += -8\ncall bpf_map_pop_elem\n${PASS}`],
  [
    'parses a number',
    `*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 4\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_strtol\nr3 = *(u64 *)(r10 -16)\n${PASS}`,
  ],
  [
    'parses a number into an odd place',
    `*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 4\nr3 = 0\nr4 = r10\nr4 += -20\ncall bpf_strtol\n${PASS}`,
  ],
  [
    'compares with a constant string',
    `*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 4\nr3 = map[frozen][0]+8\ncall bpf_strncmp\n${PASS}`,
  ],
  [
    'compares with a string that may change',
    `*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 4\nr3 = map[array1][0]+8\ncall bpf_strncmp\n${PASS}`,
  ],
  [
    'compares with a string that has no end',
    `*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 4\nr3 = map[readonly][0]+8\ncall bpf_strncmp\n${PASS}`,
  ],
  [
    'gets a CPU of a per-CPU map',
    `*(u32 *)(r10 -8) = 0\nr1 = map[percpu_array]\nr2 = r10\nr2 += -8\nr3 = 0\ncall bpf_map_lookup_percpu_elem\n${PASS}`,
  ],
  [
    'gets a CPU of another map',
    `*(u32 *)(r10 -8) = 0\nr1 = map[array]\nr2 = r10\nr2 += -8\nr3 = 0\ncall bpf_map_lookup_percpu_elem\n${PASS}`,
  ],
  ['redirects by a map', `r1 = map[devmap]\nr2 = 0\nr3 = 0\ncall bpf_redirect_map\nexit`, { type: 'xdp' }],
  ['redirects by another map', `r1 = map[array]\nr2 = 0\nr3 = 0\ncall bpf_redirect_map\nexit`, { type: 'xdp' }],
  ['takes a stack', `r2 = map[stacks]\nr3 = 0\ncall bpf_get_stackid\n${PASS}`, { type: 'kprobe' }],
  [
    'reads the kernel',
    `r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\nr4 = *(u64 *)(r10 -8)\n${PASS}`,
    { type: 'kprobe' },
  ],
  ['sleeps where it may not', `r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_copy_from_user\n${PASS}`, { type: 'kprobe' }],
  [
    'sleeps where it may',
    `r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_copy_from_user\n${PASS}`,
    { type: 'syscall', flags: 16 },
  ],
  [
    'stores socket data',
    `r6 = *(u64 *)(r1 +168)\nif r6 == 0 goto out\nr1 = map[sk_storage]\nr2 = r6\nr3 = 0\nr4 = 1\ncall bpf_sk_storage_get\nif r0 == 0 goto out\nr3 = *(u64 *)(r0 +0)\nout:\n${PASS}`,
  ],
  [
    'stores socket data for what may be NULL',
    `r6 = *(u64 *)(r1 +168)\nr1 = map[sk_storage]\nr2 = r6\nr3 = 0\nr4 = 1\ncall bpf_sk_storage_get\n${PASS}`,
  ],
];

export const helpers: readonly Case[] = [
  ...cases('map lookup', lookup),
  ...cases('memory and size', sizes),
  ...cases('helpers', HELPERS),
];
