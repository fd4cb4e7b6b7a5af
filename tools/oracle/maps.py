"""One map of every type that this kernel makes, as small as it allows."""

import struct

from bpf import btf_load, map_create

MAP_TYPES = ['unspec', 'hash', 'array', 'prog_array', 'perf_event_array', 'percpu_hash', 'percpu_array', 'stack_trace',
             'cgroup_array', 'lru_hash', 'lru_percpu_hash', 'lpm_trie', 'array_of_maps', 'hash_of_maps', 'devmap', 'sockmap',
             'cpumap', 'xskmap', 'sockhash', 'cgroup_storage', 'reuseport_sockarray', 'percpu_cgroup_storage', 'queue', 'stack',
             'sk_storage', 'devmap_hash', 'struct_ops', 'ringbuf', 'inode_storage', 'task_storage', 'bloom_filter',
             'user_ringbuf', 'cgrp_storage', 'arena']
MAP_TYPE = {name: number for number, name in enumerate(MAP_TYPES)}


def local_btf():
    """A BTF of our own: 1 int, 2 `struct value { int a; int b; }`; (int, value) make storage keys and values."""
    strings = b'\0int\0value\0a\0b\0'
    types = struct.pack('<IIII', 1, 1 << 24, 4, 32 | 1 << 24)
    types += struct.pack('<III', 5, 4 << 24 | 2, 8) + struct.pack('<III', 11, 1, 0) + struct.pack('<III', 13, 1, 32)
    header = struct.pack('<HBBIIIII', 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(strings))
    return btf_load(header + types + strings)


def create_all():
    """{type name: fd}; a type that cannot be made is left out."""
    own = local_btf()
    page = 4096
    inner = map_create(MAP_TYPE['array'], 4, 8, 1)
    sizes = {'prog_array': (4, 4, 1), 'perf_event_array': (4, 4, 1), 'stack_trace': (4, 8, 1), 'cgroup_array': (4, 4, 1),
             'lpm_trie': (8, 8, 1, 1), 'devmap': (4, 4, 1), 'sockmap': (4, 4, 1), 'cpumap': (4, 4, 1), 'xskmap': (4, 4, 1),
             'sockhash': (4, 4, 1), 'cgroup_storage': (16, 8, 0), 'percpu_cgroup_storage': (16, 8, 0),
             'reuseport_sockarray': (4, 8, 1), 'queue': (0, 8, 1), 'stack': (0, 8, 1), 'devmap_hash': (4, 4, 1),
             'ringbuf': (0, 0, page), 'user_ringbuf': (0, 0, page), 'bloom_filter': (0, 8, 1), 'arena': (0, 0, 1, 0x400)}  # mmapable
    out = {}
    for name in MAP_TYPES[1:]:
        if name in ('array_of_maps', 'hash_of_maps'):
            fd = map_create(MAP_TYPE[name], 4, 4, 1, inner_fd=inner)
        elif name in ('sk_storage', 'inode_storage', 'task_storage', 'cgrp_storage'):
            fd = map_create(MAP_TYPE[name], 4, 8, 0, flags=1, btf_fd=own, key_type=1, value_type=2)
        elif name == 'struct_ops':
            continue
        elif name == 'arena':
            fd = map_create(MAP_TYPE[name], *sizes[name], extra=1 << 44)
        else:
            fd = map_create(MAP_TYPE[name], *sizes.get(name, (4, 8, 1)))
        if fd >= 0:
            out[name] = fd
    return out


if __name__ == '__main__':
    made = create_all()
    print(sorted(set(MAP_TYPES) - set(made)))
