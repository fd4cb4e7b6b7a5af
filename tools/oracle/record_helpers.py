"""Which helper may be called by which program type: asked of the live kernel, one load a (variant, helper, licence, capabilities)."""

import json
import os
import sys

from bpf import insn, keep_capabilities, kernel_release, prog_load
from variants import variants

HELPERS = 212


def answer(variant, helper, licence):
    """y allowed, n not for this type, a not for what it is attached to, u unknown, g needs a GPL licence, s might sleep, p the load is refused beforehand."""
    loaded = prog_load(variant.prog_type, insn(0x85, 0, 0, 0, helper) + insn(0xb7, 0, 0, 0, variant.ret) + insn(0x95),
                       license=licence, **variant.load_args())
    log, accepted = loaded.log, loaded.ok
    loaded.close()
    if 'cannot use helper' in log:
        return 'n'
    if 'unknown func' in log or 'invalid func' in log:
        return 'u'
    if 'cannot call GPL-restricted' in log:
        return 'g'
    if 'not allowed in probe' in log:
        return 'a'
    if 'might sleep' in log or 'sleepable' in log:
        return 's'
    return 'y' if accepted or '(85) call' in log else 'p'


def matrix(licence):
    return {v.name: ''.join(answer(v, helper, licence) for helper in range(HELPERS)) for v in variants()}


def with_caps(caps, work):
    """Runs `work` in a child that holds only `caps`."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        keep_capabilities(caps)
        with os.fdopen(write, 'w') as out:
            json.dump(work(), out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        result = json.load(answers)
    os.waitpid(child, 0)
    return result


CAP_SETS = [['BPF'], ['BPF', 'PERFMON'], ['BPF', 'NET_ADMIN'], ['BPF', 'PERFMON', 'NET_ADMIN'], ['SYS_ADMIN']]


def record():
    out = {'kernel': kernel_release(), 'gpl': matrix(b'GPL'), 'other': matrix(b'Proprietary')}
    out['caps'] = {'+'.join(caps): with_caps(caps, lambda: matrix(b'GPL')) for caps in CAP_SETS}
    return out


if __name__ == '__main__':
    json.dump(record(), open(sys.argv[1], 'w'), indent=0, separators=(',', ':'))
