/** References, ring buffers, dynptrs, locks and timers: what is taken must be given back. */

import { cases, PASS, value } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

const tuple =
  '*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\nr6 = r1\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = -1\nr5 = 0\ncall bpf_sk_lookup_tcp';
const reserve = (size: string | number = 8): string => `r1 = map[ringbuf]\nr2 = ${size}\nr3 = 0\ncall bpf_ringbuf_reserve`;
const submit = 'r1 = r0\nr2 = 0\ncall bpf_ringbuf_submit';

const REFERENCES: Row[] = [
  ['released', `${tuple}\nif r0 == 0 goto out\nr1 = r0\ncall bpf_sk_release\nout:\n${PASS}`],
  ['not released', `${tuple}\n${PASS}`],
  ['not released where it is not NULL', `${tuple}\nif r0 == 0 goto out\nr7 = r0\nout:\n${PASS}`],
  ['released without a check', `${tuple}\nr1 = r0\ncall bpf_sk_release\n${PASS}`],
  [
    'released twice',
    `${tuple}\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\ncall bpf_sk_release\nr1 = r7\ncall bpf_sk_release\nout:\n${PASS}`,
  ],
  [
    'used after release',
    `${tuple}\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\ncall bpf_sk_release\nr3 = *(u32 *)(r7 +4)\nout:\n${PASS}`,
  ],
  ['lost by overwriting', `${tuple}\nr0 = 0\nexit`],
  ['released by a copy', `${tuple}\nif r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall bpf_sk_release\nout:\n${PASS}`],
  [
    'released from a spill',
    `${tuple}\nif r0 == 0 goto out\n*(u64 *)(r10 -24) = r0\nr1 = *(u64 *)(r10 -24)\ncall bpf_sk_release\nout:\n${PASS}`,
  ],
  ['a moved pointer is released', `${tuple}\nif r0 == 0 goto out\nr1 = r0\nr1 += 4\ncall bpf_sk_release\nout:\n${PASS}`],
  ['what was never taken is released', `r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall bpf_sk_release\nout:\n${PASS}`],
  ['a number is released', `r1 = 5\ncall bpf_sk_release\n${PASS}`],
  ['NULL is released', `r1 = 0\ncall bpf_sk_release\n${PASS}`],
  [
    'two at once',
    `${tuple}\nr7 = r0\n${tuple.replace('r6 = r1', 'r1 = r6')}\nr8 = r0\nif r7 == 0 goto a\nr1 = r7\ncall bpf_sk_release\na:\nif r8 == 0 goto b\nr1 = r8\ncall bpf_sk_release\nb:\n${PASS}`,
  ],
  [
    'checked in one way and released in the other',
    `${tuple}\nif r0 != 0 goto out\nr1 = r0\ncall bpf_sk_release\nout:\n${PASS}`,
  ],
  [
    'a tail call with one open',
    `${tuple}\nr7 = r0\nr1 = r6\nr2 = map[prog_array]\nr3 = 0\ncall bpf_tail_call\nif r7 == 0 goto out\nr1 = r7\ncall bpf_sk_release\nout:\n${PASS}`,
  ],
  [
    'an absolute load with one open',
    `${tuple}\nr7 = r0\nr0 = *(u8 *)skb[0]\nif r7 == 0 goto out\nr1 = r7\ncall bpf_sk_release\nout:\n${PASS}`,
  ],
  [
    'of the listener',
    `${tuple}\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\ncall bpf_get_listener_sock\nr8 = r0\nr1 = r7\ncall bpf_sk_release\nout:\n${PASS}`,
  ],
  [
    'the listener after release',
    `${tuple}\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\ncall bpf_get_listener_sock\nr8 = r0\nr1 = r7\ncall bpf_sk_release\nif r8 == 0 goto out\nr3 = *(u32 *)(r8 +4)\nout:\n${PASS}`,
  ],
];

