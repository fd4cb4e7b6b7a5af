/** Programs at cgroups: cgroup_skb, cgroup_sock, cgroup_sock_addr, cgroup_sockopt, cgroup_sysctl, cgroup_device. */

import {
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
  BPF_CGROUP_UDP4_RECVMSG,
  BPF_CGROUP_UDP4_SENDMSG,
  BPF_CGROUP_UDP6_RECVMSG,
  BPF_CGROUP_UDP6_SENDMSG,
  BPF_CGROUP_UNIX_CONNECT,
  BPF_CGROUP_UNIX_GETPEERNAME,
  BPF_CGROUP_UNIX_GETSOCKNAME,
  BPF_CGROUP_UNIX_RECVMSG,
  BPF_CGROUP_UNIX_SENDMSG,
} from '@libbpf-ts/uapi';
import type { ProgFacts, ReturnRange, VerifierOps } from '@libbpf-ts/verifier';
import {
  bpf_base_func_proto,
  bpf_bind_proto,
  bpf_get_listener_sock_proto,
  bpf_get_local_storage_proto,
  bpf_get_netns_cookie_proto,
  bpf_get_retval_proto,
  bpf_get_socket_cookie_proto,
  bpf_get_socket_uid_proto,
  bpf_ktime_get_coarse_ns_proto,
  bpf_perf_event_output_proto,
  bpf_set_retval_proto,
  bpf_sk_ancestor_cgroup_id_proto,
  bpf_sk_base_func_proto,
  bpf_sk_cgroup_id_proto,
  bpf_sk_fullsock_proto,
  bpf_sk_getsockopt_proto,
  bpf_sk_lookup_tcp_proto,
  bpf_sk_lookup_udp_proto,
  bpf_sk_release_proto,
  bpf_sk_setsockopt_proto,
  bpf_sk_storage_delete_proto,
  bpf_sk_storage_get_cg_sock_proto,
  bpf_sk_storage_get_proto,
  bpf_skb_ancestor_cgroup_id_proto,
  bpf_skb_cgroup_id_proto,
  bpf_skb_ecn_set_ce_proto,
  bpf_skb_load_bytes_proto,
  bpf_skb_load_bytes_relative_proto,
  bpf_skc_lookup_tcp_proto,
  bpf_sock_addr_getsockopt_proto,
  bpf_sock_addr_setsockopt_proto,
  bpf_sock_addr_sk_lookup_tcp_proto,
  bpf_sock_addr_sk_lookup_udp_proto,
  bpf_sock_addr_skc_lookup_tcp_proto,
  bpf_sysctl_get_current_value_proto,
  bpf_sysctl_get_name_proto,
  bpf_sysctl_get_new_value_proto,
  bpf_sysctl_set_new_value_proto,
  bpf_tcp_sock_proto,
  CGROUP_KFUNCS,
  COMMON_KFUNCS,
  contextRule,
  field,
  GENERIC_KFUNCS,
  hasBpf,
  kfuncs,
  NARROW,
  PACKET,
  PACKET_END,
  SKB_KFUNCS,
  skbContext,
  SOCKET,
  withHelpers,
  withHelpersIf,
} from '@libbpf-ts/verifier/protos';
import type { CtxAccessRule, CtxField, FuncProtoRule } from '@libbpf-ts/verifier/protos';

const cgroupKfuncs = kfuncs(COMMON_KFUNCS, GENERIC_KFUNCS, SKB_KFUNCS, CGROUP_KFUNCS);
const zeroOrOne = (): ReturnRange => ({ min: 0, max: 1 });

/** Hooks whose result is no error code, so that programs cannot see or set one. */
const WITHOUT_RETVAL: ReadonlySet<number> = new Set([
  BPF_CGROUP_INET_INGRESS,
  BPF_CGROUP_INET_EGRESS,
  BPF_CGROUP_SOCK_OPS,
  BPF_CGROUP_UDP4_RECVMSG,
  BPF_CGROUP_UDP6_RECVMSG,
  BPF_CGROUP_UNIX_RECVMSG,
  BPF_CGROUP_INET4_GETPEERNAME,
  BPF_CGROUP_INET6_GETPEERNAME,
  BPF_CGROUP_UNIX_GETPEERNAME,
  BPF_CGROUP_INET4_GETSOCKNAME,
  BPF_CGROUP_INET6_GETSOCKNAME,
  BPF_CGROUP_UNIX_GETSOCKNAME,
]);

