/** BPF_MAP_CREATE. Mirrors map_create and map_check_btf of kernel/bpf/syscall.c; the order of lines is the order of the kernel's checks. */

import { checkOwnership, isBtfError, MAP_FIELDS, parseRecord, sizeOf, type Btf } from '@libbpf-ts/btf';
import {
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY_PROG,
  BPF_F_TOKEN_FD,
  BPF_F_WRONLY_PROG,
  BPF_MAP_TYPE_ARENA,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_BLOOM_FILTER,
  BPF_MAP_TYPE_CGROUP_STORAGE,
  BPF_MAP_TYPE_CGRP_STORAGE,
  BPF_MAP_TYPE_DEVMAP,
  BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_INODE_STORAGE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_SK_STORAGE,
  BPF_MAP_TYPE_SOCKHASH,
  BPF_MAP_TYPE_SOCKMAP,
  BPF_MAP_TYPE_STRUCT_OPS,
  BPF_MAP_TYPE_TASK_STORAGE,
  BPF_MAP_TYPE_XSKMAP,
  KernelError,
} from '@libbpf-ts/uapi';
import type { BtfField } from '@libbpf-ts/verifier';

import type { BtfObject } from '../btf-object.ts';
import { fieldsOf, kernelTypesOf } from '../btf-record.ts';
import type { BpfCall } from '../call.ts';
import { BpfMap } from '../map.ts';
import type { MapCreateAttr, MapTypeOps } from '../map-type.ts';
import { mapMode } from './ids.ts';
import { objectName } from './names.ts';

const END = 92;
const NAME_OFFSET = 28;

/** Returns the fd of the new map. */
export function mapCreate(call: BpfCall<0>): number {
  const { kernel, task } = call;
  call.checkEnd(END);
  const attr = { ...call.attr, map_flags: (call.attr.map_flags & ~BPF_F_TOKEN_FD) >>> 0 };
  checkTypeIds(attr);
  const takesExtra = attr.map_type === BPF_MAP_TYPE_BLOOM_FILTER || attr.map_type === BPF_MAP_TYPE_ARENA;
  if (!takesExtra && attr.map_extra !== 0n) throw new KernelError('EINVAL', 'this map type takes no map_extra', 'map_extra');
  const mode = mapMode(attr.map_flags);
  checkNumaNode(attr);
  const ops = kernel.mapTypes.get(attr.map_type);
  if (!ops) throw new KernelError('EINVAL', `no map type ${attr.map_type} is built in`, 'map_type');
  ops.allocCheck(attr, kernel, task);
  if (attr.map_ifindex !== 0) throw new KernelError('EOPNOTSUPP', 'no device here takes maps', 'map_ifindex');
  if ((call.attr.map_flags & BPF_F_TOKEN_FD) !== 0) refuseToken(call, attr.map_token_fd, 'map_token_fd');
  checkCapabilities(call, attr);
  const name = objectName(call.bytes.subarray(NAME_OFFSET, NAME_OFFSET + 16), 'map_name');
  const map = createMap(call, ops, attr, name);
  kernel.maps.add(map);
  map.setHeader('map_id', map.id);
  return task.installObject(map, mode.canRead, mode.canWrite);
}

function checkTypeIds(attr: MapCreateAttr): void {
  if (attr.btf_vmlinux_value_type_id !== 0) {
    if (attr.map_type !== BPF_MAP_TYPE_STRUCT_OPS || attr.btf_key_type_id !== 0 || attr.btf_value_type_id !== 0) {
      throw new KernelError('EINVAL', 'only struct_ops maps have a value type of the kernel', 'btf_vmlinux_value_type_id');
    }
  } else if (attr.btf_key_type_id !== 0 && attr.btf_value_type_id === 0) {
    throw new KernelError('EINVAL', 'a key type needs a value type', 'btf_value_type_id');
  }
}

/** There is one node, number 0. */
function checkNumaNode(attr: MapCreateAttr): void {
  const given = (attr.map_flags & BPF_F_NUMA_NODE) !== 0 && attr.numa_node !== 0xffff_ffff;
  if (given && attr.numa_node !== 0) throw new KernelError('EINVAL', `there is no NUMA node ${attr.numa_node}`, 'numa_node');
}

/** BPF tokens exist only in user namespaces, which this kernel has none of: any fd is something else. */
export function refuseToken(call: BpfCall, fd: number, argument: string): never {
  if (!call.task.file(fd)) throw new KernelError('EBADF', `fd ${fd} is not open`, argument);
  throw new KernelError('EINVAL', `fd ${fd} is no BPF token`, argument);
}

const NET_ADMIN: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE_SOCKMAP,
  BPF_MAP_TYPE_SOCKHASH,
  BPF_MAP_TYPE_DEVMAP,
  BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_XSKMAP,
]);
/** Types that the kernel allows without CAP_BPF. */
const UNPRIVILEGED: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 8, 12, 13, 19, 21, 27, 31]);

function checkCapabilities({ task, kernel }: BpfCall, { map_type }: MapCreateAttr): void {
  const { bpf, sysAdmin, netAdmin } = task.capabilities;
  const capable = bpf || sysAdmin;
  if (!capable && kernel.options.unprivilegedBpfDisabled !== false)
    throw new KernelError('EPERM', 'creating a map needs CAP_BPF');
  if (NET_ADMIN.has(map_type)) {
    if (!netAdmin && !sysAdmin) throw new KernelError('EPERM', 'this map type needs CAP_NET_ADMIN', 'map_type');
  } else if (!capable && !UNPRIVILEGED.has(map_type)) {
    throw new KernelError('EPERM', 'this map type needs CAP_BPF', 'map_type');
  }
}

