/** BPF_PROG_ATTACH, DETACH, QUERY and the link commands: the checks that come before a subsystem is asked. Mirrors kernel/bpf/syscall.c. */

import {
  BPF_F_AFTER,
  BPF_F_ALLOW_MULTI,
  BPF_F_ALLOW_OVERRIDE,
  BPF_F_BEFORE,
  BPF_F_ID,
  BPF_F_LINK,
  BPF_F_PREORDER,
  BPF_F_QUERY_EFFECTIVE,
  BPF_F_REPLACE,
  BPF_PROG_TYPE_CGROUP_SKB,
  BpfLinkUpdateAttr,
  BpfProgAttachAttr,
  BpfProgQueryAttr,
  KernelError,
} from '@libbpf-ts/uapi';

import type { AttachTypeOps } from '../attach.ts';
import type { BpfCall } from '../call.ts';
import type { Kernel } from '../kernel.ts';
import { mayAttachAs, progTypeOf } from './attach-rules.ts';

const BASE_FLAGS = BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI | BPF_F_REPLACE | BPF_F_PREORDER;
const MPROG_FLAGS = BPF_F_REPLACE | BPF_F_BEFORE | BPF_F_AFTER | BPF_F_ID | BPF_F_LINK;
/** End of the last field that LINK_CREATE reads, of whatever member. */
const LINK_CREATE_END = 60;

/** `bpf_prog_attach`. */
export function progAttach(call: BpfCall<8>): void {
  const { attr, kernel, task } = call;
  call.checkEnd(BpfProgAttachAttr.end);
  const progType = typeAttachedAs(kernel, attr.attach_type);
  checkAttachFlags(call, kernel.attachTypes.get(attr.attach_type), progType);
  const prog = task.prog(attr.attach_bpf_fd | 0, 'attach_bpf_fd', progType);
  if (!mayAttachAs(kernel, prog, attr.attach_type)) {
    throw new KernelError('EINVAL', `the program was loaded for attach type ${prog.expectedAttachType}`, 'attach_type');
  }
  const ops = opsFor(kernel, attr.attach_type, 'attach');
  ops.attach!(call, prog);
}

/** `bpf_prog_detach`. */
export function progDetach(call: BpfCall<9>): void {
  const { attr, kernel, task } = call;
  call.checkEnd(BpfProgAttachAttr.end);
  const progType = typeAttachedAs(kernel, attr.attach_type);
  const ops = kernel.attachTypes.get(attr.attach_type);
  if (usesMprog(ops, progType)) {
    checkFlags(attr.attach_flags, MPROG_FLAGS | (ops?.extraFlags ?? 0));
    const prog = attr.attach_bpf_fd === 0 ? undefined : task.prog(attr.attach_bpf_fd | 0, 'attach_bpf_fd', progType);
    opsFor(kernel, attr.attach_type, 'detach').detach!(call, prog);
    return;
  }
  if (attr.attach_flags !== 0 || attr.relative_fd !== 0 || attr.expected_revision !== 0n) {
    throw new KernelError('EINVAL', 'this attach type takes no flags, relative fd or revision when detaching', 'attach_flags');
  }
  opsFor(kernel, attr.attach_type, 'detach').detach!(call, optionalProg(call, progType));
}

/** Classic hooks look up the program themselves, and may do without. */
function optionalProg({ attr, task }: BpfCall<9>, progType: number): ReturnType<typeof task.prog> | undefined {
  const file = task.file(attr.attach_bpf_fd | 0);
  return file?.object?.kind === 'prog' ? task.prog(attr.attach_bpf_fd | 0, 'attach_bpf_fd', progType) : undefined;
}

/** `bpf_prog_query`. */
export function progQuery(call: BpfCall<16>): void {
  const { attr, kernel, task } = call;
  const { netAdmin, sysAdmin } = task.capabilities;
  if (!netAdmin && !sysAdmin) throw new KernelError('EPERM', 'querying a hook needs CAP_NET_ADMIN');
  call.checkEnd(BpfProgQueryAttr.end);
  if ((attr.query_flags & ~BPF_F_QUERY_EFFECTIVE) !== 0) throw new KernelError('EINVAL', 'unknown query_flags', 'query_flags');
  opsFor(kernel, attr.attach_type, 'query').query!(call);
}

