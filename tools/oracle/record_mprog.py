#!/usr/bin/env python3
"""Records what the running kernel answers to random operations on tcx hooks, as JSON lines.

    record_mprog.py SEED OPS OUT.jsonl

Needs root. It works in a network namespace of its own, which goes with the process.
Every line names programs, links and devices by symbols, so that any kernel can be asked the same.
"""

import ctypes
import errno
import json
import os
import random
import struct
import subprocess
import sys

import bpf

CLONE_NEWNET = 0x40000000
PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, OBJ_GET_INFO, PROG_QUERY = 8, 9, 13, 15, 16
LINK_CREATE, LINK_UPDATE, LINK_GET_FD_BY_ID, LINK_DETACH = 28, 29, 30, 34
HOOKS = {'ingress': 46, 'egress': 47}
BPF_XDP = 37
FLAGS = {'REPLACE': 4, 'BEFORE': 8, 'AFTER': 16, 'ID': 32, 'LINK': 0x2000}
BAD_FD, BAD_ID, BAD_IFINDEX = 19999, 0x7FFFFFF0, 0x7FFFFFF0
ROOM = 128
LINK_TYPES = {6: 'XDP', 11: 'TCX'}


def name_of(result):
    if result >= 0:
        return 'OK'
    return 'ENOTSUPP' if result == -524 else errno.errorcode[-result]


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True)