function createMap(call: BpfCall<0>, ops: MapTypeOps, attr: MapCreateAttr, name: string): BpfMap {
  const map = BpfMap.create(call.kernel, ops, attr, name, call.task);
  try {
    if (attr.btf_key_type_id !== 0 || attr.btf_value_type_id !== 0 || attr.btf_vmlinux_value_type_id !== 0)
      addBtf(call, map, attr);
    checkExclusive(call, attr);
    return map;
  } catch (error) {
    map.abandon();
    throw error;
  }
}

function addBtf(call: BpfCall<0>, map: BpfMap, attr: MapCreateAttr): void {
  const object = call.task.btf(attr.btf_fd | 0, 'btf_fd');
  if (object.isKernel) throw new KernelError('EACCES', "the BTF is the kernel's own", 'btf_fd');
  if (attr.btf_value_type_id !== 0) checkBtf(call, map, object, attr);
  map.holdBtf(object);
  map.btfKeyTypeId = attr.btf_key_type_id;
  map.btfValueTypeId = attr.btf_value_type_id;
  map.btfVmlinuxValueTypeId = attr.btf_vmlinux_value_type_id;
}

/** `map_check_btf`. */
function checkBtf(call: BpfCall<0>, map: BpfMap, object: BtfObject, attr: MapCreateAttr): void {
  const { btf } = object;
  const { btf_key_type_id: key, btf_value_type_id: value } = attr;
  if (key !== 0) {
    if (sizeOfType(btf, key) !== map.keySize)
      throw new KernelError('EINVAL', `type ${key} does not have the key's ${map.keySize} bytes`, 'btf_key_type_id');
  } else if (!map.ops.checkBtf) {
    throw new KernelError('EINVAL', 'maps of this type need a key type', 'btf_key_type_id');
  }
  if (sizeOfType(btf, value) !== map.valueSize)
    throw new KernelError('EINVAL', `type ${value} does not have the value's ${map.valueSize} bytes`, 'btf_value_type_id');
  const parsed = parseRecord(btf, value, MAP_FIELDS, map.valueSize, kernelTypesOf(call.kernel));
  // A value whose fields are not as the kernel takes them has none, and is a map's value all the same.
  const fields = parsed.ok ? parsed.value : [];
  map.record = fieldsOf(btf, object.verifierView, fields);
  if (fields.length > 0) {
    checkRecord(call, map);
    const metas = object.structRecords;
    const errno = checkOwnership(btf, fields, metas.ok ? metas.value : new Map());
    if (errno) throw new KernelError(errno, 'what the value may own is not as the kernel takes it', 'btf_value_type_id');
  }
  map.ops.checkBtf?.(map, btf, key, value);
}

/** Size of a type that has one, else undefined (`btf_type_id_size`). */
function sizeOfType(btf: Btf, id: number): number | undefined {
  try {
    return sizeOf(btf, id);
  } catch (error) {
    if (isBtfError(error)) return undefined;
    throw error;
  }
}

const HASH_ARRAY = [BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_ARRAY];
const STORAGES = [BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_INODE_STORAGE, BPF_MAP_TYPE_TASK_STORAGE, BPF_MAP_TYPE_CGRP_STORAGE];
const LOCKS = [BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_CGROUP_STORAGE, ...STORAGES];
const KPTRS = [...HASH_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, ...STORAGES];

/** Which map types may have which managed fields. */
const FIELD_HOMES: Readonly<Partial<Record<BtfField['type'], readonly number[]>>> = {
  BPF_SPIN_LOCK: LOCKS,
  BPF_RES_SPIN_LOCK: LOCKS,
  BPF_TIMER: HASH_ARRAY,
  BPF_WORKQUEUE: HASH_ARRAY,
  BPF_TASK_WORK: HASH_ARRAY,
  BPF_KPTR_UNREF: KPTRS,
  BPF_KPTR_REF: KPTRS,
  BPF_KPTR_PERCPU: KPTRS,
  BPF_REFCOUNT: KPTRS,
  BPF_UPTR: [BPF_MAP_TYPE_TASK_STORAGE],
  BPF_LIST_HEAD: HASH_ARRAY,
  BPF_RB_ROOT: HASH_ARRAY,
};

function checkRecord({ task }: BpfCall, map: BpfMap): void {
  if (!task.capabilities.bpf && !task.capabilities.sysAdmin)
    throw new KernelError('EPERM', 'managed fields need CAP_BPF', 'btf_value_type_id');
  if ((map.flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) !== 0) {
    throw new KernelError('EACCES', "a map with managed fields can't be read-only or write-only for programs", 'map_flags');
  }
  for (const { type } of map.record) {
    if (!FIELD_HOMES[type]?.includes(map.type))
      throw new KernelError('EOPNOTSUPP', `maps of type ${map.ops.name} can't hold a ${type}`, 'map_type');
  }
}

/** `excl_prog_hash`: the map is for one signed program only. */
function checkExclusive(call: BpfCall<0>, attr: MapCreateAttr): void {
  if (attr.excl_prog_hash === 0n) {
    if (attr.excl_prog_hash_size !== 0) throw new KernelError('EINVAL', 'a size without a hash', 'excl_prog_hash_size');
    return;
  }
  if (attr.excl_prog_hash_size !== 32) throw new KernelError('EINVAL', 'a SHA-256 has 32 bytes', 'excl_prog_hash_size');
  call.read(attr.excl_prog_hash, 32, 'excl_prog_hash');
  throw new KernelError('EOPNOTSUPP', 'maps that one signed program alone may use are not supported', 'excl_prog_hash');
}
