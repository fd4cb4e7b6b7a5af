/** The commands with one page each of kernel code: test runs, raw tracepoints, statistics, iterators, bound maps. Mirrors kernel/bpf/syscall.c. */

import {
  BPF_PROG_TYPE_EXT,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_TRACING,
  BPF_STATS_RUN_TIME,
  BpfIterCreateAttr,
  BpfProgBindMapAttr,
  BpfProgStreamReadAttr,
  BpfRawTracepointAttr,
  BpfTaskFdQueryAttr,
  BpfTestRunAttr,
  BpfTokenCreateAttr,
  KernelError,
} from '@libbpf-ts/uapi';

import { Dir } from '../bpffs.ts';
import type { BpfCall } from '../call.ts';
import type { Fork } from '../fork.ts';
import type { Kernel } from '../kernel.ts';
import type { BpfLink } from '../link.ts';
import type { OpenFile } from '../open-file.ts';
import { DirFile } from '../task.ts';

/** BPF_PROG_TEST_RUN: the program type does it. */
export function progTestRun(call: BpfCall<10>): void {
  const { attr, task } = call;
  call.checkEnd(BpfTestRunAttr.end);
  if ((attr.ctx_size_in !== 0) !== (attr.ctx_in !== 0n))
    throw new KernelError('EINVAL', 'a context needs a buffer and its size, or neither', 'ctx_in');
  if ((attr.ctx_size_out !== 0) !== (attr.ctx_out !== 0n))
    throw new KernelError('EINVAL', 'a context needs a buffer and its size, or neither', 'ctx_out');
  const prog = task.prog(attr.prog_fd | 0, 'prog_fd');
  if (!prog.ops.testRun) throw new KernelError('ENOTSUPP', `${prog.ops.name} programs have no test run`, 'prog_fd');
  prog.ops.testRun(call, prog);
}

/** BPF_RAW_TRACEPOINT_OPEN; returns the fd of the link. */
export function rawTracepointOpen(call: BpfCall<17>): number {
  const { attr, kernel, task } = call;
  call.checkEnd(BpfRawTracepointAttr.end);
  const prog = task.prog(attr.prog_fd | 0, 'prog_fd');
  let name: string;
  switch (prog.type) {
    case BPF_PROG_TYPE_TRACING:
    case BPF_PROG_TYPE_EXT:
    case BPF_PROG_TYPE_LSM:
      if (attr.name !== 0n)
        throw new KernelError('EINVAL', 'the program was loaded for one tracepoint: no name may be given', 'name');
      name = '';
      break;
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
      name = call.readString(attr.name, 127, 'name');
      break;
    default:
      throw new KernelError('EINVAL', `a ${prog.ops.name} program can't be attached to a raw tracepoint`, 'prog_fd');
  }
  const link = kernel.rawTracepoints?.(call, prog, name);
  if (!link) throw new KernelError('ENOENT', `there is no raw tracepoint ${name}`, 'name');
  return task.installObject(link);
}

/** BPF_TASK_FD_QUERY: what a perf event or raw tracepoint fd of a task is attached to. */
export function taskFdQuery(call: BpfCall<20>): void {
  const { attr, kernel, task } = call;
  call.checkEnd(BpfTaskFdQueryAttr.end);
  if (!task.capabilities.sysAdmin) throw new KernelError('EPERM', 'looking into other tasks needs CAP_SYS_ADMIN');
  if (attr.flags !== 0) throw new KernelError('EINVAL', 'unknown flags', 'flags');
  const target = kernel.tasks.get(attr.pid);
  if (!target) throw new KernelError('ENOENT', `there is no task ${attr.pid}`, 'pid');
  const file = target.file(attr.fd | 0);
  if (!file) throw new KernelError('EBADF', `fd ${attr.fd} of task ${attr.pid} is not open`, 'fd');
  if (file.object?.kind === 'link' && (file.object as BpfLink).ops.taskFdQuery) {
    (file.object as BpfLink).ops.taskFdQuery!(file.object as BpfLink, call);
    return;
  }
  throw new KernelError('ENOTSUPP', `fd ${attr.fd} of task ${attr.pid} is neither perf event nor raw tracepoint`, 'fd');
}

