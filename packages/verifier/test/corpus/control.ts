/** Control flow: jumps, loops, subprograms, callbacks, stacks of frames, and the limits of all of them. */

import { cases, PASS, value } from './case-list.ts';
import type { Case, Row } from './case-list.ts';

/** A packet pointer in r7, proven for a byte; a tail call in the program, or in a function that goes on with `inner`; then `use`. */
const tail = (use: string, inner: string): string => {
  const jump = 'r1 = r6\nr2 = map[prog_array]\nr3 = 0\ncall bpf_tail_call';
  const packet = `.func main ctx\nr6 = r1\nr7 = *(u32 *)(r6 +76)\nr3 = *(u32 *)(r6 +80)\nr2 = r7\nr2 += 1\nif r2 > r3 goto out`;
  const made = inner === '' ? jump : 'r1 = r6\ncall @sub';
  return `${packet}\n${made}\n${use}\nout:\n${PASS}${inner === '' ? '' : `\n.func sub ctx\nr6 = r1\n${jump}\n${inner}\nexit`}`;
};

const JUMPS: Row[] = [
  ['falls off the end', 'r0 = 0'],
  ['jumps beyond the end', `goto pc+5\n${PASS}`],
  ['jumps before the start', `goto pc-5\n${PASS}`],
  ['jumps into a 64-bit load', `if r1 == 0 goto pc+1\nr2 = 0x100000000 ll\n${PASS}`],
  ['jumps to itself', `goto pc-1\n${PASS}`],
  ['jumps over everything', `goto pc+1\nr0 = r9\n${PASS}`],
  ['leaves code that nothing reaches', `r0 = 0\nexit\nr0 = r9\nexit`],
  ['ends with a jump', `goto pc+1\nexit\nr0 = 0\ngoto pc-3`],
  ['ends in a half of a load', 'r0 = 0\nexit\nr1 = 0x5 ll'],
  ['jumps far', `gotol pc+0\n${PASS}`],
  ['jumps far beyond', `gotol pc+100\n${PASS}`],
  ['decides by a constant', `r2 = 1\nif r2 == 1 goto pc+1\nr0 = *(u8 *)(r9 +0)\n${PASS}`],
  ['cannot decide', `r2 = *(u32 *)(r1 +0)\nif r2 == 1 goto pc+1\nr0 = *(u8 *)(r9 +0)\n${PASS}`],
  ['one way leaves r0 unset', `r2 = *(u32 *)(r1 +0)\nif r2 == 1 goto pc+1\nr0 = 0\nexit`],
  [
    'pointer or number',
    `r2 = *(u32 *)(r1 +0)\nr3 = r10\nr3 += -8\n*(u64 *)(r10 -8) = 0\nif r2 == 1 goto pc+1\nr3 = 5\nr4 = *(u64 *)(r3 +0)\n${PASS}`,
  ],
  [
    'one instruction, two kinds of pointer',
    `r2 = *(u32 *)(r1 +0)\nr3 = r10\nr3 += -8\n*(u64 *)(r10 -8) = 0\nif r2 == 1 goto pc+1\nr3 = r1\nr4 = *(u32 *)(r3 +0)\n${PASS}`,
  ],
];

const loop = (count: number | string, body = ''): string =>
  `r6 = 0\nr7 = ${count}\nagain:\n${body}\nr6 += 1\nif r6 < r7 goto again\n${PASS}`;
