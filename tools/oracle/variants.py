"""The program types as they are asked: a type, and what else chooses its rules (attach type, attach_btf_id, flags)."""

import json
import sys

import btf
from bpf import PROG_TYPE

SLEEPABLE = 1 << 4


class Variant:
    def __init__(self, name, prog_type, attach_type=0, attach_btf_id=0, flags=0, ret=0, attach_name=''):
        self.name, self.prog_type, self.attach_type, self.attach_btf_id, self.flags, self.ret = \
            name, prog_type, attach_type, attach_btf_id, flags, ret
        self.attach_name = attach_name

    def describe(self):
        """What a reader of the recording needs to ask the same."""
        return {'prog_type': self.prog_type, 'attach_type': self.attach_type, 'flags': self.flags, 'attach_name': self.attach_name}

    def load_args(self):
        return {'attach_type': self.attach_type, 'attach_btf_id': self.attach_btf_id, 'flags': self.flags}


SOCK_ADDR = {8: 'inet4_bind', 9: 'inet6_bind', 10: 'inet4_connect', 11: 'inet6_connect', 14: 'udp4_sendmsg', 15: 'udp6_sendmsg',
             19: 'udp4_recvmsg', 20: 'udp6_recvmsg', 29: 'inet4_getpeername', 30: 'inet6_getpeername', 31: 'inet4_getsockname',
             32: 'inet6_getsockname', 49: 'unix_connect', 50: 'unix_sendmsg', 51: 'unix_recvmsg', 52: 'unix_getpeername',
             53: 'unix_getsockname'}


ITERATORS = ('bpf_link', 'bpf_map', 'bpf_map_elem', 'bpf_prog', 'bpf_sk_storage_map', 'cgroup', 'dmabuf', 'ipv6_route', 'kmem_cache',
             'ksym', 'netlink', 'sockmap', 'task', 'task_file', 'task_vma', 'tcp', 'udp', 'unix')


def variants(vmlinux=None):
    vmlinux = vmlinux or btf.Btf()
    out = []

    def add(name, prog_type, **more):
        out.append(Variant(name, PROG_TYPE[prog_type], **more))

    for name in ('socket_filter', 'sched_cls', 'sched_act', 'tracepoint', 'xdp', 'perf_event', 'lwt_in', 'lwt_out', 'lwt_xmit',
                 'lwt_seg6local', 'sock_ops', 'sk_skb', 'cgroup_device', 'sk_msg', 'raw_tracepoint', 'raw_tracepoint_writable',
                 'cgroup_sysctl', 'flow_dissector'):
        add(name, name)
    for name, attach in (('kprobe', 0), ('kprobe_multi', 42), ('uprobe_multi', 48), ('kprobe_session', 56), ('uprobe_session', 57)):
        add(name, 'kprobe', attach_type=attach)
    add('xdp_devmap', 'xdp', attach_type=33)
    add('xdp_cpumap', 'xdp', attach_type=35)
    add('kprobe_sleepable', 'kprobe', flags=SLEEPABLE)
    add('uprobe_multi_sleepable', 'kprobe', attach_type=48, flags=SLEEPABLE)
    add('cgroup_skb_ingress', 'cgroup_skb', attach_type=0)
    add('cgroup_skb_egress', 'cgroup_skb', attach_type=1)
    for name, attach in (('default', 0), ('create', 2), ('post_bind4', 12), ('post_bind6', 13), ('release', 34)):
        add('cgroup_sock_' + name, 'cgroup_sock', attach_type=attach)
    for attach, name in SOCK_ADDR.items():
        add('cgroup_sock_addr_' + name, 'cgroup_sock_addr', attach_type=attach, ret=1)
    add('cgroup_device_typed', 'cgroup_device', attach_type=6)
    add('cgroup_sysctl_typed', 'cgroup_sysctl', attach_type=18)
    add('sock_ops_typed', 'sock_ops', attach_type=3)
    add('cgroup_getsockopt', 'cgroup_sockopt', attach_type=21)
    add('cgroup_setsockopt', 'cgroup_sockopt', attach_type=22)
    add('sk_reuseport_select', 'sk_reuseport', attach_type=39)
    add('sk_reuseport_migrate', 'sk_reuseport', attach_type=40)
    add('sk_lookup', 'sk_lookup', attach_type=36, ret=1)
    add('syscall', 'syscall', flags=SLEEPABLE)
    add('netfilter', 'netfilter', attach_type=45, ret=1)
    add('tp_btf', 'tracing', attach_type=23, attach_btf_id=vmlinux.find(btf.TYPEDEF, 'btf_trace_sched_switch'),
        attach_name='sched_switch')
    for name in ITERATORS:
        target = vmlinux.find(btf.FUNC, 'bpf_iter_' + name)
        if target:
            add('iter_' + name, 'tracing', attach_type=28, attach_btf_id=target, attach_name='bpf_iter_' + name)
    add('iter_task_sleepable', 'tracing', attach_type=28, attach_btf_id=vmlinux.find(btf.FUNC, 'bpf_iter_task'), flags=SLEEPABLE,
        attach_name='bpf_iter_task')
    congestion = vmlinux.find(btf.STRUCT, 'tcp_congestion_ops')
    for index, (name, _, _) in enumerate(vmlinux.members(congestion)):
        add('tcp_congestion_ops.' + name, 'struct_ops', attach_type=index, attach_btf_id=congestion,
            attach_name='tcp_congestion_ops.' + name)
    dummy = vmlinux.find(btf.STRUCT, 'bpf_dummy_ops')
    if dummy:
        for index, (name, _, _) in enumerate(vmlinux.members(dummy)):
            for suffix, flags in (('', 0), ('_sleepable', SLEEPABLE)):
                add('bpf_dummy_ops.' + name + suffix, 'struct_ops', attach_type=index, attach_btf_id=dummy, flags=flags,
                    attach_name='bpf_dummy_ops.' + name)
    return out


if __name__ == '__main__':
    json.dump({v.name: v.describe() for v in variants()}, open(sys.argv[1], 'w'), indent=0)
