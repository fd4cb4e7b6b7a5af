/** cls_bpf filters by request: make, change, delete, flush. The order of the checks is the kernel's. */

import type { BpfProg, Task } from '@libbpf-ts/kernel';
import { netnsOf } from '@libbpf-ts/net';
import {
  BPF_PROG_TYPE_SCHED_ACT,
  BPF_PROG_TYPE_SCHED_CLS,
  KernelError,
  TC_ACT_PIPE,
  TC_ACT_STOLEN,
  TC_ACT_UNSPEC,
} from '@libbpf-ts/uapi';

import type { TcAction } from './actions.ts';
import { loadClassic } from './load-classic.ts';
import type { Block, Chain, Filter, Proto } from './model.ts';
import {
  FIRST_AUTO_PRIO,
  INGRESS_PARENT,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCA_CLS_FLAGS_NOT_IN_HW,
  TCA_CLS_FLAGS_SKIP_HW,
  TCA_CLS_FLAGS_SKIP_SW,
} from './numbers.ts';
import {
  answerRequest,
  TcRefusal,
  type ActionRequest,
  type FilterPlace,
  type FilterRequest,
  type FilterSelection,
  type TcAnswer,
} from './request.ts';
import { holderOf, hookName, tcState } from './state.ts';

/** RTM_NEWTFILTER: makes a filter, or (where prio and handle name one) changes it in its place. */
export function addFilter(task: Task, request: FilterRequest): TcAnswer {
  return answerRequest(task, 'RTM_NEWTFILTER', () => {
    const block = findBlock(task, request);
    if ((request.kind ?? 'bpf') === '' || request.protocol === 0)
      throw new TcRefusal('EINVAL', 'Filter kind and protocol must be specified', 'protocol');
    if ((request.kind ?? 'bpf') !== 'bpf') throw new TcRefusal('ENOENT', 'TC classifier not found', 'kind');
    const { proto, isNew } = findProto(block, request);
    const old = request.handle ? proto.filters.find(({ handle }) => handle === request.handle) : undefined;
    if (old && request.excl) throw new TcRefusal('EEXIST', 'Filter already exists', 'handle');
    if (!old && !request.create)
      throw new TcRefusal('ENOENT', 'Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter');
    if (old?.link)
      throw new KernelError('EPERM', `filter 0x${old.handle.toString(16)} belongs to link ${old.link.id}`, 'handle');
    const filter = makeFilter(task, proto, old, request);
    insert(task, proto, isNew, filter, old);
  });
}

/** Puts a filter (that holds its programs) into its place. */
export function insert(task: Task, proto: Proto, isNew: boolean, filter: Filter, old?: Filter): void {
  const state = tcState(task.kernel);
  const prog = filter.link?.prog ?? filter.prog;
  const { chain } = proto;
  if (isNew) {
    chain.block.chains.set(chain.index, chain);
    chain.protos = [...chain.protos, proto].sort((a, b) => a.prio - b.prio);
  }
  proto.filters = old ? proto.filters.map((each) => (each === old ? filter : each)) : [filter, ...proto.filters];
  state.refresh(chain.block);
  if (prog)
    task.kernel.record({
      action: old ? 'replace' : 'attach',
      hook: hookName(filter),
      prog: prog.id,
      ...(old?.prog ? { oldProg: old.prog.id } : {}),
    });
  if (old) state.release(old);
}

/** RTM_DELTFILTER: one filter (prio and handle), all of a priority, or with neither the whole chain. */
export function deleteFilter(task: Task, selection: FilterSelection): TcAnswer {
  return answerRequest(task, 'RTM_DELTFILTER', () => {
    const block = findBlock(task, selection);
    const chain = block.chains.get(selection.chain ?? 0);
    if (!selection.prio && (selection.protocol || selection.handle)) {
      throw new TcRefusal('ENOENT', 'Cannot flush filters with protocol, handle or kind set', 'prio');
    }
    if (!chain) throw new TcRefusal('ENOENT', 'Cannot find specified filter chain', 'chain');
    if (!selection.prio) return flushChain(task, chain);
    const proto = chain.protos.find(
      ({ prio, protocol }) => prio === selection.prio && (!selection.protocol || protocol === selection.protocol),
    );
    if (!proto) throw new TcRefusal('ENOENT', 'Filter with specified priority/protocol not found', 'prio');
    const gone = selection.handle ? proto.filters.filter(({ handle }) => handle === selection.handle) : proto.filters;
    if (gone.length === 0) throw new TcRefusal('ENOENT', 'Specified filter handle not found', 'handle');
    const owned = gone.find(({ link }) => link !== undefined);
    if (owned)
      throw new KernelError('EPERM', `filter 0x${owned.handle.toString(16)} belongs to link ${owned.link!.id}`, 'handle');
    removeFilters(task.kernel, proto, gone);
  });
}

/** Takes filters out of their priority; what is empty then goes too. */
export function removeFilters(kernel: Task['kernel'], proto: Proto, gone: readonly Filter[]): void {
  const { chain } = proto;
  proto.filters = proto.filters.filter((filter) => !gone.includes(filter));
  if (proto.filters.length === 0) chain.protos = chain.protos.filter((each) => each !== proto);
  if (chain.protos.length === 0) chain.block.chains.delete(chain.index);
  tcState(kernel).refresh(chain.block);
  for (const filter of gone) tcState(kernel).release(filter);
}

