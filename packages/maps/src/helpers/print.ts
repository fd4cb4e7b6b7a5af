/** bpf_trace_printk, bpf_trace_vprintk, bpf_snprintf. */

import type { Kernel } from '@libbpf-ts/kernel';
import { BPF_FUNC_snprintf, BPF_FUNC_trace_printk, BPF_FUNC_trace_vprintk } from '@libbpf-ts/uapi';

import { EINVAL } from '../errno.ts';
import { formatText, type PrintfArgument } from '../printf.ts';
import { trace } from '../trace-log.ts';
import { helper, type HelperRow } from './define.ts';

/** Most arguments of bpf_trace_printk, and of the others. */
const MAX_VARARGS = 12;
/** Bytes of a line of the trace pipe. */
const MAX_LINE = 1023;

export const printHelpers: readonly HelperRow[] = [
  helper(
    BPF_FUNC_trace_printk,
    'bpf_trace_printk',
    ['u32', 'u32', 'u64', 'u64', 'u64'],
    's32',
    (kernel) =>
      (format, size, ...rest) =>
        print(kernel, bytesOf(kernel, format! >>> 0, size! >>> 0), pairs(rest)),
  ),
  helper(
    BPF_FUNC_trace_vprintk,
    'bpf_trace_vprintk',
    ['u32', 'u32', 'u32', 'u32'],
    's32',
    (kernel) => (format, size, data, dataSize) => {
      const args = arrayArguments(kernel, data! >>> 0, dataSize! >>> 0);
      return args ? print(kernel, bytesOf(kernel, format! >>> 0, size! >>> 0), args) : -EINVAL;
    },
  ),
  helper(
    BPF_FUNC_snprintf,
    'bpf_snprintf',
    ['u32', 'u32', 'u32', 'u32', 'u32'],
    's32',
    (kernel) => (buffer, size, format, data, dataSize) =>
      printInto(kernel, buffer! >>> 0, size! >>> 0, format! >>> 0, data! >>> 0, dataSize! >>> 0),
  ),
];

/** The format ends at its NUL, which must be there. */
function bytesOf(kernel: Kernel, at: number, size: number): Uint8Array | undefined {
  const bytes = kernel.arena.u8.subarray(at, at + size);
  const end = bytes.indexOf(0);
  return end < 0 ? undefined : bytes.slice(0, end);
}

function pairs(halves: readonly number[]): PrintfArgument[] {
  return Array.from({ length: halves.length >> 1 }, (_, index) => ({ low: halves[2 * index]!, high: halves[2 * index + 1]! }));
}

function arrayArguments(kernel: Kernel, data: number, size: number): PrintfArgument[] | undefined {
  if (size % 8 !== 0 || size > MAX_VARARGS * 8 || (size > 0 && data === 0)) return undefined;
  const { view } = kernel.arena;
  return Array.from({ length: size / 8 }, (_, index) => ({
    low: view.getInt32(data + index * 8, true),
    high: view.getInt32(data + index * 8 + 4, true),
  }));
}

function print(kernel: Kernel, format: Uint8Array | undefined, args: readonly PrintfArgument[]): number {
  const text = format === undefined ? -EINVAL : formatText(kernel.arena, format, args);
  if (typeof text === 'number') return text;
  trace(kernel, text.slice(0, MAX_LINE));
  return text.length;
}

/** Returns the bytes that the whole text needs, its NUL included. */
function printInto(kernel: Kernel, buffer: number, size: number, format: number, data: number, dataSize: number): number {
  const args = arrayArguments(kernel, data, dataSize);
  const { u8 } = kernel.arena;
  const end = u8.indexOf(0, format);
  if (!args || end < 0) return -EINVAL;
  const text = formatText(kernel.arena, u8.slice(format, end), args);
  if (typeof text === 'number') return text;
  if (size > 0) {
    const length = Math.min(text.length, size - 1);
    for (let index = 0; index < length; index++) u8[buffer + index] = text.charCodeAt(index);
    u8[buffer + length] = 0;
  }
  return text.length + 1;
}
