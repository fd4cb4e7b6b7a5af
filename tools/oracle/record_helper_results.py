"""What helpers on text and sums give: writes packages/maps/test/oracle/helper-results.jsonl, a call a line.

Needs root. Each call is a small program of type syscall, run once."""

import ctypes
import json
import os
import random
import struct

import maps
from bpf import PROG_TYPE, address, bpf, errno_name, insn, kernel_release, map_create, map_lookup, map_update, prog_load

OUT = os.path.join(os.path.dirname(__file__), '../../packages/maps/test/oracle/helper-results.jsonl')
ARRAY = maps.MAP_TYPE['array']
KEY = struct.pack('<I', 0)
# Places in the value of the data map.
ARGS, BUFFER, RESULT, TEXT, SIZE = 0, 96, 232, 240, 512
RDONLY_PROG = 0x80


def value_address(dst, fd, offset):
    return insn(0x18, dst, 2, 0, fd) + insn(0, 0, 0, 0, offset)


def imm64(dst, value):
    return insn(0x18, dst, 0, 0, value & 0xffffffff) + insn(0, 0, 0, 0, (value >> 32) & 0xffffffff)


def mov(dst, imm):
    return insn(0xb7, dst, imm=imm)


def run(code, data):
    """Runs the program that ends with the result in r0; returns (load errno or None, r0, data afterwards)."""
    fd = map_create(ARRAY, 4, SIZE, 1)
    map_update(fd, KEY, data.ljust(SIZE, b'\0'))
    program = code(fd) + value_address(6, fd, RESULT) + insn(0x7b, 6, 0, 0) + mov(0, 0) + insn(0x95)
    loaded = prog_load(PROG_TYPE['syscall'], program, flags=0x10, log_level=0)
    try:
        if not loaded.ok:
            return errno_name(loaded.result), None, None
        bpf(10, struct.pack('<IIIIQQIIIIQQIIII', loaded.result, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        after = map_lookup(fd, KEY, SIZE)
        return None, struct.unpack_from('<q', after, RESULT)[0], after
    finally:
        loaded.close()
        os.close(fd)


def snprintf(fmt, args, size=128):
    """args: ints, or bytes for the address of a text."""
    rodata = map_create(ARRAY, 4, 64, 1, RDONLY_PROG)
    map_update(rodata, KEY, (fmt + b'\0').ljust(64, b'\0'))
    bpf(22, struct.pack('<I', rodata))
    data = bytearray(SIZE)
    text = TEXT
    stores = []
    for i, arg in enumerate(args):
        if isinstance(arg, bytes):
            data[text:text + len(arg)] = arg
            stores.append((i, text))
            text += 32
        else:
            struct.pack_into('<Q', data, 8 * i, arg & (1 << 64) - 1)

    def code(fd):
        out = b''
        for i, at in stores:
            out += value_address(1, fd, ARGS + 8 * i) + value_address(2, fd, at) + insn(0x7b, 1, 2, 0)
        out += value_address(1, fd, BUFFER) + mov(2, size) + value_address(3, rodata, 0)
        out += (value_address(4, fd, ARGS) if args else mov(4, 0)) + mov(5, 8 * len(args)) + insn(0x85, imm=165)
        return out
    error, result, after = run(code, bytes(data))
    os.close(rodata)
    row = {'helper': 'snprintf', 'format': fmt.decode(), 'args': [{'text': a.hex()} if isinstance(a, bytes) else str(a) for a in args], 'size': size}
    if error:
        return {**row, 'load': error}
    return {**row, 'result': result, 'out': after[BUFFER:BUFFER + 128].hex()}


def parse(helper, text, base):
    def code(fd):
        return (value_address(1, fd, TEXT) + mov(2, len(text)) + imm64(3, base) + value_address(4, fd, BUFFER) + insn(0x85, imm=helper))
    error, result, after = run(code, bytes(TEXT) + text)
    row = {'helper': {105: 'strtol', 106: 'strtoul'}[helper], 'text': text.hex(), 'base': base}
    return {**row, 'load': error} if error else {**row, 'result': result, 'out': after[BUFFER:BUFFER + 8].hex()}


def strncmp(left, right, size):
    rodata = map_create(ARRAY, 4, 64, 1, RDONLY_PROG)
    map_update(rodata, KEY, (right + b'\0').ljust(64, b'\0'))
    bpf(22, struct.pack('<I', rodata))

    def code(fd):
        return value_address(1, fd, TEXT) + mov(2, size) + value_address(3, rodata, 0) + insn(0x85, imm=182)
    error, result, _ = run(code, bytes(TEXT) + left)
    os.close(rodata)
    result = result if error else (result > 0) - (result < 0)
    return {'helper': 'strncmp', 'left': left.hex(), 'right': right.hex(), 'size': size, **({'load': error} if error else {'sign': result})}


def csum_diff(old, new, seed):
    """In a sched_cls program, the only kind here that has it."""
    fd = map_create(ARRAY, 4, SIZE, 1)
    data = bytearray(SIZE)
    data[BUFFER:BUFFER + len(old)] = old
    data[TEXT:TEXT + len(new)] = new
    map_update(fd, KEY, bytes(data))
    program = ((value_address(1, fd, BUFFER) if old else mov(1, 0)) + mov(2, len(old)) + (value_address(3, fd, TEXT) if new else mov(3, 0)) +
               mov(4, len(new)) + insn(0xb4, 5, imm=seed) + insn(0x85, imm=28) +
               value_address(6, fd, RESULT) + insn(0x7b, 6, 0, 0) + mov(0, 0) + insn(0x95))
    loaded = prog_load(PROG_TYPE['sched_cls'], program)
    row = {'helper': 'csum_diff', 'old': old.hex(), 'new': new.hex(), 'seed': seed}
    if not loaded.ok:
        os.close(fd)
        return {**row, 'load': errno_name(loaded.result)}
    packet = ctypes.create_string_buffer(64)
    bpf(10, struct.pack('<IIIIQQIIIIQQIIII', loaded.result, 0, 64, 0, address(packet), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    result = struct.unpack_from('<q', map_lookup(fd, KEY, SIZE), RESULT)[0]
    loaded.close()
    os.close(fd)
    return {**row, 'result': result}


def ringbuf(size, reserve):
    """How many records of a size fit an empty ring, and what bpf_ringbuf_query then says."""
    ring = map_create(maps.MAP_TYPE['ringbuf'], 0, 0, 4096)
    ring_pointer = insn(0x18, 1, 1, 0, ring) + insn(0, 0, 0, 0, 0)

    def code(fd):
        one = ring_pointer
        if reserve:
            one += mov(2, size) + mov(3, 0) + insn(0x85, imm=131) + insn(0x15, 0, 0, 4) + insn(0xbf, 1, 0) + mov(2, 0) + insn(0x85, imm=132)
            one += insn(0x07, 7, imm=1)
        else:
            one += value_address(2, fd, TEXT) + mov(3, size) + mov(4, 0) + insn(0x85, imm=130) + insn(0x55, 0, 0, 1) + insn(0x07, 7, imm=1)
        times = 4096 // (size + 8) + 2
        # A loop: r8 counts down.
        body = one + insn(0x07, 8, imm=-1)
        out = mov(7, 0) + mov(8, times) + body + insn(0x55, 8, 0, -(len(body) // 8) - 1)
        for what in range(5):
            out += ring_pointer + mov(2, what) + insn(0x85, imm=134) + value_address(6, fd, BUFFER + 8 * what) + insn(0x7b, 6, 0, 0)
        return out + insn(0xbf, 0, 7)
    error, result, after = run(code, b'')
    os.close(ring)
    row = {'helper': 'ringbuf', 'size': size, 'reserve': reserve}
    return {**row, 'load': error} if error else {**row, 'result': result, 'query': list(struct.unpack_from('<5Q', after, BUFFER))}


def calls():
    for size in (0, 1, 7, 8, 9, 100, 248):
        for reserve in (False, True):
            yield ringbuf(size, reserve)
    big, negative = 0xfedcba9876543210, -5
    for fmt in (b'%d', b'%i', b'%u', b'%x', b'%X', b'%ld', b'%lu', b'%lx', b'%lld', b'%llu', b'%llx', b'%llX', b'%hd', b'%hu', b'%hx', b'%hhd',
                b'%hhu', b'%zu', b'%o', b'%5d|', b'%-5d|', b'%05d|', b'%+d', b'% d', b'%#x', b'%#010x', b'%.3d', b'%8.3d|', b'%10llx|', b'%p', b'%px',
                b'%pK', b'%pks', b'%pB', b'%ps', b'%pS', b'%c', b'%3c|', b'%lc', b'%f', b'%e', b'%n', b'%%', b'%5%', b'%', b'%l', b'%hhh', b'100%', b'%*d'):
        for arg in (7, negative, big, 0):
            if fmt in (b'%%', b'100%'):
                yield snprintf(fmt, [])
                break
            if b'%p' in fmt and fmt not in (b'%px', b'%pK') and arg:
                continue
            yield snprintf(fmt, [arg])
    for fmt in (b'%s', b'%.2s|', b'%10s|', b'%-10s|', b'%pks', b'a%sb%sc', b'%s%%'):
        yield snprintf(fmt, [b'hello\0'] * fmt.count(b's'))
    yield snprintf(b'%s', [b'\0'])
    yield snprintf(b'%s', [0])
    yield snprintf(b'%s', [12])
    yield snprintf(b'%pi4', [bytes([10, 0, 200, 3])])
    yield snprintf(b'%pI4', [bytes([10, 0, 200, 3])])
    yield snprintf(b'%pi6', [bytes(range(16))])
    yield snprintf(b'%pI6', [bytes(range(16))])
    yield snprintf(b'%pI4x', [bytes([1, 2, 3, 4])])
    yield snprintf(b'%pM', [bytes([1, 2, 3, 4, 5, 6])])
    yield snprintf(b'plain text\n', [])
    yield snprintf(b'tab\tbell\x07', [])
    yield snprintf('\u00e9'.encode(), [])
    yield snprintf(b'%d', [])
    yield snprintf(b'%d', [1, 2])
    yield snprintf(b'%d %d', [1])
    yield snprintf(b'%d,%u,%llx,%s', [-1, 4000000000, big, b'x\0'])
    for size in (0, 1, 4, 5, 6):
        yield snprintf(b'hello', [], size)
    yield snprintf(b'%d' * 12, list(range(12)))
    texts = [b'12\0', b'  12 ', b'-12', b'+12', b'0x1f', b'0X1F', b'1f', b'017', b'08', b'', b'-', b'+', b' ', b'x', b'0x', b'0xg', b'12abc',
             b'9223372036854775807', b'9223372036854775808', b'-9223372036854775808', b'-9223372036854775809', b'18446744073709551615',
             b'18446744073709551616', b'99999999999999999999999', b'\t\n7', b'- 7', b'0', b'-0', b'00012', b'1' * 70, b' ' * 70 + b'1', b'\xa05']
    for text in texts:
        for base in (0, 8, 10, 16):
            for helper in (105, 106):
                if text:
                    yield parse(helper, text, base)
    for base in (1, 2, 32, 1 << 32, 10 | 1 << 40):
        yield parse(105, b'10', base)
    for left, right, size in ((b'abc\0', b'abc', 4), (b'abc', b'abd', 3), (b'abd', b'abc', 3), (b'abc', b'ab', 3), (b'ab\0x', b'ab', 4), (b'ab', b'abc', 2),
                              (b'\xff', b'a', 1), (b'', b'a', 1)):
        yield strncmp(left, right, size)
    rng = random.Random(1)
    for old_size, new_size in ((0, 0), (4, 0), (0, 4), (4, 4), (8, 4), (4, 16), (20, 20), (0, 60), (64, 0), (3, 4), (4, 2), (1, 0)):
        for seed in (0, 0xffff, rng.randrange(1 << 31), 0xffffffff):
            yield csum_diff(rng.randbytes(old_size), rng.randbytes(new_size), seed)
    yield csum_diff(b'\xff' * 4, b'\xff' * 4, 0)
    yield csum_diff(bytes(4), bytes(4), 0)


def main():
    with open(OUT, 'w') as out:
        out.write(json.dumps({'kernel': kernel_release()}) + '\n')
        n = 0
        for row in calls():
            out.write(json.dumps(row, separators=(',', ':')) + '\n')
            n += 1
        print(n, 'calls')


if __name__ == '__main__':
    main()
