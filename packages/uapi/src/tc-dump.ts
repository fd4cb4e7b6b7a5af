/** Rows of traffic control's dumps, to and from rtnetlink messages. Both kernels' dumps are read here, so they compare. */

import type { AttributeReader } from './netlink.ts';
import { concatenateBytes, encodeAttributes, type NetlinkAttribute, type NetlinkMessage } from './netlink.ts';
import {
  MIRRED_ACTIONS,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  TC_H_CLSACT,
  TCA,
  TCA_ACT,
  TCA_ACT_PARMS,
  TCA_BPF,
  TCA_STATS,
  TCM_IFINDEX_MAGIC_BLOCK,
} from './tc-numbers.ts';
import { decodeTcMessage, encodeActionParms, encodeTcMessage, filterInfo, prioOf, protocolOf } from './tc-wire.ts';

/** What an action has seen. */
export interface ActionStatsRow {
  readonly packets: number;
  readonly bytes: number;
  readonly drops: number;
  readonly overlimits: number;
}

/** One action of a filter, in the order in which they run. */
export interface ActionRow {
  readonly kind: string;
  readonly index: number;
  /** TC_ACT_* code that follows it. */
  readonly action: number;
  readonly mode?: 'redirect' | 'mirror';
  readonly direction?: 'egress' | 'ingress';
  readonly ifindex?: number;
  readonly stats: ActionStatsRow;
}

/** One message of a filter dump. Each priority begins with one that has handle 0 and nothing else. */
export interface FilterRow {
  readonly chain: number;
  readonly prio: number;
  readonly protocol: number;
  readonly kind: string;
  readonly handle: number;
  /** TCA_BPF_ID, TCA_BPF_TAG (hex); absent for classic filters and in the head row. */
  readonly id?: number;
  readonly tag?: string;
  /** TCA_BPF_NAME, the annotation. */
  readonly name?: string;
  readonly classid?: number;
  readonly flags?: number;
  readonly flagsGen?: number;
  /** Number of instructions of a classic filter. */
  readonly ops?: number;
  /** The link that owns it; no mainline kernel says this. */
  readonly link?: number;
  readonly actions?: readonly ActionRow[];
}

export interface QdiscRow {
  readonly ifindex: number;
  readonly kind: 'clsact' | 'ingress';
  readonly ingressBlock?: number;
  readonly egressBlock?: number;
}

