/** Helpers on maps: elements, callbacks over elements, tail calls, loops. */

import type { BpfMap, Kernel } from '@libbpf-ts/kernel';
import {
  BPF_FUNC_for_each_map_elem,
  BPF_FUNC_loop,
  BPF_FUNC_map_delete_elem,
  BPF_FUNC_map_lookup_elem,
  BPF_FUNC_map_lookup_percpu_elem,
  BPF_FUNC_map_peek_elem,
  BPF_FUNC_map_pop_elem,
  BPF_FUNC_map_push_elem,
  BPF_FUNC_map_update_elem,
  BPF_FUNC_tail_call,
  BPF_MAP_TYPE_PERCPU_ARRAY,
} from '@libbpf-ts/uapi';
import { MAP_HEADER } from '@libbpf-ts/vm';

import { percpuArrayElement } from '../array.ts';
import { E2BIG, EINVAL, EOPNOTSUPP } from '../errno.ts';
import { percpuHashElement } from '../hash.ts';
import { helper, u64, type HelperRow } from './define.ts';

/** Most iterations of bpf_loop (BPF_MAX_LOOPS). */
const MAX_LOOPS = 1 << 23;

export const mapElementHelpers: readonly HelperRow[] = [
  helper(BPF_FUNC_map_lookup_elem, 'bpf_map_lookup_elem', ['u32', 'u32'], 'u32', makeLookup, { intrinsic: 'map_lookup' }),
  helper(
    BPF_FUNC_map_update_elem,
    'bpf_map_update_elem',
    ['u32', 'u32', 'u32', 'u64'],
    's32',
    (kernel) => (address, key, value, low, high) => {
      const map = mapOf(kernel, address!);
      const { update } = map.ops;
      return update === undefined
        ? -EOPNOTSUPP
        : update(map, key! >>> 0, value! >>> 0, high === 0 ? low! >>> 0 : u64(low!, high!));
    },
    { intrinsic: 'map_update' },
  ),
  helper(BPF_FUNC_map_delete_elem, 'bpf_map_delete_elem', ['u32', 'u32'], 's32', (kernel) => (address, key) => {
    const map = mapOf(kernel, address!);
    const remove = map.ops.delete;
    return remove === undefined ? -EOPNOTSUPP : remove(map, key! >>> 0);
  }),
  helper(BPF_FUNC_map_push_elem, 'bpf_map_push_elem', ['u32', 'u32', 'u64'], 's32', (kernel) => (address, value, low, high) => {
    const map = mapOf(kernel, address!);
    return map.ops.push?.(map, value! >>> 0, u64(low!, high!)) ?? -EOPNOTSUPP;
  }),
  helper(BPF_FUNC_map_pop_elem, 'bpf_map_pop_elem', ['u32', 'u32'], 's32', (kernel) => (address, value) => {
    const map = mapOf(kernel, address!);
    return map.ops.pop?.(map, value! >>> 0) ?? -EOPNOTSUPP;
  }),
  helper(BPF_FUNC_map_peek_elem, 'bpf_map_peek_elem', ['u32', 'u32'], 's32', (kernel) => (address, value) => {
    const map = mapOf(kernel, address!);
    return map.ops.peek?.(map, value! >>> 0) ?? -EOPNOTSUPP;
  }),
  helper(
    BPF_FUNC_map_lookup_percpu_elem,
    'bpf_map_lookup_percpu_elem',
    ['u32', 'u32', 'u32'],
    'u32',
    (kernel) => (address, key, cpu) => {
      const map = mapOf(kernel, address!);
      const find = map.type === BPF_MAP_TYPE_PERCPU_ARRAY ? percpuArrayElement : percpuHashElement;
      return find(map, key! >>> 0, cpu! >>> 0);
    },
  ),
  helper(BPF_FUNC_for_each_map_elem, 'bpf_for_each_map_elem', ['u32', 'u32', 'u32', 'u64'], 's32', makeForEach, {
    callsBack: true,
  }),
  helper(BPF_FUNC_loop, 'bpf_loop', ['u32', 'u32', 'u32', 'u64'], 's32', makeLoop, { intrinsic: 'loop', callsBack: true }),
  helper(
    BPF_FUNC_tail_call,
    'bpf_tail_call',
    ['u32', 'u32', 'u32'],
    's32',
    () => () => {
      throw new Error('only the engines can make a tail call');
    },
    { intrinsic: 'tail_call' },
  ),
];

function mapOf(kernel: Kernel, address: number): BpfMap {
  return kernel.mapsByAddress.get(address >>> 0) ?? kernel.mapAt(address);
}

/** Through the header's function where the type has one, so that engines without WebAssembly calls and the JIT find the same. */
function makeLookup(kernel: Kernel): (...args: number[]) => number {
  const { functions, arena } = kernel.runtime;
  return (address, key) => {
    const slot = arena.u32[(address! + MAP_HEADER.lookup_slot) >>> 2]!;
    return slot !== 0 ? (functions.get(slot)!(address, key) as number) : mapOf(kernel, address!).lookup(key! >>> 0);
  };
}

/** The callback gets map, key, value and context; it returns 0 to go on and 1 to stop. The result is how many elements it saw. */
function makeForEach(kernel: Kernel): (...args: number[]) => number {
  return (address, callback, context, low, high) => {
    const map = mapOf(kernel, address!);
    if (low !== 0 || high !== 0 || !map.ops.forEach) return -EINVAL;
    return map.ops.forEach(map, (key, value) => kernel.runtime.callback(callback!, address, key, value, context) !== 0);
  };
}

function makeLoop(kernel: Kernel): (...args: number[]) => number {
  return (count, callback, context, low, high) => {
    const times = count! >>> 0;
    if (low !== 0 || high !== 0) return -EINVAL;
    if (times > MAX_LOOPS) return -E2BIG;
    for (let index = 0; index < times; index++) {
      if (kernel.runtime.callback(callback!, index, context) !== 0) return index + 1;
    }
    return times;
  };
}
