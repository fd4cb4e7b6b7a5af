/** The one codec between typed requests of traffic control and rtnetlink messages. */

import {
  AttributeReader,
  concatenateBytes,
  encodeAttributes,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  type NetlinkAttribute,
  type NetlinkRequest,
} from './netlink.ts';
import type { RTM_DELQDISC, RTM_DELTFILTER, RTM_GETTFILTER } from './tc-numbers.ts';
import {
  MIRRED_ACTIONS,
  RTM_NEWQDISC,
  RTM_NEWTFILTER,
  TC_H_CLSACT,
  TCA,
  TCA_ACT,
  TCA_ACT_BPF,
  TCA_ACT_PARMS,
  TCA_BPF,
  INGRESS_PARENT,
  TCM_IFINDEX_MAGIC_BLOCK,
} from './tc-numbers.ts';
import type {
  ActionRequest,
  ClassicInsn,
  FilterPlace,
  FilterRequest,
  FilterSelection,
  QdiscRequest,
  QdiscSelection,
} from './tc-request.ts';

/** `struct tcmsg`. */
export interface TcMessage {
  readonly ifindex: number;
  readonly handle: number;
  readonly parent: number;
  readonly info: number;
}
const TCMSG_SIZE = 20;

const TC_ACT_PIPE = 3;
const TC_ACT_STOLEN = 4;
const TC_ACT_UNSPEC = -1;

export function encodeTcMessage({ ifindex, handle, parent, info }: TcMessage): Uint8Array {
  const bytes = new Uint8Array(TCMSG_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, ifindex, true);
  view.setUint32(8, handle, true);
  view.setUint32(12, parent, true);
  view.setUint32(16, info, true);
  return bytes;
}

/** The fixed part of a tc message and its attributes; `undefined` where the message is too short. */
export function decodeTcMessage(payload: Uint8Array): { head: TcMessage; attributes: AttributeReader } | undefined {
  if (payload.length < TCMSG_SIZE) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return {
    head: {
      ifindex: view.getUint32(4, true),
      handle: view.getUint32(8, true),
      parent: view.getUint32(12, true),
      info: view.getUint32(16, true),
    },
    attributes: new AttributeReader(payload.subarray(TCMSG_SIZE)),
  };
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);

/** `tcm_info` of a filter: the priority, and the protocol in network order. */
export const filterInfo = (prio = 0, protocol = 0): number => ((prio << 16) | swap16(protocol)) >>> 0;
export const prioOf = (info: number): number => info >>> 16;
export const protocolOf = (info: number): number => swap16(info & 0xffff);

const MODE_FLAGS = { add: NLM_F_CREATE | NLM_F_EXCL, replace: NLM_F_CREATE | NLM_F_REPLACE, change: 0 } as const;

function message(
  type: number,
  flags: number,
  head: TcMessage,
  attributes: readonly (NetlinkAttribute | undefined | false)[],
): NetlinkRequest {
  const present = attributes.filter((each): each is NetlinkAttribute => each !== undefined && each !== false);
  return { type, flags, payload: concatenateBytes([encodeTcMessage(head), encodeAttributes(present)]) };
}

const text = (type: number, value: string | undefined): NetlinkAttribute | undefined => (value ? { type, value } : undefined);
const u32 = (type: number, value: number | undefined): NetlinkAttribute | undefined =>
  value === undefined ? undefined : { type, value: { u32: value } };

// — Qdiscs —

const qdiscHead = ({ ifindex, parent, handle }: Pick<QdiscRequest, 'ifindex' | 'parent' | 'handle'>): TcMessage => ({
  ifindex,
  parent: parent ?? TC_H_CLSACT,
  handle: handle ?? INGRESS_PARENT,
  info: 0,
});

export function encodeQdisc(request: QdiscRequest): NetlinkRequest {
  return message(RTM_NEWQDISC, MODE_FLAGS[request.mode ?? 'add'], qdiscHead(request), [
    text(TCA.kind, request.kind),
    u32(TCA.ingressBlock, request.ingressBlock || undefined),
    u32(TCA.egressBlock, request.egressBlock || undefined),
  ]);
}

export function encodeQdiscSelection(type: typeof RTM_DELQDISC, selection: QdiscSelection): NetlinkRequest {
  return message(type, 0, qdiscHead(selection), [text(TCA.kind, selection.kind)]);
}

// — Filters —

function placeHead(place: FilterPlace, handle = 0, info = 0): TcMessage {
  return 'block' in place
    ? { ifindex: TCM_IFINDEX_MAGIC_BLOCK, parent: place.block, handle, info }
    : { ifindex: place.ifindex, parent: place.parent, handle, info };
}

/** The place that a message is about. */
export function placeOf({ ifindex, parent }: TcMessage, attributes: AttributeReader): FilterPlace {
  const chain = attributes.u32(TCA.chain);
  const where = ifindex === TCM_IFINDEX_MAGIC_BLOCK ? { block: parent } : { ifindex, parent };
  return chain === undefined ? where : { ...where, chain };
}

