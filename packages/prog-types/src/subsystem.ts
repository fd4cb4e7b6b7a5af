/** The program types of this package as a subsystem: they load and are verified; hooks for them do not exist yet. */

import type { ProgTypeOps, Subsystem } from '@libbpf-ts/kernel';
import { ensureNet, skbHelpers, skbPacketLoad, testRunNetworkSkb } from '@libbpf-ts/net';
import {
  BPF_PROG_TYPE_CGROUP_SKB,
  BPF_PROG_TYPE_FLOW_DISSECTOR,
  BPF_PROG_TYPE_LWT_IN,
  BPF_PROG_TYPE_LWT_OUT,
  BPF_PROG_TYPE_LWT_XMIT,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_SK_LOOKUP,
  BPF_PROG_TYPE_SOCKET_FILTER,
  BPF_PROG_TYPE_SYSCALL,
} from '@libbpf-ts/uapi';
import { PROG_TYPE_OPS } from './table.ts';
import { testRunFlowDissector, testRunSkLookup } from './test-run-lookup.ts';
import { testRunRawTracepoint, testRunSyscall } from './test-run.ts';

type Running = Partial<Omit<ProgTypeOps, 'type' | 'name' | 'verifier'>>;

/** Programs over packets from the network header on. */
const overPackets: Running = { helper: (id) => skbHelpers.get(id), packetLoad: skbPacketLoad, testRun: testRunNetworkSkb };

/** How the types that BPF_PROG_TEST_RUN takes are run. */
const RUNNING: ReadonlyMap<number, Running> = new Map<number, Running>([
  [BPF_PROG_TYPE_SOCKET_FILTER, overPackets],
  [BPF_PROG_TYPE_CGROUP_SKB, overPackets],
  [BPF_PROG_TYPE_LWT_IN, overPackets],
  [BPF_PROG_TYPE_LWT_OUT, overPackets],
  [BPF_PROG_TYPE_LWT_XMIT, overPackets],
  [BPF_PROG_TYPE_RAW_TRACEPOINT, { testRun: testRunRawTracepoint }],
  [BPF_PROG_TYPE_SYSCALL, { testRun: testRunSyscall }],
  [BPF_PROG_TYPE_SK_LOOKUP, { testRun: testRunSkLookup }],
  [BPF_PROG_TYPE_FLOW_DISSECTOR, { helper: (id) => skbHelpers.get(id), testRun: testRunFlowDissector }],
]);

/**
 * Registers every program type of this package that no one registered before: install it last, and what a subsystem runs
 * keeps that subsystem's rules.
 */
export const progTypes: Subsystem = (kernel) => {
  ensureNet(kernel);
  for (const [type, verifier] of PROG_TYPE_OPS) {
    if (!kernel.progTypes.has(type))
      kernel.progTypes.register(type, { type, name: verifier.name, verifier, ...RUNNING.get(type) });
  }
};
