/** What the tests of tcx, cls-bpf and xdp share: a kernel with programs written in a line. */

import { addQdisc, clsBpf } from '@libbpf-ts/cls-bpf';
import { assemble, encode } from '@libbpf-ts/isa';
import { Kernel, type BpfProg, type Task } from '@libbpf-ts/kernel';
import { maps } from '@libbpf-ts/maps';
import { netOf, type Net, type NetDevice } from '@libbpf-ts/net';
import {
  BPF_F_BEFORE,
  BPF_LINK_CREATE,
  BPF_PROG_ATTACH,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_TCX_EGRESS,
  BPF_TCX_INGRESS,
  cString,
  errnoName,
} from '@libbpf-ts/uapi';
import { verify } from '@libbpf-ts/verifier';
import type { Engine } from '@libbpf-ts/vm';
import { xdp } from '@libbpf-ts/xdp';

import { tcx } from '@libbpf-ts/tcx';

export interface World {
  readonly kernel: Kernel;
  readonly task: Task;
  readonly net: Net;
  readonly dev: NetDevice;
}

/** On engines of the test's choice, by default the runtime's own. */
export function boot(engines?: readonly Engine[]): World {
  const kernel = new Kernel({ subsystems: [maps, tcx, clsBpf, xdp], verify, ...(engines ? { engines } : {}) });
  const net = netOf(kernel);
  net.tracing = true;
  return { kernel, task: kernel.task('test'), net, dev: net.init.addDevice({ name: 'd0' }) };
}

/** Ends everything that a test may have left on devices, then asks for leaks. */
export function leaksAfter({ kernel, net, task }: World): string[] {
  task.exit();
  for (const netns of net.namespaces) for (const device of netns.devices) netns.removeDevice(device);
  return kernel.leaks().map(({ text }) => text);
}

/** Loads a program of lines separated by `;`. Returns its fd; throws with the verifier's log. */
export function load(task: Task, text: string, prog_type: number = BPF_PROG_TYPE_SCHED_CLS, prog_name = ''): number {
  const insns = encode(
    assemble(
      text
        .split(';')
        .map((line) => line.trim())
        .filter(Boolean)
        .join('\n'),
    ),
  );
  const log_buf = new Uint8Array(16384);
  const attr = {
    prog_type,
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
    prog_name,
    log_level: 1,
    log_buf,
    log_size: log_buf.length,
  };
  const fd = task.bpf(BPF_PROG_LOAD, attr);
  if (fd < 0) throw new Error(`${errnoName(fd)}: ${task.lastError?.message}\n${new TextDecoder().decode(log_buf)}`);
  return fd;
}

export const returns = (value: number): string => `r0 = ${value}; exit`;

/** Attaches without a link, at the end. */
export function attach(
  { task }: World,
  device: NetDevice,
  prog: number,
  direction: 'ingress' | 'egress' = 'ingress',
  first = false,
): void {
  const attach_type = direction === 'ingress' ? BPF_TCX_INGRESS : BPF_TCX_EGRESS;
  const attr = { target_ifindex: device.ifindex, attach_bpf_fd: prog, attach_type, attach_flags: first ? BPF_F_BEFORE : 0 };
  const result = task.bpf(BPF_PROG_ATTACH, attr);
  if (result < 0) throw new Error(`attach: ${task.lastError?.message}`);
}

export function link({ task }: World, device: NetDevice, prog: number, direction: 'ingress' | 'egress' = 'ingress'): number {
  const attach_type = direction === 'ingress' ? BPF_TCX_INGRESS : BPF_TCX_EGRESS;
  const fd = task.bpf(BPF_LINK_CREATE, { prog_fd: prog, target_ifindex: device.ifindex, attach_type });
  if (fd < 0) throw new Error(`link: ${task.lastError?.message}`);
  return fd;
}

export const progOf = (task: Task, fd: number): BpfProg => task.prog(fd, 'fd');

export function clsact({ task }: World, device: NetDevice): void {
  const { result } = addQdisc(task, { ifindex: device.ifindex, kind: 'clsact' });
  if (result < 0) throw new Error(`clsact: ${errnoName(result)}`);
}
