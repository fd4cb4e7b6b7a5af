"""Which bytes of its context a program type may read and write, and what a read gives: every offset, size and direction."""

import json
import re
import sys

from bpf import insn, kernel_release, prog_load
from variants import variants

LOADS = {'1': 0x71, '2': 0x69, '4': 0x61, '8': 0x79, '-1': 0x91, '-2': 0x89, '-4': 0x81}
STORES = {'1': 0x73, '2': 0x6b, '4': 0x63, '8': 0x7b}
LIMIT = 400
FAR = (-32768, -4096, -16, 512, 1024, 2032, 2040, 2048, 2056, 4096, 8192, 32752)
_AFTER = re.compile(r'\bR6(?:_w)?=(\S+)')
_BOUNDS = re.compile(r'\((?=[^()]*(?:max|min|var_off)).*')


def ends(variant):
    """What the last two instructions of a passing program are."""
    return insn(0xb7, 0, 0, 0, variant.ret) + insn(0x95)


def read(variant, code, off):
    loaded = prog_load(variant.prog_type, insn(code, 6, 1, off) + ends(variant), log_level=2, **variant.load_args())
    log, accepted = loaded.log, loaded.ok
    loaded.close()
    if not accepted:
        return None
    found = _AFTER.search(log)
    kind = found.group(1) if found else '?'
    return _BOUNDS.sub('', kind)


def write(variant, code, off):
    loaded = prog_load(variant.prog_type, insn(0xb7, 6) + insn(code, 1, 6, off) + ends(variant), log_level=0, **variant.load_args())
    accepted = loaded.ok
    loaded.close()
    return accepted


def spans(hits):
    """[(off, kind)] as [[first, last, kind]...] where neighbours of a step of one agree."""
    out = []
    for off, kind in hits:
        if out and out[-1][1] == off - 1 and out[-1][2] == kind:
            out[-1][1] = off
        else:
            out.append([off, off, kind])
    return out


def table(variant):
    result = {'read': {}, 'write': {}}
    for size, code in LOADS.items():
        hits = [(off, kind) for off in range(-8, LIMIT) if (kind := read(variant, code, off))]
        hits += [(off, kind) for off in FAR if (kind := read(variant, code, off))]
        result['read'][size] = spans(hits)
    for size, code in STORES.items():
        hits = [(off, 'w') for off in range(-8, LIMIT) if write(variant, code, off)]
        hits += [(off, 'w') for off in FAR if write(variant, code, off)]
        result['write'][size] = [[first, last] for first, last, _ in spans(hits)]
    return result


def record():
    out, same = {}, {}
    for variant in variants():
        found = table(variant)
        key = json.dumps(found)
        out[variant.name] = same.setdefault(key, variant.name) if key in same else found
        same.setdefault(key, variant.name)
    return {'kernel': kernel_release(), 'contexts': out}


if __name__ == '__main__':
    json.dump(record(), open(sys.argv[1], 'w'), separators=(',', ':'))
