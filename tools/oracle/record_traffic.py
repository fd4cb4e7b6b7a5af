#!/usr/bin/env python3
"""Records what becomes of frames on the running kernel: raw sockets send them through veth pairs in namespaces of this process's own.

    record_traffic.py > OUT.jsonl

Needs root. In every scene programs hang at hooks, one frame is sent, and what programs saw, what packet sockets captured and what UDP and
raw sockets got is written down. Programs note what they see in `notes`, an array with a slot for each: their bytecode is in the record,
with 0 for the map's fd.

    namespace P            H                    Q
    p0 (20) ---- veth ---- h0 (10)
                           h1 (11) ---- veth ---- q1 (21)
"""

import errno
import json
import os
import select
import socket
import struct
import subprocess
import sys

import bpf

CLONE_NEWNET = 0x40000000
i = bpf.insn
CTX = 6
INDEX = {'h0': 10, 'h1': 11, 'p0': 20, 'q1': 21}
MACS = {'h0': '02:00:00:00:00:10', 'h1': '02:00:00:00:00:11', 'p0': '02:00:00:00:00:20', 'q1': '02:00:00:00:00:21'}
ADDRESSES = {'h0': '10.0.0.1', 'p0': '10.0.0.2', 'h1': '10.0.1.1', 'q1': '10.0.1.2'}
# Of H, for redirect_neigh: (destination, device, next hop, type).
ROUTES = [('10.3.0.0/16', 'h1', '10.0.1.2', None), ('10.4.0.0/16', 'h0', '10.0.0.2', None), ('10.5.0.0/16', 'lo', None, 'blackhole'),
          ('10.6.0.0/16', 'h1', None, None)]
NEIGHBOURS = ['10.9.9.9', '10.4.0.1', '10.5.0.1', '10.6.0.1', '10.0.0.1']
HOME = {'h0': 'H', 'h1': 'H', 'p0': 'P', 'q1': 'Q'}
SLOTS, WORDS = 6, 24
# Fields that a program over packets notes, by offset in __sk_buff; word 0 counts.
FIELDS = {'len': 0, 'pkt_type': 4, 'mark': 8, 'protocol': 16, 'vlan_present': 20, 'vlan_tci': 24, 'vlan_proto': 28, 'priority': 32,
          'ingress_ifindex': 36, 'ifindex': 40, 'tc_index': 44, 'cb0': 48, 'cb1': 52, 'cb2': 56, 'cb3': 60, 'cb4': 64, 'hash': 68,
          'tc_classid': 72, 'wire_len': 160, 'gso_segs': 164, 'gso_size': 176}
# Behind XDP a packet begins with whatever was in these.
CHANCE = ('cb0', 'cb1', 'cb2', 'cb3', 'cb4', 'tc_classid')
XDP_FIELDS = {'length': None, 'ingress_ifindex': 12, 'rx_queue_index': 16, 'ethertype': None}
FUNC = {'map_lookup_elem': 1, 'clone_redirect': 13, 'skb_vlan_push': 18, 'skb_vlan_pop': 19, 'redirect': 23, 'skb_change_type': 32,
        'set_hash': 48, 'redirect_neigh': 152, 'redirect_peer': 155, 'sk_lookup_udp': 85, 'sk_release': 86, 'sk_assign': 124, 'skb_change_head': 43,
        'skb_change_tail': 38}


def call(name):
    return i(0x85, imm=FUNC[name])


def slot(number):
    """r0 becomes the slot's address; without one the program ends."""
    return (i(0x62, 10, off=-4, imm=number) + i(0x18, 1, 1) + i(0) + i(0xBF, 2, 10) + i(0x07, 2, imm=-4) + call('map_lookup_elem')
            + i(0x55, 0, off=2) + i(0xB7, 0, imm=0) + i(0x95) + i(0xB7, 1, imm=1) + i(0xDB, 0, 1))


def note(number):
    """Counts, and notes the fields."""
    return slot(number) + b''.join(i(0x61, 1, CTX, off) + i(0x63, 0, 1, 8 + 4 * at) for at, off in enumerate(FIELDS.values()))


