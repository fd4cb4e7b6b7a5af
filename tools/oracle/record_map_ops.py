"""What element commands answer, map type by map type: writes packages/maps/test/oracle/ops.jsonl, a case a line.

Needs root, and pins itself to CPU 0. A case is a list of operations with the kernel's answers; `@name` stands for an fd made earlier.
An answer that is an id is not recorded."""

import ctypes
import json
import os
import random
import struct

import maps
from bpf import PROG_TYPE, address, bpf, errno_name, insn, kernel_release, prog_load

OUT = os.path.join(os.path.dirname(__file__), '../../packages/maps/test/oracle/ops.jsonl')
T = maps.MAP_TYPE
COMMANDS = {'lookup': 1, 'update': 2, 'delete': 3, 'next': 4, 'take': 21, 'freeze': 22}
BATCHES = {'lookup_batch': 24, 'take_batch': 25, 'update_batch': 26, 'delete_batch': 27}


def errno_of(result):
    return {-524: 'ENOTSUPP', -95: 'EOPNOTSUPP'}.get(result) or errno_name(result)


def cstr(data):
    return ctypes.create_string_buffer(data, len(data)) if data is not None else None


class Run:
    """Runs the operations of one case."""

    def __init__(self):
        self.fds = {}

    def fd(self, value):
        return self.fds[value[1:]] if isinstance(value, str) and value.startswith('@') else value

    def data(self, value):
        if value is None:
            return None
        if isinstance(value, list):
            return b''.join(self.data(part) for part in value)
        if value.startswith('@'):
            return struct.pack('<i', self.fd(value))
        return bytes.fromhex(value)

    def step(self, op):
        return getattr(self, 'do_' + op['op'], self.element)(op)

    def do_create(self, op):
        a = op['attr']
        own = maps.local_btf() if a.get('btf') else 0
        key, value = a.get('btf') or (0, 0)
        result = bpf(0, struct.pack('<7I16s5IQ', a['map_type'], a.get('key_size', 0), a.get('value_size', 0), a.get('max_entries', 0),
                                    a.get('map_flags', 0), self.fd(a.get('inner_map_fd', 0)) & 0xffffffff, 0, b'', 0, own, key, value,
                                    0, a.get('map_extra', 0)))[0]
        if result >= 0:
            self.fds[op['as']] = result
        return {**op, 'result': errno_of(result)}

    def do_prog(self, op):
        loaded = prog_load(PROG_TYPE[op['type']], bytes.fromhex(op['insns']), attach_type=op.get('attach_type', 0),
                           flags=op.get('flags', 0), log_level=0)
        if loaded.ok:
            self.fds[op['as']] = loaded.result
        return {**op, 'result': errno_of(loaded.result)}

    def do_close(self, op):
        os.close(self.fds.pop(op['fd'][1:]))
        return op

    def do_count(self, op):
        size, key, n = op['key_size'], None, 0
        while True:
            out = ctypes.create_string_buffer(size)
            k = cstr(key)
            if bpf(4, struct.pack('<IIQQQ', self.fd(op['fd']), 0, address(k), address(out), 0), 24)[0] < 0:
                return {**op, 'count': n}
            key, n = out.raw, n + 1

    def element(self, op):
        if op['op'] in BATCHES:
            return self.batch(op)
        key, value = cstr(self.data(op.get('key'))), cstr(self.data(op.get('value')))
        size = op.get('size')
        out = ctypes.create_string_buffer(self.data(op['value']) if op.get('value') and size else b'', size) if size else None
        third = out if size else value
        cmd = COMMANDS[op['op']]
        attr = struct.pack('<IIQQQ', self.fd(op['fd']) & 0xffffffff, 0, address(key), address(third), op.get('flags', 0))
        length = {3: 16, 4: 24, 22: 4}.get(cmd, 32)
        result = bpf(cmd, attr[:length])[0]
        answer = {**op, 'result': errno_of(result)}
        if size and result >= 0 and not op.get('id'):
            answer['out'] = out.raw[:size].hex()
        return answer

    def batch(self, op):
        ks, vs, count = op['key_size'], op['value_size'], op['count']
        keys = ctypes.create_string_buffer(self.data(op.get('keys')) or b'', ks * max(count, 1))
        values = ctypes.create_string_buffer(self.data(op.get('values')) or b'', vs * max(count, 1))
        token_in = cstr(getattr(self, 'token', None)) if op.get('more') else None
        token = ctypes.create_string_buffer(max(ks, 4))
        attr = struct.pack('<QQQQIIQQ', address(token_in), address(token), address(keys), address(values), count, self.fd(op['fd']),
                           op.get('flags', 0), 0)
        result, out = bpf(BATCHES[op['op']], attr)
        self.token = token.raw
        n = struct.unpack_from('<I', out, 32)[0]
        answer = {**op, 'result': errno_of(result), 'done': n}
        if op['op'] in ('lookup_batch', 'take_batch') and n <= count:
            pairs = sorted((keys.raw[i * ks:(i + 1) * ks].hex(), values.raw[i * vs:(i + 1) * vs].hex()) for i in range(n))
            if not op.get('any_order') or result < 0:
                answer['pairs'] = pairs
        return answer

    def close(self):
        for fd in self.fds.values():
            os.close(fd)


