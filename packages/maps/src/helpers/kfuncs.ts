/** kfuncs that every program type may have: number iterators, critical sections, dynptr views, text. */

import type { Kernel } from '@libbpf-ts/kernel';

import { clearDynptr, dynptrData, dynptrIsReadOnly, dynptrOffset, dynptrSize, moveDynptr } from '../dynptr.ts';
import { E2BIG, EINVAL, ENOENT, ERANGE } from '../errno.ts';
import { rangeOf } from './dynptr.ts';
import { kfunc, type KfuncRow } from './kfunc-row.ts';
import { resLockKfuncs } from './res-locks.ts';

const nothing = (): (() => number) => () => 0;
/** BPF_MAX_LOOPS. */
const MAX_LOOPS = 1 << 23;

// — bpf_iter_num: { s32 current, s32 end } —

const iterators: readonly KfuncRow[] = [
  kfunc('bpf_iter_num_new', ['u32', 'u32', 'u32'], 's32', ({ arena }) => (iterator, start, end) => {
    const words = arena.i32;
    const at = iterator! >>> 2;
    words[at] = words[at + 1] = 0;
    if ((start! | 0) > (end! | 0)) return -EINVAL;
    if ((end! | 0) - (start! | 0) > MAX_LOOPS) return -E2BIG;
    words[at] = start! - 1;
    words[at + 1] = end!;
    return 0;
  }),
  kfunc('bpf_iter_num_next', ['u32'], 'u32', ({ arena }) => (iterator) => {
    const words = arena.i32;
    const at = iterator! >>> 2;
    // The addition wraps where the iterator starts at the least int; as doubles it does not.
    if (words[at]! + 1 < words[at + 1]! || words[at]! === 0x7fff_ffff) {
      words[at]! += 1;
      return iterator!;
    }
    words[at] = words[at + 1] = 0;
    return 0;
  }),
  kfunc('bpf_iter_num_destroy', ['u32'], 'void', ({ arena }) => (iterator) => {
    arena.i32[iterator! >>> 2] = arena.i32[(iterator! >>> 2) + 1] = 0;
    return 0;
  }),
];

// — Sections that one thread is always in —

const sections: readonly KfuncRow[] = [
  kfunc('bpf_rcu_read_lock', [], 'void', nothing),
  kfunc('bpf_rcu_read_unlock', [], 'void', nothing),
  kfunc('bpf_preempt_disable', [], 'void', nothing),
  kfunc('bpf_preempt_enable', [], 'void', nothing),
  kfunc('bpf_local_irq_save', ['u32'], 'void', nothing),
  kfunc('bpf_local_irq_restore', ['u32'], 'void', nothing),
  kfunc('bpf_rdonly_cast', ['u64', 'u32'], 'u64', ({ runtime }) => (low, high) => {
    runtime.returnHigh.value = high!;
    return low!;
  }),
];

// — Dynptrs —

const dynptrs: readonly KfuncRow[] = [
  kfunc(
    'bpf_dynptr_size',
    ['u32'],
    's32',
    ({ arena }) =>
      (at) =>
        dynptrData(arena, at!) === 0 ? -EINVAL : dynptrSize(arena, at!),
  ),
  kfunc(
    'bpf_dynptr_is_null',
    ['u32'],
    'u32',
    ({ arena }) =>
      (at) =>
        Number(dynptrData(arena, at!) === 0),
  ),
  kfunc(
    'bpf_dynptr_is_rdonly',
    ['u32'],
    'u32',
    ({ arena }) =>
      (at) =>
        Number(dynptrData(arena, at!) !== 0 && dynptrIsReadOnly(arena, at!)),
  ),
  kfunc('bpf_dynptr_adjust', ['u32', 'u32', 'u32'], 's32', ({ arena }) => (at, start, end) => {
    const [first, last] = [start! >>> 0, end! >>> 0];
    if (dynptrData(arena, at!) === 0 || first > last) return -EINVAL;
    const size = dynptrSize(arena, at!);
    if (first > size || last > size) return -ERANGE;
    moveDynptr(arena, at!, dynptrOffset(arena, at!) + first, last - first);
    return 0;
  }),
  kfunc('bpf_dynptr_clone', ['u32', 'u32'], 's32', ({ arena }) => (from, to) => {
    clearDynptr(arena, to!);
    if (dynptrData(arena, from!) === 0) return -EINVAL;
    for (let word = 0; word < 4; word++) arena.u32[(to! >>> 2) + word] = arena.u32[(from! >>> 2) + word]!;
    return 0;
  }),
  kfunc(
    'bpf_dynptr_slice',
    ['u32', 'u32', 'u32', 'u32'],
    'u32',
    (kernel) => (at, offset, _buffer, size) => Math.max(0, rangeOf(kernel, at!, offset! >>> 0, size! >>> 0)),
  ),
  kfunc(
    'bpf_dynptr_slice_rdwr',
    ['u32', 'u32', 'u32', 'u32'],
    'u32',
    (kernel) => (at, offset, _buffer, size) =>
      dynptrIsReadOnly(kernel.arena, at!) ? 0 : Math.max(0, rangeOf(kernel, at!, offset! >>> 0, size! >>> 0)),
  ),
];

