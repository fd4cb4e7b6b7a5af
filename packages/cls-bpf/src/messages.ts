/** The rtnetlink messages that this package answers. */

import type { NetlinkHandler } from '@libbpf-ts/kernel';
import {
  encodeFilterRow,
  encodeQdiscRow,
  NLM_F_DUMP,
  RTM_DELQDISC,
  RTM_DELTFILTER,
  RTM_GETQDISC,
  RTM_GETTFILTER,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  TCM_IFINDEX_MAGIC_BLOCK,
  type FilterPlace,
  type NetlinkMessage,
  type NetlinkRequest,
  type RowPlace,
} from '@libbpf-ts/uapi';
import type { Task } from '@libbpf-ts/kernel';

import { filterRow, filterRows, qdiscRows } from './dump.ts';
import { newFilter, oneFilter, removeFilter } from './filter.ts';
import { changeQdisc, deleteQdisc } from './qdisc.ts';
import { readFilterMessage, readTcMessage } from './request.ts';

export const tcMessages: ReadonlyMap<number, NetlinkHandler> = new Map([
  [RTM_NEWQDISC, { name: 'RTM_NEWQDISC', run: changeQdisc }],
  [RTM_DELQDISC, { name: 'RTM_DELQDISC', run: deleteQdisc }],
  [RTM_GETQDISC, { name: 'RTM_GETQDISC', run: getQdiscs }],
  [RTM_NEWTFILTER, { name: 'RTM_NEWTFILTER', run: (task, request) => newFilter(task, readFilterMessage(request)) }],
  [RTM_DELTFILTER, { name: 'RTM_DELTFILTER', run: (task, request) => removeFilter(task, readFilterMessage(request)) }],
  [RTM_GETTFILTER, { name: 'RTM_GETTFILTER', run: getFilters }],
]);

const isDump = ({ flags }: NetlinkRequest): boolean => (flags & NLM_F_DUMP) !== 0;

function getFilters(task: Task, request: NetlinkRequest): NetlinkMessage[] {
  const message = readFilterMessage(request);
  const place = rowPlace(message.place);
  const rows = isDump(request) ? filterRows(task, message) : [filterRow(oneFilter(task, message))];
  return rows.map((row) => encodeFilterRow(place, row));
}

const rowPlace = (place: FilterPlace): RowPlace =>
  'block' in place ? { ifindex: TCM_IFINDEX_MAGIC_BLOCK, parent: place.block } : place;

function getQdiscs(task: Task, request: NetlinkRequest): NetlinkMessage[] {
  const { head } = readTcMessage(request);
  const rows = qdiscRows(task);
  return (isDump(request) ? rows : rows.filter(({ ifindex }) => ifindex === head.ifindex)).map(encodeQdiscRow);
}