const LOOPS: Row[] = [
  ['ten times', loop(10)],
  ['a thousand times', loop(1000)],
  ['without an end', `again:\ngoto again\n${PASS}`],
  ['without an end, but with a way out', `r6 = r1\nagain:\ncall bpf_get_prandom_u32\nif r0 != 5 goto again\n${PASS}`],
  ['without a change', `r6 = *(u32 *)(r1 +0)\nagain:\nif r6 > 5 goto again\n${PASS}`],
  ['bounded by a number from outside', `r7 = *(u32 *)(r1 +0)\nr6 = 0\nagain:\nr6 += 1\nif r6 < r7 goto again\n${PASS}`],
  ['bounded by a masked number', `r7 = *(u32 *)(r1 +0)\nr7 &= 15\nr6 = 0\nagain:\nr6 += 1\nif r6 < r7 goto again\n${PASS}`],
  ['down to zero', `r6 = 20\nagain:\nr6 -= 1\nif r6 != 0 goto again\n${PASS}`],
  ['past zero', `r6 = 5\nagain:\nr6 -= 2\nif r6 != 0 goto again\n${PASS}`],
  ['two in one', `r6 = 0\nouter:\nr7 = 0\ninner:\nr7 += 1\nif r7 < 10 goto inner\nr6 += 1\nif r6 < 10 goto outer\n${PASS}`],
  ['with a call', loop(20, 'call bpf_get_prandom_u32')],
  ['with a branch in it', loop(12, 'call bpf_get_prandom_u32\nif r0 > 5 goto pc+1\nr8 = 1')],
  ['a million instructions', loop(600000)],
  ['may_goto', `r6 = 0\nagain:\nr6 += 1\nmay_goto pc+1\ngoto again\n${PASS}`],
  ['may_goto with a sum', `r6 = 0\nr7 = 0\nagain:\nmay_goto pc+3\nr6 += 1\nr7 += r6\ngoto again\n${PASS}`],
  [
    'walks the stack',
    `${Array.from({ length: 8 }, (_, i) => `*(u64 *)(r10 ${-8 * (i + 1)}) = 0`).join('\n')}\nr6 = r10\nr6 += -64\nr7 = 0\nagain:\nr3 = *(u64 *)(r6 +0)\nr6 += 8\nr7 += 1\nif r7 < 8 goto again\n${PASS}`,
  ],
  [
    'walks past the stack',
    `${Array.from({ length: 8 }, (_, i) => `*(u64 *)(r10 ${-8 * (i + 1)}) = 0`).join('\n')}\nr6 = r10\nr6 += -64\nr7 = 0\nagain:\nr3 = *(u64 *)(r6 +0)\nr6 += 8\nr7 += 1\nif r7 < 9 goto again\n${PASS}`,
  ],
];

