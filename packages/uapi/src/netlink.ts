/** rtnetlink messages: attributes as the wire has them, and what a kernel answers. */

export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** NLM_F_ROOT | NLM_F_MATCH: all there are. */
export const NLM_F_DUMP = 0x300;
export const NLM_F_ECHO = 8;

/** An attribute to send: its value is bytes, a u8/u16/u32 by width, text with a NUL, or attributes of its own. */
export interface NetlinkAttribute {
  readonly type: number;
  readonly value:
    | Uint8Array
    | string
    | { readonly u16: number }
    | { readonly u32: number }
    | { readonly u8: number }
    | readonly NetlinkAttribute[];
}

/** One request: `RTM_*`, NLM_F_* flags besides REQUEST and ACK, and the bytes after the netlink header. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** A message of an answer: its type, and the bytes after the netlink header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/** What the kernel answered: 0 or `-errno`, its words where it gave any, and the messages before the acknowledgement. */
export interface NetlinkAnswer {
  readonly result: number;
  /** The text of the extended ACK (NETLINK_EXT_ACK); of a success it is a warning. */
  readonly extack: string | undefined;
  readonly messages: readonly NetlinkMessage[];
}

/** Attributes are aligned to four bytes (`NLA_ALIGN`). */
export const alignAttribute = (length: number): number => (length + 3) & ~3;

function valueBytes(value: NetlinkAttribute['value']): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return new TextEncoder().encode(`${value}\0`);
  if ('u8' in value) return Uint8Array.of(value.u8);
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  if ('u16' in value) {
    view.setUint16(0, value.u16, true);
    return bytes.subarray(0, 2);
  }
  if ('u32' in value) {
    view.setUint32(0, value.u32, true);
    return bytes;
  }
  return encodeAttributes(value);
}

/** Attributes as the wire has them: u16 length, u16 type, value, padding to four bytes. */
export function encodeAttributes(attributes: readonly NetlinkAttribute[]): Uint8Array {
  return concatenateBytes(
    attributes.map(({ type, value }) => {
      const bytes = valueBytes(value);
      const part = new Uint8Array(alignAttribute(4 + bytes.length));
      const view = new DataView(part.buffer);
      view.setUint16(0, 4 + bytes.length, true);
      view.setUint16(2, type, true);
      part.set(bytes, 4);
      return part;
    }),
  );
}

/** Attributes by type; of a type that occurs twice, the last. Nested ones stay bytes. What does not fit is left out, as in the kernel. */
export function decodeAttributes(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, Uint8Array>();
  for (let offset = 0; offset + 4 <= bytes.length;) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > bytes.length) break;
    found.set(view.getUint16(offset + 2, true) & 0x3fff, bytes.subarray(offset + 4, offset + length));
    offset += alignAttribute(length);
  }
  return found;
}

export function concatenateBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Attributes by type, read as what they hold; `undefined` where one is absent or too short. */
export class AttributeReader {
  readonly #attributes: ReadonlyMap<number, Uint8Array>;

  constructor(bytes: Uint8Array) {
    this.#attributes = decodeAttributes(bytes);
  }

  bytes(type: number): Uint8Array | undefined {
    return this.#attributes.get(type);
  }

  u16(type: number): number | undefined {
    return this.#view(type, 2)?.getUint16(0, true);
  }

  u32(type: number): number | undefined {
    return this.#view(type, 4)?.getUint32(0, true);
  }

  text(type: number): string | undefined {
    const bytes = this.bytes(type);
    if (bytes === undefined) return undefined;
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  nested(type: number): AttributeReader | undefined {
    const bytes = this.bytes(type);
    return bytes && new AttributeReader(bytes);
  }

  has(type: number): boolean {
    return this.#attributes.has(type);
  }

  types(): readonly number[] {
    return [...this.#attributes.keys()];
  }

  #view(type: number, size: number): DataView | undefined {
    const bytes = this.bytes(type);
    return bytes && bytes.length >= size ? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) : undefined;
  }
}
