"""What MAP_CREATE answers for every map type: writes packages/maps/test/oracle/create.jsonl, a line an attr.

Needs root. Allocations between 16 MiB and 128 GiB are left out, so that the machine that is asked stays well."""

import ctypes
import json
import os
import random
import struct

import maps
from bpf import address, bpf, errno_name, kernel_release

OUT = os.path.join(os.path.dirname(__file__), '../../packages/maps/test/oracle')
BASE = {'prog_array': (4, 4, 4), 'perf_event_array': (4, 4, 4), 'stack_trace': (4, 8, 4), 'cgroup_array': (4, 4, 4),
        'lpm_trie': (8, 8, 4, 1), 'devmap': (4, 4, 4), 'sockmap': (4, 4, 4), 'cpumap': (4, 4, 4), 'xskmap': (4, 4, 4),
        'sockhash': (4, 4, 4), 'cgroup_storage': (16, 8, 0), 'percpu_cgroup_storage': (16, 8, 0),
        'reuseport_sockarray': (4, 8, 4), 'queue': (0, 8, 4), 'stack': (0, 8, 4), 'devmap_hash': (4, 4, 4),
        'ringbuf': (0, 0, 4096), 'user_ringbuf': (0, 0, 4096), 'bloom_filter': (0, 8, 4), 'arena': (0, 0, 1, 0x400),
        'array_of_maps': (4, 4, 4), 'hash_of_maps': (4, 4, 4), 'struct_ops': (4, 8, 1),
        'sk_storage': (4, 8, 0, 1), 'inode_storage': (4, 8, 0, 1), 'task_storage': (4, 8, 0, 1), 'cgrp_storage': (4, 8, 0, 1)}
STORAGE = ('sk_storage', 'inode_storage', 'task_storage', 'cgrp_storage')
KEYS = [0, 1, 3, 4, 5, 7, 8, 12, 16, 20, 260, 261, 512, 513, 1 << 20, 0x7fffffff, 0xffffffff]
VALUES = [0, 1, 3, 4, 5, 7, 8, 12, 16, 24, 1016, 1017, 1024, 8192, 32767, 32768, 32769, 65528, 65536, 0x3ffff, 1 << 22, 0x7fffffe0,
          0x7fffffff, 0xffffffff]
ENTRIES = [0, 1, 2, 3, 4095, 4096, 4097, 8192, 12288, 1 << 20, 0xffffffff]
FLAGS = [0] + [1 << bit for bit in range(20)] + [3, 8 | 16, 0x80 | 0x100, 0x1001]

MAX = 1 << 22
# Value sizes at the edges of what each type takes.
EDGES = {'hash': (MAX - 53, MAX - 52), 'lru_hash': (MAX - 53, MAX - 52), 'lpm_trie': (MAX - 280, MAX - 279), 'queue': (MAX, MAX + 1),
         'stack': (MAX, MAX + 1), 'bloom_filter': (MAX, MAX + 1), 'cgroup_storage': (65407, 65408), 'percpu_cgroup_storage': (32768, 32769),
         **{name: (65407, 65408) for name in STORAGE}}


def map_create(map_type, key_size, value_size, max_entries, flags=0, inner_fd=0, btf_fd=0, key_type=0, value_type=0, extra=0):
    attr = struct.pack('<7I16s5IQ', map_type, key_size, value_size, max_entries, flags, inner_fd, 0, b'', 0, btf_fd, key_type,
                       value_type, 0, extra)
    return bpf(0, attr)[0]


def info(fd):
    buf = ctypes.create_string_buffer(88)
    bpf(15, struct.pack('<IIQ', fd, 88, address(buf)))
    return struct.unpack_from('<6I', buf.raw)


def heavy(key, value, entries):
    """Would this allocate much memory for real? What is far more than a machine has is refused at once."""
    need = max(entries, 1) * (key + value + 64)
    return 1 << 24 < need < 1 << 37 or 1 << 24 < entries * 8 < 0x7ffffff8