def note_xdp(number):
    return (slot(number) + i(0x61, 2, CTX) + i(0x61, 3, CTX, 4) + i(0xBF, 1, 3) + i(0x1F, 1, 2) + i(0x63, 0, 1, 8)
            + i(0x61, 1, CTX, 12) + i(0x63, 0, 1, 12) + i(0x61, 1, CTX, 16) + i(0x63, 0, 1, 16)
            + i(0xBF, 4, 2) + i(0x07, 4, imm=14) + i(0x2D, 4, 3, 2) + i(0x69, 1, 2, 12) + i(0x63, 0, 1, 20))


START = i(0xBF, CTX, 1)


def ret(code):
    return i(0xB7, 0, imm=code) + i(0x95)


def put(field, value):
    return i(0xB7, 1, imm=value) + i(0x63, CTX, 1, FIELDS[field])


def with_ctx(name, *args):
    return i(0xBF, 1, CTX) + b''.join(i(0xB7, 2 + at, imm=value) for at, value in enumerate(args)) + call(name)


def plain(name, *args):
    return b''.join(i(0xB7, 1 + at, imm=value) for at, value in enumerate(args)) + call(name)


def tc(number, *steps):
    return number, b''.join(steps)


xdp = tc


def whole(hook, prog):
    number, steps = prog
    return START + (note_xdp if hook == 'xdp' else note)(number) + steps


