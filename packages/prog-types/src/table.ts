/** The program types of this package by number. */

import {
  BPF_PROG_TYPE_CGROUP_DEVICE,
  BPF_PROG_TYPE_CGROUP_SKB,
  BPF_PROG_TYPE_CGROUP_SOCK,
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
  BPF_PROG_TYPE_CGROUP_SOCKOPT,
  BPF_PROG_TYPE_CGROUP_SYSCTL,
  BPF_PROG_TYPE_FLOW_DISSECTOR,
  BPF_PROG_TYPE_KPROBE,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_LWT_IN,
  BPF_PROG_TYPE_LWT_OUT,
  BPF_PROG_TYPE_LWT_SEG6LOCAL,
  BPF_PROG_TYPE_LWT_XMIT,
  BPF_PROG_TYPE_NETFILTER,
  BPF_PROG_TYPE_PERF_EVENT,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_SK_LOOKUP,
  BPF_PROG_TYPE_SK_MSG,
  BPF_PROG_TYPE_SK_REUSEPORT,
  BPF_PROG_TYPE_SK_SKB,
  BPF_PROG_TYPE_SOCK_OPS,
  BPF_PROG_TYPE_SOCKET_FILTER,
  BPF_PROG_TYPE_STRUCT_OPS,
  BPF_PROG_TYPE_SYSCALL,
  BPF_PROG_TYPE_TRACEPOINT,
  BPF_PROG_TYPE_TRACING,
} from '@libbpf-ts/uapi';
import type { VerifierOps } from '@libbpf-ts/verifier';
import {
  cgroupDeviceOps,
  cgroupSkbOps,
  cgroupSockAddrOps,
  cgroupSockoptOps,
  cgroupSockOps,
  cgroupSysctlOps,
} from './cgroup.ts';
import { lsmOps, netfilterOps, structOpsOps, syscallOps } from './kernel-side.ts';
import { lwtInOps, lwtOutOps, lwtSeg6localOps, lwtXmitOps } from './lwt.ts';
import { flowDissectorOps, skLookupOps, skMsgOps, skReuseportOps, skSkbOps, socketFilterOps, sockOpsOps } from './socket.ts';
import { kprobeOps, perfEventOps, rawTracepointOps, rawTracepointWritableOps, tracepointOps, tracingOps } from './tracing.ts';

/** Rules of every program type that no subsystem runs, by BPF_PROG_TYPE_* number. */
export const PROG_TYPE_OPS: ReadonlyMap<number, VerifierOps> = new Map([
  [BPF_PROG_TYPE_SOCKET_FILTER, socketFilterOps],
  [BPF_PROG_TYPE_KPROBE, kprobeOps],
  [BPF_PROG_TYPE_TRACEPOINT, tracepointOps],
  [BPF_PROG_TYPE_PERF_EVENT, perfEventOps],
  [BPF_PROG_TYPE_CGROUP_SKB, cgroupSkbOps],
  [BPF_PROG_TYPE_CGROUP_SOCK, cgroupSockOps],
  [BPF_PROG_TYPE_LWT_IN, lwtInOps],
  [BPF_PROG_TYPE_LWT_OUT, lwtOutOps],
  [BPF_PROG_TYPE_LWT_XMIT, lwtXmitOps],
  [BPF_PROG_TYPE_SOCK_OPS, sockOpsOps],
  [BPF_PROG_TYPE_SK_SKB, skSkbOps],
  [BPF_PROG_TYPE_CGROUP_DEVICE, cgroupDeviceOps],
  [BPF_PROG_TYPE_SK_MSG, skMsgOps],
  [BPF_PROG_TYPE_RAW_TRACEPOINT, rawTracepointOps],
  [BPF_PROG_TYPE_CGROUP_SOCK_ADDR, cgroupSockAddrOps],
  [BPF_PROG_TYPE_LWT_SEG6LOCAL, lwtSeg6localOps],
  [BPF_PROG_TYPE_SK_REUSEPORT, skReuseportOps],
  [BPF_PROG_TYPE_FLOW_DISSECTOR, flowDissectorOps],
  [BPF_PROG_TYPE_CGROUP_SYSCTL, cgroupSysctlOps],
  [BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, rawTracepointWritableOps],
  [BPF_PROG_TYPE_CGROUP_SOCKOPT, cgroupSockoptOps],
  [BPF_PROG_TYPE_TRACING, tracingOps],
  [BPF_PROG_TYPE_STRUCT_OPS, structOpsOps],
  [BPF_PROG_TYPE_LSM, lsmOps],
  [BPF_PROG_TYPE_SK_LOOKUP, skLookupOps],
  [BPF_PROG_TYPE_SYSCALL, syscallOps],
  [BPF_PROG_TYPE_NETFILTER, netfilterOps],
]);
