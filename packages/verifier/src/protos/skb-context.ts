/** `struct __sk_buff`: one list of fields, and what each program type withholds or lets be written. */

import { contextRule, field, NARROW, PACKET, PACKET_END, PACKET_META, SOCK_COMMON_OR_NULL } from '../context-table.ts';
import type { CtxAccessRule, CtxField } from '../context-table.ts';

const FIELDS: readonly CtxField[] = [
  field('len', 0, 4, NARROW),
  field('pkt_type', 4, 4, NARROW),
  field('mark', 8, 4, NARROW),
  field('queue_mapping', 12, 4, NARROW),
  field('protocol', 16, 4, NARROW),
  field('vlan_present', 20, 4, NARROW),
  field('vlan_tci', 24, 4, NARROW),
  field('vlan_proto', 28, 4, NARROW),
  field('priority', 32, 4, NARROW),
  field('ingress_ifindex', 36, 4, NARROW),
  field('ifindex', 40, 4, NARROW),
  field('tc_index', 44, 4, NARROW),
  field('cb', 48, 20, NARROW | 8),
  field('hash', 68, 4, NARROW),
  field('tc_classid', 72, 4, NARROW),
  field('data', 76, 4, 4, 0, { gives: PACKET }),
  field('data_end', 80, 4, 4, 0, { gives: PACKET_END }),
  field('napi_id', 84, 4, NARROW),
  field('family', 88, 4, NARROW),
  field('remote_ip4', 92, 4, 4),
  field('local_ip4', 96, 4, 4),
  field('remote_ip6', 100, 16, 4),
  field('local_ip6', 116, 16, 4),
  field('remote_port', 132, 4, NARROW),
  field('local_port', 136, 4, NARROW),
  field('data_meta', 140, 4, 4, 0, { gives: PACKET_META }),
  field('tstamp', 152, 8, 8),
  field('wire_len', 160, 4, NARROW),
  field('gso_segs', 164, 4, NARROW),
  field('sk', 168, 8, 8, 0, { gives: SOCK_COMMON_OR_NULL }),
  field('gso_size', 176, 4, NARROW),
  field('tstamp_type', 180, 1, 1),
  field('hwtstamp', 184, 8, 8),
];

/** Fields of the socket behind a packet, which packet filters before the socket layer do not see. */
export const SKB_SOCKET_FIELDS: readonly string[] = [
  'family',
  'remote_ip4',
  'local_ip4',
  'remote_ip6',
  'local_ip6',
  'remote_port',
  'local_port',
];

/** The rule of a program type over `__sk_buff`: what it may not see, and what it may write (`cb` in any size, the rest whole). */
export function skbContext(hidden: readonly string[], writable: readonly string[]): CtxAccessRule {
  const rows = FIELDS.filter((row) => !hidden.includes(row.name));
  return contextRule(rows.map((row) => (writable.includes(row.name) ? { ...row, write: writeSizes(row) } : row)));
}

function writeSizes(row: CtxField): number {
  return row.name === 'cb' ? NARROW | 8 : row.size;
}
