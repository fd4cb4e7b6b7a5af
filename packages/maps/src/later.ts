/**
 * Map types that can be created with the kernel's checks while what they hold (sockets, cgroups, inodes) belongs to other subsystems:
 * those override the rows with ones that do the work. Until then every operation refuses.
 */

import { skipModifiers, type Btf } from '@libbpf-ts/btf';
import { mapCheckNoBtf, type BpfMap, type MapCreateAttr, type MapTypeOps, type Task } from '@libbpf-ts/kernel';
import {
  BPF_EXIST,
  BPF_F_CLONE,
  BPF_F_MMAPABLE,
  BPF_F_NO_PREALLOC,
  BPF_F_NO_USER_CONV,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_SEGV_ON_FAULT,
  BPF_F_WRONLY,
  BPF_MAP_TYPE_ARENA,
  BPF_MAP_TYPE_CGROUP_STORAGE,
  BPF_MAP_TYPE_CGRP_STORAGE,
  BPF_MAP_TYPE_INODE_STORAGE,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
  BPF_MAP_TYPE_SK_STORAGE,
  BPF_MAP_TYPE_SOCKHASH,
  BPF_MAP_TYPE_SOCKMAP,
  BPF_MAP_TYPE_TASK_STORAGE,
  ERRNO,
  KernelError,
} from '@libbpf-ts/uapi';

import {
  ACCESS_FLAGS,
  checkFlags,
  checkKeySize,
  checkMaxEntries,
  checkPointerTable,
  checkValueSize,
  PCPU_MIN_UNIT_SIZE,
} from './alloc-check.ts';
import { arrayNextKey, checkArrayAttr } from './array.ts';
import { checkIntKey } from './btf-check.ts';
import { ENOENT, ENOTSUPP, EOPNOTSUPP } from './errno.ts';
import { u32At } from './fd-array.ts';
import { keepPermanentFlags } from './header.ts';

/** BPF_LOCAL_STORAGE_MAX_VALUE_SIZE: 64 KiB less one and less the bytes that the kernel keeps before a value. */
const MAX_STORAGE_VALUE: number = 0xffff - 128;

type Rows = Partial<MapTypeOps<undefined>> & Pick<MapTypeOps<undefined>, 'allocCheck'>;

function makeOps(type: number, name: string, rows: Rows): MapTypeOps<undefined> {
  return {
    type,
    name,
    alloc(map) {
      checkPointerTable(map);
      keepPermanentFlags(map);
      return undefined;
    },
    free() {},
    clone: () => undefined,
    lookup: () => 0,
    ...rows,
  };
}

// — Storage of sockets, inodes, tasks and cgroups —

/** `bpf_local_storage_map_alloc_check`. */
export function checkLocalStorageAttr(attr: MapCreateAttr): void {
  checkFlags(attr, BPF_F_NO_PREALLOC | BPF_F_CLONE);
  if ((attr.map_flags & BPF_F_NO_PREALLOC) === 0)
    throw new KernelError('EINVAL', 'storage needs BPF_F_NO_PREALLOC', 'map_flags');
  if (attr.max_entries !== 0) throw new KernelError('EINVAL', 'storage has no limit of its own', 'max_entries');
  checkKeySize(attr, 4);
  if (attr.value_size === 0) throw new KernelError('EINVAL', 'value_size is 0', 'value_size');
  if (attr.btf_key_type_id === 0 || attr.btf_value_type_id === 0)
    throw new KernelError('EINVAL', 'storage needs BTF of key and value', 'btf_fd');
  if (attr.value_size > MAX_STORAGE_VALUE)
    throw new KernelError('E2BIG', `a value has at most ${MAX_STORAGE_VALUE} bytes`, 'value_size');
}

/** The key of bpf(2) is an fd; whose storage it names, the subsystem of those owners says. */
function refuseOwner(map: BpfMap, key: number, task: Task | undefined, wrong: number): number {
  const file = task?.file(u32At(map, key) | 0);
  return file ? -wrong : -ERRNO.EBADF;
}

