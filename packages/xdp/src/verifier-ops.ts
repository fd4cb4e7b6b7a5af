/** The verifier's rules for `BPF_PROG_TYPE_XDP`. */

import type { VerifierOps } from '@libbpf-ts/verifier';
import { xdpContext } from './context.ts';
import { xdp_func_proto, xdpKfuncs } from './helpers-table.ts';

export const xdpVerifierOps: VerifierOps = {
  name: 'xdp',
  funcProto: xdp_func_proto,
  isValidAccess: xdpContext,
  packetRead: true,
  packetWrite: true,
  kfuncs: xdpKfuncs,
  contextStruct: 'xdp_md',
};