def u32(*values):
    return b''.join(struct.pack('<I', v & 0xffffffff) for v in values).hex()


def u64(*values):
    return b''.join(struct.pack('<Q', v & (1 << 64) - 1) for v in values).hex()


def create(name, kind, key=4, value=8, entries=4, flags=0, **more):
    return {'op': 'create', 'as': name, 'attr': {'map_type': T[kind], 'key_size': key, 'value_size': value, 'max_entries': entries,
                                                 'map_flags': flags, **more}}


def op(what, fd='@m', key=None, value=None, **more):
    out = {'op': what, 'fd': fd}
    if key is not None:
        out['key'] = key
    if value is not None:
        out['value'] = value
    return {**out, **more}


RETURN_ZERO = (insn(0xb7) + insn(0x95)).hex()


def keyed(kind, percpu, preset_flags=0):
    """The same questions for every map with keys of 4 and values of 8 bytes."""
    n = os.cpu_count() if percpu else 1
    v = [u64(*[10 * i + c for c in range(n)]) for i in range(9)]
    s = 8 * n
    return [create('m', kind, flags=preset_flags), op('next', key=None, size=4), op('lookup', key=u32(1), size=s),
            op('delete', key=u32(1)), op('take', key=u32(1), size=s), op('update', key=u32(1), value=v[1], flags=2),
            op('update', key=u32(1), value=v[1], flags=1), op('update', key=u32(1), value=v[2], flags=1),
            op('update', key=u32(1), value=v[3], flags=2), op('update', key=u32(1), value=v[4], flags=0),
            op('update', key=u32(1), value=v[4], flags=3), op('update', key=u32(1), value=v[4], flags=4),
            op('update', key=u32(1), value=v[4], flags=8), op('update', key=u32(1), value=v[4], flags=1 << 32),
            op('lookup', key=u32(1), size=s), op('lookup', key=u32(1), size=s, flags=1), op('lookup', key=u32(1), size=s, flags=4),
            op('lookup', size=s), op('update', value=v[1]), op('update', key=u32(1)),
            op('update', key=u32(0), value=v[0]), op('update', key=u32(2), value=v[2]), op('update', key=u32(3), value=v[3]),
            op('count', key_size=4), op('update', key=u32(4), value=v[4]), op('update', key=u32(4), value=v[4], flags=1),
            op('update', key=u32(4), value=v[4], flags=2), op('update', key=u32(3), value=v[5]), op('lookup', key=u32(3), size=s),
            op('lookup', key=u32(9), size=s), op('next', key=u32(9), size=4, id=True), op('delete', key=u32(9)),
            op('delete', key=u32(3)), op('delete', key=u32(3)), op('take', key=u32(2), size=s), op('take', key=u32(2), size=s, flags=4),
            op('take', key=u32(0), size=s, flags=1), op('count', key_size=4), op('freeze'), op('freeze'),
            op('update', key=u32(1), value=v[1]), op('delete', key=u32(1)), op('lookup', key=u32(1), size=s), op('take', key=u32(1), size=s)]


def modes(kind):
    rows = []
    for flags, name in ((8, 'rdonly'), (16, 'wronly')):
        rows.append((f'{kind}: {name} fd', [create('m', kind, flags=flags), op('update', key=u32(1), value=u64(7)), op('lookup', key=u32(1), size=8),
                                            op('delete', key=u32(1)), op('next', size=4, id=True), op('take', key=u32(1), size=8), op('freeze')]))
    return rows


