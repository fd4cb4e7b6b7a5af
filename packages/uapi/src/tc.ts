/** Traffic control at the syscall border: typed requests and dumps, the same on every kernel. */

import { KernelError, errnoName } from './errno.ts';
import { NLM_F_DUMP, type NetlinkAnswer, type NetlinkRequest } from './netlink.ts';
import type { Syscalls } from './syscalls.ts';
import { decodeFilterRow, decodeQdiscRow, type FilterRow, type QdiscRow } from './tc-dump.ts';
import { RTM_DELQDISC, RTM_DELTFILTER, RTM_GETQDISC, RTM_GETTFILTER } from './tc-numbers.ts';
import type { FilterRequest, FilterSelection, QdiscRequest, QdiscSelection, TcAnswer } from './tc-request.ts';
import { encodeFilter, encodeFilterSelection, encodeQdisc, encodeQdiscSelection, encodeTcMessage } from './tc-wire.ts';

/** The part of the border that traffic control needs. */
export type RouteSyscalls = Pick<Syscalls, 'rtnetlink'>;

const answer = ({ result, extack }: NetlinkAnswer): TcAnswer => ({ result, extack });

/** RTM_NEWQDISC: `tc qdisc add` (or replace, change). */
export function addQdisc(sys: RouteSyscalls, request: QdiscRequest): TcAnswer {
  return answer(sys.rtnetlink(encodeQdisc(request)));
}

/** RTM_DELQDISC: its filters go with it. */
export function removeQdisc(sys: RouteSyscalls, selection: QdiscSelection): TcAnswer {
  return answer(sys.rtnetlink(encodeQdiscSelection(RTM_DELQDISC, selection)));
}

/** RTM_NEWTFILTER: makes a filter, or (where priority and handle name one) changes it in its place. */
export function addFilter(sys: RouteSyscalls, request: FilterRequest): TcAnswer {
  return answer(sys.rtnetlink(encodeFilter(request)));
}

/** RTM_DELTFILTER: one filter (priority and handle), all of a priority, or with neither the whole chain. */
export function deleteFilter(sys: RouteSyscalls, selection: FilterSelection): TcAnswer {
  return answer(sys.rtnetlink(encodeFilterSelection(RTM_DELTFILTER, 0, selection)));
}

/** RTM_GETTFILTER of one filter: its row where the answer is 0. */
export function getFilter(sys: RouteSyscalls, selection: FilterSelection): TcAnswer & { readonly row?: FilterRow } {
  const got = sys.rtnetlink(encodeFilterSelection(RTM_GETTFILTER, 0, selection));
  const row = got.messages.map(decodeFilterRow).find((each) => each !== undefined);
  return row ? { ...answer(got), row } : answer(got);
}

/**
 * The filters at a place, in the order of the kernel's dump; priority and protocol, where given, select. Where there is no such place
 * the dump is empty, as the kernel has it. Throws {@link KernelError} where the kernel refuses the dump.
 */
export function dumpFilters(sys: RouteSyscalls, selection: FilterSelection): FilterRow[] {
  return dump(sys, encodeFilterSelection(RTM_GETTFILTER, NLM_F_DUMP, selection), decodeFilterRow);
}

/** The clsact and ingress qdiscs of the caller's network namespace, or of one device. */
export function dumpQdiscs(sys: RouteSyscalls, { ifindex = 0 }: { readonly ifindex?: number } = {}): QdiscRow[] {
  const payload = encodeTcMessage({ ifindex, handle: 0, parent: 0, info: 0 });
  const rows = dump(sys, { type: RTM_GETQDISC, flags: NLM_F_DUMP, payload }, decodeQdiscRow);
  return ifindex === 0 ? rows : rows.filter((row) => row.ifindex === ifindex);
}

function dump<T>(
  sys: RouteSyscalls,
  request: NetlinkRequest,
  read: (message: NetlinkAnswer['messages'][0]) => T | undefined,
): T[] {
  const { result, extack, messages } = sys.rtnetlink(request);
  if (result < 0) throw new KernelError(errnoName(result) ?? 'EINVAL', extack ?? 'the kernel refused the dump', 'place');
  return messages.map((message) => read(message)).filter((row) => row !== undefined);
}
