/** cls_bpf filters by request: make, change, delete, flush. The order of the checks is the kernel's. */

import type { Task } from '@libbpf-ts/kernel';
import {
  BPF_PROG_TYPE_SCHED_CLS,
  KernelError,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCA_CLS_FLAGS_NOT_IN_HW,
  TCA_CLS_FLAGS_SKIP_HW,
  TCA_CLS_FLAGS_SKIP_SW,
} from '@libbpf-ts/uapi';

import { makeActions } from './action-request.ts';
import { acquireActions } from './action-state.ts';
import { dropIfUnused } from './chain.ts';
import { loadClassic } from './load-classic.ts';
import type { Block, Chain, Filter, Proto } from './model.ts';
import { autoHandle, chainIndex, checkProtocol, filterOf, findBlock, findProto } from './place.ts';
import { TcRefusal, type FilterMessage, type FilterOptions } from './request.ts';
import { holderOf, hookName, tcState } from './state.ts';

/** RTM_NEWTFILTER (`tc_new_tfilter`): makes a filter, or (where priority and handle name one) changes it in its place. */
export function newFilter(task: Task, message: FilterMessage): void {
  if (message.prio === 0 && !message.create) throw zeroPriority();
  const block = findBlock(task, message.place, message.kind);
  const { proto, isNew } = findProto(block, chainIndex(message.place), message.prio, message.protocol);
  if (isNew) checkNewPriority(message);
  else checkKind(message.kind);
  const old = filterOf(proto, message.handle);
  if (!old && !message.create) throw needsCreate();
  if (old && message.excl) throw new TcRefusal('EEXIST', 'Filter already exists', 'handle');
  if (old?.link) throw ownedByLink(old);
  if (!message.options) throw new KernelError('EINVAL', 'a bpf filter needs options', 'options');
  const filter = makeFilter(task, proto, old, message.handle, message.options());
  insert(task, proto, isNew, filter, old);
}

function checkNewPriority({ kind, protocol, create }: FilterMessage): void {
  if (!kind || protocol === 0)
    throw new TcRefusal('EINVAL', 'Filter kind and protocol must be specified', kind ? 'protocol' : 'kind');
  if (!create) throw needsCreate();
  if (kind !== 'bpf') throw new TcRefusal('ENOENT', 'TC classifier not found', 'kind');
}

const zeroPriority = (): TcRefusal => new TcRefusal('ENOENT', 'Invalid filter command with priority of zero', 'prio');
const needsCreate = (): TcRefusal =>
  new TcRefusal('ENOENT', 'Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter', 'create');
const ownedByLink = ({ handle, link }: Filter): KernelError =>
  new KernelError('EPERM', `filter 0x${handle.toString(16)} belongs to link ${link!.id}`, 'handle');

