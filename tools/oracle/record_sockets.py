#!/usr/bin/env python3
"""Records what helpers over sockets answer on the running kernel: BPF_PROG_TEST_RUN of one lookup each, among sockets opened here.

    record_sockets.py > OUT.jsonl

Needs root; works in a network namespace of its own with `lo` and a veth pair. Every program writes what it learnt into a block on its
stack and that block into the packet, which comes back in data_out. Sockets are in the header, so that a replay opens the same ones.
"""

import ctypes
import json
import socket
import struct
import subprocess
import sys

import bpf

CLONE_NEWNET = 0x40000000
i = bpf.insn
CTX = 6
FUNC = {
    'skb_store_bytes': 9, 'get_socket_cookie': 46, 'get_socket_uid': 47, 'sk_lookup_tcp': 84, 'sk_lookup_udp': 85, 'sk_release': 86,
    'skb_cgroup_id': 79, 'skb_ancestor_cgroup_id': 83, 'sk_fullsock': 95, 'tcp_sock': 96, 'get_listener_sock': 98, 'skc_lookup_tcp': 99,
    'tcp_check_syncookie': 100, 'tcp_gen_syncookie': 110, 'sk_assign': 124, 'xdp_store_bytes': 190,
}
# Offset of the block in the packet, where it begins on the stack, and its words.
AT, BLOCK, WORDS = 64, -256, 48
ESTABLISHED, TIME_WAIT = 1, 6
COMMON = [0, 4] + list(range(24, 80, 4))
FULL = list(range(0, 80, 4))


def call(name):
    return i(0x85, imm=FUNC[name])


def word(at, value):
    """Block word `at` becomes an immediate."""
    return i(0x62, 10, off=BLOCK + 4 * at, imm=value)


def keep(at, reg):
    return i(0x63, 10, reg, BLOCK + 4 * at)


def zero_block():
    return b''.join(word(at, 0) for at in range(WORDS))


def end(xdp):
    store = (i(0xBF, 1, CTX) + i(0xB7, 2, imm=AT) + i(0xBF, 3, 10) + i(0x07, 3, imm=BLOCK) + i(0xB7, 4, imm=4 * WORDS)
             + (b'' if xdp else i(0xB7, 5, imm=0)) + call('xdp_store_bytes' if xdp else 'skb_store_bytes'))
    return store + i(0xB7, 0, imm=0) + i(0x95)


