/** The live kernel's JIT by BPF_PROG_TEST_RUN, where bpf(2) is allowed. */

import { encode } from '@libbpf-ts/isa';
import { linuxKernel } from '@libbpf-ts/linux';
import { BPF_MAP_CREATE, BPF_MAP_UPDATE_ELEM, BPF_PROG_LOAD, BPF_PROG_TEST_RUN, cString } from '@libbpf-ts/uapi';
import type { Syscalls } from '@libbpf-ts/uapi';

import { benchPacket } from './programs.ts';
import type { BenchMap, BenchProgram } from './programs.ts';
import type { Runner, Side } from './side.ts';

const BPF_PROG_TYPE_SCHED_CLS = 3;
const BPF_PSEUDO_MAP_FD = 1;

/** Throws where there is no kernel to be had; the message says why. */
export function linux(): Side {
  const kernel = linuxKernel();
  return { name: 'kernel', load: (program) => load(kernel, program) };
}

function load(kernel: Syscalls, program: BenchProgram): Runner {
  const fds = new Map(program.maps.map((map) => [map.name, createMap(kernel, map)]));
  const insns = program.insns.map((insn, index) => {
    const map = program.mapLoads.get(index);
    return map === undefined ? insn : { ...insn, src_reg: BPF_PSEUDO_MAP_FD, imm: fds.get(map)! };
  });
  const fd = kernel.bpf(BPF_PROG_LOAD, {
    prog_type: BPF_PROG_TYPE_SCHED_CLS,
    insn_cnt: insns.length,
    insns: encode(insns),
    license: cString('Dual BSD/GPL'),
  });
  if (fd < 0) throw new Error(`the kernel does not load ${program.name}: errno ${-fd}`);
  const data_in = benchPacket();
  const run = (repeat: number): { retval: number; duration: number } => {
    const attr = { prog_fd: fd, data_in, data_size_in: data_in.length, repeat, retval: 0, duration: 0 };
    const result = kernel.bpf(BPF_PROG_TEST_RUN, attr);
    if (result < 0) throw new Error(`BPF_PROG_TEST_RUN of ${program.name}: errno ${-result}`);
    return attr;
  };
  return {
    measure: (count) => wall(() => run(count)) / count,
    result: () => run(1).retval >>> 0,
    close() {
      kernel.close(fd);
      for (const map of fds.values()) kernel.close(map);
    },
  };
}

/** The kernel reports whole nanoseconds a run, too coarse for short programs: the whole call is timed, and its cost is lost in the count. */
function wall(action: () => void): number {
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start);
}

function createMap(kernel: Syscalls, map: BenchMap): number {
  const map_type = map.type === 'hash' ? 1 : 2;
  const { key_size, value_size, max_entries, filled = 0 } = map;
  const fd = kernel.bpf(BPF_MAP_CREATE, { map_type, key_size, value_size, max_entries });
  if (fd < 0) throw new Error(`the kernel creates no map ${map.name}: errno ${-fd}`);
  for (let key = 0; key < filled; key++) {
    const value = new Uint8Array(value_size);
    new DataView(value.buffer).setUint32(0, key, true);
    kernel.bpf(BPF_MAP_UPDATE_ELEM, { map_fd: fd, key: Uint32Array.of(key), value, flags: 0n });
  }
  return fd;
}
