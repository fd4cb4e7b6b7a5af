"""bpf(2) by ctypes, as much of it as the recorders need. Needs root on the kernel that is asked."""

import ctypes
import errno
import os
import platform
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_BPF = {'x86_64': 321, 'aarch64': 280}[platform.machine()]

MAP_CREATE, MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, PROG_LOAD, PROG_TEST_RUN, BTF_LOAD = 0, 1, 2, 5, 10, 18
MAP_FREEZE = 22

PROG_TYPES = [
    'unspec', 'socket_filter', 'kprobe', 'sched_cls', 'sched_act', 'tracepoint', 'xdp', 'perf_event', 'cgroup_skb',
    'cgroup_sock', 'lwt_in', 'lwt_out', 'lwt_xmit', 'sock_ops', 'sk_skb', 'cgroup_device', 'sk_msg', 'raw_tracepoint',
    'cgroup_sock_addr', 'lwt_seg6local', 'lirc_mode2', 'sk_reuseport', 'flow_dissector', 'cgroup_sysctl',
    'raw_tracepoint_writable', 'cgroup_sockopt', 'tracing', 'struct_ops', 'ext', 'lsm', 'sk_lookup', 'syscall', 'netfilter',
]
PROG_TYPE = {name: number for number, name in enumerate(PROG_TYPES)}


def bpf(cmd, attr, size=None):
    """Returns the result, or -errno."""
    buf = ctypes.create_string_buffer(attr, max(len(attr), 1))
    result = _libc.syscall(_SYS_BPF, cmd, buf, size if size is not None else len(attr))
    if result < 0:
        return -ctypes.get_errno(), buf.raw
    return result, buf.raw


def insn(code, dst=0, src=0, off=0, imm=0):
    return struct.pack('<BBhi', code, (src << 4) | dst, off, ((imm + 0x80000000) & 0xFFFFFFFF) - 0x80000000)


def address(buf):
    return ctypes.addressof(buf) if buf is not None else 0


def errno_name(result):
    return errno.errorcode.get(-result, str(-result)) if result < 0 else 'OK'


class Loaded:
    def __init__(self, result, log, true_size):
        self.result, self.log, self.true_size = result, log, true_size

    @property
    def ok(self):
        return self.result >= 0

    def close(self):
        if self.result >= 0:
            os.close(self.result)
            self.result = -errno.EBADF


_log_buffers = {}


def prog_load(prog_type, insns, license=b'GPL', log_level=1, log_size=1 << 16, flags=0, attach_type=0, btf_fd=0,
              func_info=b'', line_info=b'', attach_btf_id=0, attach_fd=0, fd_array=None, name=b''):
    """Loads `insns` (bytes) and returns Loaded; the caller closes it."""
    code = ctypes.create_string_buffer(insns, len(insns))
    lic = ctypes.create_string_buffer(license)
    log = None
    if log_level:
        log = _log_buffers.get(log_size)
        if log is None:
            log = _log_buffers[log_size] = ctypes.create_string_buffer(log_size)
        log[0] = b'\0'
    func = ctypes.create_string_buffer(func_info, len(func_info)) if func_info else None
    line = ctypes.create_string_buffer(line_info, len(line_info)) if line_info else None
    fds = ctypes.create_string_buffer(struct.pack('<%di' % len(fd_array), *fd_array)) if fd_array else None
    attr = struct.pack(
        '<IIQQIIQII16sIIIIQIIQIIIIQQII', prog_type, len(insns) // 8, address(code), address(lic), log_level,
        log_size if log_level else 0, address(log), 0, flags, name, 0, attach_type, btf_fd, 8 if func_info else 0,
        address(func), len(func_info) // 8, 16 if line_info else 0, address(line), len(line_info) // 16, attach_btf_id,
        attach_fd, 0, address(fds), 0, 0, 0)
    result, out = bpf(PROG_LOAD, attr)
    text = log.value.decode('latin1') if log_level else ''
    return Loaded(result, text, struct.unpack_from('<I', out, len(attr) - 4)[0])


def map_create(map_type, key_size, value_size, max_entries, flags=0, inner_fd=0, name=b'', btf_fd=0, key_type=0, value_type=0,
               value_type_id=0, extra=0):
    attr = struct.pack('<IIIIIII16sIIIIIIQ', map_type, key_size, value_size, max_entries, flags, inner_fd, 0, name, 0, btf_fd,
                       key_type, value_type, value_type_id, 0, extra)
    return bpf(MAP_CREATE, attr)[0]


def map_update(fd, key, value, flags=0):
    k, v = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
    return bpf(MAP_UPDATE_ELEM, struct.pack('<IIQQQ', fd, 0, address(k), address(v), flags))[0]


def map_lookup(fd, key, size):
    k, v = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(size)
    result = bpf(MAP_LOOKUP_ELEM, struct.pack('<IIQQQ', fd, 0, address(k), address(v), 0))[0]
    return v.raw if result >= 0 else None


def btf_load(data, log_level=0):
    buf = ctypes.create_string_buffer(data, len(data))
    log = ctypes.create_string_buffer(1 << 16) if log_level else None
    result = bpf(BTF_LOAD, struct.pack('<QQIIIIII', address(buf), address(log), len(data), len(log) if log else 0, log_level,
                                       0, 0, 0))[0]
    return (result, log.value.decode()) if log_level else result


def test_run(fd, ctx=None, data_in=None, data_out=None):
    attr = struct.pack('<IIIIQQIIIIQQIIII', fd, 0, len(data_in) if data_in else 0, len(data_out) if data_out else 0,
                       address(data_in), address(data_out), 0, 0, len(ctx) if ctx else 0, 0, address(ctx), 0, 0, 0, 0, 0)
    return bpf(PROG_TEST_RUN, attr)


def kernel_release():
    return os.uname().release


def map_freeze(fd):
    return bpf(MAP_FREEZE, struct.pack('<I', fd))[0]


CAP = {'NET_ADMIN': 12, 'SYS_ADMIN': 21, 'PERFMON': 38, 'BPF': 39}


def keep_capabilities(names):
    """Drops every capability but these from this process, for good."""
    mask = sum(1 << CAP[name] for name in names)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(mask & 0xffffffff, mask & 0xffffffff, 0, mask >> 32, mask >> 32, 0)
    if _libc.capset(header, data):
        raise OSError(ctypes.get_errno(), 'capset')
