#!/usr/bin/env python3
"""Records what helpers over packets do on the running kernel: BPF_PROG_TEST_RUN of one call each.

    record_skb_helpers.py > OUT.jsonl

Needs root; works in a network namespace of its own. Every program puts the call's result and what it can see of the packet
afterwards into skb->cb, which comes back in ctx_out. Cases with `gso` give the packet gso_segs and gso_size in ctx_in; their programs leave
what these are afterwards in skb->mark, and wire_len in skb->priority. A device m0 (7) of MTU 1500 is there for them.
"""

import ctypes
import json
import struct
import subprocess
import sys

import bpf

CLONE_NEWNET = 0x40000000
SCHED_CLS = bpf.PROG_TYPE['sched_cls']
i = bpf.insn
CTX = 6

FUNC = {
    'skb_store_bytes': 9, 'l3_csum_replace': 10, 'l4_csum_replace': 11, 'clone_redirect': 13, 'get_cgroup_classid': 17, 'skb_vlan_push': 18,
    'skb_vlan_pop': 19, 'skb_get_tunnel_key': 20, 'skb_set_tunnel_key': 21, 'redirect': 23, 'get_route_realm': 24, 'skb_load_bytes': 26,
    'csum_diff': 28, 'skb_get_tunnel_opt': 29, 'skb_set_tunnel_opt': 30, 'skb_change_proto': 31, 'skb_change_type': 32,
    'get_hash_recalc': 34, 'skb_change_tail': 38, 'skb_pull_data': 39, 'csum_update': 40, 'set_hash_invalid': 41, 'skb_change_head': 43,
    'get_socket_cookie': 46, 'get_socket_uid': 47, 'set_hash': 48, 'skb_adjust_room': 50, 'skb_load_bytes_relative': 68, 'fib_lookup': 69,
    'skb_cgroup_id': 79, 'skb_ancestor_cgroup_id': 83, 'skb_ecn_set_ce': 97, 'csum_level': 135, 'redirect_neigh': 152, 'redirect_peer': 155,
    'check_mtu': 163, 'skb_set_tstamp': 192,
}


def imm64(dst, value):
    return i(0x18, dst, 0, 0, value & 0xFFFFFFFF) + i(0, imm=(value >> 32) & 0xFFFFFFFF)


def stack(off):
    return ('stack', off)


def argument(reg, value):
    if value == 'ctx':
        return i(0xBF, reg, CTX)
    if isinstance(value, tuple):
        return i(0xBF, reg, 10) + i(0x07, reg, imm=value[1])
    return imm64(reg, value) if not -2**31 <= value < 2**31 else i(0xB7, reg, imm=value)


def call(name, *args):
    return b''.join(argument(at + 1, value) for at, value in enumerate(args)) + i(0x85, imm=FUNC[name])