const RINGBUF: Row[] = [
  ['reserved and submitted', `${reserve()}\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1\n${submit}\nout:\n${PASS}`],
  ['reserved and discarded', `${reserve()}\nif r0 == 0 goto out\n${submit.replace('submit', 'discard')}\nout:\n${PASS}`],
  ['reserved and lost', `${reserve()}\n${PASS}`],
  ['submitted without a check', `${reserve()}\n${submit}\n${PASS}`],
  ['written without a check', `${reserve()}\n*(u64 *)(r0 +0) = 1\n${submit}\n${PASS}`],
  ['written beyond', `${reserve()}\nif r0 == 0 goto out\n*(u64 *)(r0 +8) = 1\n${submit}\nout:\n${PASS}`],
  ['written before', `${reserve()}\nif r0 == 0 goto out\n*(u64 *)(r0 -8) = 1\n${submit}\nout:\n${PASS}`],
  ['submitted at an offset', `${reserve(16)}\nif r0 == 0 goto out\nr0 += 8\n${submit}\nout:\n${PASS}`],
  [
    'submitted twice',
    `${reserve()}\nif r0 == 0 goto out\nr7 = r0\n${submit}\nr1 = r7\nr2 = 0\ncall bpf_ringbuf_submit\nout:\n${PASS}`,
  ],
  ['used after submission', `${reserve()}\nif r0 == 0 goto out\nr7 = r0\n${submit}\n*(u64 *)(r7 +0) = 1\nout:\n${PASS}`],
  [
    'reserved with an unknown size',
    `call bpf_get_prandom_u32\nr7 = r0\n${reserve('r7')}\nif r0 == 0 goto out\n${submit}\nout:\n${PASS}`,
  ],
  ['reserved with size 0', `${reserve(0)}\nif r0 == 0 goto out\n${submit}\nout:\n${PASS}`],
  ['submitted: a map value', value('array48', submit)],
  [
    'passed to a helper',
    `r6 = r1\n${reserve(16)}\nif r0 == 0 goto out\nr7 = r0\nr1 = r6\nr2 = 0\nr3 = r7\nr4 = 16\ncall bpf_skb_load_bytes\nr1 = r7\nr2 = 0\ncall bpf_ringbuf_submit\nout:\n${PASS}`,
  ],
  [
    'passed beyond its end',
    `r6 = r1\n${reserve(16)}\nif r0 == 0 goto out\nr7 = r0\nr1 = r6\nr2 = 0\nr3 = r7\nr4 = 17\ncall bpf_skb_load_bytes\nr1 = r7\nr2 = 0\ncall bpf_ringbuf_submit\nout:\n${PASS}`,
  ],
  ['output', `*(u64 *)(r10 -8) = 0\nr1 = map[ringbuf]\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\ncall bpf_ringbuf_output\n${PASS}`],
  ['asked', `r1 = map[ringbuf]\nr2 = 0\ncall bpf_ringbuf_query\n${PASS}`],
];

const makeDynptr = 'r1 = map[ringbuf]\nr2 = 16\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_ringbuf_reserve_dynptr';
const endDynptr = 'r1 = r10\nr1 += -16\nr2 = 0\ncall bpf_ringbuf_submit_dynptr';
const local = (then: string): string =>
  value('array48', `r1 = r0\nr2 = 48\nr3 = 0\nr4 = r10\nr4 += -32\ncall bpf_dynptr_from_mem\n${then}`);

const DYNPTR: Row[] = [
  ['reserved and submitted', `${makeDynptr}\n${endDynptr}\n${PASS}`],
  ['reserved and lost', `${makeDynptr}\n${PASS}`],
  ['submitted only where it worked', `${makeDynptr}\nif r0 != 0 goto out\n${endDynptr}\nout:\n${PASS}`],
  ['submitted twice', `${makeDynptr}\n${endDynptr}\n${endDynptr}\n${PASS}`],
  ['overwritten', `${makeDynptr}\n*(u64 *)(r10 -16) = 0\n${endDynptr}\n${PASS}`],
  ['read as memory', `${makeDynptr}\nr3 = *(u64 *)(r10 -16)\n${endDynptr}\n${PASS}`],
  ['made over another', `${makeDynptr}\n${makeDynptr}\n${endDynptr}\n${PASS}`],
  ['submitted at an offset', `${makeDynptr}\nr1 = r10\nr1 += -8\nr2 = 0\ncall bpf_ringbuf_submit_dynptr\n${PASS}`],
  [
    'data',
    `${makeDynptr}\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_dynptr_data\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1\nout:\n${endDynptr}\n${PASS}`,
  ],
  [
    'data without a check',
    `${makeDynptr}\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_dynptr_data\n*(u64 *)(r0 +0) = 1\n${endDynptr}\n${PASS}`,
  ],
  [
    'data after submission',
    `${makeDynptr}\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_dynptr_data\nr7 = r0\n${endDynptr}\nif r7 == 0 goto out\n*(u64 *)(r7 +0) = 1\nout:\n${PASS}`,
  ],
  [
    'data beyond the slice',
    `${makeDynptr}\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_dynptr_data\nif r0 == 0 goto out\n*(u64 *)(r0 +8) = 1\nout:\n${endDynptr}\n${PASS}`,
  ],
  ['from a map value', local('')],
  [
    'read from',
    local('r1 = r10\nr1 += -48\nr2 = 8\nr3 = r10\nr3 += -32\nr4 = 0\nr5 = 0\ncall bpf_dynptr_read\nr3 = *(u64 *)(r10 -48)'),
  ],
  [
    'written to',
    local('*(u64 *)(r10 -48) = 0\nr1 = r10\nr1 += -32\nr2 = 0\nr3 = r10\nr3 += -48\nr4 = 8\nr5 = 0\ncall bpf_dynptr_write'),
  ],
  [
    'from the stack',
    'r6 = r1\n*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -32\ncall bpf_dynptr_from_mem\n' + PASS,
  ],
  ['read before it is made', `r1 = r10\nr1 += -48\nr2 = 8\nr3 = r10\nr3 += -32\nr4 = 0\nr5 = 0\ncall bpf_dynptr_read\n${PASS}`],
  ['of a local kind submitted', local('r1 = r10\nr1 += -32\nr2 = 0\ncall bpf_ringbuf_submit_dynptr')],
];

