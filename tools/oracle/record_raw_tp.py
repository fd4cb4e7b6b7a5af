"""Which arguments of tracepoints a tp_btf program may take for an object, must test for NULL, or gets as a number.

Writes {"kernel", "tracepoints" (asked), "null" {name: [argument numbers]}, "scalar" {name: [argument numbers]}}; arguments that are
trusted pointers, or no pointers to structs at all, are left out.
"""

import json
import re
import struct
import sys

import btf
from bpf import PROG_TYPE, insn, kernel_release, prog_load

TRACE_RAW_TP = 23
PREFIX = 'btf_trace_'
_R6 = re.compile(r'R6(?:_w)?=(\w+)')
_MODIFIERS = (btf.TYPEDEF, btf.VOLATILE, btf.CONST, btf.RESTRICT, btf.TYPE_TAG)


def plain(types, type_id):
    while type_id and types.types[type_id][0] in _MODIFIERS:
        type_id = types.types[type_id][3]
    return type_id


def arguments(types, typedef):
    """For each argument: does it point to a struct?"""
    pointer = types.types[plain(types, types.types[typedef][3])]
    _, _, count, _, body, _ = types.types[plain(types, pointer[3])]
    out = []
    for i in range(1, count):
        target = plain(types, struct.unpack_from('<II', body, 8 * i)[1])
        pointed = plain(types, types.types[target][3]) if target and types.types[target][0] == btf.PTR else 0
        out.append(bool(pointed) and types.types[pointed][0] in (btf.STRUCT, btf.UNION))
    return out


def ask(typedef, index):
    code = insn(0x79, 6, 1, 8 * index) + insn(0xb7, 0) + insn(0x95)
    loaded = prog_load(PROG_TYPE['tracing'], code, log_level=2, attach_type=TRACE_RAW_TP, attach_btf_id=typedef)
    loaded.close()
    found = _R6.search(loaded.log)
    return found.group(1) if found else 'refused: ' + loaded.log.strip().split('\n')[0]


def record():
    types = btf.Btf()
    out = {'kernel': kernel_release(), 'tracepoints': 0, 'null': {}, 'scalar': {}}
    names = [(row[1], at) for at, row in enumerate(types.types) if row and row[0] == btf.TYPEDEF and row[1].startswith(PREFIX)]
    for name, typedef in sorted(names):
        out['tracepoints'] += 1
        for index, to_struct in enumerate(arguments(types, typedef)):
            if not to_struct:
                continue
            answer = ask(typedef, index)
            if answer.startswith('trusted_ptr_or_null_'):
                out['null'].setdefault(name[len(PREFIX):], []).append(index)
            elif answer.startswith('scalar'):
                out['scalar'].setdefault(name[len(PREFIX):], []).append(index)
            elif not answer.startswith('trusted_ptr_'):
                print(name, index, answer, file=sys.stderr)
    return out


if __name__ == '__main__':
    json.dump(record(), open(sys.argv[1], 'w'), indent=1, sort_keys=True)
