/** XDP by bpf(2): links. Mirrors bpf_xdp_link_ops of net/core/dev.c. */

import { BpfLink, type AttachTypeOps, type LinkOps, type Task } from '@libbpf-ts/kernel';
import { netnsOf } from '@libbpf-ts/net';
import { BPF_LINK_TYPE_XDP, BPF_PROG_TYPE_XDP, BPF_XDP, KernelError } from '@libbpf-ts/uapi';

import { xdpDevices, type XdpLink, type XdpLinkData } from './devices.ts';

export const xdpLinkOps: LinkOps<XdpLinkData> = {
  type: BPF_LINK_TYPE_XDP,
  name: 'xdp',
  release: (link) => xdpDevices(link.kernel).leave(link),
  detach: (link) => xdpDevices(link.kernel).leave(link),
  updateProg(link, prog, oldProg) {
    const current = link.prog!;
    if (!link.data.device) throw new KernelError('ENOLINK', `link ${link.id} is not attached any more`, 'link_fd');
    if (oldProg && oldProg !== current)
      throw new KernelError('EPERM', `the link runs program ${current.id}, not ${oldProg.id}`, 'old_prog_fd');
    if (prog.type !== current.type || prog.expectedAttachType !== current.expectedAttachType) {
      throw new KernelError('EINVAL', `program ${prog.id} is of another type or attach type`, 'new_prog_fd');
    }
    if (prog !== current) xdpDevices(link.kernel).update(link, prog);
  },
  fillInfo: (link) => ({ xdp: { ifindex: link.data.device?.ifindex ?? 0 } }),
  fdInfo: (link) => `ifindex:\t${link.data.device?.ifindex ?? 0}\n`,
  clone: ({ device }, fork) => ({ device: device && fork.twin(device) }),
};

export const xdpAttachOps: AttachTypeOps = {
  progType: BPF_PROG_TYPE_XDP,
  linkCreate(call, prog) {
    const { attr, kernel } = call;
    const device = netnsOf(call.task).byIndex(attr.target_ifindex);
    if (!device) throw new KernelError('EINVAL', `no device has the ifindex ${attr.target_ifindex}`, 'target_ifindex');
    const link: XdpLink = BpfLink.create(kernel, { ops: xdpLinkOps, prog, data: { device }, attachType: BPF_XDP });
    try {
      xdpDevices(kernel).attach(device, { prog, link, flags: attr.flags });
    } catch (error) {
      link.cancel();
      throw error;
    }
    return link;
  },
};

/** IFLA_XDP of rtnetlink: sets (fd) or takes off (-1) a device's program without a link. 0; throws as the kernel refuses. */
export function setXdp(task: Task, ifindex: number, fd: number, flags = 0, expectedFd?: number): void {
  const device = netnsOf(task).byIndex(ifindex);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${ifindex}`, 'ifindex');
  const prog = fd < 0 ? null : task.prog(fd, 'fd', BPF_PROG_TYPE_XDP);
  const replaces =
    expectedFd === undefined || expectedFd < 0 ? undefined : task.prog(expectedFd, 'expected_fd', BPF_PROG_TYPE_XDP);
  task.kernel.because(task, 'RTM_SETLINK', () => xdpDevices(task.kernel).attach(device, { prog, link: null, flags, replaces }));
}
