/** Finds the program or link that a request is relative to. Mirrors bpf_mprog_tuple_relative. */

import type { BpfLink, BpfProg, Task } from '@libbpf-ts/kernel';
import { BPF_F_ID, BPF_F_LINK, KernelError } from '@libbpf-ts/uapi';

import type { Anchor } from './list.ts';

/**
 * `value` is an fd, or with BPF_F_ID an id; with BPF_F_LINK it is a link's. 0 without any of the two means "none".
 * `progType`, where given, is what the relative program must be. Throws EBADF, EINVAL, ENOENT.
 */
export function resolveRelative(
  task: Task,
  flags: number,
  value: number,
  progType: number | undefined,
): Anchor<BpfProg, BpfLink> | undefined {
  const anchor = flags & BPF_F_LINK ? byLink(task, flags, value) : byProg(task, flags, value);
  if (anchor && progType !== undefined && anchor.prog.type !== progType) {
    throw new KernelError('EINVAL', `the relative program ${anchor.prog.id} is of another type`, 'relative_fd');
  }
  return anchor;
}

function byLink(task: Task, flags: number, value: number): Anchor<BpfProg, BpfLink> {
  const link = flags & BPF_F_ID ? task.kernel.links.get(value) : task.link(value, 'relative_fd');
  if (!link) throw new KernelError('ENOENT', `no link has the id ${value}`, 'relative_id');
  if (!link.prog) throw new KernelError('EINVAL', `link ${link.id} has no program`, 'relative_fd');
  return { prog: link.prog, link };
}

function byProg(task: Task, flags: number, value: number): Anchor<BpfProg, BpfLink> | undefined {
  if (flags & BPF_F_ID) {
    const prog = task.kernel.progs.get(value);
    if (!prog) throw new KernelError('ENOENT', `no program has the id ${value}`, 'relative_id');
    return { prog, link: null };
  }
  return value === 0 ? undefined : { prog: task.prog(value, 'relative_fd'), link: null };
}
