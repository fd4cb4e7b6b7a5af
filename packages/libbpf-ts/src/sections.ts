/** Section names: which program type and attach type they stand for. */

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
  BPF_F_SLEEPABLE,
  BPF_F_XDP_HAS_FRAGS,
  BPF_LIRC_MODE2,
  BPF_LSM_CGROUP,
  BPF_LSM_MAC,
  BPF_MODIFY_RETURN,
  BPF_NETFILTER,
  BPF_NETKIT_PEER,
  BPF_NETKIT_PRIMARY,
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
  BPF_PROG_TYPE_LWT_IN,
  BPF_PROG_TYPE_LWT_OUT,
  BPF_PROG_TYPE_LWT_SEG6LOCAL,
  BPF_PROG_TYPE_LWT_XMIT,
  BPF_PROG_TYPE_NETFILTER,
  BPF_PROG_TYPE_PERF_EVENT,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE_SCHED_ACT,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_PROG_TYPE_SK_LOOKUP,
  BPF_PROG_TYPE_SK_MSG,
  BPF_PROG_TYPE_SK_REUSEPORT,
  BPF_PROG_TYPE_SK_SKB,
  BPF_PROG_TYPE_SOCKET_FILTER,
  BPF_PROG_TYPE_SOCK_OPS,
  BPF_PROG_TYPE_STRUCT_OPS,
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
  BPF_XDP_CPUMAP,
  BPF_XDP_DEVMAP,
} from '@libbpf-ts/uapi';
import type { SectionKind } from './spec.ts';

interface Row {
  readonly name: string;
  readonly type: number;
  readonly attach: number;
  readonly flags: number;
  readonly attachBtf?: SectionKind['attachBtf'];
}

const row = (name: string, type: number, attach = 0, flags = 0, attachBtf?: SectionKind['attachBtf']): Row => ({
  name,
  type,
  attach,
  flags,
  attachBtf,
});
const func = (prefix = ''): SectionKind['attachBtf'] => ({ prefix, kind: 'FUNC' });
const SLEEPABLE = BPF_F_SLEEPABLE;

