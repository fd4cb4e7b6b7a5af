/** Fields of the sockets that helpers return: `struct bpf_sock`, `bpf_tcp_sock`, `bpf_xdp_sock` (`check_sock_access`). */

import type { Env } from './env.ts';
import type { Reg } from './register.ts';
import * as T from './regtype.ts';

const SOCK_SIZE = 80;
const TCP_SOCK_SIZE = 112;

/** Offsets of `struct bpf_sock` that may be read whole only. */
const WHOLE_ONLY: ReadonlySet<number> = new Set([0, 16, 20]);
const DST_PORT = 48;
const DST_IP4 = 52;

export function sockFieldAllowed(off: number, size: number): boolean {
  if (off < 0 || off + size > SOCK_SIZE || off % size !== 0 || size > 4) return false;
  if (off >= DST_PORT && off < DST_IP4)
    return off < DST_PORT + 2 ? off + size <= DST_PORT + 2 || (off === DST_PORT && size === 4) : false;
  return size === 4 || !WHOLE_ONLY.has(off & ~3);
}

/** type to priority are not there before the socket is full. */
export const sockCommonFieldAllowed = (off: number, size: number): boolean =>
  !(off >= 8 && off < 24) && sockFieldAllowed(off, size);

export function tcpSockFieldAllowed(off: number, size: number): boolean {
  if (off < 0 || off + size > TCP_SOCK_SIZE || off % size !== 0) return false;
  return off === 80 || off === 88 ? size === 8 : size === 4;
}

export function checkSockAccess(env: Env, reg: Reg, regno: number, off: number, size: number): void {
  if (reg.sminh < 0) {
    env.refuse('EACCES', `R${regno} min value is negative, either use unsigned index or do a if (index >=0) check.`);
  }
  const isConst = (reg.mh | reg.ml | reg.vh | reg.vl) === 0;
  if (isConst && allowed(reg.type, off, size)) return;
  env.refuse('EACCES', `R${regno} invalid ${T.typeText(reg.type)} access off=${off} size=${size}`);
}

function allowed(type: number, off: number, size: number): boolean {
  switch (T.baseType(type)) {
    case T.PTR_TO_SOCK_COMMON:
      return sockCommonFieldAllowed(off, size);
    case T.PTR_TO_SOCKET:
      return sockFieldAllowed(off, size);
    case T.PTR_TO_TCP_SOCK:
      return tcpSockFieldAllowed(off, size);
    default:
      return off === 0 && size === 4;
  }
}