def attempt(number, key, value, entries, flags=0, extra=0, inner=0, btf=0, types=(0, 0)):
    fd = map_create(number, key, value, entries, flags=flags, extra=extra, inner_fd=inner, btf_fd=btf, key_type=types[0],
                    value_type=types[1])
    row = {'type': number, 'key_size': key, 'value_size': value, 'max_entries': entries, 'map_flags': flags}
    if extra:
        row['map_extra'] = str(extra)
    if inner:
        row['inner'] = True
    if btf:
        row['btf'] = list(types)
    row['result'] = errno_name(fd) if fd != -524 else 'ENOTSUPP'
    if fd >= 0:
        _, _, key_out, value_out, entries_out, flags_out = info(fd)
        if (key_out, value_out) != (key, value):
            row['sizes_out'] = [key_out, value_out]
        if entries_out != entries:
            row['max_entries_out'] = entries_out
        if flags_out != flags:
            row['map_flags_out'] = flags_out
        os.close(fd)
    return row


def variants(base):
    key, value, entries, flags = base
    yield base
    for k in KEYS:
        yield k, value, entries, flags
    for v in VALUES:
        yield key, v, entries, flags
    for n in ENTRIES:
        yield key, value, n, flags
    for f in FLAGS:
        yield key, value, entries, f
        if flags:
            yield key, value, entries, f | flags
    rng = random.Random(key * 7 + value * 3 + entries)
    for _ in range(120):
        yield (rng.choice(KEYS + [key] * 17), rng.choice(VALUES + [value] * 20), rng.choice(ENTRIES + [entries] * 14),
               rng.choice([flags] * 12 + FLAGS))


def main():
    inner = map_create(maps.MAP_TYPE['array'], 4, 8, 1)
    own = maps.local_btf()
    rows = []
    for number in range(0, 37):
        name = maps.MAP_TYPES[number] if number < len(maps.MAP_TYPES) else f'type{number}'
        base = (tuple(BASE.get(name, (4, 8, 4))) + (0,))[:4]
        seen = set()
        for variant in variants(base):
            if variant in seen or heavy(*variant[:3]):
                continue
            seen.add(variant)
            key, value, entries, flags = variant
            with_inner = inner if name in ('array_of_maps', 'hash_of_maps') else 0
            if name in STORAGE:
                rows.append(attempt(number, *variant, btf=own, types=(1, 2)))
            else:
                rows.append(attempt(number, *variant, inner=with_inner))
        if name.startswith('lru'):
            rows += [attempt(number, 4, 8, entries, flags) for entries in (1, 3, 5, 7) for flags in (0, 2)]
        for edge in EDGES.get(name, ()):
            rows.append(attempt(number, base[0], edge, min(base[2], 1), base[3], **({'btf': own, 'types': (1, 2)} if name in STORAGE else {})))
        for extra in (1, 15, 16, 17, 1 << 32):
            rows.append(attempt(number, *base, extra=extra, inner=inner if name.endswith('_of_maps') else 0))
        if name.endswith('_of_maps'):
            rows.append(attempt(number, *base))
        elif number:
            rows.append(attempt(number, *base, inner=inner))
        for types in ((1, 2), (0, 2), (1, 0), (1, 1), (2, 1), (9, 1)):
            rows.append(attempt(number, *base, btf=own, types=types, inner=inner if name.endswith('_of_maps') else 0))
        if name in STORAGE:
            rows.append(attempt(number, *base))
    with open(os.path.join(OUT, 'create.jsonl'), 'w') as out:
        out.write(json.dumps({'kernel': kernel_release(), 'cpus': os.cpu_count(), 'inner': 'array 4/8/1'}) + '\n')
        for row in rows:
            out.write(json.dumps(row, separators=(',', ':')) + '\n')
    print(len(rows), 'rows')


if __name__ == '__main__':
    main()