const CALLS: Row[] = [
  ['one', `call @sub\n${PASS}\nsub:\nr0 = 0\nexit`],
  ['its result', 'call @sub\nexit\nsub:\nr0 = 5\nexit'],
  ['no result', 'call @sub\nexit\nsub:\nexit'],
  ['r1 after a call', `call @sub\nr2 = r1\n${PASS}\nsub:\nr0 = 0\nexit`],
  ['r6 after a call', `r6 = 1\ncall @sub\nr2 = r6\n${PASS}\nsub:\nr6 = 2\nr0 = 0\nexit`],
  ['r6 of the caller', `r6 = 1\ncall @sub\n${PASS}\nsub:\nr0 = r6\nexit`],
  ['an argument', `r1 = 5\ncall @sub\n${PASS}\nsub:\nr0 = r1\nexit`],
  ['an argument that is not set', `call @sub\n${PASS}\nsub:\nr0 = r2\nexit`],
  ['the stack of the caller', `*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\ncall @sub\n${PASS}\nsub:\nr0 = *(u64 *)(r1 +0)\nexit`],
  [
    'writes the stack of the caller',
    `r1 = r10\nr1 += -8\ncall @sub\nr2 = *(u64 *)(r10 -8)\n${PASS}\nsub:\n*(u64 *)(r1 +0) = 7\nr0 = 0\nexit`,
  ],
  ['returns its stack', `call @sub\nr2 = *(u64 *)(r0 -8)\n${PASS}\nsub:\n*(u64 *)(r10 -8) = 0\nr0 = r10\nexit`],
  ['spills its stack into the caller', `r1 = r10\nr1 += -8\ncall @sub\n${PASS}\nsub:\n*(u64 *)(r1 +0) = r10\nr0 = 0\nexit`],
  ['itself', 'call @sub\nexit\nsub:\ncall @sub\nr0 = 0\nexit'],
  ['the main program', 'r0 = 0\nif r1 != 0 goto pc+1\ncall pc-3\nexit'],
  ['jumps into a function', `if r1 == 0 goto inside\ncall @sub\n${PASS}\nsub:\nr0 = 0\ninside:\nexit`],
  ['falls into a function', `call @sub\nr0 = 0\nsub:\nr0 = 0\nexit`],
  ['beyond the end', `call pc+10\n${PASS}`],
  ['a function that nothing calls', `${PASS}\nr0 = 1\nexit`],
  [
    'eight frames',
    `call @f1\n${PASS}\n${Array.from({ length: 7 }, (_, i) => `f${i + 1}:\n${i < 6 ? `call @f${i + 2}\n` : ''}r0 = 0\nexit`).join('\n')}`,
  ],
  [
    'nine frames',
    `call @f1\n${PASS}\n${Array.from({ length: 8 }, (_, i) => `f${i + 1}:\n${i < 7 ? `call @f${i + 2}\n` : ''}r0 = 0\nexit`).join('\n')}`,
  ],
  ['512 bytes of stack in two', `*(u64 *)(r10 -256) = 0\ncall @sub\n${PASS}\nsub:\n*(u64 *)(r10 -256) = 0\nr0 = 0\nexit`],
  ['more than 512 bytes in two', `*(u64 *)(r10 -256) = 0\ncall @sub\n${PASS}\nsub:\n*(u64 *)(r10 -264) = 0\nr0 = 0\nexit`],
  [
    'two frames of 500 in a kprobe',
    `*(u64 *)(r10 -496) = 0\ncall @sub\n${PASS}\nsub:\n*(u64 *)(r10 -496) = 0\nr0 = 0\nexit`,
    { type: 'kprobe' },
  ],
  [
    'two frames of 500 in xdp',
    `*(u64 *)(r10 -496) = 0\ncall @sub\n${PASS}\nsub:\n*(u64 *)(r10 -496) = 0\nr0 = 0\nexit`,
    { type: 'xdp' },
  ],
  [
    'one after the other',
    `*(u64 *)(r10 -64) = 0\ncall @a\ncall @b\n${PASS}\na:\n*(u64 *)(r10 -400) = 0\nr0 = 0\nexit\nb:\n*(u64 *)(r10 -400) = 0\nr0 = 0\nexit`,
  ],
  ['a tail call in a function', `call @sub\n${PASS}\nsub:\nr2 = map[prog_array]\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit`],
  ...[
    ['a packet pointer behind a tail call', tail('r7 += 1', '')],
    ['a packet pointer behind a tail call, shifted', tail('r7 >>= 60', '')],
    ['a checked packet pointer behind a tail call', tail('r2 = *(u8 *)(r7 +0)', '')],
    ['a checked packet pointer behind a function with a tail call', tail('r2 = *(u8 *)(r7 +0)', 'r0 = 0')],
    ['the constant of a function with a tail call', tail('r2 = r10\nr2 += r0\n*(u8 *)(r2 -8) = 1', 'r0 = 0')],
    [
      'the checked result of a function with a tail call',
      tail('if r0 > 7 goto out\nr2 = r10\nr2 += r0\n*(u8 *)(r2 -8) = 1', 'call bpf_get_prandom_u32\nr0 &= 15'),
    ],
    [
      'a result that is a branch of a function with a tail call',
      tail(
        'if r0 == 0 goto out\nr2 = r10\nr2 += r0\n*(u8 *)(r2 -8) = 1',
        'r1 = *(u32 *)(r6 +0)\nr0 = 0\nif r1 > 9 goto pc+1\nr0 = 5',
      ),
    ],
  ].map(([name, text]): Row => [name!, text!]),
  [
    'a tail call below 256 bytes of stack',
    `*(u64 *)(r10 -264) = 0\ncall @sub\n${PASS}\nsub:\nr2 = map[prog_array]\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit`,
  ],
  [
    'a packet pointer',
    `r2 = *(u32 *)(r1 +80)\nr1 = *(u32 *)(r1 +76)\ncall @sub\n${PASS}\nsub:\nr3 = r1\nr3 += 4\nif r3 > r2 goto out\nr0 = *(u32 *)(r1 +0)\nout:\nr0 = 0\nexit`,
  ],
  [
    'a check in a function does not reach the caller',
    `r6 = *(u32 *)(r1 +76)\nr2 = *(u32 *)(r1 +80)\nr1 = r6\ncall @sub\nif r0 == 0 goto out\nr3 = *(u32 *)(r6 +0)\nout:\n${PASS}\nsub:\nr3 = r1\nr3 += 4\nr0 = 0\nif r3 > r2 goto end\nr0 = 1\nend:\nexit`,
  ],
  [
    'a reference for the caller',
    `r6 = r1\ncall @sub\nif r0 == 0 goto out\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout:\n${PASS}\nsub:\nr1 = map[ringbuf]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nexit`,
  ],
  [
    'a reference that the caller loses',
    `r6 = r1\ncall @sub\n${PASS}\nsub:\nr1 = map[ringbuf]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nexit`,
  ],
];

