"""A process that holds programs and links on a device by its fds alone: `holder.py IFINDEX PIN`. Says "ready", then waits to be killed."""

import ctypes, os, platform, struct, sys, time

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, OBJ_PIN, PROG_ATTACH, LINK_CREATE = 5, 6, 8, 28
SCHED_CLS, INGRESS, EGRESS = 3, 46, 47
libc = ctypes.CDLL(None, use_errno=True)


def bpf(cmd, attr):
    memory = ctypes.create_string_buffer(attr.ljust(128, b"\0"), 128)
    result = libc.syscall(BPF, cmd, memory, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {cmd}")
    return result


def load():
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, -1, 0x95, 0, 0, 0), 16)
    name = ctypes.create_string_buffer(b"GPL")
    return bpf(PROG_LOAD, struct.pack("<IIQQ", SCHED_CLS, 2, ctypes.addressof(code), ctypes.addressof(name)))


ifindex, pin = int(sys.argv[1]), sys.argv[2]
bpf(LINK_CREATE, struct.pack("<IIII", load(), ifindex, INGRESS, 0))
pinned = bpf(LINK_CREATE, struct.pack("<IIII", load(), ifindex, EGRESS, 0))
path = ctypes.create_string_buffer(os.fsencode(pin))
bpf(OBJ_PIN, struct.pack("<QII", ctypes.addressof(path), pinned, 0))
bpf(PROG_ATTACH, struct.pack("<IIII", ifindex, load(), INGRESS, 0))
print("ready", flush=True)
time.sleep(60)  # Nobody killed it: the test failed.