def fd_array(kind):
    x = {'op': 'prog', 'as': 'x', 'type': 'xdp', 'insns': RETURN_ZERO}
    c = {'op': 'prog', 'as': 'c', 'type': 'sched_cls', 'insns': RETURN_ZERO}
    f = {'op': 'prog', 'as': 'f', 'type': 'xdp', 'insns': RETURN_ZERO, 'flags': 32}
    return [create('m', kind, 4, 4), create('other', 'array'), x, c, f, op('lookup', key=u32(0), size=4), op('next', size=4),
            op('update', key=u32(0), value='@c'), op('update', key=u32(1), value='@c', flags=1), op('update', key=u32(1), value='@c', flags=2),
            op('update', key=u32(1), value='@c', flags=4), op('update', key=u32(9), value='@c'), op('update', key=u32(1), value=u32(999)),
            op('update', key=u32(1), value=u32(-1)), op('update', key=u32(1), value='@other'), op('update', key=u32(1), value='@x'),
            op('update', key=u32(1), value='@f'), op('lookup', key=u32(0), size=4, id=True), op('lookup', key=u32(1), size=4, id=True),
            op('lookup', key=u32(9), size=4), op('delete', key=u32(0)), op('delete', key=u32(0)), op('delete', key=u32(9)),
            op('update', key=u32(0), value='@x'), op('take', key=u32(0), size=4), op('count', key_size=4), op('freeze'),
            op('update', key=u32(0), value='@c')]


def of_maps(kind):
    return [create('i', 'array', 4, 8, 2), create('m', kind, 4, 4, inner_map_fd='@i'), create('same', 'array', 4, 8, 2),
            create('longer', 'array', 4, 8, 3), create('wider', 'array', 4, 16, 2), create('flagged', 'array', 4, 8, 2, 0x80),
            create('inner_flag', 'array', 4, 8, 5, 0x1000), create('hash', 'hash', 4, 8, 2),
            op('update', key=u32(0), value='@same'), op('update', key=u32(0), value='@i'), op('update', key=u32(1), value='@longer'),
            op('update', key=u32(1), value='@wider'), op('update', key=u32(1), value='@flagged'), op('update', key=u32(1), value='@inner_flag'),
            op('update', key=u32(1), value='@hash'), op('update', key=u32(1), value='@m'), op('update', key=u32(1), value=u32(999)),
            op('update', key=u32(1), value=u32(0)), op('update', key=u32(0), value='@same', flags=1), op('update', key=u32(0), value='@same', flags=2),
            op('update', key=u32(2), value='@same', flags=1), op('update', key=u32(3), value='@same', flags=2),
            op('update', key=u32(3), value='@same', flags=3), op('update', key=u32(3), value='@same', flags=4),
            op('update', key=u32(10), value='@same'), op('lookup', key=u32(0), size=4, id=True), op('lookup', key=u32(3), size=4, id=True),
            op('delete', key=u32(0)), op('delete', key=u32(0)), op('delete', key=u32(77)), op('take', key=u32(0), size=4, id=True),
            op('next', size=4, id=True), {'op': 'close', 'fd': '@i'}, op('update', key=u32(0), value='@same'),
            create('m2', kind, 4, 4, inner_map_fd='@m'), create('m3', kind, 4, 4, inner_map_fd=999),
            *[create(f'n{t}', kind, 4, 4, inner_map_fd=f'@t{t}') if False else create(f't{t}', t, *sizes) for t, sizes in INNERS.items()],
            *[create(f'n{t}', kind, 4, 4, inner_map_fd=f'@t{t}') for t in INNERS],
            create('ih', 'hash', 4, 8, 2), create('mh', kind, 4, 4, inner_map_fd='@ih'), create('h9', 'hash', 4, 8, 9),
            create('hn', 'hash', 4, 8, 9, 1), op('update', '@mh', u32(0), '@h9'), op('update', '@mh', u32(0), '@hn'),
            create('if', 'array', 4, 8, 5, 0x1000), create('mf', kind, 4, 4, inner_map_fd='@if'), create('g', 'array', 4, 8, 9, 0x1000),
            op('update', '@mf', u32(0), '@g'), op('update', '@mf', u32(0), '@same')]