const globalOf = (body: string, types: string, call: string): string =>
  `.global main ctx\n${call}\ncall @sub\nr0 = 0\nexit\n.global sub ${types}\n${body}`;
const GLOBALS: Row[] = [
  ['with a number', globalOf('r0 = r1\nexit', 'int', 'r1 = 5')],
  ['with a number it does not know', globalOf('r3 = r10\nr3 -= r1\n*(u8 *)(r3 +0) = 0\nr0 = 0\nexit', 'int', 'r1 = 5')],
  ['with the context', globalOf('r0 = *(u32 *)(r1 +0)\nexit', 'ctx', '')],
  ['with a number for the context', globalOf('r0 = *(u32 *)(r1 +0)\nexit', 'ctx', 'r1 = 5')],
  [
    'with memory',
    globalOf('if r1 == 0 goto n\nr0 = *(u64 *)(r1 +0)\nn:\nr0 = 0\nexit', 'long*', '*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8'),
  ],
  ['with memory, unchecked', globalOf('r0 = *(u64 *)(r1 +0)\nexit', 'long*', '*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8')],
  ['with memory that is too short', globalOf('r0 = 0\nexit', 'long*', '*(u32 *)(r10 -4) = 0\nr1 = r10\nr1 += -4')],
  [
    'reading beyond its memory',
    globalOf('if r1 == 0 goto n\nr0 = *(u64 *)(r1 +8)\nn:\nr0 = 0\nexit', 'long*', '*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8'),
  ],
  ['with NULL for memory', globalOf('r0 = 0\nexit', 'long*', 'r1 = 0')],
  ['that returns a pointer', globalOf('r0 = r10\nexit', 'int', 'r1 = 5')],
  ['that returns nothing', globalOf('exit', 'int', 'r1 = 5')],
  ['with an unset argument', globalOf('r0 = 0\nexit', 'int int', 'r1 = 5')],
  [
    'that changes the packet',
    `.global main ctx\nr6 = r1\nr7 = *(u32 *)(r1 +76)\nr8 = *(u32 *)(r1 +80)\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\ncall @sub\nr3 = *(u32 *)(r7 +0)\nout:\nr0 = 0\nexit\n.global sub ctx\nr2 = 0\ncall bpf_skb_pull_data\nr0 = 0\nexit`,
  ],
  [
    'that does not change the packet',
    `.global main ctx\nr6 = r1\nr7 = *(u32 *)(r1 +76)\nr8 = *(u32 *)(r1 +80)\nr2 = r7\nr2 += 4\nif r2 > r8 goto out\ncall @sub\nr3 = *(u32 *)(r7 +0)\nout:\nr0 = 0\nexit\n.global sub ctx\nr0 = 0\nexit`,
  ],
  ['that is wrong but not called', '.global main ctx\nr0 = 0\nexit\n.global sub int\nr0 = *(u8 *)(r9 +0)\nexit'],
];

const withCallback = (call: string, callback: string, after = ''): string =>
  `.func main ctx\nr6 = r1\n${call}\n${after}\nr0 = 0\nexit\n.func cb long long\n${callback}`;