/** A filter's place as a message names it. */
export interface RowPlace {
  readonly ifindex: number;
  readonly parent: number;
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const fromHex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

const u32 = (type: number, value: number | undefined): NetlinkAttribute | undefined =>
  value === undefined ? undefined : { type, value: { u32: value } };
const present = (attributes: readonly (NetlinkAttribute | undefined)[]): NetlinkAttribute[] =>
  attributes.filter((each) => each !== undefined);

// — Filters —

export function encodeFilterRow(place: RowPlace, row: FilterRow): NetlinkMessage {
  const head = encodeTcMessage({ ...place, handle: row.handle, info: filterInfo(row.prio, row.protocol) });
  const options = present([
    row.actions && { type: TCA_BPF.act, value: row.actions.map(encodeActionRow) },
    u32(TCA_BPF.classid, row.classid),
    row.name === undefined ? undefined : { type: TCA_BPF.name, value: row.name },
    u32(TCA_BPF.id, row.id),
    row.tag === undefined ? undefined : { type: TCA_BPF.tag, value: fromHex(row.tag) },
    row.ops === undefined ? undefined : { type: TCA_BPF.opsLen, value: { u16: row.ops } },
    u32(TCA_BPF.flags, row.flags),
    u32(TCA_BPF.flagsGen, row.flagsGen),
    u32(TCA_BPF.link, row.link),
  ]);
  const attributes = present([
    { type: TCA.kind, value: row.kind },
    u32(TCA.chain, row.chain),
    row.handle === 0 ? undefined : { type: TCA.options, value: options },
  ]);
  return { type: RTM_NEWTFILTER, body: concatenateBytes([head, encodeAttributes(attributes)]) };
}

/** A message of a filter dump; `undefined` for one of another type. */
export function decodeFilterRow({ type, body }: NetlinkMessage): FilterRow | undefined {
  const message = type === RTM_NEWTFILTER ? decodeTcMessage(body) : undefined;
  if (!message) return undefined;
  const { head, attributes } = message;
  const common = {
    chain: attributes.u32(TCA.chain) ?? 0,
    prio: prioOf(head.info),
    protocol: protocolOf(head.info),
    kind: attributes.text(TCA.kind) ?? '',
    handle: head.handle,
  };
  const options = attributes.nested(TCA.options);
  return head.handle === 0 || !options ? common : { ...common, ...filterOptions(options) };
}

function filterOptions(options: AttributeReader): Partial<FilterRow> {
  const tag = options.bytes(TCA_BPF.tag);
  const actions = options.nested(TCA_BPF.act);
  return known({
    id: options.u32(TCA_BPF.id),
    tag: tag && hex(tag),
    name: options.text(TCA_BPF.name),
    classid: options.u32(TCA_BPF.classid),
    flags: options.u32(TCA_BPF.flags),
    flagsGen: options.u32(TCA_BPF.flagsGen),
    ops: options.u16(TCA_BPF.opsLen),
    link: options.u32(TCA_BPF.link),
    actions: actions && actions.types().map((order) => decodeActionRow(actions.nested(order)!)),
  });
}

/** Without the fields that are not there. */
function known<T extends object>(row: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as never;
}

// — Actions —

function encodeActionRow(row: ActionRow, at: number): NetlinkAttribute {
  const { kind, action, index, stats } = row;
  const mirred = MIRRED_ACTIONS.find(({ mode, direction }) => mode === row.mode && direction === row.direction);
  const more = kind === 'mirred' && mirred ? [mirred.eaction, row.ifindex ?? 0] : [];
  return {
    type: at + 1,
    value: [
      { type: TCA_ACT.kind, value: kind },
      {
        type: TCA_ACT.stats,
        value: [
          { type: TCA_STATS.basic, value: basicStats(stats) },
          { type: TCA_STATS.queue, value: queueStats(stats) },
        ],
      },
      { type: TCA_ACT.options, value: [{ type: TCA_ACT_PARMS, value: encodeActionParms(action, more, index) }] },
    ],
  };
}

function decodeActionRow(one: AttributeReader): ActionRow {
  const parms = one.nested(TCA_ACT.options)?.bytes(TCA_ACT_PARMS) ?? new Uint8Array(28);
  const view = new DataView(parms.buffer, parms.byteOffset, parms.byteLength);
  const kind = one.text(TCA_ACT.kind) ?? '';
  const mirred =
    kind === 'mirred' && parms.length >= 28
      ? MIRRED_ACTIONS.find(({ eaction }) => eaction === view.getUint32(20, true))
      : undefined;
  return {
    kind,
    index: view.getUint32(0, true),
    action: view.getInt32(8, true),
    ...(mirred ? { mode: mirred.mode, direction: mirred.direction, ifindex: view.getUint32(24, true) } : {}),
    stats: decodeStats(one.nested(TCA_ACT.stats)),
  };
}

/** `struct gnet_stats_basic`: u64 bytes, u32 packets. */
function basicStats({ bytes, packets }: ActionStatsRow): Uint8Array {
  const value = new Uint8Array(16);
  const view = new DataView(value.buffer);
  view.setBigUint64(0, BigInt(bytes), true);
  view.setUint32(8, packets, true);
  return value;
}

/** `struct gnet_stats_queue`: qlen, backlog, drops, requeues, overlimits. */
function queueStats({ drops, overlimits }: ActionStatsRow): Uint8Array {
  const value = new Uint8Array(20);
  const view = new DataView(value.buffer);
  view.setUint32(8, drops, true);
  view.setUint32(16, overlimits, true);
  return value;
}

function decodeStats(stats: AttributeReader | undefined): ActionStatsRow {
  const view = (type: number, least: number): DataView => {
    const bytes = stats?.bytes(type);
    return bytes && bytes.length >= least
      ? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new DataView(new ArrayBuffer(least));
  };
  const basic = view(TCA_STATS.basic, 12);
  const queue = view(TCA_STATS.queue, 20);
  return {
    packets: basic.getUint32(8, true),
    bytes: Number(basic.getBigUint64(0, true)),
    drops: queue.getUint32(8, true),
    overlimits: queue.getUint32(16, true),
  };
}

// — Qdiscs —

export function encodeQdiscRow(row: QdiscRow): NetlinkMessage {
  const head = encodeTcMessage({ ifindex: row.ifindex, handle: 0xffff_0000, parent: TC_H_CLSACT, info: 1 });
  const attributes = present([
    { type: TCA.kind, value: row.kind },
    u32(TCA.ingressBlock, row.ingressBlock),
    u32(TCA.egressBlock, row.egressBlock),
  ]);
  return { type: RTM_NEWQDISC, body: concatenateBytes([head, encodeAttributes(attributes)]) };
}

/** A message of a qdisc dump; `undefined` for other types and for qdiscs that are neither clsact nor ingress. */
export function decodeQdiscRow({ type, body }: NetlinkMessage): QdiscRow | undefined {
  const message = type === RTM_NEWQDISC ? decodeTcMessage(body) : undefined;
  const kind = message?.attributes.text(TCA.kind);
  if (!message || (kind !== 'clsact' && kind !== 'ingress')) return undefined;
  const { head, attributes } = message;
  return {
    kind,
    ifindex: head.ifindex === TCM_IFINDEX_MAGIC_BLOCK ? 0 : head.ifindex,
    ...known({ ingressBlock: attributes.u32(TCA.ingressBlock), egressBlock: attributes.u32(TCA.egressBlock) }),
  };
}

/** A dump as `tc filter show` prints it. `progName` gives the names of programs by their ids. */
export function filterText(rows: readonly FilterRow[], progName: (id: number) => string = (id) => `${id}`): string {
  return rows.map((row) => lineOf(row, progName)).join('\n');
}

function lineOf(row: FilterRow, progName: (id: number) => string): string {
  const protocol = row.protocol === 3 ? 'all' : `0x${row.protocol.toString(16)}`;
  const head = `filter protocol ${protocol} pref ${row.prio} ${row.kind} chain ${row.chain}`;
  if (row.handle === 0) return head;
  const words = [head, `handle 0x${row.handle.toString(16)}`, row.name ?? ''];
  if (row.classid) words.push(`flowid ${(row.classid >>> 16).toString(16)}:${(row.classid & 0xffff).toString(16)}`);
  if (row.flags) words.push('direct-action');
  if ((row.flagsGen ?? 0) & 1) words.push('skip_hw');
  words.push('not_in_hw');
  if (row.id !== undefined) words.push(`id ${row.id} name ${progName(row.id)} tag ${row.tag} jited`);
  if (row.link !== undefined) words.push(`link ${row.link}`);
  return words.filter(Boolean).join(' ');
}