class Recorder:
    def __init__(self, seed, fillers):
        self.random = random.Random(seed)
        self.fds, self.ids, self.devices = {}, {}, {}
        self.prog_names, self.link_names = {}, {}
        self.device, self.links, self.progs = 'd0', 0, 8
        self.fillers = fillers

    # The set-up that a replayer repeats.

    def prepare(self):
        for name in ('o0', 'd0'):
            self.add_device(name)
        for name in [f'p{n}' for n in range(8)] + [f'f{n}' for n in range(self.fillers)]:
            self.load(name, 'sched_cls')
        self.load('px', 'xdp')
        self.load('pf', 'sched_cls')
        self.fds['map'] = bpf.map_create(2, 4, 4, 1)
        self.fixed_link('lf', 'pf', 46)
        self.fixed_link('lx', 'px', BPF_XDP)

    def add_device(self, name):
        ip('link', 'add', name, 'type', 'veth', 'peer', 'name', name + 'x')
        with open(f'/proc/self/net/dev_snmp6/{name}') as file:
            self.devices[name] = int(file.readline().split()[1])

    def load(self, name, kind):
        code = bpf.insn(0xB7, 0, imm=2 if kind == 'xdp' else -1) + bpf.insn(0x95)
        loaded = bpf.prog_load(bpf.PROG_TYPE[kind], code, log_level=0)
        if not loaded.ok:
            sys.exit(f'load of {name}: {name_of(loaded.result)}')
        self.fds[name] = loaded.result
        self.ids[name] = struct.unpack_from('<I', self.info(loaded.result, 232), 4)[0]
        self.prog_names[self.ids[name]] = name

    def fixed_link(self, name, prog, attach_type):
        fd = bpf.bpf(LINK_CREATE, struct.pack('<IIII', self.fds[prog], self.devices['o0'], attach_type, 0))[0]
        if fd < 0:
            sys.exit(f'link {name}: {name_of(fd)}')
        self.keep_link(name, fd)

    def keep_link(self, name, fd):
        self.fds[name] = fd
        self.ids[name] = self.link_info(fd)[1]
        self.link_names[self.ids[name]] = name

    def info(self, fd, size):
        buf = ctypes.create_string_buffer(size)
        result = bpf.bpf(OBJ_GET_INFO, struct.pack('<IIQ', fd & 0xFFFFFFFF, size, bpf.address(buf)))[0]
        return result if result < 0 else buf.raw

    def link_info(self, fd):
        raw = self.info(fd, 64)
        if isinstance(raw, int):
            return raw
        kind, ident, prog = struct.unpack_from('<III', raw)
        ifindex, attach_type = struct.unpack_from('<II', raw, 16)
        return kind, ident, prog, ifindex, attach_type

    def device_name(self, ifindex):
        return next((name for name, index in self.devices.items() if index == ifindex), None)

    # References, as the format spells them.

    def value(self, ref):
        if ref == '0':
            return 0
        if ref == 'fd:neg':
            return -1
        if ref == 'fd:bad':
            return BAD_FD
        if ref == 'id:bad':
            return BAD_ID
        kind, name = ref.split(':')
        return self.ids.get(name, BAD_ID) if kind == 'id' else self.fds.get(name, BAD_FD)

    def ifindex(self, dev):
        return 0 if dev == '0' else self.devices.get(dev, BAD_IFINDEX)

    def flags(self, names):
        bits = 0
        for name in names:
            bits |= FLAGS[name] if name in FLAGS else int(name, 16)
        return bits

    # Operations.

    def attach(self, op, cmd=PROG_ATTACH):
        attr = struct.pack('<IiIIiiQ', self.ifindex(op['dev']), self.value(op['prog']), HOOKS[op['hook']], self.flags(op['flags']),
                           self.value(op['replace']), self.value(op['rel']), op['rev'])
        return {'res': name_of(bpf.bpf(cmd, attr)[0])}

    def detach(self, op):
        return self.attach(op, PROG_DETACH)

    def link_create(self, op):
        attr = struct.pack('<iIIIiiQ', self.value(op['prog']), self.ifindex(op['dev']), HOOKS[op['hook']], self.flags(op['flags']),
                           self.value(op['rel']), 0, op['rev'])
        fd = bpf.bpf(LINK_CREATE, attr)[0]
        if fd < 0:
            return {'res': name_of(fd)}
        name = f'l{self.links}'
        self.links += 1
        self.keep_link(name, fd)
        return {'res': 'OK', 'out': {'link': name}}

    def link_update(self, op):
        attr = struct.pack('<iiIi', self.value(op['link']), self.value(op['new']), self.flags(op['flags']), self.value(op['old']))
        return {'res': name_of(bpf.bpf(LINK_UPDATE, attr)[0])}

    def link_detach(self, op):
        return {'res': name_of(bpf.bpf(LINK_DETACH, struct.pack('<i', self.value(op['link'])))[0])}

    def link_close(self, op):
        os.close(self.fds.pop(op['link']))
        return {'res': 'OK'}

    def prog_close(self, op):
        os.close(self.fds.pop(op['prog']))
        return {'res': 'OK'}

    def prog_load(self, _op):
        name = f'p{self.progs}'
        self.progs += 1
        self.load(name, 'sched_cls')
        return {'res': 'OK', 'out': {'prog': name}}

    def link_info_op(self, op):
        found = self.link_info(self.value(op['link']))
        if isinstance(found, int):
            return {'res': name_of(found)}
        kind, ident, prog, ifindex, attach_type = found
        out = {'type': LINK_TYPES[kind], 'prog': self.prog_names[prog], 'id': self.link_names[ident]}
        if kind == 11:
            out |= {'dev': self.device_name(ifindex), 'attach_type': 'TCX_INGRESS' if attach_type == 46 else 'TCX_EGRESS'}
        return {'res': 'OK', 'out': out}

    def id_to_fd(self, op):
        cmd = LINK_GET_FD_BY_ID if op['kind'] == 'link' else PROG_GET_FD_BY_ID
        fd = bpf.bpf(cmd, struct.pack('<III', self.value(op['ref']), 0, 0))[0]
        if fd >= 0:
            os.close(fd)
        return {'res': name_of(fd)}

    def ask(self, dev, hook, count, ids=True, query_flags=0, attach_flags=0):
        progs, links = (ctypes.c_uint32 * max(count, 1))(), (ctypes.c_uint32 * max(count, 1))()
        attr = struct.pack('<IIIIQIIQQQQ', self.ifindex(dev), HOOKS[hook], query_flags, attach_flags, ctypes.addressof(progs) if ids else 0,
                           count, 0, 0, ctypes.addressof(links), 0, 0)
        result, out = bpf.bpf(PROG_QUERY, attr)
        flags, total, revision = struct.unpack_from('<I', out, 12)[0], struct.unpack_from('<I', out, 24)[0], struct.unpack_from('<Q', out, 56)[0]
        shown = min(total, count) if ids else 0
        rows = [[self.prog_names.get(progs[at]), self.link_names.get(links[at])] for at in range(shown)]
        return result, revision, total, flags, rows

    def query(self, op):
        result, revision, total, flags, rows = self.ask(op['dev'], op['hook'], op['count'], op['ids'], op['query_flags'], op['attach_flags'])
        if result < 0 and result != -errno.ENOSPC:
            return {'res': name_of(result)}
        return {'res': name_of(result), 'out': {'rev': revision, 'count': total, 'attach_flags': flags, 'progs': rows}}

    def dev_del(self, _op):
        ip('link', 'del', self.device)
        return {'res': 'OK'}

    def dev_add(self, _op):
        self.device = f'd{int(self.device[1:]) + 1}'
        self.add_device(self.device)
        return {'res': 'OK', 'out': {'dev': self.device}}

    def clsact_add(self, _op):
        subprocess.run(['tc', 'qdisc', 'add', 'dev', self.device, 'clsact'], check=True, capture_output=True)
        return {'res': 'OK'}

    def clsact_del(self, _op):
        subprocess.run(['tc', 'qdisc', 'del', 'dev', self.device, 'clsact'], check=True, capture_output=True)
        return {'res': 'OK'}

    def state(self):
        hooks = {}
        for hook in HOOKS:
            result, revision, _total, _flags, rows = self.ask(self.device, hook, ROOM)
            hooks[hook] = {'res': name_of(result)} if result < 0 else {'rev': revision, 'progs': rows}
        links = {}
        for name, fd in self.fds.items():
            if name[0] == 'l' and name not in ('lf', 'lx'):
                _kind, _id, prog, ifindex, _type = self.link_info(fd)
                links[name] = [self.prog_names[prog], self.device_name(ifindex)]
        return hooks | {'links': links}

    def run(self, op):
        return getattr(self, 'link_info_op' if op['op'] == 'link_info' else op['op'])(op)