def steer(port):
    """To the UDP socket bound to that port of 10.0.0.1; bpf_sk_assign's answer goes to cb[4]."""
    body = i(0xBF, 7, 0) + i(0xBF, 1, CTX) + i(0xBF, 2, 7) + i(0xB7, 3, imm=0) + call('sk_assign') + i(0x63, CTX, 0, 64) + i(0xBF, 1, 7) + call('sk_release')
    return (i(0x62, 10, off=-24, imm=0) + i(0x62, 10, off=-20, imm=struct.unpack('<i', socket.inet_aton('10.0.0.1'))[0]) + i(0x62, 10, off=-16, imm=struct.unpack('<I', struct.pack('>HH', 0, port))[0] - (0 if port & 0x80 == 0 else 1 << 32))
            + i(0xBF, 1, CTX) + i(0xBF, 2, 10) + i(0x07, 2, imm=-24) + i(0xB7, 3, imm=12) + i(0xB7, 4, imm=-1) + i(0xB7, 5, imm=0) + call('sk_lookup_udp')
            + i(0x15, 0, off=len(body) // 8) + body)


def mac(name):
    return bytes.fromhex(MACS[name].replace(':', ''))


def frame(src='p0', dst='h0', saddr='10.0.0.2', daddr='10.0.0.1', vlan=b'', dport=53, kind=0x0800, payload=b'hello, hook, here are some bytes', raw=None):
    udp = struct.pack('>HHHH', 4000, dport, 8 + len(payload), 0) + payload
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 1, 0x4000, 64, 17, 0, socket.inet_aton(saddr), socket.inet_aton(daddr))
    total = sum(struct.unpack('>10H', head))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    body = raw if raw is not None else head[:10] + struct.pack('>H', ~total & 0xFFFF) + head[12:] + udp
    target = dst if isinstance(dst, bytes) else mac(dst)
    return target + mac(src) + vlan + struct.pack('>H', kind) + body


IN = frame()
TAGGED = frame(vlan=bytes.fromhex('81002005'))
DOUBLE = frame(vlan=bytes.fromhex('88a8000781002005'))
OUT = frame('h0', 'p0', '10.0.0.1', '10.0.0.2')


def scenes():
    """name, what hangs where, where the frame is sent, the frame"""
    for code in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, -2, 0x10000000, 0x20000000):
        chain = lambda way, code=code: [('h0', f'tcx_{way}', tc(0, ret(code))), ('h0', f'tcx_{way}', tc(1, ret(-1))), ('h0', f'cls_{way}', tc(2, ret(-1)))]
        yield f'tcx ingress returns {code}', chain('ingress'), 'p0', IN
        yield f'tcx egress returns {code}', chain('egress'), 'h0', OUT
        yield f'classic ingress returns {code}', [('h0', 'cls_ingress', tc(0, ret(code)))], 'p0', IN
        yield f'classic egress returns {code}', [('h0', 'cls_egress', tc(0, ret(code)))], 'h0', OUT
    nothing = []
    for name, data in (('a frame', IN), ('a tagged frame', TAGGED), ('a frame with two tags', DOUBLE), ('broadcast', frame(dst=b'\xff' * 6)),
                       ('multicast', frame(dst=bytes.fromhex('01005e000001'))), ('for somebody else', frame(dst=bytes.fromhex('020000000099'))),
                       ('for another address', frame(daddr='10.0.0.9')), ('for a port without a socket', frame(dport=54)), ('ARP', frame(kind=0x0806, raw=bytes(28))),
                       ('an unknown type', frame(kind=0x1234, raw=bytes(50))), ('802.3', frame(kind=50, raw=bytes([0x42, 0x42, 3]) + bytes(47))), ('14 bytes', frame(raw=b''))):
        yield f'{name}, nothing attached', nothing, 'p0', data
        yield f'{name}, seen by all', [('h0', 'xdp', xdp(0, ret(2))), ('h0', 'tcx_ingress', tc(1, ret(-1))), ('h0', 'cls_ingress', tc(2, ret(-1)))], 'p0', data
        yield f'{name} goes out, seen by all', [('p0', 'tcx_egress', tc(0, ret(-1))), ('p0', 'cls_egress', tc(1, ret(-1))), ('h0', 'tcx_ingress', tc(2, ret(-1)))], 'p0', data
    marks = [put('mark', 7), put('priority', 3), put('tc_index', 5), put('cb0', 11), put('cb4', 15), put('tc_classid', 9), with_ctx('set_hash', 0x1234)]
    yield 'fields from tcx to classic tc', [('h0', 'tcx_ingress', tc(0, *marks, ret(-1))), ('h0', 'tcx_ingress', tc(1, ret(-1))), ('h0', 'cls_ingress', tc(2, ret(0)))], 'p0', IN
    yield 'fields from tcx through PASS', [('h0', 'tcx_ingress', tc(0, *marks, ret(0))), ('h0', 'cls_ingress', tc(2, ret(0)))], 'p0', IN
    yield 'fields from egress to the other end', [('p0', 'tcx_egress', tc(0, *marks, ret(-1))), ('p0', 'cls_egress', tc(1, ret(-1))), ('h0', 'tcx_ingress', tc(2, ret(-1)))], 'p0', IN
    yield 'fields within classic tc', [('h0', 'cls_ingress', tc(0, *marks, ret(-1))), ('h0', 'cls_ingress', tc(1, ret(-1)))], 'p0', IN
    for code in (0, 1, 2, 3, 4, 5, 99):
        extra = [('p0', 'xdp', xdp(3, ret(2)))] if code == 3 else []
        yield f'XDP returns {code}', [('h0', 'xdp', xdp(0, ret(code))), ('h0', 'tcx_ingress', tc(1, ret(-1))), *extra], 'p0', IN
    yield 'XDP redirects', [('h0', 'xdp', xdp(0, plain('redirect', 11, 0), i(0x95))), ('h0', 'tcx_ingress', tc(1, ret(-1))), ('q1', 'xdp', xdp(3, ret(2))), ('h1', 'tcx_egress', tc(2, ret(-1)))], 'p0', IN
    yield 'XDP redirects nowhere', [('h0', 'xdp', xdp(0, plain('redirect', 99, 0), i(0x95))), ('h0', 'tcx_ingress', tc(1, ret(-1)))], 'p0', IN
    for hook in ('tcx', 'cls'):
        watch = [('h0', 'tcx_egress', tc(3, ret(-1))), ('h1', 'tcx_egress', tc(4, ret(-1))), ('q1', 'tcx_ingress', tc(5, ret(-1)))]
        for data, name in ((IN, ''), (TAGGED, ' a tagged frame')):
            yield f'{hook} redirect{name} out', [('h0', f'{hook}_ingress', tc(0, put('mark', 7), plain('redirect', 11, 0), i(0x95))), *watch], 'p0', data
            yield f'{hook} redirect{name} back', [('h0', f'{hook}_ingress', tc(0, plain('redirect', 10, 0), i(0x95))), *watch], 'p0', data
            yield f'{hook} redirect{name} in', [('h0', f'{hook}_ingress', tc(0, put('mark', 7), put('cb0', 3), plain('redirect', 11, 1), i(0x95))), ('h1', 'tcx_ingress', tc(1, ret(-1)))], 'p0', data
            yield f'{hook} clone_redirect{name} out', [('h0', f'{hook}_ingress', tc(0, put('mark', 7), with_ctx('clone_redirect', 11, 0), i(0x63, CTX, 0, 64), ret(-1))), ('h0', 'cls_ingress', tc(1, ret(-1))), *watch], 'p0', data
            yield f'{hook} clone_redirect{name} in', [('h0', f'{hook}_ingress', tc(0, put('mark', 7), with_ctx('clone_redirect', 11, 1), i(0x63, CTX, 0, 64), ret(2))), ('h1', 'tcx_ingress', tc(1, ret(-1)))], 'p0', data
            yield f'{hook} redirect_peer{name}', [('h0', f'{hook}_ingress', tc(0, put('mark', 7), put('cb0', 3), plain('redirect_peer', 11, 0), i(0x95))), *watch], 'p0', data
        yield f'{hook} redirect_peer of itself', [('h0', f'{hook}_ingress', tc(0, plain('redirect_peer', 10, 0), i(0x95))), ('p0', 'tcx_ingress', tc(1, ret(-1)))], 'p0', IN
        yield f'{hook} redirect_peer at egress', [('h0', f'{hook}_egress', tc(0, plain('redirect_peer', 11, 0), i(0x95)))], 'h0', OUT
        yield f'{hook} redirect to no device', [('h0', f'{hook}_ingress', tc(0, plain('redirect', 99, 0), i(0x95)))], 'p0', IN
        yield f'{hook} REDIRECT without a target', [('h0', f'{hook}_ingress', tc(0, ret(7)))], 'p0', IN
        yield f'{hook} redirect, then OK', [('h0', f'{hook}_ingress', tc(0, plain('redirect', 11, 0), ret(0))), *watch], 'p0', IN
        yield f'{hook} redirect_neigh', [('h0', f'{hook}_ingress', tc(0, plain('redirect_neigh', 11, 0, 0, 0), i(0x95))), *watch], 'p0', frame(daddr='10.0.1.2')
        yield f'{hook} redirect_neigh, no route', [('h0', f'{hook}_ingress', tc(0, plain('redirect_neigh', 11, 0, 0, 0), i(0x95))), *watch], 'p0', frame(daddr='10.9.9.9')
        for name, daddr in (('by a gateway', '10.3.0.1'), ('with a route by another device', '10.4.0.1'), ('with a blackhole route', '10.5.0.1'), ('on link', '10.6.0.1'), ('to an address of h0', '10.0.0.1'), ('to an address of h1', '10.0.1.1'), ('to the broadcast address', '10.0.1.255')):
            yield f'{hook} redirect_neigh {name}', [('h0', f'{hook}_ingress', tc(0, plain('redirect_neigh', 11, 0, 0, 0), i(0x95))), *watch], 'p0', frame(daddr=daddr)
        hop = i(0x62, 10, off=-24, imm=2) + b''.join(i(0x62, 10, off=-20 + 4 * at, imm=0 if at else struct.unpack('<i', socket.inet_aton('10.0.1.2'))[0]) for at in range(4))
        yield f'{hook} redirect_neigh with a next hop', [('h0', f'{hook}_ingress', tc(0, hop, i(0xB7, 1, imm=11), i(0xBF, 2, 10), i(0x07, 2, imm=-24), i(0xB7, 3, imm=20), i(0xB7, 4, imm=0), call('redirect_neigh'), i(0x95))), *watch], 'p0', frame(daddr='10.9.9.9')
        yield f'{hook} redirect_neigh of ARP', [('h0', f'{hook}_ingress', tc(0, plain('redirect_neigh', 11, 0, 0, 0), i(0x95))), *watch], 'p0', frame(kind=0x0806, raw=bytes(28))
        yield f'{hook} egress redirect out', [('h0', f'{hook}_egress', tc(0, plain('redirect', 11, 0), i(0x95))), *watch[1:]], 'h0', OUT
        yield f'{hook} egress clone_redirect', [('h0', f'{hook}_egress', tc(0, with_ctx('clone_redirect', 11, 0), i(0x63, CTX, 0, 64), ret(-1))), ('h0', 'cls_egress', tc(1, ret(-1))), *watch[1:]], 'h0', OUT
        yield f'{hook} vlan push', [('h0', f'{hook}_ingress', tc(0, with_ctx('skb_vlan_push', 0x0081, 0x3007), ret(-1))), ('h0', 'cls_ingress', tc(1, plain('redirect', 11, 0), i(0x95))), ('q1', 'tcx_ingress', tc(2, ret(-1)))], 'p0', IN
        yield f'{hook} vlan pop', [('h0', f'{hook}_ingress', tc(0, with_ctx('skb_vlan_pop'), ret(-1))), ('h0', 'cls_ingress', tc(1, ret(-1)))], 'p0', TAGGED
        yield f'{hook} vlan pop of two', [('h0', f'{hook}_ingress', tc(0, with_ctx('skb_vlan_pop'), ret(-1))), ('h0', 'cls_ingress', tc(1, plain('redirect', 11, 0), i(0x95)))], 'p0', DOUBLE
        yield f'{hook} egress vlan push', [('h0', f'{hook}_egress', tc(0, with_ctx('skb_vlan_push', 0x0081, 0x3007), ret(-1))), ('p0', 'tcx_ingress', tc(1, ret(-1)))], 'h0', OUT
        yield f'{hook} change_type to OTHERHOST', [('h0', f'{hook}_ingress', tc(0, with_ctx('skb_change_type', 3), ret(-1))), ('h0', 'cls_ingress', tc(1, ret(-1)))], 'p0', IN
        yield f'{hook} change_type to HOST', [('h0', f'{hook}_ingress', tc(0, with_ctx('skb_change_type', 0), ret(-1))), ('h0', 'cls_ingress', tc(1, ret(-1)))], 'p0', frame(dst=bytes.fromhex('020000000099'))
        yield f'{hook} longer by a tail', [('h0', f'{hook}_ingress', tc(0, with_ctx('skb_change_tail', 100, 0), ret(-1))), ('h0', 'cls_ingress', tc(1, plain('redirect', 11, 0), i(0x95)))], 'p0', IN
    # From here on nobody listens at `ip h0`: a packet socket there makes the host go on with a clone, which has no socket.
    for port in (53, 55, 56):
        yield f'sk_assign to {port}', [('h0', 'tcx_ingress', tc(0, steer(port), ret(-1))), ('h0', 'cls_ingress', tc(1, ret(-1)))], 'p0', IN
    yield 'sk_assign at egress', [('h0', 'tcx_egress', tc(0, steer(55), ret(-1))), ('h0', 'cls_egress', tc(1, ret(-1)))], 'h0', OUT