/** The section names of libbpf. A name matches itself and itself followed by `/…`; longer names come first. */
const LIBBPF_SECTIONS: readonly Row[] = [
  row('socket', BPF_PROG_TYPE_SOCKET_FILTER),
  row('sk_reuseport/migrate', BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE),
  row('sk_reuseport', BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT),
  ...['kprobe', 'uprobe', 'kretprobe', 'uretprobe', 'ksyscall', 'kretsyscall', 'usdt'].map((name) =>
    row(name, BPF_PROG_TYPE_KPROBE),
  ),
  ...['uprobe.s', 'uretprobe.s', 'usdt.s'].map((name) => row(name, BPF_PROG_TYPE_KPROBE, 0, SLEEPABLE)),
  ...['kprobe.multi', 'kretprobe.multi'].map((name) => row(name, BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI)),
  row('kprobe.session', BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_SESSION),
  ...['uprobe.multi', 'uretprobe.multi'].map((name) => row(name, BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI)),
  ...['uprobe.multi.s', 'uretprobe.multi.s'].map((name) => row(name, BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, SLEEPABLE)),
  row('uprobe.session', BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_SESSION),
  row('uprobe.session.s', BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_SESSION, SLEEPABLE),
  row('tc/ingress', BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS),
  row('tc/egress', BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS),
  row('tcx/ingress', BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS),
  row('tcx/egress', BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS),
  row('tc', BPF_PROG_TYPE_SCHED_CLS),
  row('classifier', BPF_PROG_TYPE_SCHED_CLS),
  row('action', BPF_PROG_TYPE_SCHED_ACT),
  row('netkit/primary', BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PRIMARY),
  row('netkit/peer', BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PEER),
  ...['tracepoint', 'tp'].map((name) => row(name, BPF_PROG_TYPE_TRACEPOINT)),
  ...['raw_tracepoint', 'raw_tp'].map((name) => row(name, BPF_PROG_TYPE_RAW_TRACEPOINT)),
  ...['raw_tracepoint.w', 'raw_tp.w'].map((name) => row(name, BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE)),
  row('tp_btf', BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, 0, { prefix: 'btf_trace_', kind: 'TYPEDEF' }),
  row('fentry', BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, 0, func()),
  row('fmod_ret', BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, 0, func()),
  row('fexit', BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, 0, func()),
  row('fentry.s', BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, SLEEPABLE, func()),
  row('fmod_ret.s', BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, SLEEPABLE, func()),
  row('fexit.s', BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, SLEEPABLE, func()),
  row('freplace', BPF_PROG_TYPE_EXT, 0, 0, func()),
  row('lsm', BPF_PROG_TYPE_LSM, BPF_LSM_MAC, 0, func('bpf_lsm_')),
  row('lsm.s', BPF_PROG_TYPE_LSM, BPF_LSM_MAC, SLEEPABLE, func('bpf_lsm_')),
  row('lsm_cgroup', BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, 0, func('bpf_lsm_')),
  row('iter', BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, 0, func('bpf_iter_')),
  row('iter.s', BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, SLEEPABLE, func('bpf_iter_')),
  row('syscall', BPF_PROG_TYPE_SYSCALL, 0, SLEEPABLE),
  row('xdp.frags/devmap', BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, BPF_F_XDP_HAS_FRAGS),
  row('xdp/devmap', BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP),
  row('xdp.frags/cpumap', BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP, BPF_F_XDP_HAS_FRAGS),
  row('xdp/cpumap', BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP),
  row('xdp.frags', BPF_PROG_TYPE_XDP, BPF_XDP, BPF_F_XDP_HAS_FRAGS),
  row('xdp', BPF_PROG_TYPE_XDP, BPF_XDP),
  row('perf_event', BPF_PROG_TYPE_PERF_EVENT),
  row('lwt_in', BPF_PROG_TYPE_LWT_IN),
  row('lwt_out', BPF_PROG_TYPE_LWT_OUT),
  row('lwt_xmit', BPF_PROG_TYPE_LWT_XMIT),
  row('lwt_seg6local', BPF_PROG_TYPE_LWT_SEG6LOCAL),
  row('sockops', BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS),
  row('sk_skb/stream_parser', BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_PARSER),
  row('sk_skb/stream_verdict', BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT),
  row('sk_skb/verdict', BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT),
  row('sk_skb', BPF_PROG_TYPE_SK_SKB),
  row('sk_msg', BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT),
  row('lirc_mode2', BPF_PROG_TYPE_LIRC_MODE2, BPF_LIRC_MODE2),
  row('flow_dissector', BPF_PROG_TYPE_FLOW_DISSECTOR, BPF_FLOW_DISSECTOR),
  row('cgroup_skb/ingress', BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS),
  row('cgroup_skb/egress', BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS),
  row('cgroup/skb', BPF_PROG_TYPE_CGROUP_SKB),
  row('cgroup/sock_create', BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE),
  row('cgroup/sock_release', BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE),
  row('cgroup/sock', BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE),
  row('cgroup/post_bind4', BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND),
  row('cgroup/post_bind6', BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET6_POST_BIND),
  ...(
    [
      ['bind4', BPF_CGROUP_INET4_BIND],
      ['bind6', BPF_CGROUP_INET6_BIND],
      ['connect4', BPF_CGROUP_INET4_CONNECT],
      ['connect6', BPF_CGROUP_INET6_CONNECT],
      ['connect_unix', BPF_CGROUP_UNIX_CONNECT],
      ['sendmsg4', BPF_CGROUP_UDP4_SENDMSG],
      ['sendmsg6', BPF_CGROUP_UDP6_SENDMSG],
      ['sendmsg_unix', BPF_CGROUP_UNIX_SENDMSG],
      ['recvmsg4', BPF_CGROUP_UDP4_RECVMSG],
      ['recvmsg6', BPF_CGROUP_UDP6_RECVMSG],
      ['recvmsg_unix', BPF_CGROUP_UNIX_RECVMSG],
      ['getpeername4', BPF_CGROUP_INET4_GETPEERNAME],
      ['getpeername6', BPF_CGROUP_INET6_GETPEERNAME],
      ['getpeername_unix', BPF_CGROUP_UNIX_GETPEERNAME],
      ['getsockname4', BPF_CGROUP_INET4_GETSOCKNAME],
      ['getsockname6', BPF_CGROUP_INET6_GETSOCKNAME],
      ['getsockname_unix', BPF_CGROUP_UNIX_GETSOCKNAME],
    ] as const
  ).map(([name, attach]) => row(`cgroup/${name}`, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attach)),
  row('cgroup/sysctl', BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL),
  row('cgroup/getsockopt', BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT),
  row('cgroup/setsockopt', BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT),
  row('cgroup/dev', BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE),
  row('struct_ops', BPF_PROG_TYPE_STRUCT_OPS),
  row('struct_ops.s', BPF_PROG_TYPE_STRUCT_OPS, 0, SLEEPABLE),
  row('sk_lookup', BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP),
  row('netfilter', BPF_PROG_TYPE_NETFILTER, BPF_NETFILTER),
];