const bpfLoop = (count: string): string => `r1 = ${count}\nr2 = subprog[@cb]\nr3 = 0\nr4 = 0\ncall bpf_loop`;
const CALLBACKS: Row[] = [
  ['bpf_loop', withCallback(bpfLoop('10'), 'r0 = 0\nexit')],
  ['bpf_loop that stops', withCallback(bpfLoop('10'), 'r0 = 1\nexit')],
  ['bpf_loop with a wrong result', withCallback(bpfLoop('10'), 'r0 = 2\nexit')],
  ['bpf_loop without a result', withCallback(bpfLoop('10'), 'exit')],
  ['bpf_loop for ever', withCallback(bpfLoop('-1'), 'r0 = 0\nexit')],
  ['bpf_loop whose callback reads its index', withCallback(bpfLoop('10'), 'r3 = r1\nr0 = 0\nexit')],
  ['bpf_loop whose callback reads r3', withCallback(bpfLoop('10'), 'r4 = r3\nr0 = 0\nexit')],
  [
    'bpf_loop with a context on the stack',
    withCallback(
      '*(u64 *)(r10 -8) = 0\nr1 = 10\nr2 = subprog[@cb]\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop',
      'r3 = *(u64 *)(r2 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit',
      'r3 = *(u64 *)(r10 -8)',
    ),
  ],
  [
    'bpf_loop that trusts what it counted',
    withCallback(
      '*(u64 *)(r10 -8) = 0\nr1 = 10\nr2 = subprog[@cb]\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop',
      'r3 = *(u64 *)(r2 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit',
      'r3 = *(u64 *)(r10 -8)\nr4 = r10\nr4 -= r3\n*(u8 *)(r4 -1) = 0',
    ),
  ],
  ['bpf_loop with flags', withCallback(bpfLoop('10').replace('r4 = 0', 'r4 = 1'), 'r0 = 0\nexit')],
  [
    'bpf_loop whose callback takes a reference',
    withCallback(bpfLoop('10'), 'r1 = map[ringbuf]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr0 = 0\nexit'),
  ],
  [
    'bpf_loop with a number for a callback',
    `.func main ctx\nr1 = 10\nr2 = 5\nr3 = 0\nr4 = 0\ncall bpf_loop\n${PASS}\n.func cb long long\n${PASS}`,
  ],
  [
    'bpf_for_each_map_elem',
    withCallback(
      'r1 = map[array]\nr2 = subprog[@cb]\nr3 = 0\nr4 = 0\ncall bpf_for_each_map_elem',
      'r5 = *(u64 *)(r3 +0)\nr0 = 0\nexit',
    ),
  ],
  [
    'bpf_for_each_map_elem reading the key',
    withCallback(
      'r1 = map[hash]\nr2 = subprog[@cb]\nr3 = 0\nr4 = 0\ncall bpf_for_each_map_elem',
      'r5 = *(u32 *)(r2 +0)\nr0 = 0\nexit',
    ),
  ],
  [
    'bpf_for_each_map_elem reading beyond the key',
    withCallback(
      'r1 = map[hash]\nr2 = subprog[@cb]\nr3 = 0\nr4 = 0\ncall bpf_for_each_map_elem',
      'r5 = *(u64 *)(r2 +0)\nr0 = 0\nexit',
    ),
  ],
  [
    'bpf_for_each_map_elem writing the key',
    withCallback(
      'r1 = map[hash]\nr2 = subprog[@cb]\nr3 = 0\nr4 = 0\ncall bpf_for_each_map_elem',
      '*(u32 *)(r2 +0) = 1\nr0 = 0\nexit',
    ),
  ],
  [
    'bpf_for_each_map_elem over a map that has none',
    withCallback('r1 = map[queue]\nr2 = subprog[@cb]\nr3 = 0\nr4 = 0\ncall bpf_for_each_map_elem', 'r0 = 0\nexit'),
  ],
  ['the address of a function as a number', withCallback('r2 = subprog[@cb]\nr3 = *(u8 *)(r2 +0)', 'r0 = 0\nexit')],
  ['a function that is no function', withCallback(bpfLoop('10').replace('subprog[@cb]', 'subprog[+1]'), 'r0 = 0\nexit')],
  ['a global callback', withCallback(bpfLoop('10'), 'r0 = 0\nexit').replace('.func cb', '.global cb')],
  ['a loop in a callback', withCallback(bpfLoop('10'), 'r3 = 0\nagain:\nr3 += 1\nif r3 < 5 goto again\nr0 = 0\nexit')],
  ['a callback that calls', withCallback(bpfLoop('10'), 'call @deep\nr0 = 0\nexit\n.func deep\nr0 = 0\nexit')],
  [
    'a timer callback',
    withCallback(
      `*(u64 *)(r10 -8) = 0\nr2 = r10\nr2 += -8\nr1 = map[timer]\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\nr2 = map[timer]\nr3 = 1\ncall bpf_timer_init\nr1 = r7\nr2 = subprog[@cb]\ncall bpf_timer_set_callback\nout:`,
      'r0 = 0\nexit',
    ),
  ],
  [
    'a timer callback that returns 1',
    withCallback(
      `*(u64 *)(r10 -8) = 0\nr2 = r10\nr2 += -8\nr1 = map[timer]\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\nr2 = map[timer]\nr3 = 1\ncall bpf_timer_init\nr1 = r7\nr2 = subprog[@cb]\ncall bpf_timer_set_callback\nout:`,
      'r0 = 1\nexit',
    ),
  ],
  [
    'drains a user ring buffer',
    withCallback('r1 = map[user_ringbuf]\nr2 = subprog[@cb]\nr3 = 0\nr4 = 0\ncall bpf_user_ringbuf_drain', 'r0 = 0\nexit'),
  ],
];