/** BPF_ENABLE_STATS: statistics are kept while the fd is open. */
export function enableStats(call: BpfCall<32>): number {
  const { attr, kernel, task } = call;
  call.checkEnd(4);
  if (!task.capabilities.sysAdmin) throw new KernelError('EPERM', 'switching statistics on needs CAP_SYS_ADMIN');
  if (attr.type !== BPF_STATS_RUN_TIME) throw new KernelError('EINVAL', `there are no statistics of type ${attr.type}`, 'type');
  return task.installFd(new StatsFile(kernel));
}

/** The file `bpf-stats`. */
class StatsFile implements OpenFile {
  readonly kind = 'stats';
  readonly canRead = true;
  readonly canWrite = true;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }
  opened(): void {
    this.#kernel.stats.enable();
  }
  closed(): void {
    this.#kernel.stats.disable();
  }
  twin(fork: Fork): OpenFile {
    return new StatsFile(fork.kernel);
  }
}

/** BPF_ITER_CREATE; returns an fd to read from. */
export function iterCreate(call: BpfCall<33>): number {
  const { attr, task } = call;
  call.checkEnd(BpfIterCreateAttr.end);
  if (attr.flags !== 0) throw new KernelError('EINVAL', 'unknown flags', 'flags');
  const link = task.link(attr.link_fd | 0, 'link_fd');
  if (!link.ops.iterate) throw new KernelError('EINVAL', `a link of type ${link.ops.name} is no iterator`, 'link_fd');
  return task.installFd(new IterFile(link));
}

/** One walk of an iterator: the text is made on the first read. */
class IterFile implements OpenFile {
  readonly kind = 'iter';
  readonly canRead = true;
  readonly canWrite = false;
  readonly #link: BpfLink;
  #rest: Uint8Array | undefined;

  constructor(link: BpfLink) {
    this.#link = link;
  }
  opened(holder: Parameters<BpfLink['acquire']>[0]): void {
    this.#link.acquire(holder);
  }
  closed(holder: Parameters<BpfLink['acquire']>[0]): void {
    this.#link.release(holder);
  }
  read(length: number): Uint8Array {
    const rest = this.#rest ?? this.#link.ops.iterate!(this.#link);
    this.#rest = rest.subarray(length);
    return rest.slice(0, length);
  }
  twin(fork: Fork): OpenFile {
    const twin = new IterFile(fork.twin(this.#link));
    twin.#rest = this.#rest;
    return twin;
  }
}

/** BPF_PROG_BIND_MAP: the program holds a map that it does not name (metadata). */
export function progBindMap(call: BpfCall<35>): void {
  const { attr, task } = call;
  call.checkEnd(BpfProgBindMapAttr.end);
  if (attr.flags !== 0) throw new KernelError('EINVAL', 'unknown flags', 'flags');
  const prog = task.prog(attr.prog_fd | 0, 'prog_fd');
  const map = task.map(attr.map_fd | 0, 'map_fd');
  if (prog.usedMaps.includes(map)) return;
  map.acquire({ kind: 'prog', id: prog.id });
  prog.usedMaps.push(map);
}

/** BPF_TOKEN_CREATE: tokens are for user namespaces, and every task here is in the first one. */
export function tokenCreate(call: BpfCall<36>): never {
  const { attr, task } = call;
  call.checkEnd(BpfTokenCreateAttr.end);
  if (attr.flags !== 0) throw new KernelError('EINVAL', 'unknown flags', 'flags');
  const file = task.file(attr.bpffs_fd | 0);
  if (!file) throw new KernelError('EBADF', `fd ${attr.bpffs_fd} is not open`, 'bpffs_fd');
  const isRoot = file instanceof DirFile && file.dir instanceof Dir && file.dir.isBpffs && file.dir.parent?.isBpffs === false;
  if (!isRoot) throw new KernelError('EINVAL', `fd ${attr.bpffs_fd} is no root of a bpffs`, 'bpffs_fd');
  throw new KernelError('EOPNOTSUPP', 'there are no tokens in the first user namespace', 'bpffs_fd');
}

/** BPF_PROG_STREAM_READ_BY_FD: what a program wrote to its stdout (1) or stderr (2). Nothing here writes any. */
export function progStreamRead(call: BpfCall<37>): number {
  const { attr, task } = call;
  call.checkEnd(BpfProgStreamReadAttr.end);
  const prog = task.prog(attr.prog_fd | 0, 'prog_fd');
  if (attr.stream_id !== 1 && attr.stream_id !== 2)
    throw new KernelError('ENOENT', `program ${prog.id} has no stream ${attr.stream_id}`, 'stream_id');
  return 0;
}