/** What every cgroup program adds to `rest`: local storage, perf events, and the return value where the hook has one. */
function withCgroup(rest: FuncProtoRule): FuncProtoRule {
  return withHelpers(
    [bpf_get_local_storage_proto, bpf_perf_event_output_proto],
    withHelpersIf((prog) => !WITHOUT_RETVAL.has(hookOf(prog)), [bpf_get_retval_proto, bpf_set_retval_proto], rest),
  );
}

const SOCK_HOOKS: readonly number[] = [
  BPF_CGROUP_INET_SOCK_CREATE,
  BPF_CGROUP_INET_SOCK_RELEASE,
  BPF_CGROUP_INET4_POST_BIND,
  BPF_CGROUP_INET6_POST_BIND,
];

/** The attach type; a cgroup_sock program that names none is taken as one for socket creation. */
function hookOf({ prog_type, expected_attach_type }: ProgFacts): number {
  return prog_type === 9 && expected_attach_type === 0 ? BPF_CGROUP_INET_SOCK_CREATE : expected_attach_type;
}

function oneOf(hooks: readonly number[]): NonNullable<VerifierOps['checkAttach']> {
  return (prog) => (hooks.includes(hookOf(prog)) ? undefined : { errno: 'EINVAL' });
}

// cgroup_skb

const cgSkbContext = skbContext(['tc_classid', 'data_meta', 'wire_len', 'tstamp_type'], ['mark', 'priority', 'cb', 'tstamp']);
const cgSkbContextWithoutBpf = skbContext(
  ['tc_classid', 'data_meta', 'wire_len', 'tstamp_type', 'data', 'data_end'],
  ['mark', 'priority', 'cb'],
);

export const cgroupSkbOps: VerifierOps = {
  name: 'cgroup_skb',
  funcProto: withCgroup(
    withHelpers(
      [
        bpf_skb_load_bytes_proto,
        bpf_skb_load_bytes_relative_proto,
        bpf_get_socket_cookie_proto,
        bpf_get_netns_cookie_proto,
        bpf_get_socket_uid_proto,
        bpf_sk_fullsock_proto,
        bpf_sk_storage_get_proto,
        bpf_sk_storage_delete_proto,
        bpf_skb_cgroup_id_proto,
        bpf_skb_ancestor_cgroup_id_proto,
        bpf_sk_cgroup_id_proto,
        bpf_sk_ancestor_cgroup_id_proto,
        bpf_sk_lookup_tcp_proto,
        bpf_sk_lookup_udp_proto,
        bpf_sk_release_proto,
        bpf_skc_lookup_tcp_proto,
        bpf_tcp_sock_proto,
        bpf_get_listener_sock_proto,
        bpf_skb_ecn_set_ce_proto,
      ],
      bpf_sk_base_func_proto,
    ),
  ),
  isValidAccess: (off, size, write, prog) => (hasBpf(prog) ? cgSkbContext : cgSkbContextWithoutBpf)(off, size, write, prog),
  returnRange: (prog) => ({ min: 0, max: prog.expected_attach_type === BPF_CGROUP_INET_EGRESS ? 3 : 1 }),
  checkAttach: oneOf([BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS]),
  packetRead: true,
  kfuncs: cgroupKfuncs,
  contextStruct: '__sk_buff',
};

// cgroup_sock

const SOCK_FIELDS: readonly CtxField[] = [
  field('family', 4, 4, NARROW, 0, { startOnly: true }),
  field('type', 8, 4, NARROW, 0, { startOnly: true }),
  field('protocol', 12, 4, NARROW, 0, { startOnly: true }),
  field('dst_port', 48, 2, 3),
  field('dst_port', 48, 4, 4),
  field('dst_ip4', 52, 4, NARROW),
  field('dst_ip6', 56, 16, NARROW),
  field('state', 72, 4, NARROW, 0, { startOnly: true }),
  field('rx_queue_mapping', 76, 4, NARROW, 0, { startOnly: true }),
];

const BEFORE_BIND: readonly CtxField[] = [
  field('bound_dev_if', 0, 4, 4, 4),
  field('mark', 16, 4, 4, 4),
  field('priority', 20, 4, 4, 4),
];

