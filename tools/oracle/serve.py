"""Loads programs on this kernel for others: one JSON request a line on stdin, one JSON answer a line on stdout.

Request: {"maps": {name: {...}}} sets the maps that later programs name (made when first used);
{"type", "attach", "flags", "license", "insns" (hex; the imm of a map load is an index into "use"), "use": [map names],
 "btf" (hex), "func_info" [[insn, type id]…], "attach_to": [kind, name] in kernel BTF, "log"} loads a program.
Answer: {"ret", "last" (last line that is no statistics), "processed", "log" where asked}. An argument BPF+NET_ADMIN leaves only these capabilities.
"""

import errno
import json
import os
import re
import struct
import sys

import btf
from bpf import btf_load, keep_capabilities, map_create, map_freeze, map_update, prog_load

_PROCESSED = re.compile(r'processed (\d+) insns')
_KINDS = {'func': btf.FUNC, 'typedef': btf.TYPEDEF, 'struct': btf.STRUCT}


class Server:
    def __init__(self):
        self.specs, self.fds, self.btfs, self._vmlinux = {}, {}, {}, None

    def vmlinux(self):
        if self._vmlinux is None:
            self._vmlinux = btf.Btf()
        return self._vmlinux

    def btf_fd(self, text):
        if text not in self.btfs:
            self.btfs[text] = btf_load(bytes.fromhex(text))
        return self.btfs[text]

    def map_fd(self, name, user=()):
        """The map of that name; one of its own for each kind of program where a map remembers the first that used it."""
        spec = self.specs[name]
        key = (name, user) if spec['type'] in (3, 14, 16, 25) else name
        if key not in self.fds:
            inner = self.map_fd(spec['inner']) if 'inner' in spec else 0
            own = self.btf_fd(spec['btf']) if 'btf' in spec else 0
            fd = map_create(spec['type'], spec['key'], spec['value'], spec['max'], flags=spec.get('flags', 0), inner_fd=inner,
                            btf_fd=max(own, 0), key_type=spec.get('key_type', 0), value_type=spec.get('value_type', 0),
                            extra=spec.get('extra', 0))
            if fd < 0:
                raise OSError(-fd, 'map ' + name)
            for index, value in enumerate(spec.get('contents', [])):
                map_update(fd, struct.pack('<I', index), bytes.fromhex(value))
            if spec.get('freeze'):
                map_freeze(fd)
            self.fds[key] = fd
        return self.fds[key]

    def load(self, request):
        code = bytearray.fromhex(request['insns'])
        used = request.get('use', [])
        user = (request['type'], request.get('attach', 0), request.get('flags', 0))
        at = 0
        while at < len(code):
            if code[at] == 0x18:
                if (code[at + 1] >> 4) in (1, 2) and struct.unpack_from('<i', code, at + 4)[0] < len(used):
                    index = struct.unpack_from('<i', code, at + 4)[0]
                    if index >= 0:
                        struct.pack_into('<i', code, at + 4, self.map_fd(used[index], user))
                at += 8
            elif code[at] == 0x85 and code[at + 1] >> 4 == 2 and 'kfuncs' in request:
                name = request['kfuncs'].get(str(at // 8))
                if name:
                    struct.pack_into('<i', code, at + 4, self.vmlinux().find(btf.FUNC, name) or 0)
            at += 8
        target = 0
        if 'attach_to' in request:
            target = self.vmlinux().find(_KINDS[request['attach_to'][0]], request['attach_to'][1]) or 0
        info = b''.join(struct.pack('<II', at, type_id) for at, type_id in request.get('func_info', []))
        own = self.btf_fd(request['btf']) if 'btf' in request else 0
        if own < 0:
            return {'ret': own, 'last': 'BTF refused', 'processed': 0}
        def attempt(level):
            return prog_load(request['type'], bytes(code), license=request.get('license', 'GPL').encode(), log_level=level,
                             log_size=1 << 22, flags=request.get('flags', 0), attach_type=request.get('attach', 0), btf_fd=own,
                             func_info=info, attach_btf_id=target)

        loaded = attempt(request.get('log', 1))
        if loaded.result == -errno.ENOSPC:
            loaded = attempt(4)  # the trace does not fit: the objection alone
        result = 0 if loaded.ok else loaded.result
        loaded.close()
        lines = [line for line in loaded.log.strip('\n').split('\n') if line]
        said = [line for line in lines if not line.startswith(('processed ', 'verification time', 'stack depth'))]
        found = _PROCESSED.search(loaded.log)
        answer = {'ret': result, 'last': said[-1] if said and result else '', 'processed': int(found.group(1)) if found else 0}
        if request.get('full'):
            answer['log'] = loaded.log
        return answer


def main():
    if len(sys.argv) > 1:
        keep_capabilities(sys.argv[1].split('+'))
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if 'maps' in request:
                server.specs.update(request['maps'])
                answer = {'kernel': os.uname().release}
            else:
                answer = server.load(request)
        except (OSError, KeyError, ValueError) as problem:
            answer = {'problem': repr(problem)}
        sys.stdout.write(json.dumps(answer) + '\n')
        sys.stdout.flush()


if __name__ == '__main__':
    main()