function storageOps(type: number, name: string, wrongFd: number): MapTypeOps<undefined> {
  const refuse = (map: BpfMap, key: number): number => refuseOwner(map, key, map.kernel.current?.task, wrongFd);
  return makeOps(type, name, {
    canBeInner: true,
    allocCheck: checkLocalStorageAttr,
    userLookup: refuse,
    userUpdate: refuse,
    userDelete: refuse,
    getNextKey: () => -ENOTSUPP,
    checkBtf: (_map, btf, keyTypeId) => checkIntKey(btf, keyTypeId),
  });
}

export const skStorageMapOps: MapTypeOps<undefined> = storageOps(BPF_MAP_TYPE_SK_STORAGE, 'sk_storage', ERRNO.ENOTSOCK);
export const inodeStorageMapOps: MapTypeOps<undefined> = storageOps(BPF_MAP_TYPE_INODE_STORAGE, 'inode_storage', ERRNO.EBADF);
export const taskStorageMapOps: MapTypeOps<undefined> = storageOps(BPF_MAP_TYPE_TASK_STORAGE, 'task_storage', ERRNO.EBADF);
export const cgrpStorageMapOps: MapTypeOps<undefined> = storageOps(BPF_MAP_TYPE_CGRP_STORAGE, 'cgrp_storage', ERRNO.EBADF);

// — The older storage of cgroups —

function cgroupStorageOps(type: number, name: string, largest: number): MapTypeOps<undefined> {
  return makeOps(type, name, {
    allocCheck(attr) {
      checkKeySize(attr, 8, 16);
      if (attr.value_size === 0) throw new KernelError('EINVAL', 'value_size is 0', 'value_size');
      if (attr.value_size > largest) throw new KernelError('E2BIG', `a value has at most ${largest} bytes`, 'value_size');
      checkFlags(attr, BPF_F_NUMA_NODE | ACCESS_FLAGS);
      if (attr.max_entries !== 0) throw new KernelError('EINVAL', 'an entry comes with each attachment', 'max_entries');
    },
    userLookup: () => -ENOENT,
    userUpdate: () => -ENOENT,
    userDelete: () => -ERRNO.EINVAL,
    getNextKey: () => -ENOENT,
    checkBtf: (map, btf, keyTypeId) => checkCgroupKey(map, btf, keyTypeId),
  });
}

/** A u64, or struct bpf_cgroup_storage_key: { u64 cgroup_inode_id, u32 attach_type }. */
function checkCgroupKey(map: BpfMap, btf: Btf, keyTypeId: number): void {
  const key = skipModifiers(btf, keyTypeId);
  const isInt = (id: number, bits: number): boolean => {
    const type = skipModifiers(btf, id);
    return type.kind === 'INT' && type.bits === bits && type.bit_offset === 0;
  };
  const fits =
    map.keySize === 8
      ? isInt(keyTypeId, 64)
      : key.kind === 'STRUCT' &&
        key.members.length >= 2 &&
        key.members[0]!.bit_offset === 0 &&
        isInt(key.members[0]!.type, 64) &&
        key.members[1]!.bit_offset === 64 &&
        isInt(key.members[1]!.type, 32);
  if (!fits) throw new KernelError('EINVAL', 'the key is neither a u64 nor struct bpf_cgroup_storage_key', 'btf_key_type_id');
}

export const cgroupStorageMapOps: MapTypeOps<undefined> = cgroupStorageOps(
  BPF_MAP_TYPE_CGROUP_STORAGE,
  'cgroup_storage',
  MAX_STORAGE_VALUE,
);
export const percpuCgroupStorageMapOps: MapTypeOps<undefined> = cgroupStorageOps(
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
  'percpu_cgroup_storage',
  PCPU_MIN_UNIT_SIZE,
);

// — Sockets —

const SOCK_FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;