const sourcePort = field('src_port', 44, 4, NARROW, 0, { startOnly: true });

const creating = contextRule([...SOCK_FIELDS, ...BEFORE_BIND]);
const bound4 = contextRule([...SOCK_FIELDS, field('src_ip4', 24, 4, NARROW), sourcePort]);
const bound6 = contextRule([...SOCK_FIELDS, field('src_ip6', 28, 16, NARROW), sourcePort]);

const sockContext: CtxAccessRule = (off, size, write, prog) => {
  const hook = hookOf(prog);
  const rule = hook === BPF_CGROUP_INET4_POST_BIND ? bound4 : hook === BPF_CGROUP_INET6_POST_BIND ? bound6 : creating;
  return rule(off, size, write, prog);
};

export const cgroupSockOps: VerifierOps = {
  name: 'cgroup_sock',
  funcProto: withCgroup(
    withHelpers(
      [
        bpf_get_socket_cookie_proto,
        bpf_get_netns_cookie_proto,
        bpf_sk_storage_get_cg_sock_proto,
        bpf_ktime_get_coarse_ns_proto,
      ],
      bpf_base_func_proto,
    ),
  ),
  isValidAccess: sockContext,
  returnRange: zeroOrOne,
  checkAttach: oneOf(SOCK_HOOKS),
  kfuncs: cgroupKfuncs,
  contextStruct: 'bpf_sock',
};

// cgroup_sock_addr

const INET4: readonly number[] = [
  BPF_CGROUP_INET4_BIND,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_UDP4_SENDMSG,
  BPF_CGROUP_UDP4_RECVMSG,
  BPF_CGROUP_INET4_GETPEERNAME,
  BPF_CGROUP_INET4_GETSOCKNAME,
];
const INET6: readonly number[] = [
  BPF_CGROUP_INET6_BIND,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_UDP6_SENDMSG,
  BPF_CGROUP_UDP6_RECVMSG,
  BPF_CGROUP_INET6_GETPEERNAME,
  BPF_CGROUP_INET6_GETSOCKNAME,
];
const UNIX: readonly number[] = [
  BPF_CGROUP_UNIX_CONNECT,
  BPF_CGROUP_UNIX_SENDMSG,
  BPF_CGROUP_UNIX_RECVMSG,
  BPF_CGROUP_UNIX_GETPEERNAME,
  BPF_CGROUP_UNIX_GETSOCKNAME,
];

const ADDR_FIELDS: readonly CtxField[] = [
  field('user_family', 0, 4, 4),
  field('user_port', 24, 4, NARROW, 4),
  field('family', 28, 4, 4),
  field('type', 32, 4, 4),
  field('protocol', 36, 4, 4),
  field('sk', 64, 8, 8, 0, { gives: SOCKET }),
];
const user4 = field('user_ip4', 4, 4, NARROW, 4);
const user6 = field('user_ip6', 8, 16, NARROW | 8, 12);

const addr4 = contextRule([...ADDR_FIELDS, user4]);
const addr6 = contextRule([...ADDR_FIELDS, user6]);
const send4 = contextRule([...ADDR_FIELDS, user4, field('msg_src_ip4', 40, 4, NARROW, 4)]);
const send6 = contextRule([...ADDR_FIELDS, user6, field('msg_src_ip6', 44, 16, NARROW | 8, 12)]);
const addrUnix = contextRule(ADDR_FIELDS);

const sockAddrContext: CtxAccessRule = (off, size, write, prog) => {
  const hook = prog.expected_attach_type;
  if (hook === BPF_CGROUP_UDP4_SENDMSG) return send4(off, size, write, prog);
  if (hook === BPF_CGROUP_UDP6_SENDMSG) return send6(off, size, write, prog);
  return (INET4.includes(hook) ? addr4 : INET6.includes(hook) ? addr6 : addrUnix)(off, size, write, prog);
};

function sockAddrReturns({ expected_attach_type: hook }: ProgFacts): ReturnRange {
  if (hook === BPF_CGROUP_INET4_BIND || hook === BPF_CGROUP_INET6_BIND) return { min: 0, max: 3 };
  return WITHOUT_RETVAL.has(hook) ? { min: 1, max: 1 } : { min: 0, max: 1 };
}

