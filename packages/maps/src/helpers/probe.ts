/** bpf_probe_read and its kin: reads that may fail. What can be read is the arena above its null page; all else is -EFAULT. */

import type { Kernel } from '@libbpf-ts/kernel';
import {
  BPF_FUNC_copy_from_user,
  BPF_FUNC_probe_read,
  BPF_FUNC_probe_read_kernel,
  BPF_FUNC_probe_read_kernel_str,
  BPF_FUNC_probe_read_str,
  BPF_FUNC_probe_read_user,
  BPF_FUNC_probe_read_user_str,
} from '@libbpf-ts/uapi';

import { zeroBytes } from '../bytes.ts';
import { EFAULT } from '../errno.ts';
import { helper, type HelperRow } from './define.ts';

/** Addresses below are never mapped. */
const FIRST_ADDRESS = 0x1_0000;

const readers: readonly (readonly [number, string])[] = [
  [BPF_FUNC_probe_read, 'bpf_probe_read'],
  [BPF_FUNC_probe_read_kernel, 'bpf_probe_read_kernel'],
  [BPF_FUNC_probe_read_user, 'bpf_probe_read_user'],
  [BPF_FUNC_copy_from_user, 'bpf_copy_from_user'],
];
const stringReaders: readonly (readonly [number, string])[] = [
  [BPF_FUNC_probe_read_str, 'bpf_probe_read_str'],
  [BPF_FUNC_probe_read_kernel_str, 'bpf_probe_read_kernel_str'],
  [BPF_FUNC_probe_read_user_str, 'bpf_probe_read_user_str'],
];

export const probeHelpers: readonly HelperRow[] = [
  ...readers.map(([id, name]) =>
    helper(
      id,
      name,
      ['u32', 'u32', 'u64'],
      's32',
      (kernel) => (to, size, low, high) => readBytes(kernel, to! >>> 0, size! >>> 0, low! >>> 0, high!),
    ),
  ),
  ...stringReaders.map(([id, name]) =>
    helper(
      id,
      name,
      ['u32', 'u32', 'u64'],
      's32',
      (kernel) => (to, size, low, high) => readString(kernel, to! >>> 0, size! >>> 0, low! >>> 0, high!),
    ),
  ),
];

/** Copies, or writes zeros and returns -EFAULT. */
function readBytes(kernel: Kernel, to: number, size: number, from: number, high: number): number {
  const { arena } = kernel;
  if (high !== 0 || from < FIRST_ADDRESS || from + size > arena.u8.length) {
    zeroBytes(arena, to, size);
    return -EFAULT;
  }
  arena.u8.copyWithin(to, from, from + size);
  return 0;
}

/** Copies up to the NUL or until the buffer is full, which always ends in a NUL. Returns the bytes written, the NUL included. */
function readString(kernel: Kernel, to: number, size: number, from: number, high: number): number {
  const { u8 } = kernel.arena;
  if (size === 0) return 0;
  for (let index = 0; high === 0 && from >= FIRST_ADDRESS; index++) {
    const at = from + index;
    if (at >= u8.length) break;
    const byte = index === size - 1 ? 0 : u8[at]!;
    u8[to + index] = byte;
    if (byte === 0) return index + 1;
  }
  zeroBytes(kernel.arena, to, size);
  return -EFAULT;
}