/** By descending length, so that `tc/ingress` wins over `tc`. */
const BY_LENGTH = [...LIBBPF_SECTIONS].sort((a, b) => b.name.length - a.name.length);

/** Names that libbpf does not know but the loaders of well-known projects do: Suricata, samples/bpf. */
const LEGACY_SECTIONS: readonly Row[] = [
  row('filter', BPF_PROG_TYPE_SOCKET_FILTER),
  row('loadbalancer', BPF_PROG_TYPE_SOCKET_FILTER),
  row('len_hist', BPF_PROG_TYPE_LWT_OUT),
];

const kindOf = (found: Row, section: string, source: SectionKind['source']): SectionKind => ({
  type: found.type,
  expected_attach_type: found.attach,
  prog_flags: found.flags,
  attachBtf: found.attachBtf,
  source,
  target:
    section.length > found.name.length && section[found.name.length] === '/' ? section.slice(found.name.length + 1) : undefined,
});

/** The program type of a section by libbpf's table; `undefined` where libbpf leaves the program without a type. */
export function sectionKind(section: string): SectionKind | undefined {
  const name = section.startsWith('?') ? section.slice(1) : section;
  const found = BY_LENGTH.find((candidate) => name === candidate.name || name.startsWith(`${candidate.name}/`));
  return found && kindOf(found, name, 'libbpf');
}

/** What is known of a program besides its section, when its type must be guessed. */
export interface GuessContext {
  readonly section: string;
  readonly program: string;
  /** Sections and programs of the whole object. */
  readonly allNames: readonly string[];
  /** Map definitions in the layout of iproute2: the object is for tc or `ip link`. */
  readonly iproute2: boolean;
}

const words = (name: string): string[] => name.toLowerCase().split(/[^a-z]+|(?<=[a-z])(?=\d)/);
const speaksOf = (names: readonly string[], wanted: readonly string[]): boolean =>
  names.some((name) => words(name).some((word) => wanted.includes(word)));
const XDP = row('xdp', BPF_PROG_TYPE_XDP, BPF_XDP);
const TC = row('tc', BPF_PROG_TYPE_SCHED_CLS);

/**
 * The program type of a section that libbpf's table lacks, as the loaders of that time took it: from words of the section's and the
 * program's names (`xdp1`, `cgroup/sock1`, `tc_mark`, `handle_egress`), then from a neighbour that says xdp (an iproute2 object is
 * for one hook), else a classifier; a program that is only in `.text` is taken for XDP, the type with the fewest demands.
 */
export function guessSectionKind(context: GuessContext): SectionKind {
  const { section, program, allNames } = context;
  const own = [section, program];
  const guess = (found: Row): SectionKind => kindOf(found, section, 'guess');
  if (section.startsWith('cgroup/sock'))
    return guess(row('cgroup/sock', BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE));
  if (speaksOf([section], ['tc', 'classifier'])) return guess(TC);
  if (speaksOf([section], ['xdp'])) return guess(XDP);
  const legacy = LEGACY_SECTIONS.find((candidate) => section === candidate.name);
  // `filter` is Suricata's socket filter, and also a common name in examples for tc.
  const forTc = section === 'filter' && (context.iproute2 || speaksOf([program], ['egress', 'ingress']));
  if (legacy && !forTc) return kindOf(legacy, section, 'legacy');
  if (speaksOf(own, ['tc', 'egress', 'ingress', 'redirect', 'classifier'])) return guess(TC);
  if (speaksOf(own, ['xdp'])) return guess(XDP);
  if (section === '.text') return guess(XDP);
  return guess(speaksOf(allNames, ['xdp']) && !speaksOf(allNames, ['tc', 'ingress', 'egress', 'classifier']) ? XDP : TC);
}