INNERS = {'prog_array': (4, 4), 'perf_event_array': (4, 4), 'percpu_array': (4, 8), 'percpu_hash': (4, 8), 'stack_trace': (4, 8),
          'cgroup_array': (4, 4), 'lru_hash': (4, 8), 'lpm_trie': (8, 8, 4, 1), 'devmap': (4, 4), 'sockmap': (4, 4), 'cpumap': (4, 4),
          'xskmap': (4, 4), 'sockhash': (4, 4), 'reuseport_sockarray': (4, 8), 'queue': (0, 8), 'stack': (0, 8), 'devmap_hash': (4, 4),
          'ringbuf': (0, 0, 4096), 'bloom_filter': (0, 8), 'user_ringbuf': (0, 0, 4096)}


def queue(kind):
    rows = [create('m', kind, 0, 8, 3), op('lookup', size=8), op('take', size=8), op('next', size=8), op('delete'),
            op('delete', key=u32(0)), op('lookup', key=u32(0), size=8)]
    for flags in (0, 0, 0, 0, 2, 1, 3, 4):
        rows += [op('update', value=u64(len(rows)), flags=flags), op('lookup', size=8)]
    rows += [op('take', size=8), op('take', size=8, flags=4), op('take', size=8), op('lookup', size=8, flags=4), op('take', size=8),
             op('take', size=8), op('freeze'), op('update', value=u64(1))]
    return rows


def bloom():
    return [create('m', 'bloom_filter', 0, 8, 16), op('lookup', value=u64(5), size=8), op('update', value=u64(5)),
            op('update', value=u64(5), flags=1), op('update', value=u64(5), flags=2), op('update', value=u64(5), flags=4),
            op('lookup', value=u64(5), size=8), op('lookup', value=u64(123456), size=8), op('delete'), op('next', size=8), op('take', size=8),
            op('lookup', key=u32(1), value=u64(5), size=8)]


def trie():
    p = lambda bits, *b: struct.pack('<I4B', bits, *(list(b) + [0] * 4)[:4]).hex()
    rows = [create('m', 'lpm_trie', 8, 8, 6, 1), op('next', size=8), op('lookup', key=p(32, 10), size=8), op('delete', key=p(8, 10))]
    for i, k in enumerate((p(8, 10), p(16, 10, 1), p(24, 10, 1, 2), p(33, 10), p(32, 10, 1, 2, 3), p(0), p(8, 10, 99))):
        rows += [op('update', key=k, value=u64(i + 1), flags=0)]
    rows += [op('update', key=p(8, 10), value=u64(1), flags=1), op('update', key=p(9, 10), value=u64(1), flags=2),
             op('update', key=p(8, 192), value=u64(7)), op('update', key=p(12, 192), value=u64(8)), op('update', key=p(8, 192), value=u64(9), flags=3),
             op('update', key=p(8, 192), value=u64(9), flags=4)]
    for k in (p(32, 10, 1, 2, 3), p(32, 10, 1, 2, 4), p(32, 10, 1, 9, 9), p(32, 10, 9), p(32, 11), p(8, 10), p(7, 10), p(33, 10), p(20, 10, 1, 2)):
        rows += [op('lookup', key=k, size=8)]
    key = None
    for _ in range(9):
        rows += [op('next', key=key, size=8, walk=True)]
        key = 'previous'
    rows += [op('delete', key=k) for k in (p(33, 10), p(9, 10), p(16, 10, 1), p(24, 10, 1, 2), p(8, 10), p(0), p(0))]
    rows += [op('lookup', key=p(32, 10, 1, 2, 3), size=8), op('take', key=p(32, 10, 1, 2, 3), size=8), op('freeze'),
             op('delete', key=p(32, 10, 1, 2, 3))]
    return rows


def ring(kind):
    return [create('m', kind, 0, 0, 4096), op('lookup', size=8), op('update', value=u64(0)), op('delete'), op('next', size=8),
            op('take', size=8), op('lookup', key=u32(0), size=8), op('freeze'), op('freeze')]


def stacks():
    return [create('m', 'stack_trace', 4, 8, 3), op('lookup', key=u32(0), size=8), op('lookup', key=u32(9), size=8),
            op('update', key=u32(0), value=u64(1)), op('delete', key=u32(0)), op('delete', key=u32(3)), op('delete', key=u32(9)),
            op('next', size=4), op('next', key=u32(1), size=4), op('take', key=u32(0), size=8)]


