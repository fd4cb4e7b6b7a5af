/** RTM_GETTFILTER and RTM_GETQDISC: rows of dumps from the tables. */

import type { Task } from '@libbpf-ts/kernel';
import { netnsOf } from '@libbpf-ts/net';
import type { ActionRow, FilterRow, QdiscRow } from '@libbpf-ts/uapi';

import type { TcAction } from './actions.ts';
import type { Filter } from './model.ts';
import { findBlockToShow } from './place.ts';
import type { FilterMessage } from './request.ts';
import { heldProg, tcState } from './state.ts';

/** The filters at a place, in the order of the kernel's dump; chain, priority and protocol select where they are given. */
export function filterRows(task: Task, { place, prio, protocol }: FilterMessage): FilterRow[] {
  const block = findBlockToShow(task, place);
  return [...(block?.chains.values() ?? [])]
    .filter(({ index }) => place.chain === undefined || index === place.chain)
    .flatMap(({ protos }) => protos)
    .filter((proto) => (prio === 0 || proto.prio === prio) && (protocol === 0 || proto.protocol === protocol))
    .flatMap((proto): FilterRow[] => {
      const head = { chain: proto.chain.index, prio: proto.prio, protocol: proto.protocol, kind: 'bpf', handle: 0 };
      return [head, ...proto.filters.map(filterRow)];
    });
}

/** One filter as dumps and RTM_GETTFILTER show it (`cls_bpf_dump`). */
export function filterRow(filter: Filter): FilterRow {
  const { proto, classic, link, actions } = filter;
  const prog = heldProg(filter);
  return {
    chain: proto.chain.index,
    prio: proto.prio,
    protocol: proto.protocol,
    kind: 'bpf',
    handle: filter.handle,
    flagsGen: filter.genFlags,
    ...(filter.directAction ? { flags: 1 } : {}),
    ...(filter.classid ? { classid: filter.classid } : {}),
    // The kernel shows the name of a program only.
    ...(filter.name === undefined || !prog ? {} : { name: filter.name }),
    ...(prog ? { id: prog.id, tag: hex(prog.attributes.tag) } : {}),
    ...(classic ? { ops: classic.ops.length } : {}),
    ...(link ? { link: link.id } : {}),
    ...(actions.length > 0 ? { actions: actions.map(actionRow) } : {}),
  };
}

function actionRow(action: TcAction): ActionRow {
  const { kind, index, stats } = action;
  const row = { kind, index, action: action.action, stats: { ...stats } };
  if (action.kind !== 'mirred') return row;
  const { mode, direction, device } = action;
  return { ...row, mode, direction, ifindex: device.registered ? device.ifindex : 0 };
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The qdiscs of the task's namespace that this package knows, in the order of their devices. */
export function qdiscRows(task: Task): QdiscRow[] {
  const netns = netnsOf(task);
  return [...tcState(task.kernel).qdiscs.values()]
    .filter(({ device }) => device.netns === netns)
    .sort((a, b) => a.device.ifindex - b.device.ifindex)
    .map(({ device, kind, ingress, egress }) => ({
      ifindex: device.ifindex,
      kind,
      ...(ingress.index ? { ingressBlock: ingress.index } : {}),
      ...(egress?.index ? { egressBlock: egress.index } : {}),
    }));
}
