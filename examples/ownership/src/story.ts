/** Two applications on one hook: with classic tc one wipes the other, with links they cannot. */

import { addFilter, addQdisc, deleteFilter, dumpFilters, TC_H_MIN_INGRESS } from '@libbpf-ts/cls-bpf';
import { assemble, encode } from '@libbpf-ts/isa';
import type { Kernel, Task } from '@libbpf-ts/kernel';
import { ETH_P_ALL, netOf, udp, type NetDevice } from '@libbpf-ts/net';
import { tcxView } from '@libbpf-ts/tcx';
import {
  BPF_LINK_CREATE,
  BPF_PROG_DETACH,
  BPF_PROG_LOAD,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_TCX_INGRESS,
  cString,
  errnoName,
} from '@libbpf-ts/uapi';
import { createKernel } from '@libbpf-ts/vmlinux';

/** What a step did, and what the hook looks like afterwards. */
export interface Step {
  readonly did: string;
  readonly hook: string;
  /** What became of a packet that is sent now. */
  readonly packet: string;
}

interface Machine {
  readonly kernel: Kernel;
  readonly device: NetDevice;
  readonly step: (did: string) => void;
}

function machine(steps: Step[], show: (kernel: Kernel, device: NetDevice) => string): Machine {
  const kernel = createKernel();
  const device = netOf(kernel).init.addDevice({ name: 'eth0' });
  netOf(kernel).tracing = true;
  const step = (did: string): void => {
    const { path, verdict } = device.receive(udp({ payload: 'hello' }));
    const ran = path.map(({ prog }) => prog).join(', ') || 'no program';
    steps.push({ did, hook: show(kernel, device) || 'empty', packet: `${ran} -> ${verdict}` });
  };
  return { kernel, device, step };
}

/** A program that returns TC_ACT_UNSPEC, TCX_NEXT: the next one decides. */
function load(task: Task, name: string): number {
  const insns = encode(assemble('r0 = -1\nexit'));
  return must(
    task,
    task.bpf(BPF_PROG_LOAD, {
      prog_type: BPF_PROG_TYPE_SCHED_CLS,
      insns,
      insn_cnt: insns.length / 8,
      license: cString('GPL'),
      prog_name: name,
    }),
  );
}

function must(task: Task, result: number): number {
  if (result < 0) throw new Error(task.lastError?.message ?? errnoName(result));
  return result;
}

/** Classic tc: nobody owns a filter, so a tool that sets "its" filter on priority 1, handle 1 takes another's away. */
export function classicStory(): Step[] {
  const steps: Step[] = [];
  const show = (kernel: Kernel, { ifindex }: NetDevice): string => {
    const observer = kernel.task('observer');
    const rows = dumpFilters(observer, { ifindex, parent: TC_H_MIN_INGRESS }).filter(({ handle }) => handle !== 0);
    observer.exit();
    return rows.map(({ prio, handle, name }) => `pref ${prio} handle 0x${handle.toString(16)} ${name}`).join('; ');
  };
  const { kernel, device, step } = machine(steps, show);
  const place = { ifindex: device.ifindex, parent: TC_H_MIN_INGRESS };
  const set = (task: Task, name: string): void => {
    must(
      task,
      addFilter(task, { ...place, protocol: ETH_P_ALL, prio: 1, handle: 1, create: true, flags: 1, fd: load(task, name), name })
        .result,
    );
  };
  const cni = kernel.task('cni');
  const monitor = kernel.task('monitor');
  must(cni, addQdisc(cni, { ifindex: device.ifindex, kind: 'clsact' }).result);
  set(cni, 'pod_policy');
  step('the CNI attaches its policy on priority 1, handle 1');
  set(monitor, 'sampler');
  step('a monitor attaches on the same priority and handle: tc takes it as a change of that filter');
  monitor.exit();
  step('the monitor crashes: its filter stays, and nobody knows whose it is');
  must(cni, deleteFilter(cni, { ...place, prio: 1 }).result);
  step('an operator cleans up priority 1: nothing is left, the policy is not enforced');
  cni.exit();
  return steps;
}

/** The same two on tcx links: each owns its own, and both run. */
export function linkStory(): Step[] {
  const steps: Step[] = [];
  const show = (kernel: Kernel, device: NetDevice): string =>
    tcxView(kernel, device, BPF_TCX_INGRESS)
      .entries.map(({ prog, link }) => `${prog.name}${link ? ` (link ${link.id})` : ''}`)
      .join('; ');
  const { kernel, device, step } = machine(steps, show);
  const attach = (task: Task, name: string): number =>
    must(
      task,
      task.bpf(BPF_LINK_CREATE, { prog_fd: load(task, name), target_ifindex: device.ifindex, attach_type: BPF_TCX_INGRESS }),
    );
  const cni = kernel.task('cni');
  const monitor = kernel.task('monitor');
  attach(cni, 'pod_policy');
  step('the CNI attaches its policy by a link');
  attach(monitor, 'sampler');
  step('a monitor attaches by a link of its own: both are there');
  const refused = monitor.bpf(BPF_PROG_DETACH, { target_ifindex: device.ifindex, attach_type: BPF_TCX_INGRESS });
  step(`the monitor tries to detach without its link: ${errnoName(refused)}`);
  monitor.exit();
  step('the monitor crashes: its link goes with it, the policy stays');
  cni.exit();
  step('the CNI ends: its link goes too, and nothing is left behind');
  return steps;
}
