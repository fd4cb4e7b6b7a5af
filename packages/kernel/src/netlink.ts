/** NETLINK_ROUTE: which subsystem answers which message. Mirrors rtnetlink_rcv_msg. */

import { isKernelError, KernelError, type NetlinkAnswer, type NetlinkMessage, type NetlinkRequest } from '@libbpf-ts/uapi';

import type { Task } from './task.ts';

/** One type of message. Throws what the kernel refuses; an error with a text `extack` answers with these words. */
export interface NetlinkHandler {
  /** As the audit log says it: `RTM_NEWTFILTER`. */
  readonly name: string;
  run(task: Task, request: NetlinkRequest): readonly NetlinkMessage[] | void;
}

const RTM_BASE = 16;
/** The last type that the kernel's table has room for (`RTM_MAX`). */
const RTM_MAX = 123;
/** Of the four messages of a kind, NEW, DEL, GET, SET, the one that changes nothing. */
const GET = 2;

/** Sends one request for a task. */
export function answerNetlink(task: Task, request: NetlinkRequest): NetlinkAnswer {
  task.lastError = undefined;
  try {
    return { result: 0, extack: undefined, messages: handle(task, request) };
  } catch (error) {
    if (!isKernelError(error)) throw error;
    task.lastError = error;
    return { result: -error.errno, extack: (error as { readonly extack?: string }).extack, messages: [] };
  }
}

function handle(task: Task, request: NetlinkRequest): readonly NetlinkMessage[] {
  const { type } = request;
  if (type > RTM_MAX) throw new KernelError('EOPNOTSUPP', `there is no message of type ${type}`, 'type');
  // Control messages of netlink itself, and what is shorter than a family, are passed over.
  if (type < RTM_BASE || request.payload.length === 0) return [];
  if ((type & 3) !== GET && !task.capabilities.netAdmin)
    throw new KernelError('EPERM', 'changing the network needs CAP_NET_ADMIN', 'type');
  const handler = task.kernel.netlink.get(type);
  if (!handler) throw new KernelError('EOPNOTSUPP', `nothing here answers messages of type ${type}`, 'type');
  return task.kernel.because(task, handler.name, () => handler.run(task, request)) ?? [];
}
