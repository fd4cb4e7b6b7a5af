/** BPF_OBJ_PIN and BPF_OBJ_GET. Mirrors kernel/bpf/syscall.c and inode.c. */

import { BPF_F_PATH_FD, BPF_F_RDONLY, BPF_F_WRONLY, BpfObjAttr, KernelError } from '@libbpf-ts/uapi';

import type { BpfCall } from '../call.ts';
import { Dir } from '../bpffs.ts';
import type { BpfMap } from '../map.ts';
import { DirFile } from '../task.ts';
import { mapMode } from './ids.ts';

const PATH_MAX = 4096;

export function objPin(call: BpfCall<6>): void {
  const { attr, task, kernel } = call;
  call.checkEnd(BpfObjAttr.end);
  if ((attr.file_flags & ~BPF_F_PATH_FD) !== 0) throw new KernelError('EINVAL', 'unknown file_flags', 'file_flags');
  checkPathFd(call);
  const object = task.file(attr.bpf_fd | 0)?.object;
  if (!object || object.kind === 'btf')
    throw new KernelError('EINVAL', `fd ${attr.bpf_fd} is no program, map or link`, 'bpf_fd');
  const from = startDir(call);
  kernel.files.pin(path(call), object, from);
}

export function objGet(call: BpfCall<7>): number {
  const { attr, task, kernel } = call;
  call.checkEnd(BpfObjAttr.end);
  if (attr.bpf_fd !== 0) throw new KernelError('EINVAL', 'bpf_fd must be 0', 'bpf_fd');
  if ((attr.file_flags & ~(BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_PATH_FD)) !== 0)
    throw new KernelError('EINVAL', 'unknown file_flags', 'file_flags');
  checkPathFd(call);
  const mode = mapMode(attr.file_flags);
  const from = startDir(call);
  const name = path(call);
  const found = kernel.files.resolve(name, from);
  if (found instanceof Dir) throw new KernelError('EACCES', `${name} is a directory`, 'pathname');
  const { object } = found;
  if (object.kind === 'map') return task.installObject(object as BpfMap, mode.canRead, mode.canWrite);
  if (object.kind === 'link' && !(mode.canRead && mode.canWrite))
    throw new KernelError('EINVAL', "a link can't be opened read-only or write-only", 'file_flags');
  return task.installObject(object as never);
}

function checkPathFd({ attr }: BpfCall<6 | 7>): void {
  if ((attr.file_flags & BPF_F_PATH_FD) === 0 && attr.path_fd !== 0) {
    throw new KernelError('EINVAL', 'path_fd is given without BPF_F_PATH_FD', 'path_fd');
  }
}

/** Where a relative path starts: the directory behind path_fd, else the root. */
function startDir(call: BpfCall<6 | 7>): Dir | undefined {
  const { attr, task, kernel } = call;
  if ((attr.file_flags & BPF_F_PATH_FD) === 0 || path(call).startsWith('/')) return undefined;
  if (attr.path_fd === -100) return kernel.files.root;
  const file = task.file(attr.path_fd);
  if (!file) throw new KernelError('EBADF', `fd ${attr.path_fd} is not open`, 'path_fd');
  if (!(file instanceof DirFile)) throw new KernelError('ENOTDIR', `fd ${attr.path_fd} is no directory`, 'path_fd');
  return file.dir;
}

function path(call: BpfCall<6 | 7>): string {
  const text = call.readString(call.attr.pathname, PATH_MAX, 'pathname');
  if (text.length >= PATH_MAX) throw new KernelError('ENAMETOOLONG', 'the path has 4096 bytes or more', 'pathname');
  return text;
}
