/** RTM_GETTFILTER and RTM_GETQDISC dumps. */

import type { Task } from '@libbpf-ts/kernel';
import { netnsOf } from '@libbpf-ts/net';

import { findBlock } from './filter.ts';
import type { Filter } from './model.ts';
import type { FilterPlace } from './request.ts';
import { heldProg, tcState } from './state.ts';

/** One message of a filter dump. Each priority begins with one that has handle 0 and nothing else. */
export interface FilterRow {
  readonly chain: number;
  readonly prio: number;
  readonly protocol: number;
  readonly kind: 'bpf';
  readonly handle: number;
  /** TCA_BPF_ID, TCA_BPF_TAG (hex) and the program's name; absent for classic filters and in the head row. */
  readonly id?: number;
  readonly tag?: string;
  readonly name?: string;
  readonly classid?: number;
  readonly flags?: number;
  readonly flagsGen?: number;
  /** Instructions of a classic filter. */
  readonly ops?: number;
  /** The link that owns it; no mainline kernel says this. */
  readonly link?: number;
  readonly stats?: { readonly packets: number; readonly bytes: number };
  readonly actions?: readonly unknown[];
}

/** The filters at a place, in the order of the kernel's dump. Throws ENODEV, EINVAL. */
export function dumpFilters(task: Task, place: FilterPlace): FilterRow[] {
  const block = findBlock(task, place);
  const chains =
    place.chain === undefined
      ? [...block.chains.values()]
      : [block.chains.get(place.chain)].filter((chain) => chain !== undefined);
  return chains.flatMap((chain) =>
    chain.protos.flatMap((proto): FilterRow[] => {
      const head = { chain: chain.index, prio: proto.prio, protocol: proto.protocol, kind: 'bpf' } as const;
      return [{ ...head, handle: 0 }, ...proto.filters.map((filter) => ({ ...head, ...describe(filter) }))];
    }),
  );
}

function describe(filter: Filter): Omit<FilterRow, 'chain' | 'prio' | 'protocol' | 'kind'> {
  const prog = heldProg(filter);
  return {
    handle: filter.handle,
    name: filter.name,
    classid: filter.classid,
    flags: filter.directAction ? 1 : 0,
    flagsGen: filter.genFlags,
    ...(prog ? { id: prog.id, tag: hex(prog.attributes.tag) } : {}),
    ...(filter.classic ? { ops: filter.classic.ops.length } : {}),
    ...(filter.link ? { link: filter.link.id } : {}),
    stats: { ...filter.stats },
    ...(filter.actions.length > 0
      ? { actions: filter.actions.map(({ kind, action, stats }) => ({ kind, action, stats: { ...stats } })) }
      : {}),
  };
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export interface QdiscRow {
  readonly ifindex: number;
  readonly kind: 'clsact' | 'ingress';
  readonly ingressBlock?: number;
  readonly egressBlock?: number;
}

/** The qdiscs of the task's namespace that this package knows. */
export function dumpQdiscs(task: Task): QdiscRow[] {
  const netns = netnsOf(task);
  return [...tcState(task.kernel).qdiscs.values()]
    .filter(({ device }) => device.netns === netns)
    .map(({ device, kind, ingress, egress }) => ({
      ifindex: device.ifindex,
      kind,
      ...(ingress.index ? { ingressBlock: ingress.index } : {}),
      ...(egress?.index ? { egressBlock: egress.index } : {}),
    }));
}

/** A dump as `tc filter show` prints it. */
export function filterText(rows: readonly FilterRow[], progName: (id: number) => string = (id) => `${id}`): string {
  return rows
    .map((row) => {
      const head = `filter protocol ${row.protocol === 3 ? 'all' : `0x${row.protocol.toString(16)}`} pref ${row.prio} bpf chain ${row.chain}`;
      if (row.handle === 0) return head;
      const words = [head, `handle 0x${row.handle.toString(16)}`, row.name ?? ''];
      if (row.classid) words.push(`flowid ${(row.classid >>> 16).toString(16)}:${(row.classid & 0xffff).toString(16)}`);
      if (row.flags) words.push('direct-action');
      if (row.flagsGen! & 1) words.push('skip_hw');
      words.push('not_in_hw');
      if (row.id !== undefined) words.push(`id ${row.id} name ${progName(row.id)} tag ${row.tag} jited`);
      if (row.link !== undefined) words.push(`link ${row.link}`);
      return words.filter(Boolean).join(' ');
    })
    .join('\n');
}