// — Text: every string ends at its NUL, after XATTR_SIZE_MAX characters at the latest —

const MAX_TEXT = 65_536;

/** The characters of a string, without its NUL; at most `limit`. */
function textAt({ arena: { u8 } }: Kernel, at: number, limit = MAX_TEXT): string | undefined {
  const first = at >>> 0;
  const most = Math.min(limit, MAX_TEXT);
  let end = first;
  while (end - first < most && u8[end] !== 0) end++;
  return end - first === MAX_TEXT ? undefined : String.fromCharCode(...u8.subarray(first, end));
}

/** A kfunc over two strings; -E2BIG where one has no end. */
function onTexts(name: string, limited: boolean, find: (left: string, right: string) => number): KfuncRow {
  return kfunc(name, limited ? ['u32', 'u32', 'u32'] : ['u32', 'u32'], 's32', (kernel) => (left, right, limit) => {
    const a = textAt(kernel, left!, limited ? limit! >>> 0 : MAX_TEXT);
    const b = textAt(kernel, right!);
    return a === undefined || b === undefined ? -E2BIG : find(a, b);
  });
}

const found = (index: number): number => (index < 0 ? -ENOENT : index);
const compare = (left: string, right: string): number => (left === right ? 0 : left < right ? -1 : 1);
const span = (text: string, accepts: (character: string) => boolean): number => {
  let length = 0;
  while (length < text.length && accepts(text[length]!)) length++;
  return length;
};

/** A kfunc that looks for a character in a string. */
function forCharacter(name: string, find: (text: string, character: string) => number): KfuncRow {
  return kfunc(name, ['u32', 'u32'], 's32', (kernel) => (text, character) => {
    const characters = textAt(kernel, text!);
    return characters === undefined ? -E2BIG : find(characters, String.fromCharCode(character! & 0xff));
  });
}

const texts: readonly KfuncRow[] = [
  onTexts('bpf_strcmp', false, compare),
  onTexts('bpf_strcasecmp', false, (left, right) => compare(left.toLowerCase(), right.toLowerCase())),
  onTexts('bpf_strstr', false, (left, right) => found(left.indexOf(right))),
  onTexts('bpf_strnstr', true, (left, right) => found(left.indexOf(right))),
  onTexts('bpf_strcasestr', false, (left, right) => found(left.toLowerCase().indexOf(right.toLowerCase()))),
  onTexts('bpf_strncasestr', true, (left, right) => found(left.toLowerCase().indexOf(right.toLowerCase()))),
  onTexts('bpf_strspn', false, (text, set) => span(text, (character) => set.includes(character))),
  onTexts('bpf_strcspn', false, (text, set) => span(text, (character) => !set.includes(character))),
  forCharacter('bpf_strchr', (text, character) => (character === '\0' ? text.length : found(text.indexOf(character)))),
  forCharacter('bpf_strchrnul', (text, character) => (text.includes(character) ? text.indexOf(character) : text.length)),
  forCharacter('bpf_strrchr', (text, character) => (character === '\0' ? text.length : found(text.lastIndexOf(character)))),
  kfunc('bpf_strlen', ['u32'], 's32', (kernel) => (text) => textAt(kernel, text!)?.length ?? -E2BIG),
  kfunc(
    'bpf_strnlen',
    ['u32', 'u32'],
    's32',
    (kernel) => (text, limit) => textAt(kernel, text!, limit! >>> 0)?.length ?? -E2BIG,
  ),
];

export const mapKfuncs: readonly KfuncRow[] = [...iterators, ...sections, ...resLockKfuncs, ...dynptrs, ...texts];