/** `link_create`; returns the fd of the link. */
export function linkCreate(call: BpfCall<28>): number {
  const { attr, kernel, task } = call;
  call.checkEnd(LINK_CREATE_END);
  const direct = kernel.attachTypes.get(attr.attach_type)?.linkCreateFromMap;
  if (direct) return task.installObject(direct(call));
  const prog = task.prog(attr.prog_fd | 0, 'prog_fd');
  if (!mayAttachAs(kernel, prog, attr.attach_type)) {
    throw new KernelError('EINVAL', `a ${prog.ops.name} program can't be attached as type ${attr.attach_type}`, 'attach_type');
  }
  const ops = opsFor(kernel, attr.attach_type, 'linkCreate');
  return task.installObject(ops.linkCreate!(call, prog));
}

/** `link_update`. */
export function linkUpdate(call: BpfCall<29>): void {
  const { attr, task } = call;
  call.checkEnd(BpfLinkUpdateAttr.end);
  checkFlags(attr.flags, BPF_F_REPLACE);
  const link = task.link(attr.link_fd | 0, 'link_fd');
  const replaces = (attr.flags & BPF_F_REPLACE) !== 0;
  const { ops } = link;
  if (ops.updateMap) {
    const map = task.map(attr.new_map_fd | 0, 'new_map_fd');
    const old = replaces ? task.map(attr.old_map_fd | 0, 'old_map_fd') : undefined;
    if (!replaces && attr.old_map_fd !== 0)
      throw new KernelError('EINVAL', 'an old map is given without BPF_F_REPLACE', 'old_map_fd');
    ops.updateMap(link, map, old);
    return;
  }
  const prog = task.prog(attr.new_prog_fd | 0, 'new_prog_fd');
  const old = replaces ? task.prog(attr.old_prog_fd | 0, 'old_prog_fd') : undefined;
  if (!replaces && attr.old_prog_fd !== 0)
    throw new KernelError('EINVAL', 'an old program is given without BPF_F_REPLACE', 'old_prog_fd');
  if (!ops.updateProg) throw new KernelError('EINVAL', `links of type ${ops.name} can't be updated`, 'link_fd');
  ops.updateProg(link, prog, old, attr.flags);
}

/** `link_detach`. */
export function linkDetach(call: BpfCall<34>): void {
  call.checkEnd(4);
  const link = call.task.link(call.attr.link_fd | 0, 'link_fd');
  if (!link.ops.detach) throw new KernelError('EOPNOTSUPP', `links of type ${link.ops.name} can't be detached`, 'link_fd');
  link.ops.detach(link);
}

/** The program type of an attach type. Throws EINVAL where it has none. */
function typeAttachedAs(kernel: Kernel, attachType: number): number {
  const type = kernel.attachTypes.get(attachType)?.progType ?? progTypeOf(attachType);
  if (type === undefined) throw new KernelError('EINVAL', `nothing is attached as type ${attachType}`, 'attach_type');
  return type;
}

function usesMprog(ops: AttachTypeOps | undefined, progType: number): boolean {
  return ops?.mprog ?? (progType === 3 || isCgroupType(progType));
}

/** Cgroup hooks order their programs by mprog since 6.17. */
function isCgroupType(progType: number): boolean {
  return progType === BPF_PROG_TYPE_CGROUP_SKB || [9, 13, 15, 18, 23, 25].includes(progType);
}

function checkAttachFlags({ attr }: BpfCall<8>, ops: AttachTypeOps | undefined, progType: number): void {
  if (isCgroupType(progType)) return checkFlags(attr.attach_flags, BASE_FLAGS | MPROG_FLAGS);
  if (usesMprog(ops, progType)) return checkFlags(attr.attach_flags, MPROG_FLAGS | (ops?.extraFlags ?? 0));
  checkFlags(attr.attach_flags, BASE_FLAGS);
  if (attr.relative_fd !== 0) throw new KernelError('EINVAL', 'this attach type has no order', 'relative_fd');
  if (attr.expected_revision !== 0n) throw new KernelError('EINVAL', 'this attach type has no revision', 'expected_revision');
}

function checkFlags(flags: number, known: number): void {
  const rest = (flags & ~known) >>> 0;
  if (rest !== 0) throw new KernelError('EINVAL', `unknown flags 0x${rest.toString(16)}`, 'flags');
}

type AttachOp = 'attach' | 'detach' | 'query' | 'linkCreate';

function opsFor(kernel: Kernel, attachType: number, op: AttachOp): AttachTypeOps {
  const ops = kernel.attachTypes.get(attachType);
  if (!ops) throw new KernelError('EINVAL', `no subsystem for attach type ${attachType} is built in`, 'attach_type');
  if (!ops[op]) throw new KernelError('EINVAL', `attach type ${attachType} has no ${op}`, 'attach_type');
  return ops;
}
