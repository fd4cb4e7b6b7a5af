/** Qdiscs, blocks, chains, priorities and filters, as tables. Mirrors the structures of net/sched/cls_api.c and cls_bpf.c. */

import type { BpfLink, BpfProg } from '@libbpf-ts/kernel';
import type { NetDevice } from '@libbpf-ts/net';
import type { ClassicInsn } from '@libbpf-ts/uapi';
import type { LoadedProgram } from '@libbpf-ts/vm';

import type { TcAction } from './actions.ts';

export interface ClsBpfLinkData {
  /** Undefined once the filter is gone. */
  filter: Filter | undefined;
}
export type ClsBpfLink = BpfLink<ClsBpfLinkData>;

/** One cls_bpf program (`struct cls_bpf_prog`). */
export interface Filter {
  readonly handle: number;
  readonly proto: Proto;
  /** The eBPF program; undefined for classic instructions. */
  readonly prog: BpfProg | undefined;
  readonly classic: { readonly ops: readonly ClassicInsn[]; readonly loaded: LoadedProgram } | undefined;
  readonly classid: number;
  /** The annotation that dumps show: usually the object file and its section. */
  readonly name: string | undefined;
  readonly directAction: boolean;
  readonly genFlags: number;
  readonly actions: readonly TcAction[];
  /** The link that owns it; undefined for a filter made by request. */
  link: ClsBpfLink | undefined;
}

/** All filters of one priority (`struct tcf_proto`). */
export interface Proto {
  readonly chain: Chain;
  readonly prio: number;
  /** EtherType in host order; ETH_P_ALL matches any. */
  readonly protocol: number;
  /** In the order in which they run: the newest first. A changed filter keeps its place. */
  filters: Filter[];
}

export interface Chain {
  readonly block: Block;
  readonly index: number;
  /** Ascending priority. */
  protos: Proto[];
  /** Actions that go on here (`goto chain`): while there are any the chain stays, though it be empty. */
  holds: number;
}

/** The filters of one hook, or of several where it is shared (`struct tcf_block`). */
export interface Block {
  /** Number of a shared block; 0 where it belongs to one hook. */
  readonly index: number;
  readonly chains: Map<number, Chain>;
  /** The hooks that it serves. */
  readonly hooks: { readonly device: NetDevice; readonly side: 'ingress' | 'egress' }[];
}

export interface Qdisc {
  readonly kind: 'clsact' | 'ingress';
  readonly device: NetDevice;
  readonly ingress: Block;
  /** clsact only. */
  readonly egress: Block | undefined;
}

/** Filters of a block in the order of a dump. */
export function* filtersOf(block: Block): IterableIterator<Filter> {
  for (const chain of block.chains.values()) for (const proto of chain.protos) yield* proto.filters;
}