def fill_stack(size=128):
    """Known bytes from fp-128 on."""
    return b''.join(i(0x62, 10, off=-size + at, imm=0x01020304 + at * 0x01010101 // 4) for at in range(0, size, 4))


def put_stack(off, data):
    data += bytes(-len(data) % 4)
    return b''.join(i(0x62, 10, off=off + at, imm=struct.unpack_from('<i', data, at)[0]) for at in range(0, len(data), 4))


SHOW = (
    i(0x63, CTX, 0, 48)                                                       # cb[0] = result
    + i(0x61, 1, CTX, 0) + i(0x63, CTX, 1, 52)                                # cb[1] = len
    + i(0x61, 1, CTX, 16) + i(0x61, 2, CTX, 4) + i(0x67, 2, imm=16) + i(0x4F, 1, 2) + i(0x63, CTX, 1, 56)   # protocol | pkt_type << 16
    + i(0x61, 1, CTX, 24) + i(0x61, 2, CTX, 20) + i(0x67, 2, imm=16) + i(0x4F, 1, 2) + i(0x63, CTX, 1, 60)  # tci | present << 16
    + i(0x61, 1, CTX, 28) + i(0x63, CTX, 1, 64)                               # vlan_proto
    + i(0xB7, 0, imm=0) + i(0x95)
)


BEFORE = i(0xBF, CTX, 1) + fill_stack()


def program(*steps):
    return BEFORE + b''.join(steps) + SHOW


def result_of_stack(off, size):
    """The result of the call, and bytes of the stack written over the packet's payload."""
    return i(0xBF, 7, 0) + call('skb_store_bytes', 'ctx', 60, stack(off), size, 0) + i(0xBF, 0, 7)


def u16(value):
    return struct.pack('>H', value)


def ipv4(proto, payload, tos=0):
    head = struct.pack('>BBHHHBBH4s4s', 0x45, tos, 20 + len(payload), 1, 0x4000, 64, proto, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack('>10H', head))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + u16(~total & 0xFFFF) + head[12:] + payload


BODY = bytes(range(64))
MAC = bytes.fromhex('020000000002020000000001')
UDP = struct.pack('>HHHH', 4000, 53, 8 + len(BODY), 0x1234) + BODY
PACKETS = {
    'ipv4': MAC + u16(0x0800) + ipv4(17, UDP),
    'ect': MAC + u16(0x0800) + ipv4(17, UDP, 2),
    'ce': MAC + u16(0x0800) + ipv4(17, UDP, 3),
    'ipv6': MAC + u16(0x86DD) + struct.pack('>IHBB', 0x60000000, len(UDP), 17, 64) + bytes(15) + b'\1' + bytes(15) + b'\2' + UDP,
    'ipv6ect': MAC + u16(0x86DD) + struct.pack('>IHBB', 0x60200000, len(UDP), 17, 64) + bytes(15) + b'\1' + bytes(15) + b'\2' + UDP,
    'vlan': MAC + u16(0x8100) + u16(0x2005) + u16(0x0800) + ipv4(17, UDP),
    'qinq': MAC + u16(0x88A8) + u16(0x0007) + u16(0x8100) + u16(0x2005) + u16(0x0800) + ipv4(17, UDP),
    'arp': MAC + u16(0x0806) + bytes(46),
    'large': MAC + u16(0x0800) + ipv4(17, struct.pack('>HHHH', 4000, 53, 8 + 1900, 0) + bytes(range(100)) * 19),
    'short': MAC + u16(0x0800) + ipv4(17, b''),
}


def cases():
    both = ('ipv4', 'ipv6')
    for offset, size in ((0, 1), (0, 14), (12, 2), (100, 6), (100, 7), (105, 1), (106, 1), (0x7FFFFFFF, 1), (0x80000000, 1), (-1, 1), (0xFFFFFFFF, 4)):
        yield f'skb_load_bytes {offset} {size}', program(call('skb_load_bytes', 'ctx', offset, stack(-128), size), result_of_stack(-128, 8)), ('ipv4',)
    for start in (0, 1, 2):
        for offset, size in ((0, 4), (14, 4), (60, 32), (91, 1), (105, 1), (106, 1), (0xFFFF, 1), (0x10000, 1)):
            yield (f'skb_load_bytes_relative {offset} {size} from {start}',
                   program(call('skb_load_bytes_relative', 'ctx', offset, stack(-128), size, start), result_of_stack(-128, 8)), ('ipv4',))
    for offset, size, flags in ((0, 6, 0), (30, 8, 1), (30, 8, 2), (30, 8, 3), (30, 8, 4), (30, 8, 1 << 32), (100, 6, 0), (100, 7, 0), (-1, 1, 0), (0x80000000, 4, 0)):
        yield f'skb_store_bytes {offset} {size} {flags:#x}', program(call('skb_store_bytes', 'ctx', offset, stack(-64), size, flags)), ('ipv4',)
    for helper, base in (('l3_csum_replace', 24), ('l4_csum_replace', 40)):
        for flags in (0, 1, 2, 3, 4, 5, 8, 0x10, 0x12, 0x14, 0x20, 0x22, 0x34, 0x40, 0x62, 0x80, 0x92, 0x100, 1 << 32):
            for old, new in ((0, 0x1234), (0x0A000001, 0x0B010203), (0xFFFF, 0), (0x1234, 0x1234)):
                yield f'{helper} {old:#x}->{new:#x} {flags:#x}', program(call(helper, 'ctx', base, old, new, flags)), ('ipv4',)
        for offset in (0, 23, 0xFFFE, 0xFFFF, 0x10000, 104, 105, 106, -2):
            yield f'{helper} at {offset}', program(call(helper, 'ctx', offset, 1, 2, 2)), ('ipv4',)
        yield f'{helper} to a sum of zero', program(put_stack(-128, bytes(4)), call('skb_store_bytes', 'ctx', base, stack(-128), 2, 0), call(helper, 'ctx', base, 0, 0, 2)), ('ipv4',)
        for flags in (0x02, 0x22, 0x62, 0x20, 0x60):
            yield (f'{helper} of a field of zero {flags:#x}',
                   program(put_stack(-128, bytes(4)), call('skb_store_bytes', 'ctx', base, stack(-128), 2, 0), call(helper, 'ctx', base, 0, 0x55AA, flags)), ('ipv4',))
    for old, new in ((0, 0), (4, 0), (0, 4), (4, 4), (8, 4), (4, 8), (16, 64), (64, 16), (5, 4), (4, 6), (3, 0)):
        for seed in (0, 1, 0xFFFF, 0x10000, 0xFFFFFFFF, 0x89ABCDEF):
            args = (stack(-128) if old else 0, old, stack(-64) if new else 0, new, seed)
            yield f'csum_diff {old} {new} {seed:#x}', program(call('csum_diff', *args)), ('ipv4',)
    for length in (0, 13, 14, 20, 33, 34, 42, 60, 105, 106, 107, 200, 1514, 1515, 3000, 16063, 16064, 16065, 65549, 65550, 65551, 70000):
        for flags in (0, 1) if length == 60 else (0,):
            yield f'skb_change_tail {length} {flags}', program(call('skb_change_tail', 'ctx', length, flags)), ('ipv4',)
    for room, flags in ((0, 0), (1, 0), (14, 0), (14, 1), (200, 0), (2000, 0), (15957, 0), (15958, 0), (15959, 0), (65444, 0), (65445, 0), (-1, 0)):
        yield f'skb_change_head {room} {flags}', program(call('skb_change_head', 'ctx', room, flags)), ('ipv4',)
    for proto in (0x0008, 0xDD86, 0x0608, 0):
        for flags in (0, 1):
            yield f'skb_change_proto {proto:#x} {flags}', program(call('skb_change_proto', 'ctx', proto, flags)), ('ipv4', 'ipv6', 'arp')
    for kind in (0, 1, 2, 3, 4, 7, -1):
        yield f'skb_change_type {kind}', program(call('skb_change_type', 'ctx', kind)), ('ipv4',)
    for length in (0, 1, 106, 107, 4096, -1):
        yield f'skb_pull_data {length}', program(call('skb_pull_data', 'ctx', length)), ('ipv4',)
    yield from room_cases(both)
    yield from vlan_cases()
    yield from small_cases(both)
    yield from tunnel_cases()


def room_cases(both):
    for mode in (0, 1, 2):
        for by in (0, 4, 20, 40, -4, -20, -28, -40, -60, -72, -73, -91, -92, -93, 0xFFF, 0x1000, -0xFFF, -0x1000):
            yield f'skb_adjust_room {by} {mode}', program(call('skb_adjust_room', 'ctx', by, mode, 0)), (*both, 'arp')
    for flags in (1, 2, 4, 6, 8, 16, 24, 32, 64, 128, 256, 384, 512, 2 | 8, 2 | 16, 4 | 8, 1 << 32, (14 << 56) | 2 | 16 | 64, (14 << 56) | 2, (13 << 56) | 2 | 64, (60 << 56) | 2):
        for by in (28, -8):
            for mode in (0, 1):
                yield f'skb_adjust_room {by} {mode} {flags:#x}', program(call('skb_adjust_room', 'ctx', by, mode, flags)), both


def vlan_cases():
    tags = ('ipv4', 'vlan', 'qinq')
    for proto in (0x0081, 0xA888, 0x0008, 0):
        yield f'skb_vlan_push {proto:#x}', program(call('skb_vlan_push', 'ctx', proto, 0x1003)), tags
        yield f'skb_vlan_push twice {proto:#x}', program(call('skb_vlan_push', 'ctx', 0x0081, 5), call('skb_vlan_push', 'ctx', proto, 0x1003)), tags
    yield 'skb_vlan_push three times', program(*(call('skb_vlan_push', 'ctx', 0x0081, tci) for tci in (1, 2, 3))), tags
    yield 'skb_vlan_pop', program(call('skb_vlan_pop', 'ctx')), (*tags, 'arp')
    yield 'skb_vlan_pop twice', program(call('skb_vlan_pop', 'ctx'), call('skb_vlan_pop', 'ctx')), tags
    yield 'skb_vlan_push and pop', program(call('skb_vlan_push', 'ctx', 0x0081, 5), call('skb_vlan_pop', 'ctx')), tags
    yield 'skb_vlan_push twice and pop', program(call('skb_vlan_push', 'ctx', 0x0081, 5), call('skb_vlan_push', 'ctx', 0xA888, 6), call('skb_vlan_pop', 'ctx')), tags
    yield 'skb_vlan_push with all bits', program(call('skb_vlan_push', 'ctx', 0x0081, 0x1FFFF)), ('ipv4',)


def small_cases(both):
    for name in ('get_cgroup_classid', 'get_route_realm', 'skb_cgroup_id', 'get_socket_uid'):
        yield name, program(call(name, 'ctx')), ('ipv4',)
    yield 'skb_ancestor_cgroup_id', program(call('skb_ancestor_cgroup_id', 'ctx', 0)), ('ipv4',)
    yield 'get_socket_cookie is zero', program(call('get_socket_cookie', 'ctx'), i(0x15, 0, off=1, imm=0), i(0xB7, 0, imm=1)), ('ipv4',)
    yield 'get_hash_recalc is not zero', program(call('get_hash_recalc', 'ctx'), i(0x15, 0, off=1, imm=0), i(0xB7, 0, imm=1)), ('ipv4', 'ipv6', 'arp')
    yield 'set_hash and read', program(call('set_hash', 'ctx', 0x12345678), i(0x61, 0, CTX, 68)), ('ipv4',)
    yield 'set_hash and recalc', program(call('set_hash', 'ctx', 0x12345678), call('get_hash_recalc', 'ctx')), ('ipv4',)
    yield 'set_hash_invalid', program(call('set_hash', 'ctx', 0x12345678), call('set_hash_invalid', 'ctx'), i(0x61, 0, CTX, 68)), ('ipv4',)
    yield 'csum_update', program(call('csum_update', 'ctx', 5)), ('ipv4',)
    for level in (0, 1, 2, 3, 4, -1, 1 << 32):
        yield f'csum_level {level}', program(call('csum_level', 'ctx', level)), ('ipv4',)
    yield 'csum_level INC then QUERY', program(call('csum_level', 'ctx', 1), call('csum_level', 'ctx', 0)), ('ipv4',)
    yield 'csum_level INC INC then QUERY', program(call('csum_level', 'ctx', 1), call('csum_level', 'ctx', 1), call('csum_level', 'ctx', 0)), ('ipv4',)
    yield 'csum_level five INC then QUERY', program(*[call('csum_level', 'ctx', 1)] * 5, call('csum_level', 'ctx', 0)), ('ipv4',)
    yield 'csum_level INC DEC then QUERY', program(call('csum_level', 'ctx', 1), call('csum_level', 'ctx', 2), call('csum_level', 'ctx', 0)), ('ipv4',)
    yield 'csum_level INC RESET then QUERY', program(call('csum_level', 'ctx', 1), call('csum_level', 'ctx', 3), call('csum_level', 'ctx', 0)), ('ipv4',)
    for flags in (0, 1, 2, 3, 1 << 32):
        yield f'redirect {flags:#x}', program(call('redirect', 1, flags)), ('ipv4',)
        yield f'redirect_peer {flags:#x}', program(call('redirect_peer', 1, flags)), ('ipv4',)
        yield f'redirect_neigh {flags:#x}', program(call('redirect_neigh', 1, 0, 0, flags)), ('ipv4',)
    for size in (4, 19, 20, 24):
        yield f'redirect_neigh with {size} bytes', program(call('redirect_neigh', 1, stack(-128), size, 0)), ('ipv4',)
    for target, flags in ((0, 0), (999, 0), (1, 2), (1, 1 << 32)):
        yield f'clone_redirect {target} {flags:#x}', program(call('clone_redirect', 'ctx', target, flags)), ('ipv4',)
    yield 'skb_ecn_set_ce', program(call('skb_ecn_set_ce', 'ctx')), (*both, 'ect', 'ce', 'ipv6ect', 'arp', 'short')
    for kind, stamp in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 1), (4, 1), (2, 0)):
        yield f'skb_set_tstamp {stamp} {kind}', program(call('skb_set_tstamp', 'ctx', stamp, kind)), (*both, 'arp')
    for target in (0, 1, 999):
        for length in (0, 100, 65536, 65537, 70000):
            yield f'check_mtu {target} {length}', program(put_stack(-128, struct.pack('<I', length)), call('check_mtu', 'ctx', target, stack(-128), 0, 0), result_of_stack(-128, 4)), ('ipv4',)
    for difference, flags in ((70000, 0), (-200, 0), (1, 1), (0, 1), (0, 2)):
        yield f'check_mtu by {difference} {flags}', program(put_stack(-128, bytes(4)), call('check_mtu', 'ctx', 1, stack(-128), difference, flags), result_of_stack(-128, 4)), ('ipv4',)
    for size, flags, family, index in ((63, 0, 2, 1), (64, 64, 2, 1), (64, 0, 0, 1), (64, 0, 2, 999), (64, 0, 10, 999), (64, 1 << 31, 2, 1), (64, 0, 7, 1)):
        params = bytearray(64)
        params[0] = family
        struct.pack_into('<I', params, 8, index)
        yield f'fib_lookup {size} {flags:#x} family {family} device {index}', program(put_stack(-128, bytes(params)), call('fib_lookup', 'ctx', stack(-128), size, flags)), ('ipv4',)


