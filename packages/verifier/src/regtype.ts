/** `enum bpf_reg_type` and `enum bpf_type_flag` as small integers: a base in the low byte, modifiers above it. */

export const NOT_INIT = 0;
export const SCALAR_VALUE = 1;
export const PTR_TO_CTX = 2;
export const CONST_PTR_TO_MAP = 3;
export const PTR_TO_MAP_VALUE = 4;
export const PTR_TO_MAP_KEY = 5;
export const PTR_TO_STACK = 6;
export const PTR_TO_PACKET_META = 7;
export const PTR_TO_PACKET = 8;
export const PTR_TO_PACKET_END = 9;
export const PTR_TO_FLOW_KEYS = 10;
export const PTR_TO_SOCKET = 11;
export const PTR_TO_SOCK_COMMON = 12;
export const PTR_TO_TCP_SOCK = 13;
export const PTR_TO_TP_BUFFER = 14;
export const PTR_TO_XDP_SOCK = 15;
export const PTR_TO_BTF_ID = 16;
export const PTR_TO_MEM = 17;
export const PTR_TO_ARENA = 18;
export const PTR_TO_BUF = 19;
export const PTR_TO_FUNC = 20;
export const CONST_PTR_TO_DYNPTR = 21;

export const PTR_MAYBE_NULL: number = 1 << 8;
export const MEM_RDONLY: number = 1 << 9;
export const MEM_RINGBUF: number = 1 << 10;
export const MEM_USER: number = 1 << 11;
export const MEM_PERCPU: number = 1 << 12;
export const OBJ_RELEASE: number = 1 << 13;
export const PTR_UNTRUSTED: number = 1 << 14;
export const MEM_UNINIT: number = 1 << 15;
export const DYNPTR_TYPE_LOCAL: number = 1 << 16;
export const DYNPTR_TYPE_RINGBUF: number = 1 << 17;
export const MEM_FIXED_SIZE: number = 1 << 18;
export const MEM_ALLOC: number = 1 << 19;
export const PTR_TRUSTED: number = 1 << 20;
export const MEM_RCU: number = 1 << 21;
export const NON_OWN_REF: number = 1 << 22;
export const DYNPTR_TYPE_SKB: number = 1 << 23;
export const DYNPTR_TYPE_XDP: number = 1 << 24;
export const DYNPTR_TYPE_SKB_META: number = 1 << 27;
export const MEM_ALIGNED: number = 1 << 25;
export const MEM_WRITE: number = 1 << 26;

export const DYNPTR_TYPE_FLAG_MASK: number =
  DYNPTR_TYPE_LOCAL | DYNPTR_TYPE_RINGBUF | DYNPTR_TYPE_SKB | DYNPTR_TYPE_XDP | DYNPTR_TYPE_SKB_META;

/** Flag names as rows of prototypes spell them. */
export const FLAG_BITS: Readonly<Record<string, number>> = {
  PTR_MAYBE_NULL,
  MEM_RDONLY,
  MEM_RINGBUF,
  MEM_USER,
  MEM_PERCPU,
  OBJ_RELEASE,
  PTR_UNTRUSTED,
  MEM_UNINIT,
  DYNPTR_TYPE_LOCAL,
  DYNPTR_TYPE_RINGBUF,
  MEM_FIXED_SIZE,
  MEM_ALLOC,
  PTR_TRUSTED,
  MEM_RCU,
  NON_OWN_REF,
  DYNPTR_TYPE_SKB,
  DYNPTR_TYPE_XDP,
  DYNPTR_TYPE_SKB_META,
  MEM_ALIGNED,
  MEM_WRITE,
};

/** Base types by the name that `VerifierOps` uses. */
export const BASE_BY_NAME: Readonly<Record<string, number>> = {
  NOT_INIT,
  SCALAR_VALUE,
  PTR_TO_CTX,
  CONST_PTR_TO_MAP,
  PTR_TO_MAP_VALUE,
  PTR_TO_MAP_KEY,
  PTR_TO_STACK,
  PTR_TO_PACKET_META,
  PTR_TO_PACKET,
  PTR_TO_PACKET_END,
  PTR_TO_FLOW_KEYS,
  PTR_TO_SOCKET,
  PTR_TO_SOCK_COMMON,
  PTR_TO_TCP_SOCK,
  PTR_TO_TP_BUFFER,
  PTR_TO_XDP_SOCK,
  PTR_TO_BTF_ID,
  PTR_TO_MEM,
  PTR_TO_ARENA,
  PTR_TO_BUF,
  PTR_TO_FUNC,
  CONST_PTR_TO_DYNPTR,
};

export const baseType = (type: number): number => type & 0xff;
export const typeFlags = (type: number): number => type & ~0xff;
export const mayBeNull = (type: number): boolean => (type & PTR_MAYBE_NULL) !== 0;

/** Packet data or metadata, not its end. */
export function isPacketPointer(type: number): boolean {
  const base = baseType(type);
  return base === PTR_TO_PACKET || base === PTR_TO_PACKET_META;
}

export const isPacketPointerAny = (type: number): boolean => isPacketPointer(type) || baseType(type) === PTR_TO_PACKET_END;

export function isSockPointer(type: number): boolean {
  const base = baseType(type);
  return base === PTR_TO_SOCKET || base === PTR_TO_TCP_SOCK || base === PTR_TO_XDP_SOCK || base === PTR_TO_SOCK_COMMON;
}

const BASE_TEXT: readonly string[] = [
  '?',
  'scalar',
  'ctx',
  'map_ptr',
  'map_value',
  'map_key',
  'fp',
  'pkt_meta',
  'pkt',
  'pkt_end',
  'flow_keys',
  'sock',
  'sock_common',
  'tcp_sock',
  'tp_buffer',
  'xdp_sock',
  'ptr_',
  'mem',
  'arena',
  'buf',
  'func',
  'dynptr_ptr',
];

/** A type as logs name it: `rdonly_mem_or_null`, `trusted_ptr_`, … */
export function typeText(type: number): string {
  let prefix = '';
  if (type & MEM_RDONLY) prefix += 'rdonly_';
  if (type & MEM_RINGBUF) prefix += 'ringbuf_';
  if (type & MEM_USER) prefix += 'user_';
  if (type & MEM_PERCPU) prefix += 'percpu_';
  if (type & MEM_RCU) prefix += 'rcu_';
  if (type & PTR_UNTRUSTED) prefix += 'untrusted_';
  if (type & PTR_TRUSTED) prefix += 'trusted_';
  const base = baseType(type);
  const orNull = type & PTR_MAYBE_NULL ? (base === PTR_TO_BTF_ID ? 'or_null_' : '_or_null') : '';
  return prefix + (BASE_TEXT[base] ?? '?') + orNull;
}
