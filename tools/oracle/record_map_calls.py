"""Which map type may be passed to which helper: one call with fitting arguments a (helper, map type)."""

import json
import os
import struct
import sys

from bpf import PROG_TYPE, btf_load, insn, kernel_release, prog_load
from maps import create_all
from variants import Variant

# Arguments: m the map, k key and v value on the stack, p memory on the stack, s its size (8), a zero, c the context,
# f a callback, z a NULL stack pointer, T the current task, S the socket of a packet, D a new dynptr.
CALLS = {
    1: 'mk', 2: 'mkva', 3: 'mk', 22: 'ma', 25: 'cmaps', 27: 'cma', 33: 'cma', 37: 'ma', 51: 'maa', 52: 'cmaa', 53: 'cmka',
    55: 'maPS', 60: 'cmaa', 70: 'cmka', 71: 'cmka', 72: 'cmka', 81: 'ma', 82: 'cmka', 87: 'mva', 88: 'mv', 89: 'mv', 107: 'mKza',
    108: 'mK', 130: 'mpsa', 131: 'msa', 134: 'ma', 156: 'mTza', 157: 'mT', 164: 'mfza', 195: 'mka', 198: 'mssD', 209: 'mfza',
    12: 'cma',
}
TYPES = {25: 'sched_cls', 27: 'kprobe', 33: 'sched_cls', 51: 'xdp', 52: 'sk_skb', 53: 'sock_ops', 60: 'sk_msg', 70: 'sock_ops',
         71: 'sk_msg', 72: 'sk_skb', 81: 'cgroup_skb', 82: 'sk_reuseport'}
MAX_INSN = 64


def call_btf():
    """1 int, 2 int (void *), 3 func main, 4 static func callback."""
    strings = b'\0int\0main\0callback\0'
    types = struct.pack('<IIII', 1, 1 << 24, 4, 32 | 1 << 24)
    types += struct.pack('<III', 0, 13 << 24 | 0, 1)
    types += struct.pack('<III', 5, 12 << 24 | 1, 2) + struct.pack('<III', 10, 12 << 24, 2)
    header = struct.pack('<HBBIIIII', 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(strings))
    return btf_load(header + types + strings)


def argument(kind, reg, map_fd):
    """Instructions that put an argument of this kind into `reg`."""
    stack = lambda off: insn(0xbf, reg, 10) + insn(0x07, reg, 0, 0, off)
    if kind == 'm':
        return insn(0x18, reg, 1, 0, map_fd) + insn(0)
    if kind == 'f':
        return insn(0x18, reg, 4, 0, 0) + insn(0)
    if kind == 'c':
        return insn(0xbf, reg, 6)
    if kind in 'TK':
        return insn(0xbf, reg, 7)
    if kind == 's':
        return insn(0xb7, reg, 0, 0, 8)
    if kind == 'S':
        return insn(0xb7, reg, 0, 0, 24)
    if kind in 'az':
        return insn(0xb7, reg)
    return stack({'k': -16, 'v': -32, 'p': -48, 'P': -72, 'D': -88}[kind])


def program(helper, map_fd):
    kinds = CALLS[helper]
    out = insn(0xbf, 6, 1)
    out += b''.join(insn(0x7a, 10, 0, off) for off in range(-72, 0, 8))
    if 'T' in kinds:
        out += insn(0x85, 0, 0, 0, 158) + insn(0xbf, 7, 0)
    if 'K' in kinds:
        out += insn(0x79, 7, 6, 168) + insn(0x55, 7, 0, 2) + insn(0xb7, 0) + insn(0x95)
    for index, kind in enumerate(kinds):
        out += argument(kind, index + 1, map_fd)
    out += insn(0x85, 0, 0, 0, helper) + insn(0xb7, 0) + insn(0x95)
    if 'f' in kinds:
        at = len(out) // 8
        call = out.index(insn(0x18, kinds.index('f') + 1, 4, 0, 0)) // 8
        out = out[:call * 8] + insn(0x18, kinds.index('f') + 1, 4, 0, at - call - 1) + out[call * 8 + 8:]
        out += insn(0xb7, 0) + insn(0x95)
        return out, struct.pack('<IIII', 0, 3, at, 4)
    return out, b''


def answer(helper, map_fd, btf_fd):
    code, info = program(helper, map_fd)
    variant = Variant('', PROG_TYPE[TYPES.get(helper, 'sched_cls')])
    loaded = prog_load(variant.prog_type, code, btf_fd=btf_fd if info else 0, func_info=info, **variant.load_args())
    lines = [line for line in loaded.log.strip().split('\n') if line and not line.startswith('processed')]
    accepted = loaded.ok
    loaded.close()
    if accepted:
        return 'OK'
    return 'cannot pass' if 'cannot pass map_type' in loaded.log else lines[-1] if lines else 'errno %d' % loaded.result


def record():
    own, calls = call_btf(), {}
    for helper in CALLS:
        maps = create_all()  # anew: a map remembers the type of the first program that used it
        calls[str(helper)] = {name: answer(helper, fd, own) for name, fd in maps.items()}
        for fd in maps.values():
            os.close(fd)
    return {'kernel': kernel_release(), 'calls': calls}


if __name__ == '__main__':
    json.dump(record(), open(sys.argv[1], 'w'), indent=0, separators=(',', ':'))
