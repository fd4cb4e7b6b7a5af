/** rtnetlink: requests with attributes, answers, dumps, and the kernel's own words on a refusal (extended ACK). */

import {
  alignAttribute,
  concatenateBytes,
  decodeAttributes,
  encodeAttributes,
  NLM_F_DUMP,
  type NetlinkAnswer,
  type NetlinkAttribute,
  type NetlinkMessage,
  type NetlinkRequest,
} from '@libbpf-ts/uapi';
import type { Ffi } from './ffi.ts';
import { Scratch } from './scratch.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_NETLINK = 270;
const NETLINK_EXT_ACK = 11;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_ACK_TLVS = 0x200;
const NLM_F_CAPPED = 0x100;

/** `struct sockaddr_nl` of the kernel. */
const kernelAddress = (): Uint8Array => new Uint8Array(Uint16Array.of(AF_NETLINK, 0, 0, 0, 0, 0).buffer);

/** A NETLINK_ROUTE socket in the namespace that this thread is in when it is made. */
export class RouteSocket {
  readonly #ffi: Ffi;
  readonly #scratch: Scratch;
  readonly #ownsScratch: boolean;
  readonly #fd: number;
  #sequence = 1;

  /** `scratch` may be another's, as long as that one is not inside a system call. */
  constructor(ffi: Ffi, scratch?: Scratch) {
    this.#ffi = ffi;
    this.#ownsScratch = scratch === undefined;
    this.#scratch = scratch ?? new Scratch(ffi);
    this.#fd = ffi.call('socket', AF_NETLINK, SOCK_RAW_CLOEXEC, 0);
    if (this.#fd < 0) throw new Error(`socket(AF_NETLINK) failed with errno ${-this.#fd}`);
    const on = this.#scratch.lend(new Uint8Array(Uint32Array.of(1).buffer));
    ffi.call('setsockopt', this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4);
    this.#scratch.finish();
  }

  /** Sends one request (`flags` beyond REQUEST and ACK) and reads until its acknowledgement or the end of its dump. */
  request(type: number, flags: number, body: Uint8Array, attributes: readonly NetlinkAttribute[] = []): NetlinkAnswer {
    return this.send({ type, flags, payload: concatenateBytes([body, encodeAttributes(attributes)]) });
  }

  /** The same with the bytes of the message as they are. */
  send({ type, flags, payload }: NetlinkRequest): NetlinkAnswer {
    const message = new Uint8Array(16 + payload.length);
    const view = new DataView(message.buffer);
    const sequence = this.#sequence++;
    const dump = (flags & NLM_F_DUMP) === NLM_F_DUMP && (type & 3) === 2;
    view.setUint32(0, message.length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags | NLM_F_REQUEST | (dump ? 0 : NLM_F_ACK), true);
    view.setUint32(8, sequence, true);
    message.set(payload, 16);
    const sent = this.#ffi.call(
      'sendto',
      this.#fd,
      this.#scratch.lend(message),
      message.length,
      0,
      this.#scratch.lend(kernelAddress()),
      12,
    );
    this.#scratch.finish();
    return sent < 0 ? { result: sent, extack: undefined, messages: [] } : this.#answer(sequence);
  }

  [Symbol.dispose](): void {
    this.#ffi.call('close', this.#fd);
    if (this.#ownsScratch) this.#scratch.release();
  }

  #answer(sequence: number): NetlinkAnswer {
    const messages: NetlinkMessage[] = [];
    for (;;) {
      for (const { type, sequence: of, flags, body } of this.#receive()) {
        if (of !== sequence) continue;
        if (type === NLMSG_ERROR || type === NLMSG_DONE) return { ...acknowledgement(type, flags, body), messages };
        messages.push({ type, body });
      }
    }
  }

  #receive(): { type: number; sequence: number; flags: number; body: Uint8Array }[] {
    const buffer = new Uint8Array(65536);
    const length = this.#ffi.call('recvfrom', this.#fd, this.#scratch.lend(buffer), buffer.length, 0, 0, 0);
    this.#scratch.finish();
    if (length < 0) throw new Error(`recvfrom(AF_NETLINK) failed with errno ${-length}`);
    const view = new DataView(buffer.buffer, 0, length);
    const messages = [];
    for (let offset = 0; offset + 16 <= length;) {
      const size = view.getUint32(offset, true);
      if (size < 16) break;
      messages.push({
        type: view.getUint16(offset + 4, true),
        flags: view.getUint16(offset + 6, true),
        sequence: view.getUint32(offset + 8, true),
        body: buffer.slice(offset + 16, offset + size),
      });
      offset += alignAttribute(size);
    }
    return messages;
  }
}

/** The result and the words of an acknowledgement: NLMSGERR_ATTR_MSG (1) among the attributes behind the echoed request. */
function acknowledgement(type: number, flags: number, body: Uint8Array): { result: number; extack: string | undefined } {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const result = body.length >= 4 ? view.getInt32(0, true) : 0;
  if (!(flags & NLM_F_ACK_TLVS)) return { result, extack: undefined };
  const echoed = type === NLMSG_DONE ? 4 : flags & NLM_F_CAPPED ? 20 : 4 + alignAttribute(view.getUint32(4, true));
  const words = decodeAttributes(body.subarray(echoed)).get(1);
  return { result, extack: words ? new TextDecoder().decode(words.subarray(0, -1)) : undefined };
}
