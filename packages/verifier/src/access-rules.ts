/** Small rules about kinds of pointers: which may be spilled, which must keep their kind at one instruction. */

import * as T from './regtype.ts';

const SPILLABLE: ReadonlySet<number> = new Set([
  T.PTR_TO_MAP_VALUE,
  T.PTR_TO_STACK,
  T.PTR_TO_CTX,
  T.PTR_TO_PACKET,
  T.PTR_TO_PACKET_META,
  T.PTR_TO_PACKET_END,
  T.PTR_TO_FLOW_KEYS,
  T.CONST_PTR_TO_MAP,
  T.PTR_TO_SOCKET,
  T.PTR_TO_SOCK_COMMON,
  T.PTR_TO_TCP_SOCK,
  T.PTR_TO_XDP_SOCK,
  T.PTR_TO_BTF_ID,
  T.PTR_TO_BUF,
  T.PTR_TO_MEM,
  T.PTR_TO_FUNC,
  T.PTR_TO_MAP_KEY,
  T.PTR_TO_ARENA,
]);

export const isSpillable = (type: number): boolean => SPILLABLE.has(T.baseType(type));

const REWRITTEN: ReadonlySet<number> = new Set([
  T.PTR_TO_CTX,
  T.PTR_TO_SOCKET,
  T.PTR_TO_SOCK_COMMON,
  T.PTR_TO_TCP_SOCK,
  T.PTR_TO_XDP_SOCK,
  T.PTR_TO_BTF_ID,
  T.PTR_TO_ARENA,
]);

/** Accesses through these are rewritten by kind, so one instruction cannot serve two kinds. */
export const isRewritten = (type: number): boolean => REWRITTEN.has(T.baseType(type));

/** A value that an unprivileged program must not see or compute with. */
export const isPointer = (type: number): boolean => type !== T.SCALAR_VALUE;