function flushChain(task: Task, chain: Chain): void {
  for (const proto of chain.protos.slice()) removeFilters(task.kernel, proto, proto.filters.slice());
}

/** The block that a request is about. Throws ENODEV, EINVAL. */
export function findBlock(task: Task, place: FilterPlace): Block {
  const state = tcState(task.kernel);
  if ('block' in place) {
    const block = state.shared.get(place.block);
    if (!block) throw new TcRefusal('EINVAL', 'Block of given index was not found', 'block');
    return block;
  }
  const device = netnsOf(task).byIndex(place.ifindex);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${place.ifindex}`, 'ifindex');
  const qdisc = state.qdiscs.get(device);
  if (!qdisc || place.parent >>> 16 !== 0xffff) throw new TcRefusal('EINVAL', "Parent Qdisc doesn't exists", 'parent');
  if (place.parent === TC_H_MIN_EGRESS && qdisc.egress) return qdisc.egress;
  if (place.parent === TC_H_MIN_INGRESS || (place.parent === INGRESS_PARENT && qdisc.kind === 'ingress')) return qdisc.ingress;
  throw new TcRefusal('EINVAL', "Specified class doesn't exist", 'parent');
}

/** The priority that a request names, or a new one that is not in the chain yet. */
export function findProto(
  block: Block,
  request: { readonly chain?: number; readonly prio?: number; readonly protocol: number },
): { readonly proto: Proto; readonly isNew: boolean } {
  const index = request.chain ?? 0;
  const chain = block.chains.get(index) ?? { block, index, protos: [] };
  const same = request.prio ? chain.protos.find(({ prio }) => prio === request.prio) : undefined;
  if (same && same.protocol !== request.protocol)
    throw new TcRefusal('EINVAL', 'Filter with specified priority/protocol not found', 'protocol');
  if (same) return { proto: same, isNew: false };
  const prio = request.prio || autoPrio(chain);
  return { proto: { chain, prio, protocol: request.protocol, filters: [] }, isNew: true };
}

/** Just before the first priority that there is. */
function autoPrio(chain: Chain): number {
  const first = chain.protos[0]?.prio;
  return first === undefined ? FIRST_AUTO_PRIO : first - 1;
}

/** The least handle from 1 on that is free. */
export function autoHandle(proto: Proto): number {
  for (let handle = 1; ; handle++) if (!proto.filters.some((filter) => filter.handle === handle)) return handle;
}

function makeFilter(task: Task, proto: Proto, old: Filter | undefined, request: FilterRequest): Filter {
  const { fd, ops, flags = 0, flagsGen = 0 } = request;
  if ((fd === undefined) === (ops === undefined))
    throw new KernelError('EINVAL', 'a filter has either a program or classic instructions', 'fd');
  const actions = readActions(task, request.actions ?? []);
  if (flags & ~TCA_BPF_FLAG_ACT_DIRECT) throw new KernelError('EINVAL', 'unknown flags', 'flags');
  checkGenFlags(flagsGen);
  const prog = fd === undefined ? undefined : progOf(task, fd, BPF_PROG_TYPE_SCHED_CLS);
  const classic = ops && { ops, loaded: loadClassic(task.kernel, ops) };
  if (flagsGen & TCA_CLS_FLAGS_SKIP_SW) throw new KernelError('EOPNOTSUPP', 'no hardware here takes the filter', 'flagsGen');
  const filter: Filter = {
    handle: old?.handle ?? (request.handle || autoHandle(proto)),
    proto,
    prog,
    classic,
    actions,
    classid: (request.classid ?? 0) >>> 0,
    name: request.name ?? '',
    directAction: (flags & TCA_BPF_FLAG_ACT_DIRECT) !== 0,
    genFlags: flagsGen | TCA_CLS_FLAGS_NOT_IN_HW,
    stats: { packets: 0, bytes: 0 },
    link: undefined,
  };
  const holder = holderOf(filter);
  prog?.acquire(holder);
  for (const action of actions) if (action.kind === 'bpf') action.prog.acquire(holder);
  return filter;
}

function checkGenFlags(flags: number): void {
  const both = TCA_CLS_FLAGS_SKIP_HW | TCA_CLS_FLAGS_SKIP_SW;
  if (flags & ~both || (flags & both) === both)
    throw new KernelError('EINVAL', 'flags_gen is skip_hw, skip_sw or neither', 'flagsGen');
}

function progOf(task: Task, fd: number, type: number): BpfProg {
  return task.prog(fd, 'fd', type);
}

function readActions(task: Task, requests: readonly ActionRequest[]): TcAction[] {
  return requests.map((request): TcAction => {
    const stats = { packets: 0, bytes: 0, drops: 0 };
    if (request.kind === 'gact') return { ...request, stats };
    if (request.kind === 'bpf')
      return {
        kind: 'bpf',
        prog: progOf(task, request.fd, BPF_PROG_TYPE_SCHED_ACT),
        action: request.action ?? TC_ACT_UNSPEC,
        stats,
      };
    const device = netnsOf(task).byIndex(request.ifindex);
    if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${request.ifindex}`, 'ifindex');
    const { mode, direction } = request;
    return {
      kind: 'mirred',
      mode,
      direction,
      device,
      action: request.action ?? (mode === 'redirect' ? TC_ACT_STOLEN : TC_ACT_PIPE),
      stats,
    };
  });
}
