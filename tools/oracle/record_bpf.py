"""Records what bpf(2) of the running kernel answers, as steps that any kernel can replay: packages/vmlinux/test/oracle/bpf.json.

Needs root. Touches only what it makes: a network namespace, a mount namespace with a bpffs of its own, and its own objects.
A step is a command with its attr as [offset, width, value] triples. A value is a number, or
  ["fd", NAME] an fd that an earlier step saved    ["id", NAME] the id of such an object    ["in", HEX] a buffer with these bytes
  ["out", SIZE, FILL] a buffer to be filled        ["bad"] an address that is not mapped
Recorded: the errno's name or OK, fields that the kernel changed in the attr, and what it wrote into the buffers.
"""

import ctypes
import json
import os
import struct
import sys

import bpf as border
from bpf import bpf, insn, kernel_release

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../packages/vmlinux/test/oracle/bpf.json')
BAD = 0x10
BPFFS = '/tmp/oracle-bpffs'

FIELDS = {
    'map_create': dict(map_type=(0, 4), key_size=(4, 4), value_size=(8, 4), max_entries=(12, 4), map_flags=(16, 4), inner_map_fd=(20, 4),
                       numa_node=(24, 4), map_name=(28, 16), map_ifindex=(44, 4), btf_fd=(48, 4), btf_key_type_id=(52, 4),
                       btf_value_type_id=(56, 4), btf_vmlinux_value_type_id=(60, 4), map_extra=(64, 8), value_type_btf_obj_fd=(72, 4),
                       map_token_fd=(76, 4), excl_prog_hash=(80, 8), excl_prog_hash_size=(88, 4)),
    'elem': dict(map_fd=(0, 4), key=(8, 8), value=(16, 8), next_key=(16, 8), flags=(24, 8)),
    'batch': dict(in_batch=(0, 8), out_batch=(8, 8), keys=(16, 8), values=(24, 8), count=(32, 4), map_fd=(36, 4), elem_flags=(40, 8),
                  flags=(48, 8)),
    'prog_load': dict(prog_type=(0, 4), insn_cnt=(4, 4), insns=(8, 8), license=(16, 8), log_level=(24, 4), log_size=(28, 4), log_buf=(32, 8),
                      kern_version=(40, 4), prog_flags=(44, 4), prog_name=(48, 16), prog_ifindex=(64, 4), expected_attach_type=(68, 4),
                      prog_btf_fd=(72, 4), func_info_rec_size=(76, 4), func_info=(80, 8), func_info_cnt=(88, 4), line_info_rec_size=(92, 4),
                      line_info=(96, 8), line_info_cnt=(104, 4), attach_btf_id=(108, 4), attach_prog_fd=(112, 4), core_relo_cnt=(116, 4),
                      fd_array=(120, 8), core_relos=(128, 8), core_relo_rec_size=(136, 4), log_true_size=(140, 4), prog_token_fd=(144, 4),
                      fd_array_cnt=(148, 4)),
    'obj': dict(pathname=(0, 8), bpf_fd=(8, 4), file_flags=(12, 4), path_fd=(16, 4)),
    'prog_attach': dict(target_ifindex=(0, 4), target_fd=(0, 4), attach_bpf_fd=(4, 4), attach_type=(8, 4), attach_flags=(12, 4),
                        replace_bpf_fd=(16, 4), relative_fd=(20, 4), expected_revision=(24, 8)),
    'test': dict(prog_fd=(0, 4), retval=(4, 4), data_size_in=(8, 4), data_size_out=(12, 4), data_in=(16, 8), data_out=(24, 8), repeat=(32, 4),
                 duration=(36, 4), ctx_size_in=(40, 4), ctx_size_out=(44, 4), ctx_in=(48, 8), ctx_out=(56, 8), flags=(64, 4), cpu=(68, 4),
                 batch_size=(72, 4)),
    'id': dict(start_id=(0, 4), next_id=(4, 4), open_flags=(8, 4), fd_by_id_token_fd=(12, 4)),
    'info': dict(bpf_fd=(0, 4), info_len=(4, 4), info=(8, 8)),
    'query': dict(target_ifindex=(0, 4), attach_type=(4, 4), query_flags=(8, 4), attach_flags=(12, 4), prog_ids=(16, 8), prog_cnt=(24, 4),
                  prog_attach_flags=(32, 8), link_ids=(40, 8), link_attach_flags=(48, 8), revision=(56, 8)),
    'raw_tracepoint': dict(name=(0, 8), prog_fd=(8, 4), cookie=(16, 8)),
    'btf_load': dict(btf=(0, 8), btf_log_buf=(8, 8), btf_size=(16, 4), btf_log_size=(20, 4), btf_log_level=(24, 4), btf_log_true_size=(28, 4),
                     btf_flags=(32, 4), btf_token_fd=(36, 4)),
    'task_fd_query': dict(pid=(0, 4), fd=(4, 4), flags=(8, 4), buf_len=(12, 4), buf=(16, 8)),
    'link_create': dict(prog_fd=(0, 4), target_ifindex=(4, 4), attach_type=(8, 4), flags=(12, 4), relative_fd=(16, 4), expected_revision=(24, 8)),
    'link_update': dict(link_fd=(0, 4), new_prog_fd=(4, 4), flags=(8, 4), old_prog_fd=(12, 4)),
    'link_detach': dict(link_fd=(0, 4)), 'enable_stats': dict(type=(0, 4)), 'iter_create': dict(link_fd=(0, 4), flags=(4, 4)),
    'bind': dict(prog_fd=(0, 4), map_fd=(4, 4), flags=(8, 4)), 'token': dict(flags=(0, 4), bpffs_fd=(4, 4)),
    'stream': dict(stream_buf=(0, 8), stream_buf_len=(8, 4), stream_id=(12, 4), prog_fd=(16, 4)), 'freeze': dict(map_fd=(0, 4)),
}
CMD = dict(MAP_CREATE=(0, 'map_create'), LOOKUP=(1, 'elem'), UPDATE=(2, 'elem'), DELETE=(3, 'elem'), NEXT=(4, 'elem'), LOAD=(5, 'prog_load'),
           PIN=(6, 'obj'), GET=(7, 'obj'), ATTACH=(8, 'prog_attach'), DETACH=(9, 'prog_attach'), RUN=(10, 'test'), PROG_NEXT=(11, 'id'),
           MAP_NEXT=(12, 'id'), PROG_BY_ID=(13, 'id'), MAP_BY_ID=(14, 'id'), INFO=(15, 'info'), QUERY=(16, 'query'),
           RAW_TP=(17, 'raw_tracepoint'), BTF_LOAD=(18, 'btf_load'), BTF_BY_ID=(19, 'id'), TASK_FD=(20, 'task_fd_query'),
           LOOKUP_DELETE=(21, 'elem'), FREEZE=(22, 'freeze'), BTF_NEXT=(23, 'id'), LOOKUP_BATCH=(24, 'batch'), LOOKUP_DELETE_BATCH=(25, 'batch'),
           UPDATE_BATCH=(26, 'batch'), DELETE_BATCH=(27, 'batch'), LINK_CREATE=(28, 'link_create'), LINK_UPDATE=(29, 'link_update'),
           LINK_BY_ID=(30, 'id'), LINK_NEXT=(31, 'id'), STATS=(32, 'enable_stats'), ITER=(33, 'iter_create'), LINK_DETACH=(34, 'link_detach'),
           BIND=(35, 'bind'), TOKEN=(36, 'token'), STREAM=(37, 'stream'))

