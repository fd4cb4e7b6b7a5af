/** Classic tc for programs of this package: what a kernel refuses becomes a {@link BpfError} with its words and the argument to blame. */

import {
  addFilter,
  addQdisc,
  deleteFilter,
  dumpFilters,
  ERRNO,
  getFilter,
  removeQdisc,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  type FilterPlace,
  type FilterRequest,
  type FilterRow,
  type FilterSelection,
  type QdiscRequest,
  type QdiscSelection,
  type Syscalls,
  type TcAnswer,
} from '@libbpf-ts/uapi';
import { refusal } from './call.ts';
import type { Program } from './program.ts';
import { whyTcRefused, type Reason } from './why.ts';

/** Requests of classic tc to one kernel. */
export interface TrafficControl {
  /** `tc qdisc add` (or replace, change) of clsact or ingress. */
  addQdisc(request: QdiscRequest): void;
  removeQdisc(selection: QdiscSelection): void;
  /** Attaches a program as a filter: direct action, of every protocol, made if it is not there. `options` overrides any of that. */
  attach(program: Program, place: FilterPlace, options?: Partial<Omit<FilterRequest, 'fd' | 'ops'>>): void;
  /** Any filter request, classic instructions included. */
  addFilter(request: FilterRequest): void;
  deleteFilter(selection: FilterSelection): void;
  /** One filter by priority and handle; undefined where there is none. */
  filter(selection: FilterSelection): FilterRow | undefined;
  filters(selection: FilterSelection): FilterRow[];
}

const ETH_P_ALL = 3;
/** TCA_BPF_FLAG_ACT_DIRECT. */
const DIRECT_ACTION = 1;

export function trafficControl(sys: Syscalls): TrafficControl {
  const check = (message: string, what: string, request: object, { result, extack }: TcAnswer): void => {
    if (result >= 0) return;
    // The kernel's own words where it gives some.
    const why = (errno: number): Reason | undefined => {
      const reason = whyTcRefused(request, errno, extack);
      return extack === undefined ? reason : { arg: reason?.arg ?? 'request', words: extack };
    };
    throw refusal(sys, result, message, what, { why });
  };
  return {
    addQdisc: (request) =>
      check('RTM_NEWQDISC', `${request.kind} on device ${request.ifindex}`, request, addQdisc(sys, request)),
    removeQdisc: (selection) =>
      check(
        'RTM_DELQDISC',
        `${selection.kind ?? 'qdisc'} on device ${selection.ifindex}`,
        selection,
        removeQdisc(sys, selection),
      ),
    attach: (program, place, options = {}) => {
      const request = {
        protocol: ETH_P_ALL,
        flags: DIRECT_ACTION,
        create: true,
        name: program.name,
        ...options,
        ...place,
        fd: program.fd,
      };
      check('RTM_NEWTFILTER', `program ${program.name} at ${placeText(place)}`, request, addFilter(sys, request));
    },
    addFilter: (request) => check('RTM_NEWTFILTER', `at ${placeText(request)}`, request, addFilter(sys, request)),
    deleteFilter: (selection) => check('RTM_DELTFILTER', `at ${placeText(selection)}`, selection, deleteFilter(sys, selection)),
    filter: (selection) => {
      const answer = getFilter(sys, selection);
      if (answer.result === -ERRNO.ENOENT) return undefined;
      check('RTM_GETTFILTER', `at ${placeText(selection)}`, selection, answer);
      return answer.row;
    },
    filters: (selection) => dumpFilters(sys, selection),
  };
}

function placeText(place: FilterPlace): string {
  const chain = place.chain ? `, chain ${place.chain}` : '';
  if ('block' in place) return `block ${place.block}${chain}`;
  const hooks: Readonly<Record<number, string>> = { [TC_H_MIN_INGRESS]: 'ingress', [TC_H_MIN_EGRESS]: 'egress' };
  return `${hooks[place.parent] ?? `parent 0x${(place.parent >>> 0).toString(16)}`} of device ${place.ifindex}${chain}`;
}