def tunnel_cases():
    def key(ident=7, remote=0x0A000001, tos=1, ttl=64, ext=0, label=0, local=0x0A000002):
        return struct.pack('<II12sBBHII12s', ident, remote, bytes(12), tos, ttl, ext, label, local, bytes(12))
    for size in (4, 8, 16, 20, 22, 24, 28, 40, 44, 48):
        yield f'skb_set_tunnel_key of {size}', program(put_stack(-128, key()), call('skb_set_tunnel_key', 'ctx', stack(-128), size, 0)), ('ipv4',)
        yield f'skb_get_tunnel_key of {size} without', program(call('skb_get_tunnel_key', 'ctx', stack(-128), size, 0), result_of_stack(-128, 44)), ('ipv4',)
        yield (f'skb_get_tunnel_key of {size}',
               program(put_stack(-128, key()), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, 0), call('skb_get_tunnel_key', 'ctx', stack(-64), size, 0), result_of_stack(-64, 44)), ('ipv4',))
    for flags in (1, 2, 4, 8, 16, 32, 64, 1 << 32):
        yield f'skb_set_tunnel_key {flags:#x}', program(put_stack(-128, key()), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, flags)), ('ipv4',)
        yield (f'skb_get_tunnel_key {flags:#x}',
               program(put_stack(-128, key()), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, 0), call('skb_get_tunnel_key', 'ctx', stack(-64), 44, flags)), ('ipv4',))
    yield 'skb_set_tunnel_key with ext', program(put_stack(-128, key(ext=1)), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, 0)), ('ipv4',)
    yield 'skb_set_tunnel_key with label', program(put_stack(-128, key(label=1)), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, 0)), ('ipv4',)
    yield 'skb_set_tunnel_key with label, IPv6', program(put_stack(-128, key(label=1)), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, 1)), ('ipv4',)
    for size in (4, 8, 6, 32):
        yield f'skb_set_tunnel_opt of {size} without', program(call('skb_set_tunnel_opt', 'ctx', stack(-128), size)), ('ipv4',)
        yield f'skb_get_tunnel_opt of {size} without', program(call('skb_get_tunnel_opt', 'ctx', stack(-128), size), result_of_stack(-128, 32)), ('ipv4',)
        yield (f'skb_set_tunnel_opt of {size}',
               program(put_stack(-128, key()), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, 0), call('skb_set_tunnel_opt', 'ctx', stack(-64), size)), ('ipv4',))
        yield (f'skb_get_tunnel_opt of {size}',
               program(put_stack(-128, key()), call('skb_set_tunnel_key', 'ctx', stack(-128), 44, 0), call('skb_set_tunnel_opt', 'ctx', stack(-64), 8),
                       call('skb_get_tunnel_opt', 'ctx', stack(-128), size), result_of_stack(-128, 32)), ('ipv4',))


