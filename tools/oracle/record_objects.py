"""Records random lives of programs, maps, links and pins on the running kernel: packages/vmlinux/test/oracle/objects.json.

Needs root; touches only what it makes (see record_bpf.py, whose steps it writes). Each story is one process that makes things, passes them
around, pins them, attaches them and lets go. Ids are symbolic: ["id", NAME] is the id that an object had when NAME was opened.
"""

import json
import os
import random
import struct
import sys
import time

import record_bpf
from record_bpf import ARRAY, BPFFS, GPL, RET0, RET1, Case, cases, errno_name, hexes, insn, k, private_world, v

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../packages/vmlinux/test/oracle/objects.json')
STORIES, STEPS = 40, 150
PINS = ['/a', '/b', '/c']
# The kernel lets go of what a dead program, map or pin held after an RCU grace period, through a work queue.
QUIET = 0.06


class Story(Case):
    def __init__(self, seed):
        super().__init__(f'story {seed}')
        self.random, self.kinds, self.ids, self.count = random.Random(seed), {}, {}, 0

    def new_name(self):
        self.count += 1
        return f'f{self.count}'

    def save(self, kind, cmd, **fields):
        name = self.new_name()
        if self.step(cmd, save=name, **fields) >= 0:
            self.note(name, kind)

    def note(self, name, kind):
        self.kinds[name] = kind
        self.ids[name] = super().id_of(self.fds[name])

    def id_of(self, fd):
        return next(self.ids[name] for name in self.fds if self.fds[name] == fd)

    def encode(self, value, width, buffers):
        if isinstance(value, list) and value[0] == 'id':
            return self.ids[value[1]].to_bytes(width, 'little')
        return super().encode(value, width, buffers)

    def fd(self, kind):
        """An fd of the kind, or now and then of another, or none at all."""
        right = [name for name in self.fds if self.kinds[name] == kind]
        chance = self.random.random()
        if right and chance < 0.9:
            return ['fd', self.random.choice(right)]
        if self.fds and chance < 0.97:
            return ['fd', self.random.choice(list(self.fds))]
        return 99

    def plain(self, what, **record):
        """A syscall that is not bpf(2)."""
        try:
            result = what()
            record['result'] = 'OK'
            return result
        except OSError as error:
            record['result'] = errno_name(-error.errno)
        finally:
            self.steps.append(record)

    def act(self):
        r = self.random
        kind = r.choice(['map', 'map', 'progs', 'prog', 'prog', 'prog', 'link', 'link', 'update', 'detach', 'attach', 'unattach', 'close', 'close', 'close', 'dup',
                         'pin', 'pin', 'get', 'get', 'unlink', 'rename', 'element', 'element', 'element', 'drop', 'drop', 'freeze', 'bind', 'by_id', 'by_id', 'query', 'inner'])
        getattr(self, 'do_' + kind)()

    def do_map(self):
        shape = self.random.choice([ARRAY, dict(map_type=1, key_size=4, value_size=8, max_entries=3), dict(map_type=22, key_size=0, value_size=8, max_entries=2)])
        self.save('map', 'MAP_CREATE', **shape, map_flags=self.random.choice([0, 0, 0, 8, 16]))

    def do_progs(self):
        self.save('progs', 'MAP_CREATE', map_type=3, key_size=4, value_size=4, max_entries=2)

    def do_inner(self):
        self.save('maps', 'MAP_CREATE', map_type=12, key_size=4, value_size=4, max_entries=2, inner_map_fd=self.fd('map'))

    def do_prog(self):
        code = [bytes([0x18, 0x11, 0, 0]).hex(), self.fd(self.random.choice(['map', 'progs', 'maps'])), '0' * 16, RET0] if self.random.random() < 0.6 else [RET1]
        count = 4 if len(code) > 1 else 2
        self.save('prog', 'LOAD', prog_type=self.random.choice([3, 3, 3, 6]), insn_cnt=count, insns=['in', *code], license=['in', GPL])

    def do_link(self):
        self.save('link', 'LINK_CREATE', prog_fd=self.fd('prog'), target_ifindex=1, attach_type=self.random.choice([46, 47]))

    def do_update(self):
        self.step('LINK_UPDATE', link_fd=self.fd('link'), new_prog_fd=self.fd('prog'))

    def do_detach(self):
        self.step('LINK_DETACH', link_fd=self.fd('link'))

    def do_attach(self):
        self.step('ATTACH', target_ifindex=1, attach_bpf_fd=self.fd('prog'), attach_type=self.random.choice([46, 47]))

    def do_unattach(self):
        self.step('DETACH', target_ifindex=1, attach_bpf_fd=self.random.choice([0, self.fd('prog')]), attach_type=self.random.choice([46, 47]))

    def do_query(self):
        self.step('QUERY', target_ifindex=1, attach_type=self.random.choice([46, 47]), prog_cnt=0, ignore=('revision',))

    def do_close(self):
        if self.fds:
            name = self.random.choice(list(self.fds))
            self.close(name)

    def do_dup(self):
        if self.fds:
            old, new = self.random.choice(list(self.fds)), self.new_name()
            self.fds[new] = self.plain(lambda: os.dup(self.fds[old]), dup=old, save=new)
            self.kinds[new], self.ids[new] = self.kinds[old], self.ids[old]

    def do_pin(self):
        kind = self.random.choice(['map', 'prog', 'link', 'progs'])
        self.step('PIN', pathname=['in', (BPFFS + self.random.choice(PINS)).encode().hex() + '00'], bpf_fd=self.fd(kind))

    def do_get(self):
        path = BPFFS + self.random.choice(PINS)
        name = self.new_name()
        if self.step('GET', save=name, pathname=['in', path.encode().hex() + '00'], file_flags=self.random.choice([0, 0, 0, 8])) >= 0:
            text = open(f'/proc/self/fdinfo/{self.fds[name]}').read()
            self.note(name, 'link' if 'link_id' in text else 'prog' if '\nprog_type:' in text else 'progs' if 'map_type:\t3\n' in text else
                      'maps' if 'map_type:\t12\n' in text else 'map')

    def do_unlink(self):
        path = BPFFS + self.random.choice(PINS)
        self.plain(lambda: os.unlink(path), unlink=path)
        time.sleep(QUIET)

    def do_rename(self):
        a, b = BPFFS + self.random.choice(PINS), BPFFS + self.random.choice(PINS)
        self.plain(lambda: os.rename(a, b), rename=[a, b])
        time.sleep(QUIET)

    def do_element(self):
        kind = self.random.choice(['map', 'progs', 'progs', 'maps'])
        value = v(7) if kind == 'map' else ['in', self.fd('prog' if kind == 'progs' else 'map'), '00000000']
        self.step('UPDATE', map_fd=self.fd(kind), key=k(self.random.randrange(3)), value=value)

    def do_drop(self):
        kind = self.random.choice(['map', 'progs', 'maps'])
        if self.random.random() < 0.5:
            self.step('DELETE', map_fd=self.fd(kind), key=k(self.random.randrange(3)))
        else:
            # What is found may be an id: whether it is found is what counts.
            self.step('LOOKUP', map_fd=self.fd(kind), key=k(self.random.randrange(3)), value=['out', 8], ignore=('buffers',))

    def do_freeze(self):
        self.step('FREEZE', map_fd=self.fd('map'))

    def do_bind(self):
        self.step('BIND', prog_fd=self.fd('prog'), map_fd=self.fd('map'))

    def do_by_id(self):
        if not self.ids:
            return
        name = self.random.choice(list(self.ids))
        time.sleep(QUIET)
        kind = self.kinds[name]
        cmd = {'prog': 'PROG_BY_ID', 'link': 'LINK_BY_ID'}.get(kind, 'MAP_BY_ID')
        self.save(kind, cmd, start_id=['id', name])

    def end(self):
        """Lets go of everything; what is left of it is then asked for by id."""
        for name in list(self.fds):
            self.close(name)
        for path in PINS:
            self.plain(lambda: os.unlink(BPFFS + path), unlink=BPFFS + path)
        time.sleep(10 * QUIET)
        for attach_type in (46, 47):
            while self.step('DETACH', target_ifindex=1, attach_type=attach_type) == 0:
                pass
        time.sleep(10 * QUIET)
        for name, kind in list(self.kinds.items()):
            self.step({'prog': 'PROG_BY_ID', 'link': 'LINK_BY_ID'}.get(kind, 'MAP_BY_ID'), start_id=['id', name])


def main(first=0, stories=STORIES, out_file=OUT):
    """For more than what is committed: record_objects.py FIRST_SEED STORIES FILE."""
    private_world()
    for seed in range(int(first), int(first) + int(stories)):
        story = Story(seed)
        for _ in range(STEPS):
            story.act()
        story.end()
    with open(out_file, 'w') as out:
        out.write('{"kernel":%s,"cases":[\n' % json.dumps(record_bpf.kernel_release()))
        out.write(',\n'.join('{"name":%s,"steps":[\n%s\n]}' % (json.dumps(case.name), ',\n'.join(json.dumps(s, separators=(',', ':')) for s in case.steps))
                             for case in cases))
        out.write('\n]}\n')
    print(f'{len(cases)} stories, {sum(len(c.steps) for c in cases)} steps')


if __name__ == '__main__':
    main(*sys.argv[1:])
