#!/usr/bin/env python3
"""Records what bpf_fib_lookup finds on the running kernel, for tc and for XDP.

    record_fib.py > OUT.jsonl

Needs root and ip(8); works in a network namespace of its own. The set-up (devices, addresses, routes, rules, neighbours) is in the record's
first line. A program of each type takes the parameters and flags from an array and leaves result and parameters there.

    h0 (10), h1 (11, MTU 1400): veth; their other ends, p0 (20) and p1 (21), have no addresses.
"""

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys

import bpf

CLONE_NEWNET = 0x40000000
i = bpf.insn
CTX = 6
DIRECT, OUTPUT, SKIP_NEIGH, TBID, SRC, MARK = 1, 2, 4, 8, 16, 32
SIZE = 80  # the parameters, the flags, the result

DEVICES = [
    {'name': 'h0', 'ifindex': 10, 'mac': '02:00:00:00:00:10', 'mtu': 1500, 'addresses': ['10.0.0.1/24', 'fd00::1/64']},
    {'name': 'h1', 'ifindex': 11, 'mac': '02:00:00:00:00:11', 'mtu': 1400, 'addresses': ['10.0.1.1/24', '10.0.7.1/24', 'fd00:1::1/64', 'fd10:16::9/64', 'fd10:17::9/128']},
]


def routes():
    for net, gate, default, absent, zero, other in (('172.{}.0.0/16', '10.0.1.2', '10.0.0.254', '10.0.1.3', '0.0.0.0/0', '10.0.7.2'),
                                             ('fd10:{}::/32', 'fd00:1::2', 'fd00::254', 'fd00:1::3', '::/0', 'fd10:16::2')):
        source = '10.0.0.1' if '.' in net else 'fd00::1'
        yield {'dst': net.format(16), 'dev': 'h1', 'via': gate}
        yield {'dst': net.format(17), 'dev': 'h1'}
        yield {'dst': net.format(18), 'dev': 'h1', 'via': absent}
        yield {'dst': net.format(19), 'dev': 'h1', 'via': gate, 'mtu': 1300, 'metric': 50, 'src': source}
        for number, kind in enumerate(('blackhole', 'unreachable', 'prohibit')):
            yield {'dst': net.format(20 + number), 'dev': 'lo', 'type': kind}
        yield {'dst': net.format(23), 'dev': 'h1', 'via': gate, 'table': 100}
        yield {'dst': net.format(24), 'dev': 'h0', 'via': default, 'metric': 10}
        yield {'dst': net.format(24), 'dev': 'h1', 'via': gate, 'metric': 20}
        yield {'dst': net.format(25), 'dev': 'h1', 'via': gate, 'mtu': 1300, 'mtuLocked': True}
        yield {'dst': net.format(26), 'dev': 'p0'}
        yield {'dst': net.format(27), 'dev': 'h1', 'via': other}
        yield {'dst': zero, 'dev': 'h0', 'via': default, 'metric': 100}
        yield {'dst': zero, 'dev': 'h1', 'table': 101, 'metric': 30}


RULES = [{'priority': 100, 'mark': 7, 'table': 100}, {'priority': 101, 'mark': 0x80, 'mask': 0xF0, 'table': 101}]
NEIGHBOURS = [
    {'dev': dev, 'address': address, 'mac': f'02:aa:00:00:00:{number:02x}'}
    for number, (dev, address) in enumerate((('h1', '10.0.1.2'), ('h0', '10.0.0.254'), ('h1', '172.17.0.5'), ('h0', '10.0.0.2'), ('h0', '172.17.0.7'),
                                             ('h1', 'fd00:1::2'), ('h0', 'fd00::254'), ('h1', 'fd10:17::5'), ('h0', 'fd00::2')))
]


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def sysctl(name, value):
    with open('/proc/sys/net/' + name, 'w', encoding='ascii') as file:
        file.write(str(value))