def gso_after():
    """mark = gso_size << 16 | gso_segs, priority = wire_len; the result stays."""
    return (i(0xBF, 7, 0) + i(0x61, 1, CTX, 176) + i(0x61, 2, CTX, 164) + i(0x67, 1, imm=16) + i(0x4F, 1, 2) + i(0x63, CTX, 1, 8)
            + i(0x61, 1, CTX, 160) + i(0x63, CTX, 1, 32) + i(0xBF, 0, 7))


def gso_calls():
    both, ipv4 = ('ipv4', 'ipv6'), ('ipv4',)
    for flags in (0, 1, 2, 3, 2 | 8, 3 | 8, 2 | 16, 3 | 16, 4, 5, 5 | 16, 32, 33, 128, 129, 256, 257, 2 | 64 | (14 << 56), 3 | 16 | 64 | (14 << 56)):
        for by in (28, 0, -8):
            for mode in (0, 1):
                yield f'skb_adjust_room {by} {mode} {flags:#x}', call('skb_adjust_room', 'ctx', by, mode, flags), both
    for proto in (0x0008, 0xDD86):
        yield f'skb_change_proto {proto:#x}', call('skb_change_proto', 'ctx', proto, 0), both
    for length in (0, 20, 60, 106, 200, 70000):
        yield f'skb_change_tail {length}', call('skb_change_tail', 'ctx', length, 0), ipv4
    for room in (0, 14, 15958, 15959, 20000):
        yield f'skb_change_head {room}', call('skb_change_head', 'ctx', room, 0), ipv4
    for target in (0, 7, 999):
        for length, difference, flags in ((0, 0, 0), (0, 0, 1), (1500, 0, 0), (1501, 0, 0), (1501, 0, 1), (0, 1394, 0), (0, 1409, 0), (0, 1, 1), (0, -200, 0), (65536, 0, 0)):
            yield (f'check_mtu {target} {length} {difference} {flags}',
                   put_stack(-128, struct.pack('<I', length)) + call('check_mtu', 'ctx', target, stack(-128), difference, flags) + result_of_stack(-128, 4), ('ipv4', 'large'))
    yield 'skb_vlan_push', call('skb_vlan_push', 'ctx', 0x0081, 5), ipv4
    yield 'skb_vlan_push twice', call('skb_vlan_push', 'ctx', 0x0081, 5) + call('skb_vlan_push', 'ctx', 0x0081, 6), ipv4
    yield 'skb_vlan_pop', call('skb_vlan_pop', 'ctx'), ('vlan',)
    yield 'skb_pull_data', call('skb_pull_data', 'ctx', 106), ipv4
    yield 'skb_store_bytes', call('skb_store_bytes', 'ctx', 30, stack(-64), 8, 1), ipv4
    yield 'l4_csum_replace', call('l4_csum_replace', 'ctx', 40, 1, 2, 2), ipv4
    yield 'skb_change_type', call('skb_change_type', 'ctx', 1), ipv4