function checkKind(kind: string | undefined): void {
  if (kind !== undefined && kind !== 'bpf')
    throw new TcRefusal('EINVAL', 'Specified filter kind does not match existing one', 'kind');
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

/** RTM_DELTFILTER (`tc_del_tfilter`): one filter (prio and handle), all of a priority, or with neither the whole chain. */
export function removeFilter(task: Task, message: FilterMessage): void {
  const { prio, protocol, handle, kind } = message;
  if (prio === 0 && (protocol !== 0 || handle !== 0 || kind !== undefined))
    throw new TcRefusal('ENOENT', 'Cannot flush filters with protocol, handle or kind set', 'prio');
  const block = findBlock(task, message.place, message.kind);
  const chain = block.chains.get(chainIndex(message.place));
  if (prio === 0) {
    if (chain) flushChain(task, chain);
    return;
  }
  if (!chain) throw new TcRefusal('ENOENT', 'Cannot find specified filter chain', 'chain');
  const proto = protoOf(chain, message);
  const gone = handle === 0 ? proto.filters : [filterIn(proto, handle)];
  const owned = gone.find(({ link }) => link !== undefined);
  if (owned) throw ownedByLink(owned);
  removeFilters(task.kernel, proto, gone);
}

/** RTM_GETTFILTER of one filter (`tc_get_tfilter`). */
export function oneFilter(task: Task, message: FilterMessage): Filter {
  if (message.prio === 0) throw zeroPriority();
  const block = findBlock(task, message.place, message.kind);
  const chain = block.chains.get(chainIndex(message.place));
  if (!chain) throw new TcRefusal('EINVAL', 'Cannot find specified filter chain', 'chain');
  return filterIn(protoOf(chain, message), message.handle);
}

function protoOf(chain: Chain, { prio, protocol, kind }: FilterMessage): Proto {
  const proto = chain.protos.find((each) => each.prio === prio);
  if (!proto) throw new TcRefusal('ENOENT', 'Filter with specified priority/protocol not found', 'prio');
  checkProtocol(proto, protocol);
  checkKind(kind);
  return proto;
}

function filterIn(proto: Proto, handle: number): Filter {
  const filter = filterOf(proto, handle);
  if (!filter) throw new TcRefusal('ENOENT', 'Specified filter handle not found', 'handle');
  return filter;
}

/** Takes filters out of their priority; what is empty then goes too. */
export function removeFilters(kernel: Task['kernel'], proto: Proto, gone: readonly Filter[]): void {
  const { chain } = proto;
  proto.filters = proto.filters.filter((filter) => !gone.includes(filter));
  if (proto.filters.length === 0) chain.protos = chain.protos.filter((each) => each !== proto);
  dropIfUnused(chain);
  tcState(kernel).refresh(chain.block);
  for (const filter of gone) tcState(kernel).release(filter);
}

function flushChain(task: Task, chain: Chain): void {
  for (const proto of chain.protos.slice()) removeFilters(task.kernel, proto, proto.filters.slice());
}

/** `cls_bpf_change`, `cls_bpf_set_parms`. What a change does not say is not kept. */
function makeFilter(task: Task, proto: Proto, old: Filter | undefined, asked: number, options: FilterOptions): Filter {
  const { fd, ops, flags, flagsGen } = options;
  if ((fd === undefined) === (ops === undefined))
    throw new KernelError('EINVAL', 'a filter has either a program or classic instructions', 'fd');
  const { block } = proto.chain;
  const actions = makeActions(task, options.actions);
  let filter: Filter | undefined;
  try {
    if (flags & ~TCA_BPF_FLAG_ACT_DIRECT) throw new KernelError('EINVAL', `flags 0x${flags.toString(16)} are unknown`, 'flags');
    checkGenFlags(flagsGen);
    const prog = fd === undefined ? undefined : task.prog(fd, 'fd', BPF_PROG_TYPE_SCHED_CLS);
    if (ops === null) throw new KernelError('EINVAL', 'the instructions are not as many as said', 'ops');
    const classic = ops && { ops, loaded: loadClassic(task.kernel, ops) };
    try {
      checkOffload(flagsGen, old);
    } catch (error) {
      classic?.loaded.unload();
      throw error;
    }
    filter = {
      handle: old?.handle ?? (asked || autoHandle(proto)),
      proto,
      prog,
      classic,
      actions: actions.list,
      classid: (options.classid ?? 0) >>> 0,
      name: options.name,
      directAction: (flags & TCA_BPF_FLAG_ACT_DIRECT) !== 0,
      genFlags: flagsGen | TCA_CLS_FLAGS_NOT_IN_HW,
      link: undefined,
    };
  } finally {
    if (!filter) actions.abandon();
  }
  hold(block, filter);
  return filter;
}

function hold(block: Block, filter: Filter): void {
  const holder = holderOf(filter);
  filter.prog?.acquire(holder);
  acquireActions(block, filter.actions, holder);
}

const BOTH_GEN_FLAGS = TCA_CLS_FLAGS_SKIP_HW | TCA_CLS_FLAGS_SKIP_SW;

/** `cls_bpf_offload`: a change keeps where the filter runs, and no hardware here takes one. */
function checkOffload(flags: number, old: Filter | undefined): void {
  if (old && (old.genFlags & BOTH_GEN_FLAGS) !== flags)
    throw new KernelError('EINVAL', 'skip_hw and skip_sw stay as they were when the filter was made', 'flagsGen');
  if (flags & TCA_CLS_FLAGS_SKIP_SW) throw new KernelError('EOPNOTSUPP', 'no hardware here takes the filter', 'flagsGen');
}

function checkGenFlags(flags: number): void {
  if (flags & ~BOTH_GEN_FLAGS || flags === BOTH_GEN_FLAGS)
    throw new KernelError('EINVAL', 'flags_gen is skip_hw, skip_sw or neither', 'flagsGen');
}