def set_up():
    sysctl('ipv4/ip_forward', 1)
    sysctl('ipv6/conf/all/forwarding', 1)
    run('ip', 'link', 'set', 'lo', 'up')
    for at, device in enumerate(DEVICES):
        name, peer = device['name'], f'p{at}'
        run('ip', 'link', 'add', 'name', name, 'index', device['ifindex'], 'address', device['mac'], 'mtu', device['mtu'], 'type', 'veth',
            'peer', 'name', peer, 'index', 20 + at, 'address', f'02:00:00:00:00:2{at}')
        for end in (name, peer):
            run('ip', 'link', 'set', end, 'addrgenmode', 'none')
            run('ip', 'link', 'set', end, 'up')
        for address in device['addresses']:
            run('ip', 'addr', 'add', address, 'dev', name, *(['nodad'] if ':' in address else []))
    for route in routes():
        run('ip', 'route', 'add', *([route['type']] if 'type' in route else []), route['dst'], *([] if 'type' in route else ['dev', route['dev']]),
            *(word for key in ('via', 'metric', 'src', 'table') if key in route for word in (key, route[key])),
            *(['mtu', *(['lock'] if 'mtuLocked' in route else []), route['mtu']] if 'mtu' in route else []))
    for rule in RULES:
        for family in '-4', '-6':
            run('ip', family, 'rule', 'add', 'pref', rule['priority'], 'fwmark', f"{rule['mark']}/{rule.get('mask', 0xFFFFFFFF)}", 'lookup', rule['table'])
    for entry in NEIGHBOURS:
        run('ip', 'neigh', 'add', entry['address'], 'lladdr', entry['mac'], 'dev', entry['dev'], 'nud', 'permanent')


# The slot of the array is in r7; what the helper was given and what it said is in it.
PROGRAM = (
    i(0xBF, CTX, 1) + i(0x62, 10, off=-4, imm=0) + i(0x18, 1, 1) + i(0) + i(0xBF, 2, 10) + i(0x07, 2, imm=-4) + i(0x85, imm=1)
    + i(0x55, 0, off=2) + i(0xB7, 0, imm=0) + i(0x95) + i(0xBF, 7, 0)
    + i(0xBF, 1, CTX) + i(0xBF, 2, 7) + i(0xB7, 3, imm=64) + i(0x61, 4, 7, 64) + i(0x85, imm=69) + i(0x63, 7, 0, 68)
    + i(0xB7, 0, imm=0) + i(0x95)
)


def params(family, dst, src=None, ifindex=10, tot_len=0, tbid=0, mark=None, proto=17):
    data = bytearray(64)
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    src = src or ('10.0.0.2' if family == 4 else 'fd00::2')
    struct.pack_into('<BBHHHI', data, 0, kind, proto, 0, 0, tot_len, ifindex)
    for at, address in ((16, src), (32, dst)):
        raw = socket.inet_pton(kind, address)
        data[at:at + len(raw)] = raw
    struct.pack_into('<I', data, 48, tbid)
    if mark is not None:
        struct.pack_into('<I', data, 52, mark)
    return data.hex()


def cases():
    """(what it is, parameters, flags, length of the packet)"""
    for family, net, own0, own1, near, far, out in (
            (4, '172.{}.0.5', '10.0.0.1', '10.0.1.1', '10.0.0.2', '10.0.0.77', '8.8.8.8'),
            (6, 'fd10:{}::5', 'fd00::1', 'fd00:1::1', 'fd00::2', 'fd00::77', '2001:db8::8')):
        places = {'self': own0, 'self on h1': own1, 'near': near, 'near without neighbour': far, 'default': out,
                  **{f'{kind} route': net.format(16 + at) for at, kind in enumerate(('gateway', 'on-link', 'no neighbour', 'mtu', 'blackhole', 'unreachable', 'prohibit', 'table 100', 'two', 'locked mtu', 'addressless', 'second subnet'))}}
        if family == 4:
            places |= {'broadcast': '10.0.0.255', 'network': '10.0.0.0', 'all ones': '255.255.255.255', 'multicast': '224.0.0.1', 'loopback': '127.0.0.1', 'zero': '0.0.0.0'}
        else:
            places |= {'link-local': 'fe80::1', 'multicast': 'ff02::1', 'global multicast': 'ff0e::1', 'loopback': '::1', 'zero': '::', 'anycast': 'fd00::'}
        for name, dst in places.items():
            for flags in (0, DIRECT, OUTPUT, SKIP_NEIGH, SRC, DIRECT | OUTPUT, OUTPUT | SKIP_NEIGH | SRC, DIRECT | SKIP_NEIGH):
                for ifindex in ((10, 11) if flags & OUTPUT else (10,)):
                    yield f'v{family} {name} {flags:#x} device {ifindex}', params(family, dst, ifindex=ifindex), flags, 100
        for name in ('gateway route', 'mtu route', 'locked mtu route', 'default', 'blackhole route', 'no neighbour route'):
            for tot_len in (1, 1300, 1301, 1400, 1401, 1500, 1501, 65535):
                yield f'v{family} {name} of {tot_len}', params(family, places[name], tot_len=tot_len), 0, 100
            for length in (1400, 1418, 1419, 1518, 1519):
                yield f'v{family} {name} in a packet of {length}', params(family, places[name]), 0, length
                yield f'v{family} {name} in a packet of {length}, SKIP_NEIGH', params(family, places[name]), SKIP_NEIGH, length
            yield f'v{family} {name} of 1500 in a packet of 1519', params(family, places[name], tot_len=1300), 0, 1519
        for name in ('table 100 route', 'gateway route', 'default', 'self', 'near'):
            for tbid in (0, 100, 101, 254, 255, 253, 999):
                for flags in (DIRECT | TBID, TBID, DIRECT | TBID | SKIP_NEIGH | SRC):
                    yield f'v{family} {name} {flags:#x} table {tbid}', params(family, places[name], tbid=tbid), flags, 100
            for mark in (0, 7, 8, 0x80, 0x8F, 0x90):
                for flags in (MARK, MARK | DIRECT, MARK | SKIP_NEIGH, 0):
                    yield f'v{family} {name} {flags:#x} mark {mark:#x}', params(family, places[name], mark=mark), flags, 100
        for source in (('10.0.1.1', '0.0.0.0', '224.0.0.1', '9.9.9.9') if family == 4 else ('fd00:1::1', '::', 'ff02::1', 'fe80::9')):
            for flags in (0, SRC):
                yield f'v{family} from {source} {flags:#x}', params(family, places['gateway route'], src=source), flags, 100
        for ifindex in (0, 1, 20, 999):
            yield f'v{family} by device {ifindex}', params(family, places['gateway route'], ifindex=ifindex), 0, 100
        for flags in (0x40, 0x80, 0x80000000):
            yield f'v{family} {flags:#x}', params(family, places['gateway route']), flags, 100