export const cgroupSockAddrOps: VerifierOps = {
  name: 'cgroup_sock_addr',
  funcProto: withHelpersIf(
    ({ expected_attach_type: hook }) => hook === BPF_CGROUP_INET4_CONNECT || hook === BPF_CGROUP_INET6_CONNECT,
    [bpf_bind_proto],
    withCgroup(
      withHelpers(
        [
          bpf_get_socket_cookie_proto,
          bpf_get_netns_cookie_proto,
          bpf_sock_addr_sk_lookup_tcp_proto,
          bpf_sock_addr_sk_lookup_udp_proto,
          bpf_sk_release_proto,
          bpf_sock_addr_skc_lookup_tcp_proto,
          bpf_sk_storage_get_proto,
          bpf_sk_storage_delete_proto,
          bpf_sock_addr_setsockopt_proto,
          bpf_sock_addr_getsockopt_proto,
        ],
        bpf_sk_base_func_proto,
      ),
    ),
  ),
  isValidAccess: sockAddrContext,
  returnRange: sockAddrReturns,
  checkAttach: oneOf([...INET4, ...INET6, ...UNIX]),
  kfuncs: cgroupKfuncs,
  contextStruct: 'bpf_sock_addr',
};

// cgroup_sockopt

const SOCKOPT_FIELDS: readonly CtxField[] = [
  field('sk', 0, 8, 8, 0, { gives: SOCKET }),
  field('optval', 8, 8, 8, 0, { gives: PACKET }),
  field('optval_end', 16, 8, 8, 0, { gives: PACKET_END }),
  field('optlen', 32, 4, 4, 4),
];
const getsockopt = contextRule([
  ...SOCKOPT_FIELDS,
  field('level', 24, 4, 4),
  field('optname', 28, 4, 4),
  field('retval', 36, 4, 4, 4),
]);
const setsockopt = contextRule([...SOCKOPT_FIELDS, field('level', 24, 4, 4, 4), field('optname', 28, 4, 4, 4)]);

export const cgroupSockoptOps: VerifierOps = {
  name: 'cgroup_sockopt',
  funcProto: withHelpersIf(
    (prog) => prog.expected_attach_type === BPF_CGROUP_SETSOCKOPT,
    [bpf_sk_setsockopt_proto, bpf_sk_getsockopt_proto],
    withCgroup(
      withHelpers(
        [bpf_get_netns_cookie_proto, bpf_sk_storage_get_proto, bpf_sk_storage_delete_proto, bpf_tcp_sock_proto],
        bpf_base_func_proto,
      ),
    ),
  ),
  isValidAccess: (off, size, write, prog) =>
    (prog.expected_attach_type === BPF_CGROUP_GETSOCKOPT ? getsockopt : setsockopt)(off, size, write, prog),
  returnRange: zeroOrOne,
  checkAttach: oneOf([BPF_CGROUP_GETSOCKOPT, BPF_CGROUP_SETSOCKOPT]),
  packetRead: true,
  packetWrite: true,
  kfuncs: cgroupKfuncs,
  contextStruct: 'bpf_sockopt',
};

// cgroup_sysctl, cgroup_device

export const cgroupSysctlOps: VerifierOps = {
  name: 'cgroup_sysctl',
  funcProto: withCgroup(
    withHelpers(
      [
        bpf_sysctl_get_name_proto,
        bpf_sysctl_get_current_value_proto,
        bpf_sysctl_get_new_value_proto,
        bpf_sysctl_set_new_value_proto,
        bpf_ktime_get_coarse_ns_proto,
      ],
      bpf_base_func_proto,
    ),
  ),
  isValidAccess: contextRule([field('write', 0, 4, NARROW), field('file_pos', 4, 4, NARROW, 4)]),
  returnRange: zeroOrOne,
  kfuncs: cgroupKfuncs,
  contextStruct: 'bpf_sysctl',
};

export const cgroupDeviceOps: VerifierOps = {
  name: 'cgroup_device',
  funcProto: withCgroup(bpf_base_func_proto),
  isValidAccess: contextRule([field('access_type', 0, 4, NARROW), field('major', 4, 4, 4), field('minor', 8, 4, 4)]),
  returnRange: zeroOrOne,
  kfuncs: cgroupKfuncs,
  contextStruct: 'bpf_cgroup_dev_ctx',
};
