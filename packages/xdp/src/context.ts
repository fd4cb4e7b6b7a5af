/** `struct xdp_md` as XDP programs may see it: `xdp_is_valid_access`. */

import { contextRule, field, PACKET, PACKET_END, PACKET_META } from '@libbpf-ts/verifier/protos';
import type { CtxAccessRule } from '@libbpf-ts/verifier/protos';
import { BPF_XDP_DEVMAP } from '@libbpf-ts/uapi';

const FIELDS = [
  field('data', 0, 4, 4, 0, { gives: PACKET }),
  field('data_end', 4, 4, 4, 0, { gives: PACKET_END }),
  field('data_meta', 8, 4, 4, 0, { gives: PACKET_META }),
  field('ingress_ifindex', 12, 4, 4),
  field('rx_queue_index', 16, 4, 4),
];

const plain = contextRule(FIELDS);
const inDevmap = contextRule([...FIELDS, field('egress_ifindex', 20, 4, 4)]);

/** Programs in a DEVMAP also see the device that the frame leaves by. */
export const xdpContext: CtxAccessRule = (off, size, write, prog) =>
  (prog.expected_attach_type === BPF_XDP_DEVMAP ? inDevmap : plain)(off, size, write, prog);
