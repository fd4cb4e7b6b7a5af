/** clsact and ingress qdiscs. The order of the checks is the kernel's. */

import type { Task } from '@libbpf-ts/kernel';
import { netnsOf, type NetDevice } from '@libbpf-ts/net';
import {
  INGRESS_PARENT,
  KernelError,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  TC_H_CLSACT,
  TCA,
  type NetlinkRequest,
} from '@libbpf-ts/uapi';

import { filtersOf, type Block, type Qdisc } from './model.ts';
import { expectU32, readTcMessage, TcRefusal } from './request.ts';
import { tcState, type TcState } from './state.ts';

const TC_H_ROOT = 0xffff_ffff;

/** RTM_NEWQDISC as it was sent, for one device. */
interface QdiscMessage {
  readonly device: NetDevice;
  readonly parent: number;
  readonly handle: number;
  readonly kind: string | undefined;
  readonly flags: number;
  readonly ingressBlock: number;
  readonly egressBlock: number;
}

function readQdiscMessage(task: Task, request: NetlinkRequest): QdiscMessage {
  const { head, attributes } = readTcMessage(request);
  for (const type of [TCA.ingressBlock, TCA.egressBlock]) expectU32(attributes, type, true);
  const device = netnsOf(task).byIndex(head.ifindex);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${head.ifindex}`, 'ifindex');
  return {
    device,
    parent: head.parent,
    handle: head.handle,
    kind: attributes.text(TCA.kind),
    flags: request.flags,
    ingressBlock: attributes.u32(TCA.ingressBlock) ?? 0,
    egressBlock: attributes.u32(TCA.egressBlock) ?? 0,
  };
}

const isSet = ({ flags }: QdiscMessage, bits: number): boolean => (flags & bits) === bits;
const otherKind = (): TcRefusal => new TcRefusal('EINVAL', 'Invalid qdisc name: must match existing qdisc', 'kind');

/** RTM_NEWQDISC (`tc_modify_qdisc`): makes a qdisc, takes the place of one, or changes one (which has nothing to change). */
export function changeQdisc(task: Task, request: NetlinkRequest): void {
  const message = readQdiscMessage(task, request);
  const state = tcState(task.kernel);
  const there = message.parent === 0 ? byHandle(state, message) : byParent(state, message);
  if (there === undefined) return createQdisc(state, message);
  if (message.handle === 0 && message.parent !== 0 && isOther(there, message)) return replaceQdisc(state, message);
  if (isSet(message, NLM_F_EXCL)) throw new TcRefusal('EEXIST', 'Exclusivity flag on, cannot modify', 'kind');
  if (message.kind !== undefined && message.kind !== there.kind) throw otherKind();
}

/** The qdisc that a request without a parent is about. */
function byHandle(state: TcState, { device, handle }: QdiscMessage): Qdisc {
  if (handle === 0) throw new TcRefusal('EINVAL', 'Handle cannot be zero', 'handle');
  const there = handle === INGRESS_PARENT ? state.qdiscs.get(device) : undefined;
  if (!there) throw new TcRefusal('ENOENT', 'Specified qdisc not found', 'handle');
  return there;
}

/** The qdisc to change; undefined where one is to be made. */
function byParent(state: TcState, message: QdiscMessage): Qdisc | undefined {
  const { device, parent, handle } = message;
  const there = state.qdiscs.get(device);
  if (parent !== TC_H_CLSACT) return void checkOtherParent(there, message);
  state.hadQdisc.add(device.uid);
  if (handle === 0) return there;
  if (there && handle === INGRESS_PARENT) return there;
  if (there && !isSet(message, NLM_F_REPLACE)) throw new TcRefusal('EEXIST', 'NLM_F_REPLACE needed to override', 'handle');
  if ((handle & 0xffff) !== 0) throw new TcRefusal('EINVAL', 'Invalid minor handle', 'handle');
  return undefined;
}

/** Whether a request without a handle wants another kind in the place of the one there: as the flags of `tc qdisc add` say, or of none. */
function isOther(there: Qdisc, message: QdiscMessage): boolean {
  const { kind, flags } = message;
  if (kind === undefined || kind === there.kind) return false;
  if ((flags & (NLM_F_CREATE | NLM_F_EXCL | NLM_F_REPLACE)) === 0) return true;
  return isSet(message, NLM_F_CREATE) && (flags & (NLM_F_EXCL | NLM_F_REPLACE)) !== 0;
}

/** Parents besides the ingress queue: only the root is there, and neither kind may be it. Throws in any case. */
function checkOtherParent(there: Qdisc | undefined, message: QdiscMessage): void {
  const { parent, handle, kind } = message;
  if (parent !== TC_H_ROOT) throw new TcRefusal('ENOENT', 'Failed to find specified qdisc', 'parent');
  if ((handle & 0xffff) !== 0) throw new TcRefusal('EINVAL', 'Invalid minor handle', 'handle');
  if (there && handle === INGRESS_PARENT)
    throw new TcRefusal('EINVAL', 'Cannot move an existing qdisc to a different parent', 'parent');
  if (!isSet(message, NLM_F_CREATE)) throw needsCreate();
  checkKnownKind(kind);
  checkBlockNumbers(message);
  throw new KernelError('EOPNOTSUPP', `${kind} goes under the parent ffff:fff1 only`, 'parent');
}

const needsCreate = (): TcRefusal => new TcRefusal('ENOENT', 'Qdisc not found. To create specify NLM_F_CREATE flag', 'mode');

function checkKnownKind(kind: string | undefined): asserts kind is Qdisc['kind'] {
  if (kind !== 'clsact' && kind !== 'ingress') throw new TcRefusal('ENOENT', 'Specified qdisc kind is unknown', 'kind');
}

/** An ingress qdisc has no egress side that could be shared. */
function checkBlockNumbers({ kind, egressBlock }: QdiscMessage): void {
  if (kind === 'ingress' && egressBlock)
    throw new TcRefusal('EOPNOTSUPP', 'Egress block sharing is not supported', 'egressBlock');
}

function createQdisc(state: TcState, message: QdiscMessage): void {
  if (!isSet(message, NLM_F_CREATE)) throw needsCreate();
  replaceQdisc(state, message);
}

function replaceQdisc(state: TcState, message: QdiscMessage): void {
  const { device, kind, ingressBlock, egressBlock } = message;
  checkKnownKind(kind);
  checkBlockNumbers(message);
  const old = state.qdiscs.get(device);
  const taken = [old?.ingress.index, old?.egress?.index];
  if (
    (ingressBlock && ingressBlock === egressBlock) ||
    [ingressBlock, egressBlock].some((each) => each && taken.includes(each))
  )
    throw new TcRefusal('EBUSY', 'block dev insert failed', 'egressBlock');
  const ingress = blockFor(state, ingressBlock);
  const egress = kind === 'clsact' ? blockFor(state, egressBlock) : undefined;
  // The new one comes before the old one goes, so tcx keeps its list and revision.
  join(state, ingress, device, 'ingress');
  if (egress) join(state, egress, device, 'egress');
  if (old) destroyQdisc(state, old);
  state.qdiscs.set(device, { kind, device, ingress, egress });
  for (const block of [ingress, egress]) if (block) state.refresh(block);
}

/** RTM_DELQDISC (`tc_get_qdisc`): its filters go with it, and links that own some of them become defunct. */
export function deleteQdisc(task: Task, request: NetlinkRequest): void {
  const message = readQdiscMessage(task, request);
  const state = tcState(task.kernel);
  const { device, parent, kind } = message;
  const there = state.qdiscs.get(device);
  const named = parent === 0 ? nameByHandle(there, message) : nameByParent(state, there, message);
  if (kind !== undefined && kind !== named) throw otherKind();
  if (parent === 0) throw new TcRefusal('EINVAL', 'Classid cannot be zero', 'parent');
  if (!there || named !== there.kind) throw new TcRefusal('ENOENT', 'Cannot delete qdisc with handle of zero', 'handle');
  destroyQdisc(state, there);
}

/** The kind of the qdisc with that handle. */
function nameByHandle(there: Qdisc | undefined, { handle }: QdiscMessage): string {
  if (!there || handle !== INGRESS_PARENT)
    throw new TcRefusal('ENOENT', 'Failed to find qdisc with specified handle', 'handle');
  return there.kind;
}

/** The kind of the qdisc under that parent. A queue that was used before holds a placeholder, whose handle is 0. */
function nameByParent(state: TcState, there: Qdisc | undefined, { device, parent, handle }: QdiscMessage): string {
  const isRoot = parent === TC_H_ROOT;
  if (!isRoot && parent >>> 16 !== 0xffff)
    throw new TcRefusal('ENOENT', 'Failed to find qdisc with specified classid', 'parent');
  if (!isRoot && !state.hadQdisc.has(device.uid))
    throw new TcRefusal('ENOENT', 'Cannot find specified qdisc on specified device', 'ifindex');
  const found = isRoot ? undefined : there;
  if (handle !== 0 && handle !== (found ? INGRESS_PARENT : 0)) throw new TcRefusal('EINVAL', 'Invalid handle', 'handle');
  return found?.kind ?? 'noop';
}

/** Takes a qdisc off its device. */
export function destroyQdisc(state: TcState, qdisc: Qdisc): void {
  state.qdiscs.delete(qdisc.device);
  leave(state, qdisc.ingress, qdisc.device, 'ingress');
  if (qdisc.egress) leave(state, qdisc.egress, qdisc.device, 'egress');
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