def gso_cases():
    for segs, size in ((2, 100), (0, 1), (2, 0)):
        for name, code, packets in gso_calls():
            yield f'{name} with {segs} segments of {size}', program(code, gso_after()), packets, (segs, size)
    for segs, size in ((65535, 65535), (65536, 1), (2, 0x10000), (2, 0x10064), (0xFFFFFFFF, 0)):
        yield f'gso {segs} segments of {size}', program(i(0xB7, 0, imm=0), gso_after()), ('ipv4',), (segs, size)
        yield f'skb_change_tail 60 with {segs} segments of {size}', program(call('skb_change_tail', 'ctx', 60, 0), gso_after()), ('ipv4',), (segs, size)


def run(fd, packet, gso=None):
    data, out = ctypes.create_string_buffer(packet, len(packet)), ctypes.create_string_buffer(70000)
    ctx, ctx_out = ctypes.create_string_buffer(192), ctypes.create_string_buffer(192)
    if gso:
        struct.pack_into('<I', ctx, 164, gso[0])
        struct.pack_into('<I', ctx, 176, gso[1])
    attr = struct.pack('<IIIIQQIIIIQQIIII', fd, 0, len(packet), len(out), bpf.address(data), bpf.address(out), 1, 0, 192, 192, bpf.address(ctx),
                       bpf.address(ctx_out), 0, 0, 0, 0)
    result, raw = bpf.bpf(bpf.PROG_TEST_RUN, attr)
    if result < 0:
        return {'errno': bpf.errno_name(result)}
    size = struct.unpack_from('<I', raw, 12)[0]
    after = {'gso': [struct.unpack_from('<I', ctx_out.raw, at)[0] for at in (8, 32, 164, 176)]} if gso else {}
    return {'result': struct.unpack_from('<i', ctx_out.raw, 48)[0], 'seen': list(struct.unpack_from('<4I', ctx_out.raw, 52)),
            'out': 'same' if out.raw[:size] == packet else squeeze(out.raw[:size]), **after}


