/** Creates one map of an object: inner template, BTF types, pinning, first contents. */

import {
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY_PROG,
  bpf_map_info,
  BPF_MAP_CREATE,
  BPF_MAP_TYPE_ARENA,
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_CGROUP_ARRAY,
  BPF_MAP_TYPE_CPUMAP,
  BPF_MAP_TYPE_DEVMAP,
  BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_QUEUE,
  BPF_MAP_TYPE_SOCKHASH,
  BPF_MAP_TYPE_SOCKMAP,
  BPF_MAP_TYPE_STACK,
  BPF_MAP_TYPE_STACK_TRACE,
  BPF_MAP_TYPE_XSKMAP,
  BPF_OBJ_GET,
  BPF_OBJ_GET_INFO_BY_FD,
  cString,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { call, refusal } from './call.ts';
import { BpfError, LoaderError } from './errors.ts';
import type { MapSpec } from './spec.ts';

/** Map types that refuse BTF types of their keys and values. */
const WITHOUT_BTF: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_CGROUP_ARRAY,
  BPF_MAP_TYPE_STACK_TRACE,
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_DEVMAP,
  BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_CPUMAP,
  BPF_MAP_TYPE_XSKMAP,
  BPF_MAP_TYPE_SOCKMAP,
  BPF_MAP_TYPE_SOCKHASH,
  BPF_MAP_TYPE_QUEUE,
  BPF_MAP_TYPE_STACK,
  BPF_MAP_TYPE_ARENA,
  BPF_MAP_TYPE_PROG_ARRAY,
]);
const ENOENT = -2;

export interface CreateMapOptions {
  /** File descriptor of the object's BTF; 0 where it has none. */
  readonly btfFd: number;
  /** Directory for maps that are pinned by name; `false` to create them unpinned. */
  readonly pinDirectory: string | false;
  /** Entries of a perf event array that leaves them open: one a processor. */
  cpus(): number;
}

/** A map-in-map without a template of its own gets this one, which a program can look things up in. */
const DEFAULT_INNER = { map_type: 2, key_size: 4, value_size: 4, max_entries: 1 } as const;

/** Creates the map, or takes it from its pin. Returns its file descriptor; the caller owns it. */
export function createMap(sys: Syscalls, spec: MapSpec, options: CreateMapOptions): number {
  if (spec.fault) throw new LoaderError(spec.fault.code, spec.fault.message, { map: spec.name, section: spec.section });
  const path = spec.pinByName && options.pinDirectory !== false ? `${options.pinDirectory}/${spec.name}` : undefined;
  const pinned = path === undefined ? undefined : reuse(sys, spec, path);
  if (pinned !== undefined) return pinned;
  const fd = create(sys, spec, options);
  try {
    if (spec.data) fill(sys, spec, fd, spec.data);
    if (path !== undefined)
      call(sys, 6, { pathname: cString(path), bpf_fd: fd }, `cannot pin map ${spec.name} at ${path}`, { arg: 'pathname' });
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

function create(sys: Syscalls, spec: MapSpec, options: CreateMapOptions): number {
  const isMaps = spec.map_type === BPF_MAP_TYPE_ARRAY_OF_MAPS || spec.map_type === BPF_MAP_TYPE_HASH_OF_MAPS;
  const inner = isMaps ? createInner(sys, spec, options) : 0;
  try {
    const entries = spec.max_entries || (spec.map_type === BPF_MAP_TYPE_PERF_EVENT_ARRAY ? options.cpus() : 0);
    const attr = {
      map_type: spec.map_type,
      key_size: spec.key_size,
      value_size: spec.value_size,
      max_entries: entries,
      map_flags: spec.map_flags,
      inner_map_fd: inner,
      map_name: kernelName(spec.name),
      map_extra: spec.map_extra,
      ...(spec.map_flags & BPF_F_NUMA_NODE ? { numa_node: spec.numa_node } : {}),
    };
    return createWithBtf(sys, spec, attr, options.btfFd);
  } finally {
    if (inner > 0) sys.close(inner);
  }
}

/** A kernel that dislikes the BTF types of a map takes the map without them, as libbpf tries. */
function createWithBtf(sys: Syscalls, spec: MapSpec, attr: Record<string, unknown>, btfFd: number): number {
  const typed = btfFd > 0 && (spec.btf_key_type_id !== 0 || spec.btf_value_type_id !== 0) && !WITHOUT_BTF.has(spec.map_type);
  if (typed) {
    const result = sys.bpf(BPF_MAP_CREATE, {
      ...attr,
      btf_fd: btfFd,
      btf_key_type_id: spec.btf_key_type_id,
      btf_value_type_id: spec.btf_value_type_id,
    });
    if (result >= 0) return result;
  }
  const result = sys.bpf(BPF_MAP_CREATE, { ...attr });
  if (result >= 0) return result;
  throw refusal(sys, result, 'BPF_MAP_CREATE', `cannot create map ${spec.name}`);
}

function createInner(sys: Syscalls, spec: MapSpec, options: CreateMapOptions): number {
  const template = spec.inner ?? {
    ...spec,
    ...DEFAULT_INNER,
    name: 'inner',
    map_flags: 0,
    btf_key_type_id: 0,
    btf_value_type_id: 0,
  };
  return create(sys, template, { ...options, pinDirectory: false });
}

/** Names that the kernel takes: 15 characters of letters, digits, `_` and `.`. */
export function kernelName(name: string): string {
  return name.slice(0, 15).replace(/[^A-Za-z0-9_.]/g, '_');
}

function fill(sys: Syscalls, spec: MapSpec, fd: number, data: Uint8Array): void {
  call(
    sys,
    2,
    { map_fd: fd, key: new Uint8Array(4), value: data, flags: 0n },
    `cannot set the first value of map ${spec.name}`,
  );
  if (spec.map_flags & BPF_F_RDONLY_PROG) call(sys, 22, { map_fd: fd }, `cannot freeze map ${spec.name}`);
}

/** A pinned map is taken over if it is the same: type, sizes, entries and flags. */
function reuse(sys: Syscalls, spec: MapSpec, path: string): number | undefined {
  const fd = sys.bpf(BPF_OBJ_GET, { pathname: cString(path) });
  if (fd === ENOENT) return undefined;
  if (fd < 0) throw refusal(sys, fd, 'BPF_OBJ_GET', `cannot open the pinned map ${path}`, { arg: 'pathname' });
  const info = new Uint8Array(bpf_map_info.size);
  const result = sys.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: fd, info_len: info.length, info });
  const found = bpf_map_info.read(new DataView(info.buffer));
  const differs = (['key_size', 'value_size', 'max_entries', 'map_flags'] as const).filter(
    (field) => found[field] !== spec[field],
  );
  const wrong = result >= 0 ? [...(found.type === spec.map_type ? [] : ['type']), ...differs] : ['info'];
  if (wrong.length === 0) return fd;
  sys.close(fd);
  throw new BpfError(22, 'BPF_OBJ_GET', `the map pinned at ${path} has another ${wrong.join(', ')} than map ${spec.name}`, {
    arg: 'pathname',
    hint: 'remove the pin or change the definition',
  });
}
