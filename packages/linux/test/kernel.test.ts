import {
  addVethPair,
  deleteDevice,
  deviceIndex,
  deviceName,
  linuxKernel,
  NetNamespace,
  RouteSocket,
  type LinuxKernel,
} from '@libbpf-ts/linux';
import { noLiveKernel } from '@libbpf-ts/testkit';
import {
  BPF_MAP_CREATE,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_ELEM,
  BPF_OBJ_GET_INFO_BY_FD,
  BPF_PROG_LOAD,
  BPF_PROG_TEST_RUN,
  bpf_map_info,
  bpf_prog_info,
  addQdisc,
  BufferMemory,
  BpfInfoAttr,
  BpfMapElemAttr,
  cString,
  ERRNO,
} from '@libbpf-ts/uapi';
import { describe, expect, test, type TestContext } from 'vitest';

/** The live kernel, or a skipped test with the reason. */
function live(context: TestContext): LinuxKernel {
  const reason = noLiveKernel();
  if (reason) context.skip(reason);
  try {
    return linuxKernel();
  } catch (error) {
    return context.skip(String(error));
  }
}

const returnSeven = Uint8Array.of(0xb7, 0, 0, 0, 7, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

describe('bpf(2) of the running kernel', () => {
  test('maps hold what is put in', (context) => {
    const kernel = live(context);
    const fd = kernel.bpf(BPF_MAP_CREATE, { map_type: 1, key_size: 4, value_size: 8, max_entries: 2, map_name: 'live' });
    expect(fd).toBeGreaterThan(0);
    const key = Uint32Array.of(5);
    const value = BigUint64Array.of(0n);
    expect(kernel.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: fd, key, value: BigUint64Array.of(77n) })).toBe(0);
    expect(kernel.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: fd, key, value })).toBe(0);
    expect(value[0]).toBe(77n);
    const info = new Uint8Array(bpf_map_info.size);
    expect(kernel.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: fd, info_len: info.length, info })).toBe(0);
    expect(bpf_map_info.read(new DataView(info.buffer))).toMatchObject({ type: 1, key_size: 4, max_entries: 2, name: 'live' });
    expect(kernel.close(fd)).toBe(0);
    expect(kernel.bpf(BPF_MAP_LOOKUP_ELEM, { map_fd: fd, key, value })).toBe(-ERRNO.EBADF);
  });

  test('a buffer shorter than the kernel reads is -EFAULT, not a neighbour', (context) => {
    const kernel = live(context);
    const fd = kernel.bpf(BPF_MAP_CREATE, { map_type: 1, key_size: 4, value_size: 8, max_entries: 2 });
    const memory = new BufferMemory();
    const attr = new Uint8Array(BpfMapElemAttr.end);
    BpfMapElemAttr.write(new DataView(attr.buffer), {
      map_fd: fd,
      key: memory.map(new Uint8Array(2)) as never,
      value: memory.map(new Uint8Array(8)) as never,
    });
    expect(kernel.bpfRaw(BPF_MAP_UPDATE_ELEM, attr, attr.length, memory)).toBe(-ERRNO.EFAULT);
    kernel.close(fd);
  });

  test('programs load, run and tell of themselves through nested pointers', (context) => {
    const kernel = live(context);
    const fd = kernel.bpf(BPF_PROG_LOAD, {
      prog_type: 3,
      insn_cnt: 2,
      insns: returnSeven,
      license: cString('GPL'),
      prog_name: 'seven',
    });
    expect(fd).toBeGreaterThan(0);
    const run = { prog_fd: fd, data_in: new Uint8Array(64), data_size_in: 64, repeat: 1, retval: 0 };
    expect(kernel.bpf(BPF_PROG_TEST_RUN, run)).toBe(0);
    expect(run.retval).toBe(7);
    const memory = new BufferMemory();
    const insns = new Uint8Array(16);
    const info = new Uint8Array(bpf_prog_info.size);
    bpf_prog_info.write(new DataView(info.buffer), { xlated_prog_len: 16, xlated_prog_insns: memory.map(insns) });
    const attr = new Uint8Array(BpfInfoAttr.end);
    BpfInfoAttr.write(new DataView(attr.buffer), { bpf_fd: fd, info_len: info.length, info: memory.map(info) as never });
    expect(kernel.bpfRaw(BPF_OBJ_GET_INFO_BY_FD, attr, attr.length, memory)).toBe(0);
    expect([...insns]).toEqual([...returnSeven]);
    kernel.close(fd);
  });
});

test('a namespace of its own, devices and qdiscs by rtnetlink, refusals in the words of the kernel', (context) => {
  const kernel = live(context);
  const namespace = new NetNamespace(kernel.ffi);
  try {
    namespace.run(() => {
      const socket = new RouteSocket(kernel.ffi);
      expect(addVethPair(socket, 'a0', 'b0').result).toBe(0);
      const index = deviceIndex(socket, 'a0');
      expect(deviceName(socket, index)).toBe('a0');
      expect(addQdisc(kernel, { ifindex: index, kind: 'clsact' }).result).toBe(0);
      expect(addQdisc(kernel, { ifindex: index, kind: 'clsact' })).toMatchObject({
        result: -ERRNO.EEXIST,
        extack: expect.stringMatching(/Exclusivity/) as string,
      });
      expect(deleteDevice(socket, index).result).toBe(0);
      expect(deviceIndex(socket, 'a0')).toBe(-ERRNO.ENODEV);
      socket[Symbol.dispose]();
    });
  } finally {
    namespace[Symbol.dispose]();
  }
});
