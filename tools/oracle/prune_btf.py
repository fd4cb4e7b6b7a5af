"""Kernel BTF cut down to what tests ask of it: some functions and structs whole, what they point to by name only.

prune_btf.py OUT [objects]: for the corpus, or with what the programs of fixtures/objects name besides."""

import struct
import sys

import btf
from record_kfuncs import kfunc_names
from variants import ITERATORS

STRUCTS = [
    'task_struct', 'tcp_congestion_ops', 'bpf_dummy_ops', 'bpf_dummy_ops_state', 'sk_buff', 'sock', 'sock_common', 'tcp_sock',
    'tcp6_sock', 'tcp_timewait_sock', 'tcp_request_sock', 'udp6_sock', 'unix_sock', 'mptcp_sock', 'bpf_map', 'bpf_array',
    'bpf_iter_meta', 'seq_file', 'nf_hook_state', 'xdp_buff', 'pt_regs', 'path', 'cgroup', 'socket', 'bpf_cpumask', 'cpumask',
    'ack_sample', 'rate_sample', 'bpf_iter_num', 'bpf_iter_task', 'bpf_dynptr', 'bpf_list_head', 'bpf_rb_root', 'bpf_spin_lock',
    'bpf_timer', 'bpf_wq', 'bpf_crypto_ctx', 'nf_conn', '__sk_buff', 'xdp_md', 'bpf_perf_event_data', 'bpf_raw_tracepoint_args',
    'bpf_sock_ops', 'bpf_sock', 'bpf_sock_addr', 'bpf_sockopt', 'bpf_sysctl', 'bpf_sk_lookup', 'sk_msg_md', 'sk_reuseport_md',
    'bpf_cgroup_dev_ctx', 'bpf_iter__task', 'bpf_iter__bpf_map', 'bpf_iter__tcp', 'udp_sock', 'bpf_prog', 'bpf_link',
]
TYPEDEFS = ['btf_trace_sched_switch', 'btf_trace_sched_process_exec', 'bpf_user_pt_regs_t']
OBJECTS = [
    'bpf_refcount', 'bpf_res_spin_lock', 'bpf_task_work', 'bpf_list_node', 'bpf_rb_node', 'cgroup_subsys_state', 'css_set', 'mm_struct',
    'files_struct', 'fdtable', 'file', 'vm_area_struct', 'net_device', 'xdp_rxq_info', 'dma_buf', 'kmem_cache', 'fs_struct', 'kernfs_node',
    'bpf_ctx_convert', 'bpf_iter__cgroup', 'bpf_key', 'bpf_crypto_params', 'bpf_iter_css', 'bpf_iter_css_task', 'bpf_iter_task_vma',
    'bpf_stack_map', 'lpm_trie', 'bpf_dtab', 'bpf_stab', 'bpf_cpu_map', 'xsk_map', 'bpf_shtab', 'bpf_cgroup_storage_map', 'reuseport_array',
    'bpf_queue_stack', 'bpf_local_storage_map', 'bpf_ringbuf_map', 'bpf_bloom_filter', 'bpf_htab', 'bpf_iter_bits', 'bpf_iter_kmem_cache', 'bpf_iter_dmabuf', 'xfrm_state', 'signal_struct', 'prog_test_ref_kfunc', 'prog_test_member',
]
OBJECTS += [
    'bpf_cgroup_storage_key', 'bpf_flow_keys', 'bpf_iter__bpf_link', 'bpf_iter__bpf_map_elem', 'bpf_iter__bpf_prog', 'bpf_iter__bpf_sk_storage_map',
    'bpf_iter__ksym', 'bpf_iter__netlink', 'bpf_iter__task_file', 'bpf_iter__task_vma', 'bpf_iter__udp', 'bpf_nf_ctx',
    'bpf_perf_event_value', 'bpf_prog_aux', 'bpf_tunnel_key', 'dentry', 'inet_connection_sock', 'inet_sock',
    'inode', 'kallsym_iter', 'netlink_sock', 'pid', 'qstr', 'rq',
    'sched_class', 'skb_shared_info', 'tc_bbr_info', 'tcp_cc_info',
]
OBJECTS += ['ethhdr', 'iphdr', 'bpf_tcp_sock']
OBJECT_TYPEDEFS = [
    'btf_trace_bpf_trace_printk', 'btf_trace_cgroup_mkdir', 'btf_trace_kfree_skb', 'btf_trace_sched_pi_setprio',
    'btf_trace_sched_switch', 'btf_trace_sys_enter', 'btf_trace_task_newtask', 'btf_trace_tcp_retransmit_skb',
]
WRAPPING = (btf.PTR, btf.TYPEDEF, btf.VOLATILE, btf.CONST, btf.RESTRICT, btf.FUNC, btf.TYPE_TAG, btf.VAR)