cases = []
ATTR_SIZE = 168


def errno_name(result):
    return {-95: 'EOPNOTSUPP', -524: 'ENOTSUPP'}.get(result) or border.errno_name(result)


class Case:
    """One story on a fresh task: steps in order, with names for fds."""

    def __init__(self, name):
        self.name, self.steps, self.fds = name, [], {}
        cases.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in self.fds.values():
            try:
                os.close(fd)
            except OSError:
                pass

    def step(self, cmd, save=None, size=None, raw=(), ignore=(), **fields):
        """One call. `raw` are further [offset, width, value] triples; `ignore` names fields that differ from run to run."""
        number, layout = CMD[cmd]
        table = FIELDS[layout]
        triples = [[*table[key], value] for key, value in fields.items()] + [list(triple) for triple in raw]
        end = max([offset + width for offset, width, _ in triples] + [offset + width for offset, width in table.values()])
        size = end if size is None else size
        attr, buffers = bytearray(max(size, ATTR_SIZE)), []
        for offset, width, value in triples:
            attr[offset:offset + width] = self.encode(value, width, buffers)
        buf = bytes(attr)
        result, after = bpf(number, buf, size)
        record = dict(cmd=number, size=size, attr=triples, result=errno_name(result) if result < 0 else 'OK')
        changed = [[o, w, int.from_bytes(after[o:o + w], 'little')] for name, (o, w) in table.items()
                   if w <= 8 and name not in ignore and after[o:o + w] != buf[o:o + w] and (o, w) not in [(t[0], t[1]) for t in triples if isinstance(t[2], list)]]
        unique = []
        for change in changed:
            if change not in unique:
                unique.append(change)
        if unique:
            record['changed'] = unique
        outs = [[offset, bytes(out).hex()] for offset, out in buffers if out is not None]
        if outs and 'buffers' not in ignore:
            record['outs'] = outs
        if save and result >= 0:
            self.fds[save] = result
            record['save'] = save
        elif result >= 0 and number in (0, 5, 7, 13, 14, 17, 18, 19, 28, 30, 32, 33):
            os.close(result)
            record['drop'] = True
        self.steps.append(record)
        self.keep = buffers
        return result

    def close(self, name):
        os.close(self.fds.pop(name))
        self.steps.append(dict(close=name))

    def encode(self, value, width, buffers):
        if isinstance(value, bytes):
            raise TypeError('give buffers as ["in", hex]')
        if isinstance(value, str):
            return value.encode().ljust(width, b'\0')[:width]
        if isinstance(value, int):
            return (value & ((1 << (8 * width)) - 1)).to_bytes(width, 'little')
        kind = value[0]
        if kind == 'fd':
            return self.fds[value[1]].to_bytes(width, 'little')
        if kind == 'id':
            return self.id_of(self.fds[value[1]]).to_bytes(width, 'little')
        if kind == 'bad':
            return BAD.to_bytes(width, 'little')
        if kind == 'in':
            data = bytearray()
            for part in value[1:]:
                data += bytes.fromhex(part) if isinstance(part, str) else self.encode(part, 4, buffers)
            mem = (ctypes.c_char * max(len(data), 1)).from_buffer(data or bytearray(1))
            buffers.append([None, None])
            self.refs = getattr(self, 'refs', []) + [mem]
            return ctypes.addressof(mem).to_bytes(8, 'little')
        if kind == 'out':
            mem = (ctypes.c_ubyte * value[1])(*([value[2] if len(value) > 2 else 0] * value[1]))
            self.refs = getattr(self, 'refs', []) + [mem]
            buffers.append([len(self.refs), mem])
            return ctypes.addressof(mem).to_bytes(8, 'little')
        raise ValueError(value)

    @staticmethod
    def id_of(fd):
        info = ctypes.create_string_buffer(64)
        attr = struct.pack('<IIQ', fd, 64, ctypes.addressof(info))
        result, _ = bpf(15, attr)
        if result < 0:
            raise OSError(-result, 'info')
        text = open(f'/proc/self/fdinfo/{fd}').read()
        for key in ('map_id', 'prog_id', 'link_id', 'btf_id'):
            if key == 'prog_id' and 'link_id' in text:
                continue
            for line in text.splitlines():
                if line.startswith(key + ':'):
                    return int(line.split()[1])
        raise ValueError(text)


def hexes(*insns):
    return b''.join(insns).hex()


