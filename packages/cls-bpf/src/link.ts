/**
 * A bpf_link that owns a cls_bpf filter, by the rules of the RFC that proposed it; no mainline kernel has it.
 * The filter is always direct-action, of every protocol, in chain 0. Netlink can neither delete nor replace it; when its qdisc goes or
 * its chain is flushed the link stays, without a filter. An update swaps the program inside the filter, so some program always runs.
 */

import { BpfLink, type AttachTypeOps, type LinkOps, type Task } from '@libbpf-ts/kernel';
import { ETH_P_ALL } from '@libbpf-ts/net';
import {
  BPF_LINK_CREATE,
  BPF_PROG_TYPE_SCHED_CLS,
  BufferMemory,
  KernelError,
  TCA_CLS_FLAGS_NOT_IN_HW,
  TCM_IFINDEX_MAGIC_BLOCK,
} from '@libbpf-ts/uapi';

import { insert, removeFilters } from './filter.ts';
import type { ClsBpfLink, ClsBpfLinkData, Filter } from './model.ts';
import { BPF_LINK_TYPE_CLS_BPF, BPF_TC_FILTER } from './numbers.ts';
import { autoHandle, findBlock, findProto } from './place.ts';
import { hookName } from './state.ts';

/** Offsets of our member of the attr's link_create: parent, handle, priority. */
const ATTR = { prog_fd: 0, ifindex: 4, attach_type: 8, flags: 12, parent: 16, handle: 20, priority: 24, end: 28 } as const;

/** A priority has 16 bits. */
const MAX_PRIO = 0xffff;

function leave(link: ClsBpfLink): void {
  const { filter } = link.data;
  if (filter) removeFilters(link.kernel, filter.proto, [filter]);
}

export const clsBpfLinkOps: LinkOps<ClsBpfLinkData> = {
  type: BPF_LINK_TYPE_CLS_BPF,
  name: 'cls_bpf',
  release: leave,
  detach: leave,
  updateProg(link, prog, oldProg) {
    const { filter } = link.data;
    const current = link.prog!;
    if (!filter) throw new KernelError('ENOLINK', `the filter of link ${link.id} is gone`, 'link_fd');
    if (oldProg && oldProg !== current)
      throw new KernelError('EPERM', `the link runs program ${current.id}, not ${oldProg.id}`, 'old_prog_fd');
    if (prog.type !== current.type) throw new KernelError('EINVAL', `program ${prog.id} is of another type`, 'new_prog_fd');
    if (prog === current) return;
    link.kernel.record({ action: 'replace', hook: hookName(filter), prog: prog.id, oldProg: current.id, link: link.id });
    link.replaceProg(prog);
  },
  fdInfo: ({ data: { filter } }) => (filter ? `filter:\t${hookName(filter)}\n` : 'filter:\tnone\n'),
  // The state's own copy ties link and filter together.
  clone: () => ({ filter: undefined }),
};

export const clsBpfAttachOps: AttachTypeOps = {
  progType: BPF_PROG_TYPE_SCHED_CLS,
  linkCreate(call, prog) {
    const { view, kernel, task } = call;
    const read = (offset: number): number => view.getUint32(offset, true);
    const ifindex = read(ATTR.ifindex);
    const parent = read(ATTR.parent);
    const place = ifindex === TCM_IFINDEX_MAGIC_BLOCK ? { block: parent } : { ifindex, parent };
    const block = findBlock(task, place);
    if (read(ATTR.flags) !== 0) throw new KernelError('EINVAL', 'a filter link takes no flags', 'flags');
    const priority = read(ATTR.priority);
    if (priority > MAX_PRIO) throw new KernelError('EINVAL', `priority ${priority} is more than ${MAX_PRIO}`, 'priority');
    const { proto, isNew } = findProto(block, 0, priority, ETH_P_ALL);
    const handle = read(ATTR.handle) || autoHandle(proto);
    if (proto.filters.some((filter) => filter.handle === handle))
      throw new KernelError('EEXIST', `there is a filter with handle ${handle}`, 'handle');
    const data: ClsBpfLinkData = { filter: undefined };
    const link: ClsBpfLink = BpfLink.create(kernel, { ops: clsBpfLinkOps, prog, data, attachType: BPF_TC_FILTER });
    const filter: Filter = {
      handle,
      proto,
      prog: undefined,
      classic: undefined,
      classid: 0,
      name: undefined,
      directAction: true,
      genFlags: TCA_CLS_FLAGS_NOT_IN_HW,
      actions: [],
      link,
    };
    data.filter = filter;
    insert(task, proto, isNew, filter);
    return link;
  },
};

/** What BPF_LINK_CREATE is given for a filter. */
export type ClsBpfLinkRequest = { readonly progFd: number; readonly handle?: number; readonly priority?: number } & (
  | { readonly ifindex: number; readonly parent: number }
  | { readonly block: number }
);

/** BPF_LINK_CREATE of a filter: the link's fd, or -errno. */
export function createFilterLink(task: Task, request: ClsBpfLinkRequest): number {
  const attr = new Uint8Array(ATTR.end);
  const view = new DataView(attr.buffer);
  const [ifindex, parent] = 'block' in request ? [TCM_IFINDEX_MAGIC_BLOCK, request.block] : [request.ifindex, request.parent];
  view.setInt32(ATTR.prog_fd, request.progFd, true);
  view.setUint32(ATTR.ifindex, ifindex, true);
  view.setUint32(ATTR.attach_type, BPF_TC_FILTER, true);
  view.setUint32(ATTR.parent, parent, true);
  view.setUint32(ATTR.handle, request.handle ?? 0, true);
  view.setUint32(ATTR.priority, request.priority ?? 0, true);
  return task.bpfRaw(BPF_LINK_CREATE, attr, attr.length, new BufferMemory());
}
