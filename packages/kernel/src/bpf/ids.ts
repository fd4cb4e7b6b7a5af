/** BPF_*_GET_NEXT_ID and BPF_*_GET_FD_BY_ID. */

import { BPF_F_RDONLY, BPF_F_TOKEN_FD, BPF_F_WRONLY, KernelError } from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import type { ObjectKind } from '../object.ts';
import type { BpfMap } from '../map.ts';

type NextIdCmd = 11 | 12 | 23 | 31;
type FdByIdCmd = 13 | 14 | 19 | 30;

const INT_MAX = 0x7fff_ffff;

/** Writes the least id above start_id to next_id (`bpf_obj_get_next_id`). */
export function getNextId(call: BpfCall<NextIdCmd>, kind: ObjectKind): void {
  const { attr, kernel, task } = call;
  call.checkEnd(8);
  if (attr.start_id >= INT_MAX) throw new KernelError('EINVAL', 'start_id is no id', 'start_id');
  if (!task.capabilities.sysAdmin) throw new KernelError('EPERM', 'iterating ids needs CAP_SYS_ADMIN');
  const table = { prog: kernel.progs, map: kernel.maps, link: kernel.links, btf: kernel.btfs }[kind];
  const next = table.next(attr.start_id);
  if (next === undefined) throw new KernelError('ENOENT', `no ${kind} has an id above ${attr.start_id}`, 'start_id');
  call.put('next_id', next);
}

/** An fd for an object by its id (`bpf_prog_get_fd_by_id` and its like). */
export function getFdById(call: BpfCall<FdByIdCmd>, kind: ObjectKind): number {
  const { attr, kernel, task } = call;
  call.checkEnd(kind === 'map' ? 12 : kind === 'btf' ? 16 : 4);
  if (kind === 'map' && (attr.open_flags & ~(BPF_F_RDONLY | BPF_F_WRONLY)) !== 0)
    throw new KernelError('EINVAL', 'unknown open_flags', 'open_flags');
  if (kind === 'btf' && (attr.open_flags & ~BPF_F_TOKEN_FD) !== 0)
    throw new KernelError('EINVAL', 'unknown open_flags', 'open_flags');
  if (!task.capabilities.sysAdmin) throw new KernelError('EPERM', 'getting an fd by id needs CAP_SYS_ADMIN');
  const object = kernel.object(kind, attr.start_id);
  if (!object) throw new KernelError('ENOENT', `there is no ${kind} ${attr.start_id}`, `${kind}_id`);
  if (kind !== 'map') return task.installObject(object as BpfMap);
  const mode = mapMode(attr.open_flags);
  return task.installObject(object as BpfMap, mode.canRead, mode.canWrite);
}

/** `bpf_get_file_flag`. Throws EINVAL for both flags at once. */
export function mapMode(flags: number): { readonly canRead: boolean; readonly canWrite: boolean } {
  const readOnly = (flags & BPF_F_RDONLY) !== 0;
  const writeOnly = (flags & BPF_F_WRONLY) !== 0;
  if (readOnly && writeOnly) throw new KernelError('EINVAL', 'BPF_F_RDONLY and BPF_F_WRONLY exclude each other', 'map_flags');
  return { canRead: !writeOnly, canWrite: !readOnly };
}