class Chooser:
    """Draws operations: mostly sensible ones, some wrong on purpose."""

    def __init__(self, recorder):
        self.r, self.random = recorder, recorder.random
        self.alive, self.clsact = True, False

    def pick(self, names):
        return self.random.choice(names)

    def progs(self):
        return [name for name in self.r.prog_names.values() if name[0] == 'p' and name not in ('px', 'pf')]

    def open_links(self):
        return [name for name in self.r.fds if name[0] == 'l' and name not in ('lf', 'lx')]

    def prog_ref(self):
        odd = ['0', 'fd:bad', 'fd:neg', 'fd:map', 'fd:px', 'fd:lx']
        return self.pick(odd) if self.random.random() < 0.06 else 'fd:' + self.pick(self.progs())

    def dev(self):
        return self.pick(['bad', '0']) if self.random.random() < 0.04 else self.r.device

    def place(self):
        """Flags and the relative object."""
        flags = self.random.choices([[], ['BEFORE'], ['AFTER'], ['BEFORE', 'AFTER'], ['0x40']], [8, 8, 8, 1, 1])[0][:]
        if self.random.random() < 0.5:
            return flags, '0'
        links = list(self.r.link_names.values())
        by_id, by_link = self.random.random() < 0.4, bool(links) and self.random.random() < 0.4
        name = self.pick(links) if by_link else self.pick(self.progs() + ['pf', 'px'])
        if self.random.random() < 0.06:
            name = 'bad'
        return flags + (['ID'] if by_id else []) + (['LINK'] if by_link else []), ('id:' if by_id else 'fd:') + name

    def revision(self):
        if self.random.random() < 0.8:
            return 0
        return self.random.choice([1, self.random.randrange(1, 40), (1 << 64) - 1])

    def hook(self):
        return self.random.choices(['ingress', 'egress'], [3, 1])[0]

    def attach(self):
        flags, rel = self.place()
        if self.random.random() < 0.2:
            flags.append('REPLACE')
        return {'op': 'attach', 'dev': self.dev(), 'hook': self.hook(), 'prog': self.prog_ref(), 'flags': flags, 'rel': rel,
                'replace': self.prog_ref() if 'REPLACE' in flags or self.random.random() < 0.1 else '0', 'rev': self.revision()}

    def detach(self):
        op = self.attach() | {'op': 'detach'}
        if self.random.random() < 0.4:
            op['prog'] = '0'
        return op

    def link_create(self):
        op = self.attach() | {'op': 'link_create'}
        del op['replace']
        return op

    def link_update(self):
        replace = self.random.random() < 0.4
        links = self.open_links() or ['lf']
        return {'op': 'link_update', 'link': 'fd:' + self.pick(links), 'new': self.prog_ref(),
                'flags': ['REPLACE'] if replace else self.random.choices([[], ['BEFORE']], [12, 1])[0],
                'old': self.prog_ref() if replace or self.random.random() < 0.05 else '0'}

    def next(self):
        if not self.alive and self.random.random() < 0.3:
            return self.world('device')
        kinds = {'attach': 30, 'detach': 14, 'link_create': 22, 'link_update': 12, 'link_detach': 5, 'link_close': 6, 'link_info': 4,
                 'id_to_fd': 3, 'query': 5, 'prog_load': 1, 'prog_close': 1, 'clsact': 3, 'device': 2}
        kind = self.random.choices(list(kinds), list(kinds.values()))[0]
        links = self.open_links()
        if kind in ('attach', 'detach', 'link_create', 'link_update'):
            return getattr(self, kind)()
        if kind in ('link_detach', 'link_info'):
            return {'op': kind, 'link': 'fd:' + self.pick(links + ['lx' if kind == 'link_info' else 'bad', 'lf' if kind == 'link_info' else 'p1'])}
        if kind == 'link_close' and links:
            return {'op': kind, 'link': self.pick(links)}
        if kind == 'id_to_fd':
            link = bool(self.r.links) and self.random.random() < 0.5
            return {'op': kind, 'kind': 'link' if link else 'prog', 'ref': 'id:' + self.pick(list((self.r.link_names if link else self.r.prog_names).values()))}
        if kind == 'query':
            return {'op': kind, 'dev': self.dev(), 'hook': self.hook(), 'count': self.random.choice([0, 1, 2, 5, 64]), 'ids': self.random.random() < 0.9,
                    'query_flags': self.random.choices([0, 1, 8], [10, 1, 1])[0], 'attach_flags': self.random.choices([0, 1], [10, 1])[0]}
        if kind == 'prog_load':
            return {'op': kind}
        open_progs = [name for name in self.progs() if name in self.r.fds]
        if kind == 'prog_close' and open_progs:
            return {'op': kind, 'prog': self.pick(open_progs)}
        return self.world(kind)

    def world(self, kind):
        if kind == 'clsact' and self.alive:
            self.clsact = not self.clsact
            return {'op': 'clsact_add' if self.clsact else 'clsact_del'}
        if kind == 'device':
            self.alive, self.clsact = not self.alive, False
            return {'op': 'dev_add' if self.alive else 'dev_del'}
        return {'op': 'query', 'dev': self.r.device, 'hook': 'ingress', 'count': 64, 'ids': True, 'query_flags': 0, 'attach_flags': 0}


def main():
    seed, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    fillers = 60 if seed % 3 == 2 else 0
    if bpf._libc.unshare(CLONE_NEWNET) != 0:
        sys.exit('unshare: ' + os.strerror(ctypes.get_errno()))
    os.dup2(os.open('/dev/null', os.O_RDWR), 0)
    recorder = Recorder(seed, fillers)
    recorder.prepare()
    chooser = Chooser(recorder)
    header = {'v': 1, 'kind': 'header', 'seed': seed, 'ops': count, 'max': 63, 'kernel': bpf.kernel_release(), 'dev': 'd0',
              'preamble': {'pool': [f'p{n}' for n in range(8)], 'fillers': fillers}, 'state': recorder.state()}
    with open(path, 'w') as out:
        out.write(json.dumps(header, separators=(',', ':')) + '\n')
        for number in range(count):
            filling = number < fillers
            op = ({'op': 'attach', 'dev': 'd0', 'hook': 'ingress', 'prog': f'fd:f{number}', 'flags': [], 'rel': '0', 'replace': '0', 'rev': 0}
                  if filling else chooser.next())
            line = {'i': number} | op | recorder.run(op) | {'state': recorder.state()}
            out.write(json.dumps(line, separators=(',', ':')) + '\n')


main()