export function encodeFilter(request: FilterRequest): NetlinkRequest {
  const { kind = 'bpf', fd, ops, actions } = request;
  const flags = (request.create ? NLM_F_CREATE : 0) | (request.excl ? NLM_F_EXCL : 0);
  const options = [
    actions && actions.length > 0 && { type: TCA_BPF.act, value: actions.map(encodeAction) },
    u32(TCA_BPF.classid, request.classid),
    ops && { type: TCA_BPF.opsLen, value: { u16: ops.length } },
    ops && { type: TCA_BPF.ops, value: encodeClassic(ops) },
    u32(TCA_BPF.fd, fd),
    request.name !== undefined && { type: TCA_BPF.name, value: request.name },
    u32(TCA_BPF.flags, request.flags),
    u32(TCA_BPF.flagsGen, request.flagsGen),
  ].filter((each): each is NetlinkAttribute => typeof each === 'object');
  return message(RTM_NEWTFILTER, flags, placeHead(request, request.handle, filterInfo(request.prio, request.protocol)), [
    text(TCA.kind, kind),
    u32(TCA.chain, request.chain),
    { type: TCA.options, value: options },
  ]);
}

export function encodeFilterSelection(
  type: typeof RTM_DELTFILTER | typeof RTM_GETTFILTER,
  flags: number,
  selection: FilterSelection,
): NetlinkRequest {
  return message(type, flags, placeHead(selection, selection.handle, filterInfo(selection.prio, selection.protocol)), [
    text(TCA.kind, selection.kind),
    u32(TCA.chain, selection.chain),
  ]);
}

function encodeClassic(ops: readonly ClassicInsn[]): Uint8Array {
  const bytes = new Uint8Array(8 * ops.length);
  const view = new DataView(bytes.buffer);
  ops.forEach(({ code, jt, jf, k }, at) => {
    view.setUint16(8 * at, code, true);
    view.setUint8(8 * at + 2, jt);
    view.setUint8(8 * at + 3, jf);
    view.setUint32(8 * at + 4, k, true);
  });
  return bytes;
}

/** Instructions of classic BPF; `undefined` where their bytes are not `count` instructions. */
export function decodeClassic(bytes: Uint8Array, count: number): ClassicInsn[] | undefined {
  if (bytes.length !== 8 * count) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, at) => ({
    code: view.getUint16(8 * at, true),
    jt: view.getUint8(8 * at + 2),
    jf: view.getUint8(8 * at + 3),
    k: view.getUint32(8 * at + 4, true),
  }));
}

// — Actions —

/** `struct tc_gen`, which begins the parameters of every action. */
export function encodeActionParms(action: number, more: readonly number[] = [], index = 0): Uint8Array {
  const bytes = new Uint8Array(20 + 4 * more.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, index, true);
  view.setInt32(8, action, true);
  more.forEach((value, at) => view.setUint32(20 + 4 * at, value, true));
  return bytes;
}

function encodeAction(request: ActionRequest, at: number): NetlinkAttribute {
  const options: NetlinkAttribute[] = [{ type: TCA_ACT_PARMS, value: actionParms(request) }];
  if (request.kind === 'bpf') options.push({ type: TCA_ACT_BPF.fd, value: { u32: request.fd } });
  return {
    type: at + 1,
    value: [
      { type: TCA_ACT.kind, value: request.kind },
      { type: TCA_ACT.options, value: options },
    ],
  };
}

function actionParms(request: ActionRequest): Uint8Array {
  if (request.kind === 'gact') return encodeActionParms(request.action);
  if (request.kind === 'bpf') return encodeActionParms(request.action ?? TC_ACT_UNSPEC);
  const { mode, direction, ifindex } = request;
  const { eaction } = MIRRED_ACTIONS.find((row) => row.mode === mode && row.direction === direction)!;
  return encodeActionParms(request.action ?? (mode === 'redirect' ? TC_ACT_STOLEN : TC_ACT_PIPE), [eaction, ifindex]);
}

/** One action of a message: its kind and, where they are long enough, its parameters. */
export interface ActionMessage {
  readonly kind: string;
  readonly hasOptions: boolean;
  /** Bytes of the parameters; undefined where there are none. */
  readonly parmsSize: number | undefined;
  readonly action: number | undefined;
  /** Of mirred. */
  readonly eaction: number | undefined;
  readonly ifindex: number | undefined;
  /** Of act_bpf. */
  readonly fd: number | undefined;
}

export function decodeActions(nest: AttributeReader | undefined): ActionMessage[] {
  if (!nest) return [];
  return nest
    .types()
    .slice()
    .sort((a, b) => a - b)
    .map((order) => {
      const one = nest.nested(order)!;
      const options = one.nested(TCA_ACT.options);
      const bytes = options?.bytes(TCA_ACT_PARMS);
      const view = bytes && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return {
        kind: one.text(TCA_ACT.kind) ?? '',
        hasOptions: options !== undefined,
        parmsSize: bytes?.length,
        action: view && view.byteLength >= 20 ? view.getInt32(8, true) : undefined,
        eaction: view && view.byteLength >= 28 ? view.getUint32(20, true) : undefined,
        ifindex: view && view.byteLength >= 28 ? view.getUint32(24, true) : undefined,
        fd: options?.u32(TCA_ACT_BPF.fd),
      };
    });
}