const ENCODING: Row[] = [
  ['no instruction at all but exit', 'exit'],
  ['a load without its half', `${PASS}`],
];

export const control: readonly Case[] = [
  ...cases('jumps', JUMPS),
  ...cases('loops', LOOPS),
  ...cases('subprograms', CALLS),
  ...cases('global functions', GLOBALS),
  ...cases('callbacks', CALLBACKS),
  ...cases('encoding', ENCODING),
  ...cases('pruning', [
    ['the same state twice', `r2 = *(u32 *)(r1 +0)\nif r2 > 5 goto pc+0\nif r2 > 7 goto pc+0\nr3 = 0\n${PASS}`],
    [
      'a wider number after a narrow one',
      value('array48', 'r3 = *(u64 *)(r0 +0)\nr4 = 1\nif r3 > 5 goto wide\nr4 = 40\nwide:\nr0 += r4\nr5 = *(u64 *)(r0 +0)'),
    ],
    [
      'a wider number that is too wide',
      value('array48', 'r3 = *(u64 *)(r0 +0)\nr4 = 1\nif r3 > 5 goto wide\nr4 = 41\nwide:\nr0 += r4\nr5 = *(u64 *)(r0 +0)'),
    ],
    [
      'precision through a spill',
      value(
        'array48',
        'r3 = *(u64 *)(r0 +0)\nr4 = 1\nif r3 > 5 goto wide\nr4 = 41\nwide:\n*(u64 *)(r10 -24) = r4\nr5 = *(u64 *)(r10 -24)\nr0 += r5\nr5 = *(u64 *)(r0 +0)',
      ),
    ],
    [
      'precision through a copy',
      value(
        'array48',
        'r3 = *(u64 *)(r0 +0)\nr4 = 1\nif r3 > 5 goto wide\nr4 = 41\nwide:\nr5 = r4\nr4 = 0\nr0 += r5\nr5 = *(u64 *)(r0 +0)',
      ),
    ],
    [
      'precision through arithmetic',
      value(
        'array48',
        'r3 = *(u64 *)(r0 +0)\nr4 = 1\nif r3 > 5 goto wide\nr4 = 21\nwide:\nr4 *= 2\nr0 += r4\nr5 = *(u64 *)(r0 +0)',
      ),
    ],
    ['a dead register does not matter', `r2 = *(u32 *)(r1 +0)\nr3 = 1\nif r2 > 5 goto pc+1\nr3 = r10\n${PASS}`],
    ['a dead slot does not matter', `r2 = *(u32 *)(r1 +0)\nif r2 > 5 goto pc+1\n*(u64 *)(r10 -8) = 0\n${PASS}`],
    ['a slot that matters', `r2 = *(u32 *)(r1 +0)\nif r2 > 5 goto pc+1\n*(u64 *)(r10 -8) = 0\nr3 = *(u64 *)(r10 -8)\n${PASS}`],
  ]),
];