def ask(map_fd, prog_fd, hexed, flags, length):
    bpf.map_update(map_fd, bytes(4), bytes.fromhex(hexed) + struct.pack('<Ii', flags, 0) + bytes(8))
    frame = (bytes.fromhex('0200000000020200000000010800') + bytes(length))[:length]
    data, out = ctypes.create_string_buffer(frame, length), ctypes.create_string_buffer(4096)
    result = bpf.test_run(prog_fd, None, data, out)[0]
    if result < 0:
        return {'errno': bpf.errno_name(result)}
    value = bpf.map_lookup(map_fd, bytes(4), SIZE)
    return {'result': struct.unpack_from('<i', value, 68)[0], 'params': 'same' if value[:64].hex() == hexed else value[:64].hex()}


def load(kind, map_fd):
    code = PROGRAM.replace(i(0x18, 1, 1), i(0x18, 1, 1, imm=map_fd))
    loaded = bpf.prog_load(bpf.PROG_TYPE[kind], code)
    if not loaded.ok:
        sys.exit(f'{kind}: {loaded.log}')
    return loaded.result


# What is changed for a while, and which cases are asked meanwhile.
STATES = [
    ('up', [], [], lambda name: True),
    ('h0 does not forward', [('ipv4/conf/h0/forwarding', 0), ('ipv6/conf/h0/forwarding', 0)],
     [('ipv4/conf/h0/forwarding', 1), ('ipv6/conf/h0/forwarding', 1)], lambda name: 'gateway route' in name and 'device' in name or 'by device' in name),
]


def main():
    if bpf._libc.unshare(CLONE_NEWNET) != 0:
        sys.exit('unshare failed')
    set_up()
    print(json.dumps({'kernel': bpf.kernel_release(), 'devices': DEVICES, 'routes': list(routes()), 'rules': RULES, 'neighbours': NEIGHBOURS,
                      'program': PROGRAM.hex()}, separators=(',', ':')))
    map_fd = bpf.map_create(2, 4, SIZE, 1)
    progs = {kind: load(kind, map_fd) for kind in ('sched_cls', 'xdp')}
    for state, begin, end, chosen in STATES:
        for name, value in begin:
            sysctl(name, value)
        for name, hexed, flags, length in cases():
            if chosen(name):
                answers = {kind: ask(map_fd, fd, hexed, flags, length) for kind, fd in progs.items()}
                print(json.dumps({'case': name, 'state': state, 'params': hexed, 'flags': flags, 'length': length, **answers}, separators=(',', ':')))
        for name, value in end:
            sysctl(name, value)
    os.close(map_fd)


main()