class Pruner:
    def __init__(self, source):
        self.source = source
        self.whole, self.named = set(), set()

    def references(self, type_id):
        """[(id, by value)] of what a type refers to."""
        kind, _, vlen, size, body, _ = self.source.types[type_id]
        if kind == btf.PTR:
            return [(size, False)]
        if kind in WRAPPING:
            return [(size, True)]
        if kind == btf.ARRAY:
            element, index, _ = struct.unpack('<III', body)
            return [(element, True), (index, True)]
        if kind in (btf.STRUCT, btf.UNION):
            return [(struct.unpack_from('<I', body, 12 * i + 4)[0], True) for i in range(vlen)]
        if kind == btf.FUNC_PROTO:
            return [(size, True)] + [(struct.unpack_from('<I', body, 8 * i + 4)[0], True) for i in range(vlen)]
        return []

    def keep(self, start):
        pending = [(start, True)]
        while pending:
            type_id, by_value = pending.pop()
            if type_id == 0 or type_id in self.whole:
                continue
            kind, name = self.source.types[type_id][:2]
            if kind in (btf.STRUCT, btf.UNION) and not by_value and name:
                self.named.add(type_id)
                continue
            self.whole.add(type_id)
            for target, value in self.references(type_id):
                pending.append((target, by_value and value if kind != btf.FUNC_PROTO else False))

    def encode(self):
        kept = sorted(self.whole | self.named)
        for tag_id, (kind, _, _, target, _, _) in enumerate(self.source.types[1:], 1):
            if kind == btf.DECL_TAG and target in self.whole:
                kept.append(tag_id)
        number = {old: new for new, old in enumerate(kept, 1)}
        number[0] = 0
        strings, offsets = bytearray(b'\0'), {'': 0}
        out = bytearray()

        def text(name):
            if name not in offsets:
                offsets[name] = len(strings)
                strings.extend(name.encode() + b'\0')
            return offsets[name]

        for old in kept:
            kind, name, vlen, size, body, flag = self.source.types[old]
            if old not in self.whole and kind != btf.DECL_TAG:
                out += struct.pack('<III', text(name), btf.FWD << 24 | (kind == btf.UNION) << 31, 0)
                continue
            if kind in WRAPPING or kind in (btf.FUNC_PROTO, btf.DECL_TAG):
                size = number[size]
            out += struct.pack('<III', text(name), flag << 31 | kind << 24 | vlen, size) + self.body(kind, vlen, body, number, text)
        header = struct.pack('<HBBIIIII', 0xeb9f, 1, 0, 24, 0, len(out), len(out), len(strings))
        return header + bytes(out) + bytes(strings)

    def body(self, kind, vlen, body, number, text):
        out = bytearray(body)
        if kind == btf.ARRAY:
            element, index, count = struct.unpack('<III', body)
            return struct.pack('<III', number[element], number[index], count)
        step = {btf.STRUCT: 12, btf.UNION: 12, btf.FUNC_PROTO: 8, btf.ENUM: 8, btf.ENUM64: 12}.get(kind)
        for at in range(0, step * vlen if step else 0, step or 1):
            name, second = struct.unpack_from('<II', body, at)
            refers = kind in (btf.STRUCT, btf.UNION, btf.FUNC_PROTO)
            struct.pack_into('<II', out, at, text(self.source.string(name)), number[second] if refers else second)
        return bytes(out)


def main():
    source = btf.Btf()
    pruner = Pruner(source)
    wanted = [source.find(btf.STRUCT, name) for name in STRUCTS] + [source.find(btf.TYPEDEF, name) for name in TYPEDEFS]
    wanted += [source.find(btf.FUNC, 'bpf_iter_' + name) for name in ITERATORS] + list(kfunc_names(source).values())
    if sys.argv[2:] == ['objects']:
        wanted += [source.find(btf.STRUCT, name) for name in OBJECTS] + [source.find(btf.TYPEDEF, name) for name in OBJECT_TYPEDEFS]
        wanted += [source.find(btf.UNION, 'bpf_attr'), source.find(btf.FUNC, 'bpf_iter_cgroup')]
    for type_id in wanted:
        if type_id:
            pruner.keep(type_id)
    open(sys.argv[1], 'wb').write(pruner.encode())


if __name__ == '__main__':
    main()