def sparse(kind, value_size, values):
    rows = [create('m', kind, 4, value_size, 2), op('lookup', key=u32(0), size=value_size), op('next', size=4), op('next', key=u32(1), size=4),
            op('delete', key=u32(0)), op('delete', key=u32(9)), op('take', key=u32(0), size=value_size)]
    for v in values:
        for flags in (0, 1, 2, 3, 4):
            rows.append(op('update', key=u32(0), value=v, flags=flags))
        rows.append(op('update', key=u32(9), value=v))
    return rows + [op('lookup', key=u32(0), size=value_size), op('delete', key=u32(0)), op('freeze')]


def storage(kind):
    return [create('m', kind, 4, 8, 0, 1, btf=[1, 2]), create('other', 'array'), op('lookup', key=u32(-1), size=8), op('lookup', key='@other', size=8),
            op('update', key=u32(-1), value=u64(1)), op('update', key='@other', value=u64(1)), op('delete', key=u32(-1)),
            op('delete', key='@other'), op('next', size=4), op('take', key=u32(-1), size=8), op('freeze')]


def batches(kind, percpu):
    n = os.cpu_count() if percpu else 1
    common = {'key_size': 4, 'value_size': 8 * n}
    keys, values = u32(*range(6)), u64(*range(100, 100 + 6 * n))
    return [create('m', kind, 4, 8, 6), op('lookup_batch', count=6, **common), op('update_batch', count=6, keys=keys, values=values, **common),
            op('update_batch', count=0, **common), op('update_batch', count=2, keys=u32(0, 99), values=u64(*range(2 * n)), **common),
            op('lookup_batch', count=10, **common), op('lookup_batch', count=10, flags=1, **common),
            op('lookup_batch', count=0, **common), op('delete_batch', count=2, keys=u32(0, 1), **common),
            op('delete_batch', count=3, keys=u32(2, 1, 3), **common), op('count', key_size=4), op('take_batch', count=10, **common),
            op('count', key_size=4)]


def soak(kind, seed, key, value_size, pool, entries, flags=0, walk=False, length=150):
    """Random operations over few keys."""
    rng = random.Random(seed)
    n = os.cpu_count() if 'percpu' in kind else 1
    rows = [create('m', kind, key, value_size, entries, flags)]
    for i in range(length):
        k = rng.choice(pool)
        what = rng.choice(['update'] * 4 + ['lookup'] * 3 + ['delete'] * 2 + ['take'])
        if what == 'update':
            rows.append(op('update', key=k, value=bytes(rng.randrange(256) for _ in range((value_size + 7 & ~7 if n > 1 else value_size) * n)).hex(),
                           flags=rng.choice([0, 0, 0, 1, 2])))
        elif what == 'delete':
            rows.append(op('delete', key=k))
        else:
            rows.append(op(what, key=k, size=(value_size + 7 & ~7 if n > 1 else value_size) * n))
        if walk and i % 10 == 0:
            rows.append(op('next', key=k, size=key))
    return rows + [op('count', key_size=key)]


