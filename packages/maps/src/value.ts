/** Values with managed fields: what a plain copy of a value must leave alone. Mirrors bpf_obj_memcpy and its callers. */

import type { BpfMap } from '@libbpf-ts/kernel';
import type { BtfField } from '@libbpf-ts/verifier';
import { BPF_ANY, BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST } from '@libbpf-ts/uapi';

import { copyBytes, zeroBytes } from './bytes.ts';
import { EEXIST, EINVAL, ENOENT } from './errno.ts';
import { cancelTimersOf } from './timers.ts';

/** Copies a value, managed fields left as they are (`copy_map_value`). */
export function copyValue(map: BpfMap, to: number, from: number): void {
  copyAround(map, to, from, map.valueSize);
}

/** As `copyValue`, for a value whose managed fields were never set up: they become zero (`check_and_init_map_value`). */
export function initValue(map: BpfMap, to: number, from: number): void {
  copyBytes(map.kernel.arena, to, from, map.valueSize);
  if (map.record.length > 0) zeroFields(map, to);
}

/** Writes zeros over the managed fields of the value at `at`: what user space sees of them. */
export function zeroFields(map: BpfMap, at: number): void {
  for (const { offset, size } of map.record) zeroBytes(map.kernel.arena, at + offset, size);
}

/** `check_and_free_fields`: an element goes; timers are cancelled, what kptrs hold is forgotten. */
export function freeFields(map: BpfMap, at: number): void {
  if (map.record.length === 0) return;
  cancelTimersOf(map.kernel, map, at);
  for (const field of map.record) {
    if (field.type !== 'BPF_SPIN_LOCK' && field.type !== 'BPF_RES_SPIN_LOCK')
      zeroBytes(map.kernel.arena, at + field.offset, field.size);
  }
}

export function hasSpinLock(map: BpfMap): boolean {
  return map.record.some(({ type }) => type === 'BPF_SPIN_LOCK');
}

/** Flags of an update: 0, or the refusal of flags that no map knows, or of a lock that the value does not have. */
export function checkUpdateFlags(map: BpfMap, flags: number): number {
  if (flags === BPF_ANY || flags === BPF_NOEXIST || flags === BPF_EXIST) return 0;
  const low = flags >= BPF_F_LOCK ? flags - BPF_F_LOCK : flags;
  if (low > BPF_EXIST || flags < BPF_F_LOCK) return -EINVAL;
  return hasSpinLock(map) ? 0 : -EINVAL;
}

/** Presence against BPF_NOEXIST and BPF_EXIST (`check_flags`). */
export function checkPresence(present: boolean, flags: number): number {
  const mode = flags >= BPF_F_LOCK ? flags - BPF_F_LOCK : flags;
  if (present && mode === BPF_NOEXIST) return -EEXIST;
  if (!present && mode === BPF_EXIST) return -ENOENT;
  return 0;
}

function copyAround(map: BpfMap, to: number, from: number, size: number): void {
  const { arena } = map.kernel;
  if (map.record.length === 0) {
    copyBytes(arena, to, from, size);
    return;
  }
  let at = 0;
  for (const field of byOffset(map.record)) {
    copyBytes(arena, to + at, from + at, field.offset - at);
    at = field.offset + field.size;
  }
  copyBytes(arena, to + at, from + at, size - at);
}

const byOffset = (record: readonly BtfField[]): readonly BtfField[] => [...record].sort((a, b) => a.offset - b.offset);
