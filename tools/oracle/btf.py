"""The kernel's own BTF, as far as the recorders ask: ids by kind and name, members, enumerators."""

import struct

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, \
    DECL_TAG, TYPE_TAG, ENUM64 = range(1, 20)
_EXTRA = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
_PER = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}


class Btf:
    def __init__(self, data=None):
        data = data or open('/sys/kernel/btf/vmlinux', 'rb').read()
        _, _, _, header, types, types_len, strings, strings_len = struct.unpack_from('<HBBIIIII', data)
        self._strings = data[header + strings:header + strings + strings_len]
        self.types = [None]
        self._by_name = {}
        at, end = header + types, header + types + types_len
        while at < end:
            name, info, size = struct.unpack_from('<III', data, at)
            kind, vlen, flag = (info >> 24) & 0x1f, info & 0xffff, info >> 31
            body = _EXTRA.get(kind, 0) + _PER.get(kind, 0) * vlen
            text = self.string(name)
            self.types.append((kind, text, vlen, size, data[at + 12:at + 12 + body], flag))
            self._by_name.setdefault((kind, text), len(self.types) - 1)
            at += 12 + body

    def string(self, offset):
        return self._strings[offset:self._strings.index(b'\0', offset)].decode()

    def find(self, kind, name):
        return self._by_name.get((kind, name))

    def members(self, type_id):
        _, _, vlen, _, body, _ = self.types[type_id]
        out = []
        for i in range(vlen):
            name, member, offset = struct.unpack_from('<III', body, 12 * i)
            out.append((self.string(name), member, offset & 0xffffff))
        return out