class Lab:
    def __init__(self):
        self.spaces = {}
        for name in 'HPQ':
            bpf._libc.unshare(CLONE_NEWNET)
            self.spaces[name] = os.open('/proc/self/ns/net', os.O_RDONLY)
            for line in ('net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0', 'net.ipv4.ip_forward=0'):
                key, value = line.split('=')
                with open('/proc/sys/' + key.replace('.', '/'), 'w') as file:
                    file.write(value)
            self.run('ip link set lo up')
        self.enter('H')
        for ours, other in (('h0', 'p0'), ('h1', 'q1')):
            self.run(f'ip link add {ours} index {INDEX[ours]} type veth peer name {other} index {INDEX[other]}')
            self.run(f'ip link set {other} netns /proc/{os.getpid()}/fd/{self.spaces[HOME[other]]}')
        for name in INDEX:
            self.enter(HOME[name])
            self.run(f'ip link set {name} address {MACS[name]} up')
            self.run(f'ip addr add {ADDRESSES[name]}/24 dev {name}')
        for name, other in (('h0', 'p0'), ('p0', 'h0'), ('h1', 'q1'), ('q1', 'h1')):
            self.enter(HOME[name])
            self.run(f'ip neigh replace {ADDRESSES[other]} lladdr {MACS[other]} dev {name} nud permanent')
        self.enter('H')
        for address in NEIGHBOURS:
            self.run(f'ip neigh replace {address} lladdr {MACS["q1"]} dev h1 nud permanent')
        for dst, device, via, kind in ROUTES:
            self.run(f'ip route add {kind} {dst}' if kind else f'ip route add {dst} dev {device}' + (f' via {via}' if via else ''))
        self.sockets = {}
        for name in INDEX:
            self.enter(HOME[name])
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            tap.setsockopt(263, 8, 1)
            tap.bind((name, 3))
            self.sockets[f'tap {name}'] = tap
            late = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            late.setsockopt(263, 8, 1)
            late.bind((name, 0x0800))
            self.sockets[f'ip {name}'] = late
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((ADDRESSES[name], 53))
            self.sockets[f'udp {name}'] = udp
        self.enter('H')
        for label, where in (('udp any 55', ('0.0.0.0', 55)), ('udp h1 56', ('10.0.0.1', 56))):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(where)
            self.sockets[label] = udp
        self.sockets['raw H'] = socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)
        self.senders = {}
        for name in INDEX:
            self.enter(HOME[name])
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sender.bind((name, 0))
            self.senders[name] = sender
        self.settle()

    def run(self, line):
        subprocess.run(line.split(), check=True)

    def enter(self, name):
        if bpf._libc.setns(self.spaces[name], CLONE_NEWNET):
            sys.exit('setns failed')

    def settle(self, quiet=0.02):
        """Everything that arrives until nothing does for a moment, by socket."""
        got = {}
        names = {sock: name for name, sock in self.sockets.items()}
        while True:
            ready, _, _ = select.select(list(names), [], [], quiet)
            if not ready:
                return got
            for sock in ready:
                text = receive(sock, names[sock])
                if ICMP not in text:
                    got.setdefault(names[sock], []).append(text)

    def attach(self, device, hook, fd, prio):
        """Returns an fd that holds the attachment, where there is one."""
        self.enter(HOME[device])
        if hook == 'xdp' or hook.startswith('tcx'):
            kind = {'xdp': 37, 'tcx_ingress': 46, 'tcx_egress': 47}[hook]
            held = bpf.bpf(LINK_CREATE, struct.pack('<IIIIIIQ', fd, INDEX[device], kind, 0, 0, 0, 0))[0]
            if held < 0:
                sys.exit(f'{hook} on {device}: {bpf.errno_name(held)}')
            return [held]
        self.add_filter(device, hook == 'cls_ingress', fd, prio)
        return []

    def add_filter(self, device, ingress, fd, prio):
        option = lambda kind, value: struct.pack('<HH', 4 + len(value), kind) + value + bytes(-len(value) % 4)
        options = option(6, struct.pack('<I', fd)) + option(7, b'x\0') + option(8, struct.pack('<I', 1))
        body = (struct.pack('<BxxxiIII', 0, INDEX[device], 0, 0xFFFFFFF2 if ingress else 0xFFFFFFF3, prio << 16 | socket.htons(3))
                + option(1, b'bpf\0') + option(2, options))
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            netlink.send(struct.pack('<IHHII', 16 + len(body), 44, 0x605, 1, 0) + body)
            error = struct.unpack_from('<i', netlink.recv(4096), 16)[0]
        if error:
            sys.exit(f'filter on {device}: {os.strerror(-error)}')

    def play(self, hooks, where, data):
        notes = bpf.map_create(2, 4, 8 + 4 * WORDS, SLOTS)
        fds, links, qdiscs = [], [], set()
        for prio, (device, hook, prog) in enumerate(hooks, 1):
            loaded = bpf.prog_load(bpf.PROG_TYPE['xdp' if hook == 'xdp' else 'sched_cls'], patched(whole(hook, prog), notes))
            if not loaded.ok:
                sys.exit(loaded.log)
            fds.append(loaded.result)
            if hook.startswith('cls') and device not in qdiscs:
                self.enter(HOME[device])
                self.run(f'tc qdisc add dev {device} clsact')
                qdiscs.add(device)
            links += self.attach(device, hook, loaded.result, prio)
        self.settle(0.005)
        try:
            self.senders[where].send(data)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        got = self.settle()
        seen = {}
        for number in range(SLOTS):
            raw = bpf.map_lookup(notes, struct.pack('<I', number), 8 + 4 * WORDS)
            if raw[0]:
                seen[number] = [struct.unpack_from('<Q', raw)[0], *struct.unpack_from(f'<{len(FIELDS)}I', raw, 8)]
        for fd in (*links, *fds, notes):
            os.close(fd)
        for device in qdiscs:
            self.enter(HOME[device])
            self.run(f'tc qdisc del dev {device} clsact')
        return seen, got


