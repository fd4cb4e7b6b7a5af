"""Which kfunc may be called by which program type: one load a (variant, kfunc)."""

import json
import struct
import sys

import btf
from bpf import insn, kernel_release, prog_load
from variants import variants


def kfunc_names(vmlinux):
    """Functions that carry the decl tag bpf_kfunc."""
    out = {}
    for kind, name, _, target, body, _ in vmlinux.types[1:]:
        if kind == btf.DECL_TAG and name == 'bpf_kfunc' and struct.unpack('<i', body)[0] == -1:
            out[vmlinux.types[target][1]] = target
    return out


def answer(variant, func_id):
    """y allowed, n not for this type, d destructive without the capability, s might sleep, p the load is refused beforehand."""
    loaded = prog_load(variant.prog_type, insn(0x85, 0, 2, 0, func_id) + insn(0xb7, 0, 0, 0, variant.ret) + insn(0x95),
                       **variant.load_args())
    log, accepted = loaded.log, loaded.ok
    loaded.close()
    if 'is not allowed' in log:
        return 'n'
    if 'must be sleepable' in log:
        return 's'
    return 'y' if accepted or '(85) call' in log else 'p'


def record():
    vmlinux = btf.Btf()
    names = kfunc_names(vmlinux)
    order = sorted(names)
    rows = {v.name: ''.join(answer(v, names[name]) for name in order) for v in variants(vmlinux)}
    return {'kernel': kernel_release(), 'kfuncs': order, 'allowed': rows}


if __name__ == '__main__':
    json.dump(record(), open(sys.argv[1], 'w'), indent=0, separators=(',', ':'))
