/** Which program type goes with which attach type: the ABI's tables. Mirrors kernel/bpf/syscall.c. */

import {
  BPF_CGROUP_DEVICE,
  BPF_CGROUP_GETSOCKOPT,
  BPF_CGROUP_INET4_BIND,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_INET4_GETPEERNAME,
  BPF_CGROUP_INET4_GETSOCKNAME,
  BPF_CGROUP_INET4_POST_BIND,
  BPF_CGROUP_INET6_BIND,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_INET6_GETPEERNAME,
  BPF_CGROUP_INET6_GETSOCKNAME,
  BPF_CGROUP_INET6_POST_BIND,
  BPF_CGROUP_INET_EGRESS,
  BPF_CGROUP_INET_INGRESS,
  BPF_CGROUP_INET_SOCK_CREATE,
  BPF_CGROUP_INET_SOCK_RELEASE,
  BPF_CGROUP_SETSOCKOPT,
  BPF_CGROUP_SOCK_OPS,
  BPF_CGROUP_SYSCTL,
  BPF_CGROUP_UDP4_RECVMSG,
  BPF_CGROUP_UDP4_SENDMSG,
  BPF_CGROUP_UDP6_RECVMSG,
  BPF_CGROUP_UDP6_SENDMSG,
  BPF_CGROUP_UNIX_CONNECT,
  BPF_CGROUP_UNIX_GETPEERNAME,
  BPF_CGROUP_UNIX_GETSOCKNAME,
  BPF_CGROUP_UNIX_RECVMSG,
  BPF_CGROUP_UNIX_SENDMSG,
  BPF_FLOW_DISSECTOR,
  BPF_LIRC_MODE2,
  BPF_LSM_CGROUP,
  BPF_LSM_MAC,
  BPF_MODIFY_RETURN,
  BPF_NETFILTER,
  BPF_NETKIT_PEER,
  BPF_NETKIT_PRIMARY,
  BPF_PERF_EVENT,
  BPF_PROG_TYPE_CGROUP_DEVICE,
  BPF_PROG_TYPE_CGROUP_SKB,
  BPF_PROG_TYPE_CGROUP_SOCK,
  BPF_PROG_TYPE_CGROUP_SOCKOPT,
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
  BPF_PROG_TYPE_CGROUP_SYSCTL,
  BPF_PROG_TYPE_EXT,
  BPF_PROG_TYPE_FLOW_DISSECTOR,
  BPF_PROG_TYPE_KPROBE,
  BPF_PROG_TYPE_LIRC_MODE2,
  BPF_PROG_TYPE_LSM,
  BPF_PROG_TYPE_NETFILTER,
  BPF_PROG_TYPE_PERF_EVENT,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROG_TYPE_SK_LOOKUP,
  BPF_PROG_TYPE_SK_MSG,
  BPF_PROG_TYPE_SK_REUSEPORT,
  BPF_PROG_TYPE_SK_SKB,
  BPF_PROG_TYPE_SOCK_OPS,
  BPF_PROG_TYPE_SYSCALL,
  BPF_PROG_TYPE_TRACEPOINT,
  BPF_PROG_TYPE_TRACING,
  BPF_PROG_TYPE_XDP,
  BPF_SK_LOOKUP,
  BPF_SK_MSG_VERDICT,
  BPF_SK_REUSEPORT_SELECT,
  BPF_SK_REUSEPORT_SELECT_OR_MIGRATE,
  BPF_SK_SKB_STREAM_PARSER,
  BPF_SK_SKB_STREAM_VERDICT,
  BPF_SK_SKB_VERDICT,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  BPF_TRACE_FENTRY,
  BPF_TRACE_FEXIT,
  BPF_TRACE_ITER,
  BPF_TRACE_KPROBE_MULTI,
  BPF_TRACE_KPROBE_SESSION,
  BPF_TRACE_RAW_TP,
  BPF_TRACE_UPROBE_MULTI,
  BPF_TRACE_UPROBE_SESSION,
  BPF_XDP,
} from '@libbpf-ts/uapi';

import type { Kernel } from '../kernel.ts';
import type { BpfProg } from '../prog.ts';