LINK_CREATE = 28
# What hosts answer by themselves is left out: the first bytes of an IPv4 header with the TOS of such answers.
ICMP = '080045c0'
MAP_FD = i(0x18, 1, 1)


def patched(code, fd):
    return code.replace(MAP_FD, i(0x18, 1, 1, 0, fd))


def receive(sock, name):
    data, extra, _, address = sock.recvmsg(4096, 256)
    if not name.startswith(('tap', 'ip')):
        return data.hex()
    for level, kind, value in extra:
        if level == 263 and kind == 8:
            status, _, _, _, _, tci, tpid = struct.unpack('<IIIHHHH', value)
            if status & 0x10:
                data = data[:12] + struct.pack('>HH', tpid if status & 0x40 else 0x8100, tci) + data[12:]
    return f'{address[2]} {data.hex()}'


def main():
    lab = Lab()
    print(json.dumps({'kernel': bpf.kernel_release(), 'index': INDEX, 'macs': MACS, 'addresses': ADDRESSES, 'home': HOME,
                      'routes': ROUTES, 'neighbours': NEIGHBOURS, 'fields': list(FIELDS), 'xdpFields': list(XDP_FIELDS), 'slots': SLOTS, 'valueSize': 8 + 4 * WORDS,
                      'notes': [(START + note(number)).hex() for number in range(SLOTS)], 'xdpNotes': [(START + note_xdp(number)).hex() for number in range(SLOTS)]}, separators=(',', ':')))
    for name, hooks, where, data in scenes():
        if name.startswith('sk_assign') and 'ip h0' in lab.sockets:
            lab.sockets.pop('ip h0').close()
        seen, got = lab.play(hooks, where, data)
        for number in seen:
            xdp_note = any(hook == 'xdp' and prog[0] == number for _, hook, prog in hooks)
            seen[number] = seen[number][:1 + (len(XDP_FIELDS) if xdp_note else len(FIELDS))]
            if not xdp_note and any(hook == 'xdp' for _, hook, _ in hooks):
                for field in CHANCE:
                    seen[number][1 + list(FIELDS).index(field)] = None
        if 'redirect_neigh' in name:
            # A capture shares its bytes with the packet, whose MAC addresses are then rewritten in place: what it shows is a race.
            for shared in ('tap p0', 'tap h0'):
                got[shared] = None
        row = {'case': name, 'hooks': [[device, hook, number, steps.hex()] for device, hook, (number, steps) in hooks], 'from': where, 'frame': data.hex(),
               'seen': seen, 'got': {socket_name: got[socket_name] for socket_name in sorted(got)}}
        print(json.dumps(row, separators=(',', ':')))


main()