def skip_if_null(reg, body):
    return i(0x15, reg, off=len(body) // 8) + body


def fields(reg, offsets):
    """Fields of a socket into the words of their offsets, one on."""
    return b''.join(i(0x61, 1, reg, off) + keep(1 + off // 4, 1) for off in offsets)


def flag(helper, reg, at, body=b''):
    """Word `at` is 1 where the helper answers for the socket in `reg`."""
    return i(0xBF, 1, reg) + call(helper) + skip_if_null(0, word(at, 1) + body)


def lookup(helper, pair, length, netns, flags, more=b''):
    tuple_bytes = pair + bytes(-len(pair) % 4)
    put = b''.join(i(0x62, 10, off=-40 + at, imm=struct.unpack_from('<i', tuple_bytes, at)[0]) for at in range(0, len(tuple_bytes), 4))
    rest = b''.join(i(0x62, 10, off=-40 + at, imm=0) for at in range(len(tuple_bytes), 40, 4))
    wide = lambda reg, value: i(0x18, reg, imm=value & 0xFFFFFFFF) + i(0, imm=(value >> 32) & 0xFFFFFFFF)
    seen = fields(7, COMMON if helper == 'skc_lookup_tcp' else FULL)
    found = (word(0, 1) + seen + flag('sk_fullsock', 7, 21, fields(0, FULL)) + flag('tcp_sock', 7, 22) + flag('get_listener_sock', 7, 23) + more
             + i(0xBF, 1, 7) + call('sk_release') + keep(24, 0))
    return (put + rest + i(0xBF, 1, CTX) + i(0xBF, 2, 10) + i(0x07, 2, imm=-40) + i(0xB7, 3, imm=length) + wide(4, netns) + wide(5, flags)
            + call(helper) + i(0xBF, 7, 0) + skip_if_null(7, found))


BEFORE = i(0xBF, CTX, 1) + zero_block()


def program(body, xdp=False):
    return BEFORE + body + end(xdp)


def v4(saddr, sport, daddr, dport):
    return socket.inet_aton(saddr) + socket.inet_aton(daddr) + struct.pack('>HH', sport, dport)


def v6(saddr, sport, daddr, dport):
    return socket.inet_pton(socket.AF_INET6, saddr) + socket.inet_pton(socket.AF_INET6, daddr) + struct.pack('>HH', sport, dport)


def pair(saddr, sport, daddr, dport):
    return (v6 if ':' in daddr else v4)(saddr, sport, daddr, dport)


# `remote` connects; `state` is what TCP came to.
SOCKETS = [
    {'type': 'udp', 'address': '0.0.0.0', 'port': 5300, 'mark': 7, 'priority': 3},
    {'type': 'udp', 'address': '127.0.0.1', 'port': 5301},
    {'type': 'udp', 'address': '0.0.0.0', 'port': 5301},
    {'type': 'udp', 'address': '127.0.0.1', 'port': 5302, 'remote': ['127.0.0.1', 5303]},
    {'type': 'udp', 'address': '0.0.0.0', 'port': 5304, 'device': 'v0'},
    {'type': 'udp', 'address': '::', 'port': 5305},
    {'type': 'udp', 'address': '::', 'port': 5306, 'v6only': True},
    {'type': 'udp', 'address': '::1', 'port': 5307},
    {'type': 'udp', 'address': '10.9.0.1', 'port': 5308},
    {'type': 'tcp', 'address': '127.0.0.1', 'port': 8080, 'state': 'listen'},
    {'type': 'tcp', 'address': '0.0.0.0', 'port': 8081, 'state': 'listen'},
    {'type': 'tcp', 'address': '::', 'port': 8082, 'state': 'listen'},
    {'type': 'tcp', 'address': '::', 'port': 8083, 'state': 'listen', 'v6only': True},
    {'type': 'tcp', 'address': '0.0.0.0', 'port': 8084, 'state': 'listen', 'device': 'v0'},
    {'type': 'tcp', 'address': '127.0.0.1', 'port': 9001, 'remote': ['127.0.0.1', 8080], 'state': 'established'},
    {'type': 'tcp', 'address': '127.0.0.1', 'port': 8080, 'remote': ['127.0.0.1', 9001], 'state': 'established', 'accepted': True},
    {'type': 'tcp', 'address': '::1', 'port': 9002, 'remote': ['::1', 8082], 'state': 'established'},
    {'type': 'tcp', 'address': '::1', 'port': 8082, 'remote': ['::1', 9002], 'state': 'established', 'accepted': True},
    {'type': 'tcp', 'address': '127.0.0.1', 'port': 9003, 'remote': ['127.0.0.1', 8081], 'state': 'time_wait'},
]


def open_sockets():
    kept, listeners, waiting = [], {}, {}
    for spec in SOCKETS:
        six = ':' in spec['address']
        kind = socket.SOCK_DGRAM if spec['type'] == 'udp' else socket.SOCK_STREAM
        if spec.get('accepted'):
            kept.append(waiting.pop(spec['port']))
            continue
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(spec.get('v6only', False)))
        if 'mark' in spec:
            sock.setsockopt(socket.SOL_SOCKET, 36, spec['mark'])
            sock.setsockopt(socket.SOL_SOCKET, 12, spec['priority'])
        if 'device' in spec:
            sock.setsockopt(socket.SOL_SOCKET, 25, spec['device'].encode())
        sock.bind((spec['address'], spec['port']))
        if spec.get('state') == 'listen':
            sock.listen(4)
            listeners[spec['port']] = sock
        if 'remote' in spec:
            sock.connect(tuple(spec['remote']))
            if spec['type'] == 'tcp':
                accepted, _ = listeners[spec['remote'][1]].accept()
                if spec['state'] == 'time_wait':
                    sock.shutdown(socket.SHUT_RDWR)
                    accepted.recv(1)
                    accepted.close()
                    sock.recv(1)
                    sock.close()
                    continue
                waiting[spec['remote'][1]] = accepted
        kept.append(sock)
    return kept


def lookups():
    """name, helper, tuple, length, netns, flags"""
    here = 0xFFFFFFFFFFFFFFFF
    targets = [
        ('127.0.0.1', 40000, '127.0.0.1', 5300), ('10.9.0.2', 40000, '10.9.0.1', 5300), ('1.2.3.4', 1, '5.6.7.8', 5300),
        ('127.0.0.1', 40000, '127.0.0.1', 5301), ('10.9.0.2', 40000, '10.9.0.1', 5301), ('127.0.0.1', 5303, '127.0.0.1', 5302),
        ('127.0.0.1', 5304, '127.0.0.1', 5302), ('10.9.0.2', 40000, '10.9.0.1', 5304), ('127.0.0.1', 40000, '127.0.0.1', 5305),
        ('127.0.0.1', 40000, '127.0.0.1', 5306), ('127.0.0.1', 40000, '127.0.0.1', 5308), ('10.9.0.2', 40000, '10.9.0.1', 5308),
        ('127.0.0.1', 1, '127.0.0.1', 5999), ('::1', 40000, '::1', 5305), ('::1', 40000, '::1', 5306), ('::1', 40000, '::1', 5307), ('fd00::2', 40000, 'fd00::1', 5307),
        ('::1', 40000, '::1', 5300), ('::ffff:127.0.0.1', 40000, '::ffff:127.0.0.1', 5300), ('::ffff:127.0.0.1', 40000, '::ffff:127.0.0.1', 5305),
        ('127.0.0.1', 40000, '127.0.0.1', 8080), ('127.0.0.1', 9001, '127.0.0.1', 8080), ('127.0.0.1', 8080, '127.0.0.1', 9001),
        ('10.9.0.2', 9001, '10.9.0.1', 8080), ('10.9.0.2', 9001, '10.9.0.1', 8081), ('127.0.0.1', 40000, '127.0.0.1', 8082),
        ('127.0.0.1', 40000, '127.0.0.1', 8083), ('10.9.0.2', 9001, '10.9.0.1', 8084), ('::1', 40000, '::1', 8082), ('::1', 9002, '::1', 8082), ('::1', 8082, '::1', 9002),
        ('::1', 40000, '::1', 8083), ('127.0.0.1', 8081, '127.0.0.1', 9003), ('127.0.0.1', 9003, '127.0.0.1', 8081), ('127.0.0.1', 1, '127.0.0.1', 9001),
        ('0.0.0.0', 0, '0.0.0.0', 0), ('::', 0, '::', 0),
    ]
    for target in targets:
        where = f'{target[0]} {target[1]} -> {target[2]} {target[3]}'
        for helper in ('sk_lookup_tcp', 'sk_lookup_udp', 'skc_lookup_tcp'):
            at = pair(*target)
            yield f'{helper} {where}', helper, at, len(at), here, 0
    udp4, tcp4 = pair('127.0.0.1', 40000, '127.0.0.1', 5300), pair('127.0.0.1', 40000, '127.0.0.1', 8080)
    for helper, at in (('sk_lookup_udp', udp4), ('sk_lookup_tcp', tcp4), ('skc_lookup_tcp', tcp4)):
        for length in (0, 1, 8, 11, 12, 13, 35, 36, 37, 40):
            yield f'{helper} length {length}', helper, at, length, here, 0
        for netns in (0, 1, 42, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 0xFFFFFFFF00000000, -2 & here):
            yield f'{helper} netns {netns:#x}', helper, at, 12, netns, 0
        for flags in (1, 2, 0x80000000, 1 << 32):
            yield f'{helper} flags {flags:#x}', helper, at, 12, here, flags


def cases():
    for name, helper, at, length, netns, flags in lookups():
        for kind in ('sched_cls', 'xdp'):
            if kind == 'xdp' and helper != 'sk_lookup_udp' and not name.endswith((' 8080', ' 9003', ' 8084', ' 8082', '0x100000000')):
                continue
            # XDP programs have no get_listener_sock, no sk_fullsock and no tcp_sock
            yield name, kind, lookup_for(kind, helper, at, length, netns, flags)
    sk = i(0x79, 7, CTX, 168)
    yield 'skb->sk', 'sched_cls', program(sk + skip_if_null(7, word(0, 1) + fields(7, COMMON) + flag('sk_fullsock', 7, 21, fields(0, FULL)) + flag('tcp_sock', 7, 22) + flag('get_listener_sock', 7, 23)))
    for helper in ('get_socket_uid', 'skb_cgroup_id'):
        yield f'{helper} of the test socket', 'sched_cls', program(i(0xBF, 1, CTX) + call(helper) + keep(0, 0))
    for flags in (0, 1):
        yield f'sk_assign of skb->sk flags {flags}', 'sched_cls', program(sk + skip_if_null(7, i(0xBF, 1, CTX) + i(0xBF, 2, 7) + i(0xB7, 3, imm=flags) + call('sk_assign') + keep(0, 0)))
        assign = i(0xBF, 1, CTX) + i(0xBF, 2, 7) + i(0xB7, 3, imm=flags) + call('sk_assign') + keep(25, 0)
        yield f'sk_assign of a UDP socket flags {flags}', 'sched_cls', program(lookup('sk_lookup_udp', pair('127.0.0.1', 40000, '127.0.0.1', 5300), 12, 0xFFFFFFFFFFFFFFFF, 0, assign))
    # What a listener shows as a bpf_tcp_sock: the values of one that has carried nothing.
    show = b''.join(i(0x61, 1, 0, off) + keep(26 + at, 1) for at, off in enumerate((0, 4, 12, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72, 76)))
    yield 'tcp_sock of a listener', 'sched_cls', program(lookup('sk_lookup_tcp', pair('10.9.0.2', 1, '10.9.0.1', 8081), 12, 0xFFFFFFFFFFFFFFFF, 0, flag('tcp_sock', 7, 22, show)))
    header = b''.join(i(0x62, 10, off=-280 + 4 * at, imm=imm) for at, imm in enumerate((0, 0, 0, 0x50, 0)))
    iph = b''.join(i(0x62, 10, off=-304 + 4 * at, imm=imm) for at, imm in enumerate((0x45, 0, 0, 0, 0, 0)))
    for helper in ('tcp_check_syncookie', 'tcp_gen_syncookie'):
        for length in (19, 20):
            ask = (i(0xBF, 1, 7) + i(0xBF, 2, 10) + i(0x07, 2, imm=-304) + i(0xB7, 3, imm=20) + i(0xBF, 4, 10) + i(0x07, 4, imm=-280) + i(0xB7, 5, imm=length) + call(helper) + keep(25, 0))
            for where, port in (('a listener', 8081), ('nobody', 8090)):
                yield f'{helper} at {where}, {length} bytes', 'sched_cls', program(header + iph + lookup('sk_lookup_tcp', pair('10.9.0.2', 1, '10.9.0.1', port), 12, 0xFFFFFFFFFFFFFFFF, 0, ask))


def lookup_for(kind, helper, at, length, netns, flags):
    if kind == 'sched_cls':
        return program(lookup(helper, at, length, netns, flags))
    full = lookup(helper, at, length, netns, flags)
    return program(without_conversions(helper, at, length, netns, flags, full), True)


def without_conversions(helper, at, length, netns, flags, full):
    """The same lookup with nothing but fields and the release."""
    drop = flag('sk_fullsock', 7, 21, fields(0, FULL)) + flag('tcp_sock', 7, 22) + flag('get_listener_sock', 7, 23)
    before, after = full.split(drop)
    jump = len(before) - before.rfind(i(0x15, 7, off=0)[:2])
    seen = word(0, 1) + fields(7, COMMON if helper == 'skc_lookup_tcp' else FULL)
    head = before[:-len(seen) - 8]
    return head + skip_if_null(7, seen + after)


def run(fd, packet, ifindex, xdp):
    data, out = ctypes.create_string_buffer(packet, len(packet)), ctypes.create_string_buffer(4096)
    ctx = ctypes.create_string_buffer(192)
    if xdp:
        struct.pack_into('<IIIIII', ctx, 0, 0, len(packet), 0, ifindex, 0, 0)
    else:
        struct.pack_into('<I', ctx, 40, ifindex)
    attr = struct.pack('<IIIIQQIIIIQQIIII', fd, 0, len(packet), len(out), bpf.address(data), bpf.address(out), 1, 0, 24 if xdp else 192, 0,
                       bpf.address(ctx), 0, 0, 0, 0, 0)
    result, raw = bpf.bpf(bpf.PROG_TEST_RUN, attr)
    if result < 0:
        return bpf.errno_name(result)
    words = list(struct.unpack_from(f'<{WORDS}I', out.raw, AT))
    if words[0] and words[2] == 2 and words[19] == TIME_WAIT:
        # Its IPv6 addresses are memory that nobody wrote.
        words[8:12] = words[15:19] = [None] * 4
    if words[0] and words[19] == ESTABLISHED:
        # Which queue an accepted connection notes is chance.
        words[20] = None
    while words and words[-1] == 0:
        words.pop()
    return words


def packets():
    mac = bytes.fromhex('020000000002020000000001')
    four = bytes([0x45, 0, 1, 0x2C, 0, 1, 0x40, 0, 64, 17, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1])
    six = struct.pack('>IHBB', 0x60000000, 260, 17, 64) + socket.inet_pton(socket.AF_INET6, 'fd00::2') + socket.inet_pton(socket.AF_INET6, 'fd00::1')
    return {'ipv4': mac + b'\x08\0' + four + bytes(286), 'ipv6': mac + b'\x86\xdd' + six + bytes(266), 'arp': mac + b'\x08\x06' + bytes(306)}


def main():
    if bpf._libc.unshare(CLONE_NEWNET) != 0:
        sys.exit('unshare failed')
    for line in ('link set lo up', 'link add v0 type veth peer name v1', 'addr add 10.9.0.1/24 dev v0', 'link set v0 up', 'link set v1 up'):
        subprocess.run(['ip', *line.split()], check=True)
    devices = {'lo': 1, 'v0': socket.if_nametoindex('v0')}
    kept = open_sockets()
    frames = packets()
    print(json.dumps({'kernel': bpf.kernel_release(), 'sockets': SOCKETS, 'devices': devices, 'at': AT, 'words': WORDS, 'before': BEFORE.hex(),
                      'after': {'sched_cls': end(False).hex(), 'xdp': end(True).hex()},
                      'packets': {name: data.hex() for name, data in frames.items()}}, separators=(',', ':')))
    for name, kind, code in cases():
        loaded = bpf.prog_load(bpf.PROG_TYPE[kind], code)
        if not loaded.ok:
            print(name, kind, loaded.log.strip().splitlines()[-3:], file=sys.stderr)
            continue
        row = {'case': name, 'type': kind, 'code': code[len(BEFORE):-len(end(kind == 'xdp'))].hex(), 'runs': {}}
        for device, ifindex in devices.items():
            for packet in frames if name == 'skb->sk' else ('ipv4',):
                row['runs'][f'{device} {packet}'] = run(loaded.result, frames[packet], ifindex, kind == 'xdp')
        loaded.close()
        print(json.dumps(row, separators=(',', ':')))
    for sock in kept:
        sock.close()


main()