RET0 = hexes(insn(0xb7, 0, 0, 0, 0), insn(0x95))
RET1 = hexes(insn(0xb7, 0, 0, 0, 1), insn(0x95))
GPL = b'GPL\0'.hex()
ARRAY = dict(map_type=2, key_size=4, value_size=8, max_entries=4)
HASH = dict(map_type=1, key_size=4, value_size=8, max_entries=4)


def k(n):
    return ['in', struct.pack('<I', n).hex()]


def v(n):
    return ['in', struct.pack('<Q', n).hex()]


def load(c, save='prog', code=RET0, **more):
    given = dict(prog_type=3, insn_cnt=len(code) // 16, insns=['in', code], license=['in', GPL])
    given.update(more)
    return c.step('LOAD', save=save, **given)


def btf(types, strings):
    blob = b'\0'
    offsets = {'': 0}
    for text in strings:
        offsets[text] = len(blob)
        blob += text.encode() + b'\0'
    body = b''.join(t(offsets) for t in types)
    return (struct.pack('<HBBIIIII', 0xeb9f, 1, 0, 24, 0, len(body), len(body), len(blob)) + body + blob)


def small_btf():
    """1 int, 2 struct v8 {int a; int b;}, 3 func proto int(), 4 func f (static), 5 u64, 6 func g, 7 struct with a spin lock, 8 bpf_spin_lock"""
    strings = ['int', 'v8', 'a', 'b', 'f', 'u64', 'g', 'bpf_spin_lock', 'val', 'locked', 'lock', 'x.c', 'return 0;']
    t = [
        lambda o: struct.pack('<IIII', o['int'], 1 << 24, 4, (1 << 24) | 32),
        lambda o: struct.pack('<III', o['v8'], 4 << 24 | 2, 8) + struct.pack('<IIIIII', o['a'], 1, 0, o['b'], 1, 32),
        lambda o: struct.pack('<III', 0, 13 << 24, 1),
        lambda o: struct.pack('<III', o['f'], 12 << 24, 3),
        lambda o: struct.pack('<IIII', o['u64'], 1 << 24, 8, 64),
        lambda o: struct.pack('<III', o['g'], 12 << 24, 3),
        lambda o: struct.pack('<III', o['locked'], 4 << 24 | 2, 8) + struct.pack('<IIIIII', o['lock'], 8, 0, o['a'], 1, 32),
        lambda o: struct.pack('<III', o['bpf_spin_lock'], 4 << 24 | 1, 4) + struct.pack('<III', o['val'], 1, 0),
    ]
    data = btf(t, strings)
    offsets, at = {}, 1
    for text in strings:
        offsets[text] = at
        at += len(text) + 1
    return data, offsets


BTF, BTF_STR = small_btf()


def load_btf(c, save='btf', **more):
    return c.step('BTF_LOAD', save=save, btf=['in', BTF.hex()], btf_size=len(BTF), **more)


def attr_shapes():
    """Every command with an attr of zeros: by size, and with one byte set at every offset."""
    sizes, pokes = [], []
    with Case('attr of zeros by size') as c:
        for cmd in CMD:
            if cmd in ('STATS', 'PROG_NEXT', 'MAP_NEXT', 'BTF_NEXT', 'LINK_NEXT'):
                continue
            for size in (0, 1, 4, 8, 12, 16, 24, 32, 40, 64, 100, 168, 172, 4096, 4097):
                c.step(cmd, size=size)
    by_id = ('PROG_NEXT', 'MAP_NEXT', 'BTF_NEXT', 'LINK_NEXT', 'PROG_BY_ID', 'MAP_BY_ID', 'BTF_BY_ID', 'LINK_BY_ID')
    with Case('one byte set at an offset') as c:
        for cmd in CMD:
            if cmd == 'STATS':
                continue
            for offset in range(4 if cmd in by_id else 0, 176, 1 if cmd in ('LOOKUP', 'PIN') else 4):
                if (cmd.endswith('_NEXT') and offset < 8) or (cmd == 'TASK_FD' and offset == 0):
                    continue
                c.step(cmd, size=176, raw=[[offset, 1, 1]], ignore=('next_id', 'start_id'))


def map_create():
    with Case('map create: general checks') as c:
        load_btf(c)
        load(c)
        for more in (
            {}, dict(map_name='good_name.1'), dict(map_name='bad name'), dict(map_name='sixteen_bytes_xx'), dict(map_name='x-y'),
            dict(map_extra=1), dict(map_flags=1 << 3), dict(map_flags=1 << 4), dict(map_flags=3 << 3), dict(map_flags=1 << 31),
            dict(map_flags=1 << 2, numa_node=0), dict(map_flags=1 << 2, numa_node=99), dict(map_flags=1 << 2, numa_node=-1), dict(numa_node=99),
            dict(map_type=0), dict(map_type=99), dict(map_type=18), dict(map_ifindex=1), dict(btf_vmlinux_value_type_id=1), dict(btf_key_type_id=1),
            dict(btf_fd=['fd', 'btf']), dict(btf_fd=99, btf_value_type_id=5, btf_key_type_id=1), dict(btf_fd=['fd', 'prog'], btf_value_type_id=5, btf_key_type_id=1),
            dict(btf_fd=['fd', 'btf'], btf_value_type_id=5, btf_key_type_id=1), dict(btf_fd=['fd', 'btf'], btf_value_type_id=2, btf_key_type_id=1),
            dict(btf_fd=['fd', 'btf'], btf_value_type_id=1, btf_key_type_id=1), dict(btf_fd=['fd', 'btf'], btf_value_type_id=5, btf_key_type_id=5),
            dict(btf_fd=['fd', 'btf'], btf_value_type_id=5), dict(btf_fd=['fd', 'btf'], btf_value_type_id=99, btf_key_type_id=1),
            dict(btf_fd=['fd', 'btf'], btf_value_type_id=5, btf_key_type_id=99), dict(btf_fd=['fd', 'btf'], btf_value_type_id=4, btf_key_type_id=1),
            dict(btf_fd=['fd', 'btf'], btf_value_type_id=7, btf_key_type_id=1), dict(btf_fd=['fd', 'btf'], btf_value_type_id=7, btf_key_type_id=1, map_flags=1 << 7),
            dict(btf_fd=['fd', 'btf'], btf_value_type_id=7, btf_key_type_id=1, map_type=6), dict(btf_fd=['fd', 'btf'], btf_value_type_id=2, btf_key_type_id=1, map_type=6),
            dict(excl_prog_hash_size=32), dict(excl_prog_hash=['bad'], excl_prog_hash_size=32), dict(excl_prog_hash=['bad'], excl_prog_hash_size=31),
            dict(map_flags=1 << 16), dict(map_flags=1 << 16, map_token_fd=99), dict(map_flags=1 << 16, map_token_fd=['fd', 'prog']),
            dict(map_flags=1 << 16, map_token_fd=99, map_name='bad name'), dict(map_name='bad name', btf_fd=99, btf_value_type_id=5, btf_key_type_id=1),
            dict(key_size=5, map_name='bad name'), dict(max_entries=0, map_extra=1), dict(map_type=99, map_flags=3 << 3),
            dict(map_type=99, map_flags=1 << 2, numa_node=99),
        ):
            c.step('MAP_CREATE', **{**ARRAY, **more})
        c.step('MAP_CREATE', **HASH, btf_fd=['fd', 'btf'], btf_value_type_id=5)
        c.step('MAP_CREATE', **HASH, btf_fd=['fd', 'btf'], btf_value_type_id=7, btf_key_type_id=1)
        c.step('MAP_CREATE', map_type=3, key_size=4, value_size=4, max_entries=1, btf_fd=['fd', 'btf'], btf_value_type_id=1, btf_key_type_id=1)


def elements():
    with Case('elements: fds, modes, flags, pointers') as c:
        c.step('MAP_CREATE', save='hash', **HASH)
        c.step('MAP_CREATE', save='read', **HASH, map_flags=1 << 3)
        c.step('MAP_CREATE', save='write', **HASH, map_flags=1 << 4)
        c.step('MAP_CREATE', save='queue', map_type=22, key_size=0, value_size=8, max_entries=4)
        load_btf(c)
        c.step('MAP_CREATE', save='locked', **HASH, btf_fd=['fd', 'btf'], btf_value_type_id=7, btf_key_type_id=1)
        load(c)
        for fd in (99, -1, 0, ['fd', 'prog'], ['fd', 'btf'], ['fd', 'read'], ['fd', 'write'], ['fd', 'hash'], ['fd', 'locked'], ['fd', 'queue']):
            for flags in (0, 1, 2, 3, 4, 5, 8, 1 << 40):
                c.step('UPDATE', map_fd=fd, key=k(1), value=v(7), flags=flags)
            c.step('UPDATE', map_fd=fd, key=['bad'], value=v(7))
            c.step('UPDATE', map_fd=fd, key=0, value=v(7))
            c.step('UPDATE', map_fd=fd, key=k(1), value=['bad'])
            c.step('UPDATE', map_fd=fd, key=k(1), value=0)
            for flags in (0, 1, 4, 5, 1 << 40):
                c.step('LOOKUP', map_fd=fd, key=k(1), value=['out', 8, 0xee], flags=flags)
                c.step('LOOKUP_DELETE', map_fd=fd, key=k(2), value=['out', 8, 0xee], flags=flags)
            c.step('LOOKUP', map_fd=fd, key=k(99), value=['bad'])
            c.step('LOOKUP', map_fd=fd, key=k(1), value=['bad'])
            c.step('LOOKUP', map_fd=fd, key=0, value=['out', 8])
            c.step('LOOKUP', map_fd=fd, key=['bad'], value=['out', 8])
            c.step('NEXT', map_fd=fd, key=0, next_key=['out', 4])
            c.step('NEXT', map_fd=fd, key=k(1), next_key=['out', 4])
            c.step('NEXT', map_fd=fd, key=['bad'], next_key=['out', 4])
            c.step('NEXT', map_fd=fd, key=0, next_key=['bad'])
            c.step('DELETE', map_fd=fd, key=k(42))
            c.step('DELETE', map_fd=fd, key=['bad'])
            c.step('DELETE', map_fd=fd, key=k(1))
            c.step('DELETE', map_fd=fd, key=0)
    with Case('freeze') as c:
        c.step('MAP_CREATE', save='map', **ARRAY)
        c.step('MAP_CREATE', save='read', **ARRAY, map_flags=1 << 3)
        load_btf(c)
        c.step('MAP_CREATE', save='locked', **HASH, btf_fd=['fd', 'btf'], btf_value_type_id=7, btf_key_type_id=1)
        for fd in (99, 0, ['fd', 'btf'], ['fd', 'read'], ['fd', 'locked'], ['fd', 'map'], ['fd', 'map']):
            c.step('FREEZE', map_fd=fd)
        c.step('UPDATE', map_fd=['fd', 'map'], key=k(1), value=v(7))
        c.step('DELETE', map_fd=['fd', 'map'], key=k(1))
        c.step('LOOKUP', map_fd=['fd', 'map'], key=k(1), value=['out', 8])
        c.step('LOOKUP_DELETE', map_fd=['fd', 'map'], key=k(1), value=['out', 8])
        c.step('UPDATE_BATCH', map_fd=['fd', 'map'], keys=k(1), values=v(7), count=1)
        c.step('MAP_BY_ID', save='again', start_id=['id', 'map'])
        c.step('FREEZE', map_fd=['fd', 'again'])


def batches():
    keys = ['in', struct.pack('<IIII', 0, 1, 2, 3).hex()]
    values = ['in', struct.pack('<QQQQ', 10, 11, 12, 13).hex()]
    with Case('batches on an array') as c:
        c.step('MAP_CREATE', save='map', **ARRAY)
        c.step('MAP_CREATE', save='read', **ARRAY, map_flags=1 << 3)
        c.step('MAP_CREATE', save='write', **ARRAY, map_flags=1 << 4)
        for fd in (99, 0, ['fd', 'read'], ['fd', 'write'], ['fd', 'map']):
            for cmd in ('UPDATE_BATCH', 'LOOKUP_BATCH', 'LOOKUP_DELETE_BATCH', 'DELETE_BATCH'):
                out = dict(keys=['out', 16], values=['out', 32], out_batch=['out', 4]) if cmd == 'LOOKUP_BATCH' else dict(keys=keys, values=values)
                for flags in (dict(), dict(elem_flags=4), dict(elem_flags=1), dict(flags=1), dict(count=0)):
                    c.step(cmd, **{**dict(map_fd=fd, count=4), **out, **flags})
        c.step('LOOKUP_BATCH', map_fd=['fd', 'map'], count=2, keys=['out', 16], values=['out', 32], out_batch=['out', 4])
        c.step('LOOKUP_BATCH', map_fd=['fd', 'map'], count=2, in_batch=k(1), keys=['out', 16], values=['out', 32], out_batch=['out', 4])
        c.step('LOOKUP_BATCH', map_fd=['fd', 'map'], count=9, keys=['out', 16], values=['out', 32], out_batch=['out', 4])
        c.step('LOOKUP_BATCH', map_fd=['fd', 'map'], count=2, keys=['bad'], values=['out', 32], out_batch=['out', 4])
        c.step('LOOKUP_BATCH', map_fd=['fd', 'map'], count=2, keys=['out', 16], values=['bad'], out_batch=['out', 4])
        c.step('LOOKUP_BATCH', map_fd=['fd', 'map'], count=2, keys=['out', 16], values=['out', 32], out_batch=['bad'])
        c.step('LOOKUP_BATCH', map_fd=['fd', 'map'], count=2, in_batch=['bad'], keys=['out', 16], values=['out', 32], out_batch=['out', 4])
        c.step('UPDATE_BATCH', map_fd=['fd', 'map'], count=4, keys=['in', struct.pack('<IIII', 0, 1, 9, 3).hex()], values=values)
        c.step('UPDATE_BATCH', map_fd=['fd', 'map'], count=4, keys=['bad'], values=values)
        c.step('DELETE_BATCH', map_fd=['fd', 'map'], count=1, keys=keys)


def programs():
    with Case('program load: order of checks') as c:
        load_btf(c)
        c.step('MAP_CREATE', save='map', **ARRAY)
        load(c)
        for more in (
            {}, dict(insn_cnt=0), dict(insn_cnt=1000001), dict(insn_cnt=1000000), dict(insns=['bad']), dict(insns=0), dict(license=['bad']), dict(license=0),
            dict(prog_flags=1 << 31), dict(prog_flags=1 << 31, insn_cnt=0), dict(prog_flags=1 << 4), dict(prog_flags=1 << 5), dict(prog_flags=1 << 6),
            dict(prog_type=0), dict(prog_type=99), dict(prog_type=99, insns=['bad']), dict(prog_type=20), dict(prog_name='bad name'), dict(prog_name='ok_name.x'),
            dict(prog_name='sixteen_bytes_xx'), dict(prog_type=99, prog_name='bad name'), dict(prog_ifindex=77), dict(prog_flags=1 << 16),
            dict(prog_flags=1 << 16, prog_token_fd=99), dict(attach_btf_id=1), dict(attach_prog_fd=99), dict(attach_prog_fd=['fd', 'prog']),
            dict(attach_prog_fd=['fd', 'btf']), dict(prog_btf_fd=99), dict(func_info_cnt=1), dict(func_info_cnt=1, prog_btf_fd=99),
            dict(func_info_cnt=1, prog_btf_fd=['fd', 'map']), dict(line_info_cnt=1), dict(line_info_cnt=1, prog_btf_fd=['fd', 'btf']),
            dict(core_relo_cnt=1), dict(fd_array_cnt=1), dict(fd_array=['bad'], fd_array_cnt=1), dict(fd_array=['in', '63000000'], fd_array_cnt=1),
            dict(fd_array=['in', ['fd', 'map']], fd_array_cnt=1), dict(fd_array=['in', ['fd', 'btf']], fd_array_cnt=1),
            dict(fd_array=['in', ['fd', 'prog']], fd_array_cnt=1), dict(fd_array_cnt=0xffffffff), dict(license=['in', b'Proprietary\0'.hex()]),
        ):
            load(c, save=None, **more)
    with Case('program load: logs') as c:
        bad = hexes(insn(0xbf, 0, 2), insn(0x95))
        for code in (RET0, bad):
            for level in (0, 1, 2, 4, 8, 9, 15, 16, 1 << 31):
                load(c, save=None, code=code, log_level=level)
                load(c, save=None, code=code, log_level=level, log_buf=['out', 4096], log_size=4096)
            load(c, save=None, code=code, log_level=1, log_buf=['out', 64], log_size=64)
            load(c, save=None, code=code, log_level=9, log_buf=['out', 64], log_size=64)
            load(c, save=None, code=code, log_level=1, log_buf=['out', 64, 0x41], log_size=1)
            load(c, save=None, code=code, log_level=1, log_size=64)
            load(c, save=None, code=code, log_level=1, log_buf=['out', 64])
            load(c, save=None, code=code, log_level=1, log_buf=['bad'], log_size=64)
            load(c, save=None, code=code, log_level=1, log_buf=['out', 8], log_size=1 << 30)
        load(c, save=None, insns=['bad'], log_level=1, log_buf=['out', 64], log_size=64)
        load(c, save=None, log_level=1, log_buf=['out', 256], log_size=256, size=140)
    with Case('program load: func_info and line_info') as c:
        load_btf(c)
        two = hexes(insn(0x85, 0, 1, 0, 1), insn(0x95), insn(0xb7, 0, 0, 0, 0), insn(0x95))
        info = dict(prog_btf_fd=['fd', 'btf'], func_info_rec_size=8, log_level=1, log_buf=['out', 512], log_size=512)

        def func(*rows):
            return dict(func_info=['in', b''.join(struct.pack('<II', *row) for row in rows).hex()], func_info_cnt=len(rows))

        for rows in ([(0, 4)], [(1, 4)], [(0, 1)], [(0, 99)], [(0, 4), (0, 6)], [(0, 4), (1, 6)], [(0, 4), (2, 6)], [(0, 4), (2, 6), (3, 6)]):
            load(c, save=None, code=two, **info, **func(*rows))
            load(c, save=None, **info, **func(*rows))
        for size in (0, 4, 6, 8, 12, 16, 252, 256):
            load(c, save=None, **{**info, 'func_info_rec_size': size}, func_info=['in', (struct.pack('<II', 0, 4) + bytes(250)).hex()], func_info_cnt=1)
        load(c, save=None, **{**info, 'func_info_rec_size': 12}, func_info=['in', struct.pack('<III', 0, 4, 1).hex()], func_info_cnt=1)
        load(c, save=None, **info, func_info=['bad'], func_info_cnt=1)
        f, s = BTF_STR['x.c'], BTF_STR['return 0;']

        def line(*rows, size=16):
            return dict(line_info=['in', b''.join(struct.pack('<IIII', *row) for row in rows).hex()], line_info_cnt=len(rows), line_info_rec_size=size)

        for rows in ([(0, f, s, 1 << 10)], [(0, f, s, 1 << 10), (1, f, s, 2 << 10)], [(1, f, s, 1)], [(0, f, s, 1), (0, f, s, 1)], [(0, f, s, 1), (9, f, s, 1)],
                     [(0, 9999, s, 1)], [(0, f, 9999, 1)], [(0, f, s, 1), (2, f, s, 1)], [(0, f, s, 1), (3, f, s, 1)], [(2, f, s, 1)]):
            load(c, save=None, **info, **func((0, 4)), **line(*rows))
            load(c, save=None, code=two, **info, **func((0, 4), (2, 6)), **line(*rows))
        for size in (0, 8, 15, 16, 20, 252, 256):
            load(c, save=None, **info, **func((0, 4)), **{**line((0, f, s, 1)), 'line_info_rec_size': size, 'line_info': ['in', (struct.pack('<IIII', 0, f, s, 1) + bytes(250)).hex()]})
        load(c, save=None, **info, **func((0, 4)), line_info=['bad'], line_info_cnt=1, line_info_rec_size=16)
        wide = hexes(insn(0x18, 0, 0, 0, 1), insn(0), insn(0x95))
        load(c, save=None, code=wide, **info, **func((0, 4)), **line((0, f, s, 1), (1, f, s, 1)))
    with Case('program load: maps by fd') as c:
        c.step('MAP_CREATE', save='map', **ARRAY)
        c.step('MAP_CREATE', save='one', **{**ARRAY, 'max_entries': 1})
        load(c)

        def ld(source, fd, off=0):
            return ['in', bytes([0x18, 0x01 | source << 4, 0, 0]).hex(), fd, struct.pack('<IBBhi', 0, 0, 0, 0, off)[4:].hex(), RET0]

        for source in (1, 2):
            for fd in (['fd', 'map'], ['fd', 'one'], ['fd', 'prog'], 99, 0, -1):
                for off in (0, 4, 8, 1 << 29):
                    c.step('LOAD', prog_type=3, insn_cnt=4, insns=ld(source, fd, off), license=['in', GPL], log_level=1, log_buf=['out', 512], log_size=512)
        for source in (5, 6):
            for index in (0, 1, 2):
                c.step('LOAD', prog_type=3, insn_cnt=4, insns=ld(source, index), license=['in', GPL], fd_array=['in', ['fd', 'one'], ['fd', 'prog'], 99])
            c.step('LOAD', prog_type=3, insn_cnt=4, insns=ld(source, 0), license=['in', GPL])
            c.step('LOAD', prog_type=3, insn_cnt=4, insns=ld(source, 0), license=['in', GPL], fd_array=['bad'])
    with Case('program load: expected attach types') as c:
        for prog_type in list(range(1, 26)) + [30, 32]:
            code = RET1 if prog_type in (8, 9, 13, 15, 18, 23, 25, 30, 32) else RET0
            # Most types take any.
            for attach_type in range(0, 60) if prog_type in (8, 9, 18, 21, 25, 30, 32) else (0, 37, 46, 59):
                load(c, save=None, code=code, prog_type=prog_type, expected_attach_type=attach_type)


def infos():
    with Case('info by fd') as c:
        c.step('MAP_CREATE', save='map', **ARRAY, map_name='the_map')
        load_btf(c)
        code = hexes(insn(0xb7, 0, 0, 0, 0), insn(0x95))
        load(c, prog_name='the_prog')
        for fd in (99, 0, -1):
            c.step('INFO', bpf_fd=fd, info_len=8, info=['out', 8])
        for fd in ('map', 'btf', 'prog'):
            for length in (0, 3, 8, 24, 28, 80, 400):
                c.step('INFO', bpf_fd=['fd', fd], info_len=length, info=['out', length], ignore=('buffers',))
            c.step('INFO', bpf_fd=['fd', fd], info_len=400, info=['out', 400, 1], ignore=('buffers',))
            c.step('INFO', bpf_fd=['fd', fd], info_len=4097, info=['out', 4097], ignore=('buffers',))
            c.step('INFO', bpf_fd=['fd', fd], info_len=8, info=['bad'])
            c.step('INFO', bpf_fd=['fd', fd], info_len=8, info=0)

        def info(length, *fields):
            data = bytearray(length)
            for offset, fmt, value in fields:
                struct.pack_into('<' + fmt, data, offset, value)
            return ['in', bytes(data).hex()]

        # map_ids, xlated, func_info, line_info and tag arrays at bad addresses; record sizes that are not the kernel's.
        for fields in ([(52, 'I', 1), (56, 'Q', BAD)], [(20, 'I', 8), (32, 'Q', BAD)], [(132, 'I', 4)], [(132, 'I', 8)], [(144, 'I', 1)],
                       [(164, 'I', 16)], [(164, 'I', 8)], [(168, 'I', 8)], [(148, 'I', 1)], [(160, 'I', 1)]):
            c.step('INFO', bpf_fd=['fd', 'prog'], info_len=232, info=info(232, *fields))
        for fields in ([(88, 'Q', BAD)], [(96, 'I', 32)], [(88, 'Q', BAD), (96, 'I', 32)]):
            c.step('INFO', bpf_fd=['fd', 'map'], info_len=104, info=info(104, *fields))
        for fields in ([(0, 'Q', BAD), (8, 'I', 10)], [(8, 'I', 10)], [(16, 'Q', BAD)], [(24, 'I', 3)], [(16, 'Q', BAD), (24, 'I', 3)]):
            c.step('INFO', bpf_fd=['fd', 'btf'], info_len=32, info=info(32, *fields))


def ids():
    with Case('ids') as c:
        c.step('MAP_CREATE', save='map', **ARRAY)
        load(c)
        load_btf(c)
        for cmd in ('PROG_NEXT', 'MAP_NEXT', 'BTF_NEXT', 'LINK_NEXT'):
            for start in (0x7fffffff, 0xffffffff, 0x7ffffffe):
                c.step(cmd, start_id=start)
        for cmd, name in (('PROG_BY_ID', 'prog'), ('MAP_BY_ID', 'map'), ('BTF_BY_ID', 'btf')):
            if name != 'btf':
                c.step(cmd, start_id=['id', name])
            for start in (0, 0x7fffffff, 0xffffffff):
                c.step(cmd, start_id=start)
            if name != 'btf':
                for flags in (1, 8, 16, 24, 1 << 16):
                    c.step(cmd, start_id=['id', name], open_flags=flags)
        c.step('MAP_BY_ID', save='ro', start_id=['id', 'map'], open_flags=8)
        c.step('UPDATE', map_fd=['fd', 'ro'], key=k(1), value=v(1))
        c.step('MAP_BY_ID', save='wo', start_id=['id', 'map'], open_flags=16)
        c.step('LOOKUP', map_fd=['fd', 'wo'], key=k(1), value=['out', 8])


def pins():
    def path(name):
        return ['in', (BPFFS + name).encode().hex() + '00']

    with Case('pins') as c:
        c.step('MAP_CREATE', save='map', **ARRAY)
        load(c)
        load_btf(c)
        for fd in (99, 0, ['fd', 'btf']):
            c.step('PIN', pathname=path('/x'), bpf_fd=fd)
        for name in ('', '/', '/no/x', '/a.b', '/m', '/m', '/m/x', '/../outside', '/./n'):
            c.step('PIN', pathname=path(name), bpf_fd=['fd', 'map'])
        c.step('PIN', pathname=path('/p'), bpf_fd=['fd', 'prog'])
        c.step('PIN', pathname=['bad'], bpf_fd=['fd', 'prog'])
        c.step('PIN', pathname=['in', '00'], bpf_fd=['fd', 'prog'])
        c.step('PIN', pathname=path('/q'), bpf_fd=['fd', 'prog'], file_flags=1)
        c.step('PIN', pathname=path('/q'), bpf_fd=['fd', 'prog'], path_fd=3)
        c.step('PIN', pathname=['in', b'rel\0'.hex()], bpf_fd=['fd', 'prog'], file_flags=1 << 14, path_fd=99)
        c.step('PIN', pathname=['in', b'rel\0'.hex()], bpf_fd=['fd', 'prog'], file_flags=1 << 14, path_fd=['fd', 'map'])
        c.step('PIN', pathname=path('/q'), bpf_fd=['fd', 'prog'], file_flags=1 << 14, path_fd=99)
        for name in ('', '/', '/m', '/p', '/n', '/nothing', '/m/x', '/a.b'):
            for flags in (0, 8, 16, 24, 1, 32):
                c.step('GET', pathname=path(name), file_flags=flags)
        c.step('GET', pathname=path('/m'), bpf_fd=1)
        c.step('GET', pathname=path('/m'), path_fd=1)
        c.step('GET', pathname=['bad'])
        c.step('GET', pathname=['in', '00'])
        c.step('GET', save='ro', pathname=path('/m'), file_flags=8)
        c.step('UPDATE', map_fd=['fd', 'ro'], key=k(1), value=v(1))
        c.step('FREEZE', map_fd=['fd', 'ro'])
        for name in ('m', 'p', 'q', 'n'):
            try:
                os.unlink(f'{BPFFS}/{name}')
            except OSError:
                pass


def hooks():
    with Case('attach, links: what comes before the hook') as c:
        load(c)
        load(c, save='other', code=RET1)
        load(c, save='xdp', prog_type=6)
        load(c, save='xdp_exp', prog_type=6, expected_attach_type=37)
        load(c, save='filter', prog_type=1)
        c.step('MAP_CREATE', save='map', **ARRAY)
        for attach_type in list(range(0, 60)) + [99]:
            if attach_type in (17, 36):
                continue
            for fd in (99, 0, ['fd', 'map'], ['fd', 'prog'], ['fd', 'xdp'], ['fd', 'filter']):
                c.step('ATTACH', target_ifindex=-1, attach_bpf_fd=fd, attach_type=attach_type)
                c.step('LINK_CREATE', target_ifindex=-1, prog_fd=fd, attach_type=attach_type)
            c.step('ATTACH', target_ifindex=-1, attach_bpf_fd=['fd', 'prog'], attach_type=attach_type, attach_flags=1 << 31)
            c.step('QUERY', target_ifindex=-1, attach_type=attach_type)
            c.step('QUERY', target_ifindex=-1, attach_type=attach_type, query_flags=2)
        link = dict(prog_fd=['fd', 'prog'], target_ifindex=1, attach_type=46)
        c.step('LINK_CREATE', save='link', **link)
        c.step('LINK_CREATE', **link)
        c.step('ATTACH', target_ifindex=1, attach_bpf_fd=['fd', 'prog'], attach_type=46)
        for fd in (99, 0, ['fd', 'prog'], ['fd', 'link']):
            for new in (99, 0, ['fd', 'map'], ['fd', 'prog'], ['fd', 'xdp']):
                for more in ({}, dict(flags=1), dict(flags=4), dict(flags=4, old_prog_fd=99), dict(old_prog_fd=['fd', 'prog']),
                             dict(flags=4, old_prog_fd=['fd', 'other']), dict(flags=4, old_prog_fd=['fd', 'prog'])):
                    c.step('LINK_UPDATE', link_fd=fd, new_prog_fd=new, **more)
            c.step('LINK_DETACH', link_fd=fd) if fd != ['fd', 'link'] else None
            c.step('ITER', link_fd=fd)
            c.step('ITER', link_fd=fd, flags=1)
        c.step('QUERY', target_ifindex=1, attach_type=46, prog_ids=['out', 16], prog_cnt=4, ignore=('buffers',))
        c.step('INFO', bpf_fd=['fd', 'link'], info_len=64, info=['out', 64], ignore=('buffers',))
        c.step('INFO', bpf_fd=['fd', 'link'], info_len=100, info=['out', 100], ignore=('buffers',))
        c.step('LINK_BY_ID', start_id=['id', 'link'])
        c.step('LINK_BY_ID', start_id=['id', 'link'], open_flags=1)
        c.step('LINK_BY_ID', start_id=0)
        c.step('LINK_DETACH', link_fd=['fd', 'link'])
        c.step('LINK_UPDATE', link_fd=['fd', 'link'], new_prog_fd=['fd', 'other'])
        c.step('LINK_DETACH', link_fd=['fd', 'link'])
        for xdp in ('xdp', 'xdp_exp'):
            c.step('LINK_CREATE', prog_fd=['fd', xdp], target_ifindex=99, attach_type=37)
            c.step('LINK_CREATE', prog_fd=['fd', xdp], target_ifindex=99, attach_type=46)


def others():
    with Case('the other commands') as c:
        load(c)
        load(c, save='raw', prog_type=17)
        load(c, save='probe', prog_type=2)
        c.step('MAP_CREATE', save='map', **ARRAY)
        for fd in (99, 0, ['fd', 'map'], ['fd', 'prog'], ['fd', 'probe']):
            c.step('RUN', prog_fd=fd)
            c.step('RUN', prog_fd=fd, ctx_size_in=4)
            c.step('RUN', prog_fd=fd, ctx_in=['out', 8])
            c.step('RUN', prog_fd=fd, ctx_size_out=4)
            c.step('RUN', prog_fd=fd, ctx_out=['out', 8])
            c.step('RAW_TP', prog_fd=fd, name=['in', b'no_such\0'.hex()])
        for name in (0, ['bad'], ['in', b'no_such\0'.hex()], ['in', '00']):
            c.step('RAW_TP', prog_fd=['fd', 'raw'], name=name)
        for more in (dict(flags=1), dict(pid=0x7fffffff), dict(pid=0)):
            c.step('TASK_FD', **more)
        for kind in (1, 2, 99):
            c.step('STATS', type=kind)
        c.step('STATS', type=0)
        for prog in (99, ['fd', 'map'], ['fd', 'prog']):
            for m in (99, ['fd', 'prog'], ['fd', 'map']):
                for flags in (0, 1):
                    c.step('BIND', prog_fd=prog, map_fd=m, flags=flags)
        for fd in (99, 0, ['fd', 'map']):
            for flags in (0, 1):
                c.step('TOKEN', bpffs_fd=fd, flags=flags)
            for stream in (0, 1, 2, 3):
                c.step('STREAM', prog_fd=fd, stream_id=stream, stream_buf=['out', 8], stream_buf_len=8)
                c.step('STREAM', prog_fd=['fd', 'prog'], stream_id=stream, stream_buf=['out', 8], stream_buf_len=8)
    with Case('BTF load') as c:
        size = dict(btf=['in', BTF.hex()], btf_size=len(BTF))
        for more in (
            {}, dict(btf_size=0), dict(btf_size=1), dict(btf_size=23), dict(btf_size=24), dict(btf_size=len(BTF) - 1), dict(btf=['bad']),
            dict(btf_size=16 * 1024 * 1024 + 1), dict(btf_flags=1), dict(btf_flags=1 << 16), dict(btf_flags=1 << 16, btf_token_fd=99),
            dict(btf_log_level=1), dict(btf_log_level=1, btf_log_size=64), dict(btf_log_buf=['out', 64], btf_log_size=64),
            dict(btf_log_level=16), dict(btf_log_level=16, btf=['bad']), dict(btf_log_level=16, btf_size=16 * 1024 * 1024 + 1),
        ):
            c.step('BTF_LOAD', **{**size, **more}, ignore=('btf_log_true_size', 'buffers'))


def private_world():
    libc = ctypes.CDLL(None, use_errno=True)
    CLONE_NEWNS, CLONE_NEWNET, MS_REC, MS_PRIVATE = 0x20000, 0x40000000, 0x4000, 1 << 18
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        sys.exit('recording needs root')
    libc.mount(None, b'/', None, MS_REC | MS_PRIVATE, None)
    os.makedirs(BPFFS, exist_ok=True)
    if libc.mount(b'bpf', BPFFS.encode(), b'bpf', 0, None) != 0:
        sys.exit('no bpffs can be mounted')


def main():
    private_world()
    for record in (attr_shapes, map_create, elements, batches, programs, infos, ids, pins, hooks, others):
        record()
    data = dict(kernel=kernel_release(), cases=[dict(name=c.name, steps=c.steps) for c in cases])
    with open(OUT, 'w') as out:
        out.write('{"kernel":%s,"cases":[\n' % json.dumps(data['kernel']))
        out.write(',\n'.join('{"name":%s,"steps":[\n%s\n]}' % (json.dumps(case['name']), ',\n'.join(json.dumps(s, separators=(',', ':')) for s in case['steps']))
                             for case in data['cases']))
        out.write('\n]}\n')
    print(f'{len(cases)} cases, {sum(len(c.steps) for c in cases)} steps')


if __name__ == '__main__':
    main()