def cases():
    for kind in ('array', 'hash', 'lru_hash'):
        yield f'{kind}: flags, limits, freeze', keyed(kind, False)
        yield from modes(kind)
        yield f'{kind}: batches', batches(kind, False)
    for kind in ('percpu_array', 'percpu_hash', 'lru_percpu_hash'):
        yield f'{kind}: flags, limits, freeze', keyed(kind, True)
        yield f'{kind}: batches', batches(kind, True)
    yield 'hash, not preallocated', keyed('hash', False, 1)
    yield 'prog_array', fd_array('prog_array')
    yield 'perf_event_array with no perf event', fd_array('perf_event_array')
    yield 'cgroup_array with no cgroup', fd_array('cgroup_array')
    for kind in ('array_of_maps', 'hash_of_maps'):
        yield kind, of_maps(kind)
        yield f'{kind}: batches', [create('i', 'array'), create('m', kind, 4, 4, inner_map_fd='@i'),
                                   op('update_batch', keys=u32(1, 2), values=['@i', '@i'], count=2, key_size=4, value_size=4),
                                   op('delete_batch', keys=u32(1, 2), count=2, key_size=4, value_size=4)]
    yield 'queue', queue('queue')
    yield 'stack', queue('stack')
    yield 'bloom_filter', bloom()
    yield 'lpm_trie', trie()
    yield 'lpm_trie: batches', [create('m', 'lpm_trie', 8, 8, 6, 1),
                                op('update_batch', keys=u32(8, 10, 16, 266), values=u64(1, 2), count=2, key_size=8, value_size=8),
                                op('lookup_batch', count=10, key_size=8, value_size=8), op('take_batch', count=4, key_size=8, value_size=8),
                                op('delete_batch', keys=u32(8, 10, 9, 10), count=2, key_size=8, value_size=8)]
    for kind in ('ringbuf', 'user_ringbuf'):
        yield kind, ring(kind)
    yield 'stack_trace', stacks()
    yield 'devmap', sparse('devmap', 4, [u32(0), u32(9999), u32(1)])
    yield 'devmap with programs', sparse('devmap', 8, [u32(0, 0), u32(0, 5), u32(9999, 0), u32(1, -1), u32(1, 999)])
    yield 'cpumap', sparse('cpumap', 4, [u32(0), u32(192), u32(99999)])
    yield 'cpumap with programs', sparse('cpumap', 8, [u32(0, 0), u32(192, -1), u32(192, 999)])
    yield 'xskmap', sparse('xskmap', 4, [u32(-1), '@m'])
    for kind in ('sockmap', 'sockhash'):
        yield kind, sparse(kind, 4, [u32(-1), '@m'])
        yield f'{kind} with cookies', sparse(kind, 8, [u64(0xffffffff)])
    yield 'reuseport_sockarray', sparse('reuseport_sockarray', 8, [u64(0xffffffff), ['@m', u32(0)]])
    for kind in ('sk_storage', 'inode_storage', 'task_storage', 'cgrp_storage'):
        yield kind, storage(kind)
    pool = [u32(k) for k in range(7)]
    for seed in range(6):
        yield f'hash: random {seed}', soak('hash', seed, 4, 8, pool, 5, seed % 2)
        yield f'percpu_hash: random {seed}', soak('percpu_hash', seed, 4, 5, pool, 5)
        yield f'array: random {seed}', soak('array', seed, 4, 5, pool, 5, walk=True)
        yield f'percpu_array: random {seed}', soak('percpu_array', seed, 4, 12, pool, 5, walk=True)
        yield f'hash, long keys: random {seed}', soak('hash', seed, 13, 3, [bytes([k % 3] * 12 + [k]).hex() for k in range(9)], 6)
        for entries, keys, flags in () if seed > 1 else ((3, 6, 0), (4, 9, 2), (10, 14, 0), (40, 60, 0), (64, 90, 2)):
            many = [u32(k) for k in range(keys)]
            yield f'lru_hash of {entries}, flags {flags}: random {seed}', soak('lru_hash', seed, 4, 8, many, entries, flags, length=40 + 5 * keys)
            yield f'lru_percpu_hash of {entries}, flags {flags}: random {seed}', soak('lru_percpu_hash', seed, 4, 8, many, entries, flags,
                                                                                     length=40 + 5 * keys)
        rng = random.Random(seed)
        prefixes = [struct.pack('<I4B', rng.choice([0, 1, 5, 8, 9, 16, 17, 24, 31, 32]), *[rng.choice([0, 1, 10, 128, 192, 255]) for _ in range(4)]).hex()
                    for _ in range(24)]
        yield f'lpm_trie: random {seed}', [o for o in soak('lpm_trie', seed, 8, 8, prefixes, 12, 1, walk=True)]


def main():
    os.sched_setaffinity(0, {0})
    with open(OUT, 'w') as out:
        out.write(json.dumps({'kernel': kernel_release(), 'cpus': os.cpu_count()}) + '\n')
        n = 0
        for name, ops in cases():
            run, answers, previous = Run(), [], None
            for step in ops:
                if step.get('key') == 'previous':
                    step = {**step, 'key': previous}
                answer = run.step(step)
                if step['op'] == 'next' and 'out' in answer:
                    previous = answer['out']
                answers.append(answer)
            run.close()
            n += len(answers)
            out.write(json.dumps({'name': name, 'ops': answers}, separators=(',', ':')) + '\n')
        print(n, 'operations')


if __name__ == '__main__':
    main()