/** Only sockets of the network are in these maps; any fd is refused until that subsystem takes the rows over. */
function refuseSocket(map: BpfMap, key: number, value: number, flags: number, task: Task): number {
  if (map.type === BPF_MAP_TYPE_REUSEPORT_SOCKARRAY) {
    if (flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (u32At(map, key) >= map.maxEntries) return -ERRNO.E2BIG;
  }
  if (u32At(map, value) > 0x7fff_ffff || (map.valueSize === 8 && u32At(map, value + 4) !== 0)) return -ERRNO.EINVAL;
  const file = task.file(u32At(map, value) | 0);
  if (!file) return -ERRNO.EBADF;
  return file.kind === 'socket' ? -EOPNOTSUPP : -ERRNO.ENOTSOCK;
}

export const sockmapOps: MapTypeOps<undefined> = makeOps(BPF_MAP_TYPE_SOCKMAP, 'sockmap', {
  canBeInner: true,
  allocCheck(attr) {
    checkMaxEntries(attr);
    checkKeySize(attr, 4);
    checkValueSize(attr, 4, 8);
    checkFlags(attr, SOCK_FLAGS);
  },
  userLookup: (map) => (map.valueSize === 8 ? -ENOENT : -ERRNO.ENOSPC),
  userUpdate: refuseSocket,
  userDelete: () => -ERRNO.EINVAL,
  getNextKey: arrayNextKey,
  checkBtf: mapCheckNoBtf,
});

export const sockhashOps: MapTypeOps<undefined> = makeOps(BPF_MAP_TYPE_SOCKHASH, 'sockhash', {
  canBeInner: true,
  allocCheck(attr) {
    checkMaxEntries(attr);
    if (attr.key_size === 0) throw new KernelError('EINVAL', 'key_size is 0', 'key_size');
    checkValueSize(attr, 4, 8);
    checkFlags(attr, SOCK_FLAGS);
    if (attr.key_size > 512) throw new KernelError('E2BIG', 'a key has at most 512 bytes', 'key_size');
    if (attr.max_entries > 0x8000_0000) throw new KernelError('EINVAL', 'too many buckets', 'max_entries');
  },
  userLookup: (map) => (map.valueSize === 8 ? -ENOENT : -ERRNO.ENOSPC),
  userUpdate: refuseSocket,
  userDelete: () => -ENOENT,
  getNextKey: () => -ENOENT,
  checkBtf: mapCheckNoBtf,
});

export const reuseportSockarrayOps: MapTypeOps<undefined> = makeOps(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 'reuseport_sockarray', {
  canBeInner: true,
  allocCheck(attr) {
    checkValueSize(attr, 4, 8);
    checkArrayAttr(attr, false);
  },
  userLookup: (map) => (map.valueSize === 8 ? -ENOENT : -ERRNO.ENOSPC),
  userUpdate: refuseSocket,
  userDelete: (map, key) => (u32At(map, key) >= map.maxEntries ? -ERRNO.E2BIG : -ENOENT),
  getNextKey: arrayNextKey,
});

// — Arena —

/** Checked as the kernel does. Programs that name one are judged and load, and do not run: a second memory needs pointers that the engines do not have. */
export const arenaMapOps: MapTypeOps<undefined> = makeOps(BPF_MAP_TYPE_ARENA, 'arena', {
  allocCheck(attr) {
    checkKeySize(attr, 0);
    checkValueSize(attr, 0);
    checkMaxEntries(attr);
    checkFlags(attr, BPF_F_MMAPABLE | BPF_F_SEGV_ON_FAULT | BPF_F_NO_USER_CONV);
    if ((attr.map_flags & BPF_F_MMAPABLE) === 0) throw new KernelError('EINVAL', 'an arena needs BPF_F_MMAPABLE', 'map_flags');
    if (attr.map_extra % 4096n !== 0n) throw new KernelError('EINVAL', 'map_extra is no address of a page', 'map_extra');
    if (attr.max_entries > 2 ** 20) throw new KernelError('E2BIG', 'an arena has at most 4 GiB', 'max_entries');
  },
  userLookup: () => -ERRNO.EINVAL,
  userUpdate: () => -ERRNO.EOPNOTSUPP,
  userDelete: () => -ERRNO.EOPNOTSUPP,
  getNextKey: () => -ERRNO.EOPNOTSUPP,
  valueAddress: (map, off) => (off < map.maxEntries * 4096 ? off : undefined),
});
