import { assemble, encode } from '@libbpf-ts/isa';
import type { Task } from '@libbpf-ts/kernel';
import { BPF_F_FIRST } from '@libbpf-ts/mprog';
import { icmpEcho, netOf, udp } from '@libbpf-ts/net';
import { BPF_F_BEFORE, BPF_LINK_CREATE, BPF_PROG_LOAD, BPF_PROG_TYPE_XDP, cString, errnoName } from '@libbpf-ts/uapi';
import { createKernel, defaultSubsystems } from '@libbpf-ts/vmlinux';
import { expect, test } from 'vitest';

import { BPF_MULTI_XDP, multiXdp, onDevice } from '../src/multi-xdp.ts';

const PASS = 'r0 = 2\nexit';
/** Drops what has this protocol in its IPv4 header. */
const dropProtocol = (protocol: number): string => `
  r2 = *(u32 *)(r1 +0)
  r3 = *(u32 *)(r1 +4)
  r0 = 2
  r4 = r2
  r4 += 34
  if r4 > r3 goto pc+3
  r5 = *(u8 *)(r2 +23)
  if r5 != ${protocol} goto pc+1
  r0 = 1
  exit`;

function attach(task: Task, target: number, text: string, prog_name: string, flags = 0): number {
  const insns = encode(assemble(text));
  const prog_fd = task.bpf(BPF_PROG_LOAD, {
    prog_type: BPF_PROG_TYPE_XDP,
    insns,
    insn_cnt: insns.length / 8,
    license: cString('GPL'),
    prog_name,
  });
  expect(prog_fd).toBeGreaterThan(0);
  return task.bpf(BPF_LINK_CREATE, { prog_fd, target_ifindex: target, attach_type: BPF_MULTI_XDP, flags });
}

test('three applications share one device, and each takes only its own program along', () => {
  const kernel = createKernel({ subsystems: [...defaultSubsystems, multiXdp.subsystem] });
  const device = netOf(kernel).init.addDevice({ name: 'eth0' });
  const point = onDevice(kernel, device);
  const [ddos, balancer, monitor] = ['ddos', 'balancer', 'monitor'].map((name) => kernel.task(name));
  attach(balancer!, point.target, dropProtocol(1), 'balancer');
  attach(ddos!, point.target, dropProtocol(17), 'ddos', BPF_F_FIRST);
  attach(monitor!, point.target, PASS, 'monitor', BPF_F_BEFORE);
  expect(point.order).toEqual(['ddos', 'monitor', 'balancer']);
  expect([device.receive(udp()).xdp, device.receive(icmpEcho()).xdp]).toEqual([1, 1]);
  expect(errnoName(attach(monitor!, point.target, PASS, 'greedy', BPF_F_FIRST))).toBe('EBUSY');
  ddos!.exit();
  expect(point.order).toEqual(['monitor', 'balancer']);
  expect([device.receive(udp()).outcome, device.receive(icmpEcho()).outcome]).toEqual(['delivered', 'dropped']);
  balancer!.exit();
  monitor!.exit();
  expect(device.receive(icmpEcho()).outcome).toBe('delivered');
  expect(kernel.leaks()).toEqual([]);
});
