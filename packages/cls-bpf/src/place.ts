/** Where filters are: the block of a hook, the chain in it, the priority in that. The order of the checks is the kernel's. */

import type { Task } from '@libbpf-ts/kernel';
import { netnsOf } from '@libbpf-ts/net';
import { INGRESS_PARENT, KernelError, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS, type FilterPlace } from '@libbpf-ts/uapi';

import { chainOf } from './chain.ts';
import type { Block, Filter, Proto, Qdisc } from './model.ts';
import { AUTO_PRIO_FLOOR, FIRST_AUTO_PRIO, MAX_CHAIN } from './numbers.ts';
import { TcRefusal } from './request.ts';
import { tcState } from './state.ts';

const KIND_SIZE = 16;

/** The block that a request (about filters of a kind, where it names one) may change. Throws ENODEV, EINVAL, ENOENT; EOPNOTSUPP for a shared block that is named by a device. */
export function findBlock(task: Task, place: FilterPlace, kind?: string): Block {
  const state = tcState(task.kernel);
  if ('block' in place) {
    checkKindLength(kind);
    const block = state.shared.get(place.block);
    if (!block) throw new TcRefusal('EINVAL', 'Block of given index was not found', 'block');
    return block;
  }
  const device = netnsOf(task).byIndex(place.ifindex);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${place.ifindex}`, 'ifindex');
  // A device's root qdisc here takes no filters.
  if (place.parent === 0) throw new TcRefusal('EINVAL', 'Qdisc not classful', 'parent');
  const qdisc = state.qdiscs.get(device);
  if (!qdisc || place.parent >>> 16 !== 0xffff) throw new TcRefusal('EINVAL', "Parent Qdisc doesn't exists", 'parent');
  checkKindLength(kind);
  const block = blockOf(qdisc, place.parent);
  if (!block && place.parent !== INGRESS_PARENT) throw new TcRefusal('ENOENT', "Specified class doesn't exist", 'parent');
  if (!block) throw new KernelError('EINVAL', 'ffff:0 is no hook of a clsact qdisc', 'parent');
  if (block.index !== 0)
    throw new TcRefusal(
      'EOPNOTSUPP',
      'This filter block is shared. Please use the block index to manipulate the filters',
      'ifindex',
    );
  return block;
}

function checkKindLength(kind = ''): void {
  if (kind.length >= KIND_SIZE) throw new TcRefusal('EINVAL', 'Specified TC filter name too long', 'kind');
}

/** The block that a dump shows, shared or not; undefined where there is none. */
export function findBlockToShow(task: Task, place: FilterPlace): Block | undefined {
  const state = tcState(task.kernel);
  if ('block' in place) return state.shared.get(place.block);
  const device = netnsOf(task).byIndex(place.ifindex);
  const qdisc = device && state.qdiscs.get(device);
  return qdisc && place.parent >>> 16 === 0xffff ? blockOf(qdisc, place.parent) : undefined;
}

/** An ingress qdisc has one block, whatever the minor number; clsact has two. */
function blockOf(qdisc: Qdisc, parent: number): Block | undefined {
  if (qdisc.kind === 'ingress' || parent === TC_H_MIN_INGRESS) return qdisc.ingress;
  return parent === TC_H_MIN_EGRESS ? qdisc.egress : undefined;
}

/** The chain number of a place. Throws EINVAL. */
export function chainIndex({ chain = 0 }: FilterPlace): number {
  if (chain > MAX_CHAIN) throw new TcRefusal('EINVAL', 'Specified chain index exceeds upper limit', 'chain');
  return chain;
}

/** The priority that a request names, or a new one that is not in the chain yet. Throws EINVAL, ENOSPC. */
export function findProto(
  block: Block,
  chainNumber: number,
  asked: number,
  protocol: number,
): { readonly proto: Proto; readonly isNew: boolean } {
  const chain = chainOf(block, chainNumber);
  const prio = asked || AUTO_PRIO_FLOOR;
  const same = chain.protos.find((proto) => proto.prio === prio);
  if (same && !asked) throw new TcRefusal('ENOSPC', 'Lowest ID from auto-alloc range already in use', 'prio');
  if (same) {
    checkProtocol(same, protocol);
    return { proto: same, isNew: false };
  }
  return { proto: { chain, prio: asked || autoPrio(chain.protos), protocol, filters: [] }, isNew: true };
}

/** Protocol 0 is that of the priority, whatever it is. */
export function checkProtocol(proto: Proto, protocol: number): void {
  if (protocol !== 0 && proto.protocol !== protocol)
    throw new TcRefusal('EINVAL', 'Protocol mismatch for filter with specified priority', 'protocol');
}

/** `tcf_auto_prio`. */
function autoPrio(protos: readonly Proto[]): number {
  const next = protos.find(({ prio }) => prio >= AUTO_PRIO_FLOOR);
  return next === undefined ? FIRST_AUTO_PRIO : next.prio - 1;
}

/** The least handle from 1 on that is free. */
export function autoHandle(proto: Proto): number {
  for (let handle = 1; ; handle++) if (!proto.filters.some((filter) => filter.handle === handle)) return handle;
}

export const filterOf = (proto: Proto, handle: number): Filter | undefined =>
  handle === 0 ? undefined : proto.filters.find((filter) => filter.handle === handle);