/** By program type: the attach types that lead to it (`attach_type_to_prog_type`, read backwards). */
const ATTACHED_AS: readonly (readonly [progType: number, attachTypes: readonly number[]])[] = [
  [BPF_PROG_TYPE_CGROUP_SKB, [BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS]],
  [
    BPF_PROG_TYPE_CGROUP_SOCK,
    [BPF_CGROUP_INET_SOCK_CREATE, BPF_CGROUP_INET_SOCK_RELEASE, BPF_CGROUP_INET4_POST_BIND, BPF_CGROUP_INET6_POST_BIND],
  ],
  [
    BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
    [
      BPF_CGROUP_INET4_BIND,
      BPF_CGROUP_INET6_BIND,
      BPF_CGROUP_INET4_CONNECT,
      BPF_CGROUP_INET6_CONNECT,
      BPF_CGROUP_UNIX_CONNECT,
      BPF_CGROUP_INET4_GETPEERNAME,
      BPF_CGROUP_INET6_GETPEERNAME,
      BPF_CGROUP_UNIX_GETPEERNAME,
      BPF_CGROUP_INET4_GETSOCKNAME,
      BPF_CGROUP_INET6_GETSOCKNAME,
      BPF_CGROUP_UNIX_GETSOCKNAME,
      BPF_CGROUP_UDP4_SENDMSG,
      BPF_CGROUP_UDP6_SENDMSG,
      BPF_CGROUP_UNIX_SENDMSG,
      BPF_CGROUP_UDP4_RECVMSG,
      BPF_CGROUP_UDP6_RECVMSG,
      BPF_CGROUP_UNIX_RECVMSG,
    ],
  ],
  [BPF_PROG_TYPE_SOCK_OPS, [BPF_CGROUP_SOCK_OPS]],
  [BPF_PROG_TYPE_CGROUP_DEVICE, [BPF_CGROUP_DEVICE]],
  [BPF_PROG_TYPE_SK_MSG, [BPF_SK_MSG_VERDICT]],
  [BPF_PROG_TYPE_SK_SKB, [BPF_SK_SKB_STREAM_PARSER, BPF_SK_SKB_STREAM_VERDICT, BPF_SK_SKB_VERDICT]],
  [BPF_PROG_TYPE_LIRC_MODE2, [BPF_LIRC_MODE2]],
  [BPF_PROG_TYPE_FLOW_DISSECTOR, [BPF_FLOW_DISSECTOR]],
  [BPF_PROG_TYPE_CGROUP_SYSCTL, [BPF_CGROUP_SYSCTL]],
  [BPF_PROG_TYPE_CGROUP_SOCKOPT, [BPF_CGROUP_GETSOCKOPT, BPF_CGROUP_SETSOCKOPT]],
  [BPF_PROG_TYPE_TRACING, [BPF_TRACE_ITER, BPF_TRACE_RAW_TP, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_MODIFY_RETURN]],
  [BPF_PROG_TYPE_LSM, [BPF_LSM_MAC, BPF_LSM_CGROUP]],
  [BPF_PROG_TYPE_SK_LOOKUP, [BPF_SK_LOOKUP]],
  [BPF_PROG_TYPE_XDP, [BPF_XDP]],
  [BPF_PROG_TYPE_SCHED_CLS, [BPF_TCX_INGRESS, BPF_TCX_EGRESS, BPF_NETKIT_PRIMARY, BPF_NETKIT_PEER]],
];

const PROG_TYPE_OF: ReadonlyMap<number, number> = new Map(
  ATTACHED_AS.flatMap(([progType, attachTypes]) => attachTypes.map((attachType): [number, number] => [attachType, progType])),
);

/** The program type that is attached as an attach type; undefined where none is (`attach_type_to_prog_type`). */
export function progTypeOf(attachType: number): number | undefined {
  return PROG_TYPE_OF.get(attachType);
}

/** `bpf_prog_attach_check_attach_type`. */
export function mayAttachAs(kernel: Kernel, prog: BpfProg, attachType: number): boolean {
  const { ops } = prog;
  if (ops.checkAttachType) return ops.checkAttachType(prog, attachType);
  const own = kernel.attachTypes.get(attachType);
  const type = own?.progType ?? progTypeOf(attachType);
  switch (prog.type) {
    case BPF_PROG_TYPE_CGROUP_SOCK:
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
    case BPF_PROG_TYPE_CGROUP_SOCKOPT:
    case BPF_PROG_TYPE_SK_LOOKUP:
      return attachType === prog.expectedAttachType;
    case BPF_PROG_TYPE_EXT:
      return true;
    case BPF_PROG_TYPE_NETFILTER:
      return attachType === BPF_NETFILTER;
    case BPF_PROG_TYPE_PERF_EVENT:
    case BPF_PROG_TYPE_TRACEPOINT:
      return attachType === BPF_PERF_EVENT;
    case BPF_PROG_TYPE_KPROBE:
      return [
        BPF_PERF_EVENT,
        BPF_TRACE_KPROBE_MULTI,
        BPF_TRACE_KPROBE_SESSION,
        BPF_TRACE_UPROBE_MULTI,
        BPF_TRACE_UPROBE_SESSION,
      ].includes(attachType);
    default:
      return type === prog.type;
  }
}

/** Expected attach types that a program type may be loaded with; types not listed take any (`bpf_prog_load_check_attach`). */
const EXPECTED: ReadonlyMap<number, readonly number[]> = new Map([
  ...ATTACHED_AS.filter(([type]) =>
    [
      BPF_PROG_TYPE_CGROUP_SOCK,
      BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
      BPF_PROG_TYPE_CGROUP_SKB,
      BPF_PROG_TYPE_CGROUP_SOCKOPT,
      BPF_PROG_TYPE_SK_LOOKUP,
    ].includes(type),
  ),
  [BPF_PROG_TYPE_SK_REUSEPORT, [BPF_SK_REUSEPORT_SELECT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE]],
  [BPF_PROG_TYPE_NETFILTER, [BPF_NETFILTER]],
  [BPF_PROG_TYPE_SYSCALL, [0]],
  [BPF_PROG_TYPE_EXT, [0]],
]);

export function mayExpect(progType: number, expectedAttachType: number): boolean {
  return EXPECTED.get(progType)?.includes(expectedAttachType) ?? true;
}

/** Old loaders leave the field 0 where the kernel later asked for a value (`bpf_prog_load_fixup_attach_type`). */
export function fixedUpAttachType(progType: number, expectedAttachType: number): number {
  if (expectedAttachType !== 0) return expectedAttachType;
  if (progType === BPF_PROG_TYPE_CGROUP_SOCK) return BPF_CGROUP_INET_SOCK_CREATE;
  return progType === BPF_PROG_TYPE_SK_REUSEPORT ? BPF_SK_REUSEPORT_SELECT : 0;
}
