/** BPF_MAP_TYPE_PROG_ARRAY: the programs that tail calls go to. Mirrors prog_array_* of kernel/bpf/arraymap.c. */

import type { BpfMap, BpfProg, MapTypeOps } from '@libbpf-ts/kernel';
import { BPF_F_XDP_HAS_FRAGS, BPF_MAP_TYPE_PROG_ARRAY, isKernelError } from '@libbpf-ts/uapi';

import { arrayNextKey } from './array.ts';
import { checkArrayBtf } from './btf-check.ts';
import { E2BIG, EINVAL, ENOENT } from './errno.ts';
import { checkFdArrayAttr, checkFdArrayUpdate, entryHolder, fdArrayAlloc, fdArrayFree, setEntry, u32At } from './fd-array.ts';

/** Programs by index; the arena has their slots. */
export type ProgArrayData = Map<number, BpfProg>;

/**
 * Whether a program may be in this map, or tail-call through it (`bpf_prog_map_compatible`). The first program decides for all: same
 * type, same engine of the kernel, same say on XDP fragments.
 */
export function progArrayAdmits(map: BpfMap, prog: BpfProg): boolean {
  const xdpHasFrags = (prog.attributes.flags & BPF_F_XDP_HAS_FRAGS) !== 0;
  const { owner } = map;
  if (owner === undefined) {
    map.owner = { type: prog.type, jited: true, xdpHasFrags };
    return true;
  }
  return owner.type === prog.type && owner.xdpHasFrags === xdpHasFrags;
}

export const progArrayMapOps: MapTypeOps<ProgArrayData> = {
  type: BPF_MAP_TYPE_PROG_ARRAY,
  name: 'prog_array',
  canBeInner: false,
  allocCheck(attr) {
    checkFdArrayAttr(attr);
  },
  alloc(map) {
    fdArrayAlloc(map);
    return new Map();
  },
  free(map) {
    clear(map);
    fdArrayFree(map);
  },
  clone: (data, fork) => new Map([...data].map(([index, prog]) => [index, fork.twin(prog)])),
  lookup: () => 0,
  getNextKey: arrayNextKey,
  userLookup(map, key, value) {
    const prog = map.data.get(u32At(map, key));
    if (!prog) return -ENOENT;
    map.kernel.arena.view.setUint32(value, prog.id, true);
    return 0;
  },
  userUpdate(map, key, value, flags, task) {
    const index = u32At(map, key);
    const refusal = checkFdArrayUpdate(map, index, flags);
    if (refusal !== 0) return refusal;
    let prog: BpfProg;
    try {
      prog = task.prog(u32At(map, value) | 0, 'value');
    } catch (error) {
      if (isKernelError(error)) return -error.errno;
      throw error;
    }
    if (!progArrayAdmits(map, prog)) return -EINVAL;
    put(map, index, prog);
    return 0;
  },
  userDelete(map, key) {
    const index = u32At(map, key);
    if (index >= map.maxEntries) return -E2BIG;
    if (!map.data.has(index)) return -ENOENT;
    put(map, index, undefined);
    return 0;
  },
  checkBtf: (map, btf, keyTypeId, valueTypeId) => checkArrayBtf(map, btf, keyTypeId, valueTypeId),
  admitsProg: progArrayAdmits,
  lastUserRefGone: clear,
  memUsage: (map) => map.maxEntries * 8 + 320,
};

/** Replaces the entry; the new program is held before the old one is let go, since they may be the same. */
function put(map: BpfMap<ProgArrayData>, index: number, prog: BpfProg | undefined): void {
  const holder = entryHolder(map, `${index}`);
  const old = map.data.get(index);
  prog?.acquire(holder);
  if (prog) map.data.set(index, prog);
  else map.data.delete(index);
  setEntry(map, index, prog?.slot ?? 0);
  old?.release(holder);
}

/** A program whose own array names it would else keep itself alive: so the last fd or pin empties the map (`prog_array_map_clear`). */
function clear(map: BpfMap<ProgArrayData>): void {
  for (const index of map.data.keys()) put(map, index, undefined);
}
