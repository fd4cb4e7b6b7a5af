/** Classic tc's state in a kernel: the qdiscs by device, and the blocks that several hooks share. */

import { stateKey, type BpfProg, type Fork, type Kernel, type StateKey } from '@libbpf-ts/kernel';
import type { NetDevice } from '@libbpf-ts/net';

import { twinAction } from './actions.ts';
import { ActionIndexes, releaseActions } from './action-state.ts';
import { ClsRunner } from './classify.ts';
import { loadClassic } from './load-classic.ts';
import { filtersOf, type Block, type Chain, type Filter, type Proto, type Qdisc } from './model.ts';

export class TcState {
  readonly kernel: Kernel;
  /** Numbers of the actions there are. */
  readonly indexes: ActionIndexes;
  readonly qdiscs: Map<NetDevice, Qdisc> = new Map();
  readonly shared: Map<number, Block> = new Map();
  /** Uids of the devices that ever had a qdisc: their ingress queue stays, and changes what a deletion answers. */
  readonly hadQdisc: Set<number> = new Set();

  constructor(kernel: Kernel, indexes: ActionIndexes = new ActionIndexes()) {
    this.kernel = kernel;
    this.indexes = indexes;
  }

  newBlock(index: number): Block {
    return { index, chains: new Map(), hooks: [] };
  }

  /** Puts (or takes) the runner: a hook without filters costs nothing. */
  refresh(block: Block): void {
    const any = !filtersOf(block).next().done;
    for (const { device, side } of block.hooks) {
      device[side].cls = any && device.registered ? new ClsRunner(this.kernel, block, side) : null;
    }
  }

  /** Lets go of what a filter holds; a link that owned it stays, without a filter. */
  release(filter: Filter): void {
    const { link } = filter;
    filter.link = undefined;
    if (link) link.data.filter = undefined;
    const holder = holderOf(filter);
    if (!link) filter.prog?.release(holder);
    const { classic } = filter;
    if (classic) this.kernel.defer(() => classic.loaded.unload());
    releaseActions(this, filter, holder);
    const prog = link?.prog ?? filter.prog;
    if (prog)
      this.kernel.record({ action: 'detach', hook: hookName(filter), prog: prog.id, ...(link ? { link: link.id } : {}) });
  }

  twin(fork: Fork): TcState {
    const copy = new TcState(fork.kernel, this.indexes.copy());
    for (const uid of this.hadQdisc) copy.hadQdisc.add(uid);
    const blocks = new Map<Block, Block>();
    const twinBlock = (block: Block): Block => {
      const known = blocks.get(block);
      if (known) return known;
      const made = copy.newBlock(block.index);
      blocks.set(block, made);
      for (const hook of block.hooks) made.hooks.push({ ...hook, device: fork.twin(hook.device) });
      for (const chain of block.chains.values()) twinChain(chain, made, fork);
      copy.refresh(made);
      return made;
    };
    for (const [device, qdisc] of this.qdiscs) {
      const egress = qdisc.egress && twinBlock(qdisc.egress);
      copy.qdiscs.set(fork.twin(device), {
        kind: qdisc.kind,
        device: fork.twin(device),
        ingress: twinBlock(qdisc.ingress),
        egress,
      });
    }
    for (const [index, block] of this.shared) copy.shared.set(index, twinBlock(block));
    return copy;
  }
}

function twinChain(chain: Chain, block: Block, fork: Fork): void {
  const copy: Chain = { block, index: chain.index, protos: [], holds: chain.holds };
  block.chains.set(chain.index, copy);
  for (const proto of chain.protos) {
    const twin: Proto = { chain: copy, prio: proto.prio, protocol: proto.protocol, filters: [] };
    copy.protos.push(twin);
    twin.filters = proto.filters.map((filter) => twinFilter(filter, twin, fork));
  }
}

function twinFilter(filter: Filter, proto: Proto, fork: Fork): Filter {
  const { classic } = filter;
  const twin: Filter = {
    ...filter,
    proto,
    prog: fork.twinOf(filter.prog),
    actions: filter.actions.map((action) => twinAction(action, fork)),
    classic: classic && {
      ops: classic.ops,
      loaded: fork.kernel.runtime.programAt(classic.loaded.slot) ?? loadClassic(fork.kernel, classic.ops),
    },
    link: undefined,
  };
  if (filter.link) {
    twin.link = fork.twin(filter.link);
    twin.link.data.filter = twin;
  }
  return twin;
}

/** As holders and the audit log name it. */
export function hookName({ proto, handle }: Filter): string {
  const { block } = proto.chain;
  const hook = block.hooks[0];
  const where = block.index !== 0 ? `block ${block.index}` : hook ? `${hook.side} dev ${hook.device}` : 'no device';
  return `tc ${where} chain ${proto.chain.index} pref ${proto.prio} handle 0x${handle.toString(16)}`;
}

/** The name under which a filter holds its programs: it stays the same whatever happens to the device. */
export function holderOf(filter: Filter): { readonly kind: 'hook'; readonly name: string } {
  const { proto, handle } = filter;
  const { block } = proto.chain;
  const uid = block.hooks[0]?.device.uid ?? 0;
  return {
    kind: 'hook',
    name: `tc block ${block.index || `of device ${uid}`} chain ${proto.chain.index} pref ${proto.prio} handle ${handle}`,
  };
}

export const heldProg = (filter: Filter): BpfProg | undefined => filter.link?.prog ?? filter.prog;

const key: StateKey<TcState> = stateKey<TcState>('cls-bpf');

export function tcState(kernel: Kernel): TcState {
  return kernel.state(key, { create: () => new TcState(kernel), clone: (state, fork) => state.twin(fork) });
}
