/** The maps that XDP programs redirect through: devmap, devmap_hash, cpumap, xskmap. Tables only: to redirect is the XDP subsystem's work. */

import {
  mapCheckNoBtf,
  type BpfMap,
  type BpfProg,
  type MapCreateAttr,
  type MapTypeOps,
  type OpenFile,
  type Task,
} from '@libbpf-ts/kernel';
import {
  BPF_EXIST,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_MAP_TYPE_CPUMAP,
  BPF_MAP_TYPE_DEVMAP,
  BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_XSKMAP,
  BPF_NOEXIST,
  BPF_PROG_TYPE_XDP,
  BPF_XDP_CPUMAP,
  BPF_XDP_DEVMAP,
  ERRNO,
  isKernelError,
  KernelError,
} from '@libbpf-ts/uapi';

import { checkFlags, checkKeySize, checkMaxEntries, checkPointerTable, checkValueSize } from './alloc-check.ts';
import { arrayNextKey } from './array.ts';
import { deviceExists } from './devices.ts';
import { E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from './errno.ts';
import { entryHolder, u32At } from './fd-array.ts';
import { keepPermanentFlags } from './header.ts';
import { progArrayAdmits } from './prog-array.ts';

/** One entry: where packets go, and the program that runs on them there. */
export interface RedirectTarget {
  /** ifindex (devmap), queue size (cpumap); 0 for xskmap. */
  readonly value: number;
  readonly prog: BpfProg | undefined;
  /** xskmap: the socket. */
  readonly socket?: OpenFile;
  /** Address of { u32 value, u32 program id }: what a program's lookup gives. */
  readonly address: number;
}

/** Targets by key, in the order in which they were added. */
export type RedirectData = Map<number, RedirectTarget>;

const CREATE_FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;
/** CONFIG_NR_CPUS of a common kernel: the most entries of a cpumap. */
const NR_CPUS = 64;

function makeOps(
  type: number,
  name: string,
  rows: Partial<MapTypeOps<RedirectData>> & Pick<MapTypeOps<RedirectData>, 'allocCheck' | 'userUpdate'>,
): MapTypeOps<RedirectData> {
  return {
    type,
    name,
    canBeInner: true,
    alloc(map) {
      checkPointerTable(map);
      keepPermanentFlags(map);
      return new Map();
    },
    free(map) {
      for (const key of map.data.keys()) put(map, key, undefined);
    },
    clone: (data, fork) =>
      new Map(
        [...data].map(([key, target]) => [
          key,
          {
            ...target,
            prog: fork.twinOf(target.prog),
            ...(target.socket ? { socket: target.socket.twin(fork) } : {}),
          },
        ]),
      ),
    lookup: (map, key) => map.data.get(u32At(map, key))?.address ?? 0,
    getNextKey: arrayNextKey,
    userDelete(map, key) {
      const index = u32At(map, key);
      if (index >= map.maxEntries) return -EINVAL;
      put(map, index, undefined);
      return 0;
    },
    checkBtf: mapCheckNoBtf,
    memUsage: (map) => map.maxEntries * 8 + 320,
    ...rows,
  };
}

/** Writes an entry, or takes it out; programs are held by the map. */
function put(map: BpfMap<RedirectData>, key: number, target: Omit<RedirectTarget, 'address'> | undefined): void {
  const { arena } = map.kernel;
  const holder = entryHolder(map, `${key}`);
  const old = map.data.get(key);
  target?.prog?.acquire(holder);
  if (target) {
    const address = old?.address ?? arena.allocate(8);
    arena.u32[address >> 2] = target.value;
    arena.u32[(address + 4) >> 2] = target.prog?.id ?? 0;
    map.data.set(key, { ...target, address });
  } else if (old) {
    map.data.delete(key);
    const { address } = old;
    map.kernel.defer(() => arena.free(address));
  }
  old?.prog?.release(holder);
}

/** The XDP program that the second word of a value names, if any, or -errno. It must be of the attach type of the map. */
function programOf(map: BpfMap, value: number, task: Task, attachType: number): BpfProg | undefined | number {
  const fd = map.valueSize === 8 ? u32At(map, value + 4) | 0 : -1;
  if (fd <= 0) return undefined;
  try {
    const prog = task.prog(fd, 'value', BPF_PROG_TYPE_XDP);
    return prog.expectedAttachType === attachType && progArrayAdmits(map, prog) ? prog : -EINVAL;
  } catch (error) {
    if (isKernelError(error)) return -EINVAL;
    throw error;
  }
}

// — devmap and devmap_hash —

function checkDevmapAttr(attr: MapCreateAttr): void {
  checkMaxEntries(attr);
  checkKeySize(attr, 4);
  checkValueSize(attr, 4, 8);
  checkFlags(attr, CREATE_FLAGS);
  if (attr.map_type === BPF_MAP_TYPE_DEVMAP_HASH && attr.max_entries > 0x8000_0000) {
    throw new KernelError('EINVAL', 'too many buckets', 'max_entries');
  }
}

/** Programs may read entries and never write them. */
function allocDevmap(map: BpfMap): RedirectData {
  checkPointerTable(map);
  keepPermanentFlags(map, BPF_F_RDONLY_PROG);
  return new Map();
}

function updateDevmap(map: BpfMap<RedirectData>, key: number, value: number, flags: number, task: Task): number {
  const index = u32At(map, key);
  const ifindex = u32At(map, value);
  if (flags > BPF_EXIST) return -EINVAL;
  if (index >= map.maxEntries) return -E2BIG;
  if (flags === BPF_NOEXIST) return -EEXIST;
  return putDevice(map, index, ifindex, value, task);
}

function putDevice(map: BpfMap<RedirectData>, key: number, ifindex: number, value: number, task: Task): number {
  const fd = map.valueSize === 8 ? u32At(map, value + 4) | 0 : -1;
  if (ifindex === 0) {
    if (fd > 0 || map.type === BPF_MAP_TYPE_DEVMAP_HASH) return -EINVAL;
    put(map, key, undefined);
    return 0;
  }
  if (!deviceExists(task, ifindex)) return -EINVAL;
  const prog = programOf(map, value, task, BPF_XDP_DEVMAP);
  if (typeof prog === 'number') return prog;
  put(map, key, { value: ifindex, prog });
  return 0;
}

export const devmapOps: MapTypeOps<RedirectData> = makeOps(BPF_MAP_TYPE_DEVMAP, 'devmap', {
  allocCheck: checkDevmapAttr,
  admitsProg: progArrayAdmits,
  alloc: allocDevmap,
  userUpdate: updateDevmap,
});

export const devmapHashOps: MapTypeOps<RedirectData> = makeOps(BPF_MAP_TYPE_DEVMAP_HASH, 'devmap_hash', {
  allocCheck: checkDevmapAttr,
  alloc: allocDevmap,
  getNextKey(map, key, next) {
    const order = hashOrder(map);
    const at = key === 0 ? -1 : order.indexOf(u32At(map, key));
    const found = order[at + 1];
    if (found === undefined) return -ENOENT;
    map.kernel.arena.view.setUint32(next, found, true);
    return 0;
  },
  userUpdate(map, key, value, flags, task) {
    const index = u32At(map, key);
    const ifindex = u32At(map, value);
    if (flags > BPF_EXIST || ifindex === 0) return -EINVAL;
    const present = map.data.has(index);
    if (present && flags === BPF_NOEXIST) return -EEXIST;
    if (!present && map.data.size >= map.maxEntries) return deviceExists(task, ifindex) ? -E2BIG : -EINVAL;
    return putDevice(map, index, ifindex, value, task);
  },
  userDelete(map, key) {
    const index = u32At(map, key);
    if (!map.data.has(index)) return -ENOENT;
    put(map, index, undefined);
    return 0;
  },
});

/** Keys by bucket (the low bits of the key), the newest of a bucket first. */
function hashOrder(map: BpfMap<RedirectData>): number[] {
  const buckets = 2 ** Math.ceil(Math.log2(map.maxEntries));
  return [...map.data.keys()].reverse().sort((a, b) => (a % buckets) - (b % buckets));
}

/** Takes the entries of a device that goes out of every devmap of its namespace. */
export function forgetDevice(map: BpfMap, ifindex: number): void {
  if (map.type !== BPF_MAP_TYPE_DEVMAP && map.type !== BPF_MAP_TYPE_DEVMAP_HASH) return;
  const data = map.data as RedirectData;
  for (const [key, { value }] of data) if (value === ifindex) put(map, key, undefined);
}

// — cpumap —

export const cpumapOps: MapTypeOps<RedirectData> = makeOps(BPF_MAP_TYPE_CPUMAP, 'cpumap', {
  admitsProg: progArrayAdmits,
  allocCheck(attr) {
    checkMaxEntries(attr);
    checkKeySize(attr, 4);
    checkValueSize(attr, 4, 8);
    checkFlags(attr, BPF_F_NUMA_NODE);
    if (attr.max_entries > NR_CPUS) throw new KernelError('E2BIG', `more than ${NR_CPUS} CPUs`, 'max_entries');
  },
  userUpdate(map, key, value, flags, task) {
    const cpu = u32At(map, key);
    const size = u32At(map, value);
    if (flags > BPF_EXIST) return -EINVAL;
    if (cpu >= map.maxEntries) return -E2BIG;
    if (flags === BPF_NOEXIST) return -EEXIST;
    if (size > 16_384) return -ERRNO.EOVERFLOW;
    if (cpu >= map.kernel.cpus) return -ERRNO.ENODEV;
    if (size === 0) {
      put(map, cpu, undefined);
      return 0;
    }
    const prog = programOf(map, value, task, BPF_XDP_CPUMAP);
    // Whatever is wrong with the program, the kernel says that it could not make the entry.
    if (typeof prog === 'number') return -ENOMEM;
    put(map, cpu, { value: size, prog });
    return 0;
  },
});

// — xskmap —

export const xskmapOps: MapTypeOps<RedirectData> = makeOps(BPF_MAP_TYPE_XSKMAP, 'xskmap', {
  allocCheck(attr) {
    checkMaxEntries(attr);
    checkKeySize(attr, 4);
    checkValueSize(attr, 4);
    checkFlags(attr, CREATE_FLAGS);
  },
  userLookup: () => -EOPNOTSUPP,
  userUpdate(map, key, value, flags, task) {
    const index = u32At(map, key);
    if (flags > BPF_EXIST) return -EINVAL;
    if (index >= map.maxEntries) return -E2BIG;
    const file = task.file(u32At(map, value) | 0);
    if (!file) return -ERRNO.EBADF;
    if (file.kind !== 'socket') return -ERRNO.ENOTSOCK;
    if ((file as { family?: string }).family !== 'xdp') return -ERRNO.EOPNOTSUPP;
    const present = map.data.has(index);
    if (present && flags === BPF_NOEXIST) return -EEXIST;
    if (!present && flags === BPF_EXIST) return -ENOENT;
    put(map, index, { value: 0, prog: undefined, socket: file });
    return 0;
  },
});

/** Where a packet goes that is redirected to `key`; undefined where the map has nothing there. */
export function redirectTarget(map: BpfMap, key: number): RedirectTarget | undefined {
  return (map.data as RedirectData).get(key);
}

/** All targets in the map's order, for BPF_F_BROADCAST. */
export function redirectTargets(map: BpfMap): readonly RedirectTarget[] {
  const data = map.data as RedirectData;
  const keys = map.type === BPF_MAP_TYPE_DEVMAP_HASH ? hashOrder(map) : [...data.keys()].sort((a, b) => a - b);
  return keys.map((key) => data.get(key)!);
}
