"""What each program type may return, and with which expected attach type it loads."""

import json
import re
import sys

from bpf import PROG_TYPES, errno_name, insn, kernel_release, prog_load
from variants import variants

VALUES = [-2147483648, -4097, -4096, -4095, -4094, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 100, 255, 256, 4095, 4096, 65535, 2147483647]
EXIT = insn(0x95)
_RANGE = re.compile(r'should have been in (\[[^\]]*\])')


def attempt(variant, body):
    loaded = prog_load(variant.prog_type, body, **variant.load_args())
    lines = [line for line in loaded.log.strip().split('\n') if line and not line.startswith(('processed', '-- '))]
    answer = 'OK' if loaded.ok else errno_name(loaded.result)
    loaded.close()
    return answer, lines[-1] if lines and answer != 'OK' else ''


def returns(variant):
    out = {'values': {}}
    for value in VALUES:
        out['values'][str(value)] = attempt(variant, insn(0xb7, 0, 0, 0, value) + EXIT)[0]
    unknown = insn(0x85, 0, 0, 0, 7) + EXIT
    out['unknown'] = attempt(variant, unknown)
    out['unknown64'] = attempt(variant, insn(0x85, 0, 0, 0, 5) + EXIT)
    out['high'] = attempt(variant, insn(0x18, 0, 0, 0, 1) + insn(0, 0, 0, 0, 1) + EXIT)
    out['ctx'] = attempt(variant, insn(0xbf, 0, 1) + EXIT)
    out['none'] = attempt(variant, EXIT)
    return out


def attach_types():
    out = {}
    for prog_type, name in enumerate(PROG_TYPES):
        answers = []
        for attach in range(64):
            answer = 'EINVAL'
            for value in (0, 1):
                loaded = prog_load(prog_type, insn(0xb7, 0, 0, 0, value) + EXIT, attach_type=attach, log_level=0)
                answer = 'OK' if loaded.ok else errno_name(loaded.result)
                loaded.close()
                if answer == 'OK':
                    break
            answers.append(answer)
        out[name] = answers if len(set(answers)) > 1 else answers[0]
    return out


def record():
    return {'kernel': kernel_release(), 'returns': {v.name: returns(v) for v in variants()}, 'attach_types': attach_types()}


if __name__ == '__main__':
    json.dump(record(), open(sys.argv[1], 'w'), separators=(',', ':'))
