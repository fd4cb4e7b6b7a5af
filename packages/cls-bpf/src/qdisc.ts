/** clsact and ingress qdiscs. */

import type { Task } from '@libbpf-ts/kernel';
import { netnsOf, type NetDevice } from '@libbpf-ts/net';
import { KernelError } from '@libbpf-ts/uapi';

import { filtersOf, type Block, type Qdisc } from './model.ts';
import { answerRequest, TcRefusal, type QdiscRequest, type TcAnswer } from './request.ts';
import { tcState, type TcState } from './state.ts';

/** RTM_NEWQDISC with NLM_F_CREATE | NLM_F_EXCL. */
export function addQdisc(task: Task, request: QdiscRequest): TcAnswer {
  return answerRequest(task, 'RTM_NEWQDISC', () => {
    const device = deviceOf(task, request.ifindex);
    const { kind } = request;
    if (kind !== 'clsact' && kind !== 'ingress') throw new TcRefusal('ENOENT', 'Specified qdisc kind is unknown', 'kind');
    const state = tcState(task.kernel);
    if (state.qdiscs.has(device)) throw new TcRefusal('EEXIST', 'Exclusivity flag on, cannot modify', 'kind');
    const ingress = blockFor(state, request.ingressBlock);
    const egress = kind === 'clsact' ? blockFor(state, request.egressBlock) : undefined;
    state.qdiscs.set(device, { kind, device, ingress, egress });
    state.hadQdisc.add(device.uid);
    join(state, ingress, device, 'ingress');
    if (egress) join(state, egress, device, 'egress');
  });
}

/** RTM_DELQDISC: its filters go with it, and links that own some of them become defunct. */
export function removeQdisc(task: Task, request: { readonly ifindex: number; readonly kind?: string }): TcAnswer {
  return answerRequest(task, 'RTM_DELQDISC', () => {
    const device = deviceOf(task, request.ifindex);
    const state = tcState(task.kernel);
    const qdisc = state.qdiscs.get(device);
    if (!qdisc) {
      // A queue that was used before holds a placeholder, whose handle is not the one asked for.
      if (state.hadQdisc.has(device.uid)) throw new TcRefusal('EINVAL', 'Invalid handle', 'kind');
      throw new TcRefusal('ENOENT', 'Cannot find specified qdisc on specified device', 'kind');
    }
    if (request.kind !== undefined && request.kind !== qdisc.kind)
      throw new TcRefusal('EINVAL', 'Invalid qdisc name: must match existing qdisc', 'kind');
    destroyQdisc(state, qdisc);
  });
}

/** Takes a qdisc off its device. */
export function destroyQdisc(state: TcState, qdisc: Qdisc): void {
  state.qdiscs.delete(qdisc.device);
  leave(state, qdisc.ingress, qdisc.device, 'ingress');
  if (qdisc.egress) leave(state, qdisc.egress, qdisc.device, 'egress');
}

function deviceOf(task: Task, ifindex: number): NetDevice {
  const device = netnsOf(task).byIndex(ifindex);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${ifindex}`, 'ifindex');
  return device;
}

function blockFor(state: TcState, index = 0): Block {
  const known = index === 0 ? undefined : state.shared.get(index);
  if (known) return known;
  const block = state.newBlock(index);
  if (index !== 0) state.shared.set(index, block);
  return block;
}

function join(state: TcState, block: Block, device: NetDevice, side: 'ingress' | 'egress'): void {
  block.hooks.push({ device, side });
  state.refresh(block);
  device.changeQdiscs(device[side], 1);
}

function leave(state: TcState, block: Block, device: NetDevice, side: 'ingress' | 'egress'): void {
  if (block.hooks.length === 1) dissolve(state, block);
  const at = block.hooks.findIndex((hook) => hook.device === device && hook.side === side);
  if (at >= 0) block.hooks.splice(at, 1);
  device[side].cls = null;
  device.changeQdiscs(device[side], -1);
}

/** The last hook of a block goes: so do its filters. */
function dissolve(state: TcState, block: Block): void {
  const filters = [...filtersOf(block)];
  block.chains.clear();
  for (const filter of filters) state.release(filter);
  if (block.index !== 0) state.shared.delete(block.index);
}