def squeeze(data):
    """Hex, with long runs of zeros at the end as a number."""
    bare = data.rstrip(b'\0')
    return data.hex() if len(data) - len(bare) < 64 else f'{bare.hex()}+{len(data) - len(bare)}'


def main():
    if bpf._libc.unshare(CLONE_NEWNET) != 0:
        sys.exit('unshare failed')
    subprocess.run(['ip', 'link', 'add', 'm0', 'index', '7', 'type', 'veth', 'peer', 'm1'], check=True)
    print(json.dumps({'kernel': bpf.kernel_release(), 'packets': {name: data.hex() for name, data in PACKETS.items()},
                      'before': BEFORE.hex(), 'after': SHOW.hex()}, separators=(',', ':')))
    for name, code, packets, *gso in (*cases(), *gso_cases()):
        loaded = bpf.prog_load(SCHED_CLS, code)
        row = {'case': name, 'code': code[len(BEFORE):-len(SHOW)].hex(), **({'gso': gso[0]} if gso else {})}
        if loaded.ok:
            row['runs'] = {packet: run(loaded.result, PACKETS[packet], *gso) for packet in packets}
            loaded.close()
            print(json.dumps(row, separators=(',', ':')))
        else:
            print(name, loaded.log.strip().splitlines()[-2:], file=sys.stderr)


main()
