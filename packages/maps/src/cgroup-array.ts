/** BPF_MAP_TYPE_CGROUP_ARRAY: cgroups by index, for bpf_skb_under_cgroup and bpf_current_task_under_cgroup. */

import { mapCheckNoBtf, type BpfMap, type MapTypeOps, type OpenFile } from '@libbpf-ts/kernel';
import { BPF_MAP_TYPE_CGROUP_ARRAY, ERRNO } from '@libbpf-ts/uapi';

import { arrayNextKey } from './array.ts';
import { E2BIG, ENOENT, ENOTSUPP } from './errno.ts';
import { checkFdArrayAttr, checkFdArrayUpdate, fdArrayAlloc, fdArrayFree, setEntry, u32At } from './fd-array.ts';

/** An open cgroup directory, as the cgroup subsystem makes it. */
export interface CgroupFile extends OpenFile {
  readonly kind: 'cgroup';
  readonly cgroupId: bigint;
}

export const cgroupArrayMapOps: MapTypeOps<Map<number, CgroupFile>> = {
  type: BPF_MAP_TYPE_CGROUP_ARRAY,
  name: 'cgroup_array',
  canBeInner: true,
  allocCheck(attr) {
    checkFdArrayAttr(attr);
  },
  alloc(map) {
    fdArrayAlloc(map);
    return new Map();
  },
  free: fdArrayFree,
  clone: (data, fork) => new Map([...data].map(([index, file]) => [index, file.twin(fork) as CgroupFile])),
  lookup: () => 0,
  userLookup: () => -ENOTSUPP,
  getNextKey: arrayNextKey,
  userUpdate(map, key, value, flags, task) {
    const index = u32At(map, key);
    const refusal = checkFdArrayUpdate(map, index, flags);
    if (refusal !== 0) return refusal;
    const file = task.file(u32At(map, value) | 0);
    if (file?.kind !== 'cgroup') return -ERRNO.EBADF;
    map.data.set(index, file as CgroupFile);
    setEntry(map, index, 1);
    return 0;
  },
  userDelete(map, key) {
    const index = u32At(map, key);
    if (index >= map.maxEntries) return -E2BIG;
    if (!map.data.delete(index)) return -ENOENT;
    setEntry(map, index, 0);
    return 0;
  },
  lastUserRefGone(map) {
    for (const index of map.data.keys()) setEntry(map, index, 0);
    map.data.clear();
  },
  checkBtf: mapCheckNoBtf,
};

/** The cgroup of an entry, or -E2BIG, -EAGAIN as bpf_skb_under_cgroup answers. */
export function cgroupAt(map: BpfMap<Map<number, CgroupFile>>, index: number): CgroupFile | number {
  if (index >= map.maxEntries) return -E2BIG;
  return map.data.get(index) ?? -ERRNO.EAGAIN;
}