const locked = (then: string, map = 'lock'): string => value(map, `r7 = r0\nr1 = r0\nr1 += 4\ncall bpf_spin_lock\n${then}`);
const unlock = 'r1 = r7\nr1 += 4\ncall bpf_spin_unlock';

const LOCKS: Row[] = [
  ['taken and given back', locked(`*(u32 *)(r7 +0) = 1\n${unlock}`)],
  ['not given back', locked('')],
  ['taken twice', locked(`r1 = r7\nr1 += 4\ncall bpf_spin_lock\n${unlock}`)],
  ['given back twice', locked(`${unlock}\n${unlock}`)],
  ['given back but not taken', value('lock', 'r1 = r0\nr1 += 4\ncall bpf_spin_unlock')],
  ['at a wrong offset', value('lock', 'r1 = r0\ncall bpf_spin_lock')],
  ['written directly', value('lock', '*(u32 *)(r0 +4) = 1')],
  ['read directly', value('lock', 'r3 = *(u32 *)(r0 +4)')],
  ['read across', value('lock', 'r3 = *(u64 *)(r0 +0)')],
  ['in a map without one', value('array48', 'r1 = r0\ncall bpf_spin_lock')],
  ['a helper while it is held', locked(`call bpf_get_prandom_u32\n${unlock}`)],
  ['exit while it is held in one way', locked(`r3 = *(u32 *)(r7 +0)\nif r3 == 0 goto good2\nr0 = 0\nexit\ngood2:\n${unlock}`)],
  [
    'another value unlocked',
    value(
      'lock_hash',
      `r7 = r0\nr1 = map[lock_hash]\nr2 = r10\nr2 += -16\ncall bpf_map_lookup_elem\nif r0 == 0 goto end\nr8 = r0\nr1 = r7\nr1 += 4\ncall bpf_spin_lock\nr1 = r8\nr1 += 4\ncall bpf_spin_unlock\nend:`,
    ),
  ],
  ['a variable offset', value('lock', 'r3 = *(u32 *)(r0 +0)\nr3 &= 4\nr1 = r0\nr1 += r3\ncall bpf_spin_lock')],
  ['a number', `r1 = 5\ncall bpf_spin_lock\n${PASS}`],
  ['a tail call while it is held', locked(`r1 = r6\nr2 = map[prog_array]\nr3 = 0\ncall bpf_tail_call\n${unlock}`)],
  ['in a socket filter', locked(unlock), { type: 'socket_filter' }],
  ['in a tracing program', locked(unlock), { type: 'kprobe' }],
  ['in a tracepoint', locked(unlock), { type: 'tracepoint' }],
  ['in xdp', locked(unlock), { type: 'xdp' }],
  ['passed to a helper', value('lock', 'r1 = r6\nr2 = 0\nr3 = r0\nr4 = 16\ncall bpf_skb_load_bytes')],
];

const timer = (then: string): string =>
  value('timer', `r7 = r0\nr1 = r0\nr2 = map[timer]\nr3 = 1\ncall bpf_timer_init\n${then}`);
const TIMERS: Row[] = [
  ['made', timer('')],
  ['started', timer('r1 = r7\nr2 = 1000\nr3 = 0\ncall bpf_timer_start')],
  ['cancelled', timer('r1 = r7\ncall bpf_timer_cancel')],
  ['at a wrong offset', value('timer', 'r1 = r0\nr1 += 8\nr2 = map[timer]\nr3 = 1\ncall bpf_timer_init')],
  ['of another map', value('timer', 'r1 = r0\nr2 = map[array]\nr3 = 1\ncall bpf_timer_init')],
  ['in a map without one', value('array48', 'r1 = r0\nr2 = map[array48]\nr3 = 1\ncall bpf_timer_init')],
  ['written directly', value('timer', '*(u64 *)(r0 +0) = 1')],
  ['read directly', value('timer', 'r3 = *(u64 *)(r0 +8)')],
  ['in a kprobe', timer(''), { type: 'kprobe' }],
];

export const objects: readonly Case[] = [
  ...cases('references', REFERENCES),
  ...cases('ring buffers', RINGBUF),
  ...cases('dynptrs', DYNPTR),
  ...cases('locks', LOCKS),
  ...cases('timers', TIMERS),
];
