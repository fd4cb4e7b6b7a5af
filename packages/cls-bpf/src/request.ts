/** Reads rtnetlink messages into typed requests, by the codec of uapi. */

import {
  decodeActions,
  decodeClassic,
  decodeTcMessage,
  KernelError,
  NLM_F_CREATE,
  NLM_F_EXCL,
  placeOf,
  prioOf,
  protocolOf,
  TCA,
  TCA_BPF,
  type ActionMessage,
  type AttributeReader,
  type ClassicInsn,
  type FilterPlace,
  type NetlinkRequest,
  type TcMessage,
} from '@libbpf-ts/uapi';

/** A refusal with the kernel's own words. */
export class TcRefusal extends KernelError {
  readonly extack: string;

  constructor(code: KernelError['code'], extack: string, argument?: string) {
    super(code, extack, argument);
    this.extack = extack;
  }
}

/** RTM_NEWTFILTER, RTM_DELTFILTER or RTM_GETTFILTER as it was sent. */
export interface FilterMessage {
  readonly place: FilterPlace;
  readonly prio: number;
  readonly protocol: number;
  readonly handle: number;
  readonly kind: string | undefined;
  readonly create: boolean;
  readonly excl: boolean;
  /** Reads TCA_OPTIONS, which is checked last; undefined where the message has none. */
  readonly options: (() => FilterOptions) | undefined;
}

/** What TCA_OPTIONS of a cls_bpf filter says. */
export interface FilterOptions {
  readonly fd: number | undefined;
  /** `null` where the instructions are not as many as said. */
  readonly ops: readonly ClassicInsn[] | null | undefined;
  readonly classid: number | undefined;
  readonly name: string | undefined;
  readonly flags: number;
  readonly flagsGen: number;
  readonly actions: readonly ActionMessage[];
}

/** The fixed part of a message and its attributes. Throws EINVAL where it is too short. */
export function readTcMessage({ payload }: NetlinkRequest): { readonly head: TcMessage; readonly attributes: AttributeReader } {
  const message = decodeTcMessage(payload);
  if (!message) throw new TcRefusal('EINVAL', 'Invalid header length', 'payload');
  return message;
}

export function readFilterMessage(request: NetlinkRequest): FilterMessage {
  const { head, attributes } = readTcMessage(request);
  expectU32(attributes, TCA.chain, true);
  const options = attributes.nested(TCA.options);
  return {
    place: placeOf(head, attributes),
    prio: prioOf(head.info),
    protocol: protocolOf(head.info),
    handle: head.handle,
    kind: attributes.text(TCA.kind),
    create: (request.flags & NLM_F_CREATE) !== 0,
    excl: (request.flags & NLM_F_EXCL) !== 0,
    options: options && (() => readOptions(options)),
  };
}

/** Longest text of TCA_BPF_NAME. */
const NAME_SIZE = 256;

/** `nla_parse_nested` with `bpf_policy`, then what the values say. Throws ERANGE, EINVAL. */
function readOptions(options: AttributeReader): FilterOptions {
  for (const type of [TCA_BPF.classid, TCA_BPF.fd, TCA_BPF.flags, TCA_BPF.flagsGen]) expectU32(options, type, false);
  const name = options.text(TCA_BPF.name);
  if (name !== undefined && new TextEncoder().encode(name).length > NAME_SIZE)
    throw new KernelError('EINVAL', `a name has at most ${NAME_SIZE} bytes`, 'name');
  const count = options.u16(TCA_BPF.opsLen);
  const bytes = options.bytes(TCA_BPF.ops);
  return {
    fd: options.u32(TCA_BPF.fd),
    ops: count === undefined || !bytes ? undefined : (decodeClassic(bytes, count) ?? null),
    classid: options.u32(TCA_BPF.classid),
    name,
    flags: options.u32(TCA_BPF.flags) ?? 0,
    flagsGen: options.u32(TCA_BPF.flagsGen) ?? 0,
    actions: decodeActions(options.nested(TCA_BPF.act)),
  };
}

/** Refuses an attribute that is shorter than the u32 it should hold. */
export function expectU32(attributes: AttributeReader, type: number, inWords: boolean): void {
  if (!attributes.has(type) || attributes.u32(type) !== undefined) return;
  if (inWords) throw new TcRefusal('ERANGE', 'Attribute failed policy validation', `attribute ${type}`);
  throw new KernelError('ERANGE', `attribute ${type} is shorter than four bytes`, `attribute ${type}`);
}
