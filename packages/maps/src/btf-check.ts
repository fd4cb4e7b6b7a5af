/** The BTF of keys and values, as each map type checks it (`map_check_btf`). */

import { skipModifiers, type Btf } from '@libbpf-ts/btf';
import type { BpfMap } from '@libbpf-ts/kernel';
import { BPF_MAP_TYPE_ARRAY, KernelError } from '@libbpf-ts/uapi';

/** A key is a plain int of 32 bits; or both are void, which only a one-element array may be (`array_map_check_btf`). */
export function checkArrayBtf(map: BpfMap, btf: Btf, keyTypeId: number, valueTypeId: number): void {
  if (btf.kind(keyTypeId) === 'VOID') {
    if (map.maxEntries !== 1 || map.type !== BPF_MAP_TYPE_ARRAY)
      throw new KernelError('EINVAL', 'only an array of one element may have a key without type', 'btf_key_type_id');
    if (btf.kind(valueTypeId) !== 'DATASEC')
      throw new KernelError('EINVAL', 'a value without key type must be a data section', 'btf_value_type_id');
    return;
  }
  checkIntKey(btf, keyTypeId);
}

/** A plain 32-bit int: no bit field, no bool (`btf_type_is_i32` and the like). */
export function checkIntKey(btf: Btf, keyTypeId: number): void {
  const key = skipModifiers(btf, keyTypeId);
  if (key.kind !== 'INT' || key.bits !== 32 || key.bit_offset !== 0) {
    throw new KernelError('EINVAL', `the key's type ${key.name} is no 32-bit int`, 'btf_key_type_id');
  }
}

/** A map without keys: the key's type must be void. */
export function checkNoKey(keyTypeId: number): void {
  if (keyTypeId !== 0) throw new KernelError('EINVAL', 'the map has no keys', 'btf_key_type_id');
}
