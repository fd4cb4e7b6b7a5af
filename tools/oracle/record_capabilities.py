"""Records which commands of bpf(2) the running kernel lets through with which capabilities: packages/vmlinux/test/oracle/capabilities.json.

Needs root. Each set of capabilities is tried in a child process that gave the others up, with fds that it had opened before.
"""

import ctypes
import json
import os
import struct

import bpf as border
from bpf import address, bpf, btf_load, insn, kernel_release, map_create, prog_load

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../packages/vmlinux/test/oracle/capabilities.json')
CAPS = dict(netAdmin=12, sysAdmin=21, perfmon=38, bpf=39)
SETS = [[], ['bpf'], ['perfmon'], ['netAdmin'], ['bpf', 'perfmon'], ['bpf', 'netAdmin'], ['bpf', 'perfmon', 'netAdmin'], ['sysAdmin']]
BTF = bytes.fromhex('9feb010018000000') + struct.pack('<IIII', 0, 16, 16, 1) + struct.pack('<IIII', 0, 1 << 24, 4, 32) + b'\0'
RET = {True: insn(0xb7, 0, 0, 0, 1) + insn(0x95), False: insn(0xb7) + insn(0x95)}
NEED_ONE = (8, 9, 13, 15, 18, 23, 25, 30, 32)
EXPECTED = {8: 0, 9: 2, 18: 8, 25: 22, 30: 36, 32: 45, 31: 0}


def name(result):
    return {-95: 'EOPNOTSUPP', -524: 'ENOTSUPP'}.get(result) or border.errno_name(result)


def drop(keep):
    libc = ctypes.CDLL(None, use_errno=True)
    bits = sum(1 << CAPS[cap] for cap in keep)
    head = struct.pack('<II', 0x20080522, 0)
    data = struct.pack('<IIIIII', bits & 0xffffffff, bits & 0xffffffff, 0, bits >> 32, bits >> 32, 0)
    if libc.syscall(126, head, data) != 0:
        raise OSError(ctypes.get_errno(), 'capset')


def sizes(map_type):
    """Sizes that each type takes, so that what is refused is refused for its privileges."""
    if map_type in (22, 23):
        return 0, 8, 4, 0
    if map_type == 30:
        return 0, 8, 4, 0
    if map_type == 11:
        return 8, 8, 4, 1
    if map_type == 7:
        return 4, 8, 4, 0
    if map_type in (27, 31):
        return 0, 0, 4096, 0
    if map_type in (3, 4, 8, 14, 15, 16, 17, 18, 20, 25):
        return 4, 4, 4, 0
    return 4, 8, 4, 0


def ask(fds):
    map_fd, prog_fd, btf_fd = fds
    rows = {}
    for map_type in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 20, 22, 23, 25, 27, 30, 31):
        key, value, entries, flags = sizes(map_type)
        result = map_create(map_type, key, value, entries, flags)
        rows[f'map {map_type}'] = name(result)
        if result >= 0:
            os.close(result)
    for prog_type in list(range(1, 26)) + [30, 31, 32]:
        if prog_type == 20:
            continue
        loaded = prog_load(prog_type, RET[prog_type in NEED_ONE], log_level=0, attach_type=EXPECTED.get(prog_type, 0),
                           flags=16 if prog_type == 31 else 0)
        rows[f'prog {prog_type}'] = name(loaded.result)
        loaded.close()
    big = prog_load(1, insn(0xb7) * 4096 + insn(0x95), log_level=0)
    rows['prog of 4097 insns'] = name(big.result)
    big.close()
    key, value, out = ctypes.create_string_buffer(4), ctypes.create_string_buffer(8), ctypes.create_string_buffer(512)
    elem = struct.pack('<IIQQQ', map_fd, 0, address(key), address(value), 0)
    for label, cmd in (('lookup', 1), ('update', 2), ('delete', 3)):
        rows[label] = name(bpf(cmd, elem[:24] if cmd == 3 else elem)[0] if cmd != 3 else bpf(3, struct.pack('<IIQ', map_fd, 0, address(key)))[0])
    for label, fd in (('map', map_fd), ('prog', prog_fd), ('btf', btf_fd)):
        out = ctypes.create_string_buffer(512)
        rows[f'info of {label}'] = name(bpf(15, struct.pack('<IIQ', fd, 16, address(out)))[0])
    for label, cmd in (('prog next id', 11), ('map next id', 12), ('btf next id', 23), ('link next id', 31)):
        rows[label] = name(bpf(cmd, struct.pack('<IIII', 0, 0, 0, 0))[0]) if cmd != 31 else name(bpf(cmd, struct.pack('<IIII', 0, 0, 0, 0))[0]).replace('ENOENT', 'OK')
    for label, cmd in (('prog by id', 13), ('map by id', 14), ('btf by id', 19), ('link by id', 30)):
        rows[label] = name(bpf(cmd, struct.pack('<I', 0))[0])
    result = btf_load(BTF)
    rows['btf load'] = name(result)
    rows['query tcx'] = name(bpf(16, struct.pack('<IIIIQIIQQQQ', 0xffffffff, 46, 0, 0, 0, 0, 0, 0, 0, 0, 0))[0])
    rows['attach tcx'] = name(bpf(8, struct.pack('<IIIIIIQ', 0xffffffff, prog_fd, 46, 0, 0, 0, 0))[0])
    rows['link tcx'] = name(bpf(28, struct.pack('<IIIIIIQ', prog_fd, 0xffffffff, 46, 0, 0, 0, 0))[0])
    rows['detach tcx'] = name(bpf(9, struct.pack('<IIIIIIQ', 0xffffffff, prog_fd, 46, 0, 0, 0, 0))[0])
    rows['test run'] = name(bpf(10, struct.pack('<IIIIQQIIIIQQIIII', prog_fd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))[0])
    rows['enable stats'] = name(bpf(32, struct.pack('<I', 0))[0])
    rows['task fd query'] = name(bpf(20, struct.pack('<IIIIQIIQQ', 0x7fffffff, 0, 0, 0, 0, 0, 0, 0, 0))[0])
    rows['freeze'] = name(bpf(22, struct.pack('<I', map_fd))[0])
    rows['bind map'] = name(bpf(35, struct.pack('<III', prog_fd, map_fd, 0))[0])
    rows['no such command'] = name(bpf(99, b'\0' * 16)[0])
    return rows


def main():
    answers = []
    for keep in SETS:
        fds = (map_create(1, 4, 8, 4), prog_load(3, RET[False], log_level=0).result, btf_load(BTF))
        read, write = os.pipe()
        if os.fork() == 0:
            drop(keep)
            os.write(write, json.dumps(ask(fds)).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            answers.append(dict(capabilities=keep, answers=json.loads(pipe.read())))
        os.wait()
        for fd in fds:
            os.close(fd)
    with open(OUT, 'w') as out:
        json.dump(dict(kernel=kernel_release(), unprivileged_bpf_disabled=open('/proc/sys/kernel/unprivileged_bpf_disabled').read().strip(), sets=answers), out, indent=1)
        out.write('\n')
    print(len(answers), 'sets')


if __name__ == '__main__':
    main()
