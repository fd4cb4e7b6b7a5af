#!/usr/bin/env python3
"""Records what the kernel's own `bpftool prog run` answers for the programs of fixtures/run, in namespaces of its own.

    record_prog_run.py > OUT.jsonl
"""

import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile

import bpf

OBJ_GET = 7
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ERRNO = {'Unknown error 524': 'ENOTSUPP', **{os.strerror(number): bpf.errno_name(-number) for number in range(1, 134)}}


def frame(size, kind=0x0800):
    return (bytes.fromhex('020000000002020000000001') + struct.pack('>H', kind) + b'\x45' + bytes(9000))[:size]


def skb(**fields):
    data = bytearray(192)
    for name, value in fields.items():
        struct.pack_into('<I', data, {'mark': 8, 'ifindex': 40, 'len': 0, 'cb0': 48, 'wire_len': 160, 'gso_segs': 164, 'gso_size': 176}[name], value)
    return bytes(data)


def inputs(name):
    """data_in, ctx_in, repeat; None where it is not given"""
    if name == 'raw_second':
        for size in (8, 16, 96, 104):
            yield None, bytes(range(size)), 0
        yield frame(64), bytes(16), 0
        yield None, bytes(16), 1
        yield None, bytes(16), 2
        return
    if name == 'syscall_sum':
        for size in (8, 12, 16):
            yield None, struct.pack('<IIII', 3, 4, 0, 5)[:size], 0
        yield frame(64), bytes(16), 0
        yield None, bytes(12), 1
        yield None, bytes(12), 2
        return
    if name == 'any_sk_lookup':
        for family, port, more in ((2, 53, 0), (10, 53, 0), (2, 65536, 0), (2, 53, 1), (7, 53, 0)):
            yield None, struct.pack('<QII44xII4x', 0, family, 17, port, more), None
        yield None, struct.pack('<QII', 1, 2, 17), None
        yield None, struct.pack('<QII', 0, 2, 17), 2
    if name == 'any_dissector':
        for size in (13, 14, 4096, 4097):
            yield frame(size), None, None
        for flags in (1, 7):
            yield frame(64), bytes(48) + struct.pack('<II', flags, 0), None
        yield frame(64), b'\1' + bytes(55), None
    if name.startswith('any'):
        yield frame(64), None, None
        yield None, bytes(24), None
        yield frame(64), bytes(192), None
        return
    for size in (1, 13, 14, 33, 34, 64, 1500, 3520, 3521, 3712, 3713, 4096, 9000):
        yield frame(size), None, None
    yield frame(53, 0x86DD), None, None
    yield frame(54, 0x86DD), None, 1000
    yield frame(64), None, 0
    if name.startswith('xdp'):
        for words in ((0, 64, 0, 0, 0, 0), (4, 64, 0, 0, 0, 0), (0, 60, 0, 0, 0, 0), (0, 65, 0, 0, 0, 0), (2, 64, 0, 0, 0, 0), (0, 64, 4, 0, 0, 0),
                      (256, 64, 0, 0, 0, 0), (0, 64, 0, 1, 0, 0), (0, 64, 0, 9999, 0, 0), (0, 64, 0, 1, 1, 0), (0, 64, 0, 0, 1, 0), (0, 64, 0, 0, 0, 1)):
            yield frame(64), struct.pack('<6I', *words), None
        yield frame(64), bytes(20), None
        return
    for ctx in (skb(), skb(mark=5), skb(ifindex=1), skb(ifindex=9999), skb(cb0=7), skb(len=1), skb(wire_len=63), skb(wire_len=64), skb(wire_len=65537),
                skb(gso_segs=65536), skb(gso_size=100, gso_segs=2), skb()[:8], skb() + bytes(16), skb() + b'\1'):
        yield frame(64), ctx, None


def run_itself(pin, data, ctx, repeat):
    """bpf(2) without bpftool, which offers a buffer for the context that these types refuse."""
    path = ctypes.create_string_buffer(pin.encode())
    fd = bpf.bpf(OBJ_GET, struct.pack('<QII', bpf.address(path), 0, 0))[0]
    given = [ctypes.create_string_buffer(value, len(value)) if value else None for value in (data, ctx)]
    attr = struct.pack('<IIIIQQIIIIQQIIII', fd, 0, len(data or b''), 0, bpf.address(given[0]), 0, repeat, 0, len(ctx), 0, bpf.address(given[1]), 0, 0, 0, 0, 0)
    result, raw = bpf.bpf(bpf.PROG_TEST_RUN, attr)
    os.close(fd)
    return {'errno': bpf.errno_name(result)} if result < 0 else {'retval': struct.unpack_from('<I', raw, 4)[0], 'ctx_out': squeeze(given[1].raw)}


def run(pin, data, ctx, repeat):
    if pin.endswith(('/raw_second', '/syscall_sum')):
        return run_itself(pin, data, ctx, repeat)
    with tempfile.TemporaryDirectory() as folder:
        words, out = [], {}
        for name, value in (('data', data), ('ctx', ctx)):
            if value is None:
                continue
            with open(f'{folder}/{name}', 'wb') as file:
                file.write(value)
            words += [f'{name}_in', f'{folder}/{name}']
            # Programs without data of their own take no buffer for it; a context of raw_tp and syscall programs is not given back apart.
            if name == 'data' or data is not None:
                words += [f'{name}_out', f'{folder}/{name}.out']
                out[f'{name}_out'] = f'{folder}/{name}.out'
        if repeat is not None:
            words += ['repeat', str(repeat)]
        done = subprocess.run(['bpftool', '-j', 'prog', 'run', 'pinned', pin, *words], capture_output=True, text=True)
        answer = json.loads(done.stdout)
        if 'error' in answer:
            return {'errno': ERRNO[answer['error'].split(': ')[-1]]}
        row = {'retval': answer['retval']}
        for name, path in out.items():
            with open(path, 'rb') as file:
                content = file.read()
            row[name] = squeeze(content)
        return row


def squeeze(data):
    """Hex, with 64 or more zeros at the end as a number."""
    bare = data.rstrip(b'\0')
    return data.hex() if len(data) - len(bare) < 64 else f'{bare.hex()}+{len(data) - len(bare)}'


def main():
    if bpf._libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        sys.exit('unshare failed')
    subprocess.run(['mount', '--make-rprivate', '/'], check=True)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['mount', '-t', 'bpf', 'bpf', folder], check=True)
        subprocess.run(['bpftool', 'prog', 'loadall', f'{ROOT}/fixtures/run/run.bpf.o', f'{folder}/run'], check=True)
        print(json.dumps({'kernel': bpf.kernel_release()}))
        for name in sorted(os.listdir(f'{folder}/run')):
            for data, ctx, repeat in inputs(name):
                row = {'prog': name, 'data': None if data is None else squeeze(data), 'ctx': None if ctx is None else squeeze(ctx), 'repeat': repeat}
                print(json.dumps({**{key: value for key, value in row.items() if value is not None}, **run(f'{folder}/run/{name}', data, ctx, repeat)},
                                 separators=(',', ':')))
        subprocess.run(['umount', folder], check=True)


main()
