/** The bpf(2) commands of tcx. The order of the lines is the order of the kernel's checks. Mirrors kernel/bpf/tcx.c. */

import { BpfLink, type AttachTypeOps, type BpfCall } from '@libbpf-ts/kernel';
import { answerQuery, resolveRelative, type HookRequest } from '@libbpf-ts/mprog';
import { netnsOf, type NetDevice } from '@libbpf-ts/net';
import { BPF_F_REPLACE, BPF_PROG_TYPE_SCHED_CLS, KernelError } from '@libbpf-ts/uapi';

import { tcxEntries, type TcxAttachType, type TcxLink } from './entries.ts';
import { tcxLinkOps } from './link.ts';

/** The device in the namespace of the calling task. Throws ENODEV. */
function deviceOf(call: BpfCall, ifindex: number): NetDevice {
  const device = netnsOf(call.task).byIndex(ifindex);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${ifindex}`, 'target_ifindex');
  return device;
}

function requestOf(call: BpfCall<8> | BpfCall<9>, progType: number | undefined): HookRequest {
  const { attach_flags: flags, relative_fd, expected_revision } = call.attr;
  return { flags, expectedRevision: expected_revision, anchor: () => resolveRelative(call.task, flags, relative_fd, progType) };
}

/** The commands for BPF_TCX_INGRESS or BPF_TCX_EGRESS. */
export function tcxAttachOps(type: TcxAttachType): AttachTypeOps {
  return {
    progType: BPF_PROG_TYPE_SCHED_CLS,
    mprog: true,
    attach(call, prog) {
      const { task, attr } = call;
      const device = deviceOf(call, attr.target_ifindex);
      const replaces =
        attr.attach_flags & BPF_F_REPLACE ? task.prog(attr.replace_bpf_fd, 'replace_bpf_fd', prog.type) : undefined;
      tcxEntries(call.kernel).change(device, type, (hook) =>
        hook.attachProg(prog, { ...requestOf(call, prog.type), replaces }),
      );
    },
    detach(call, prog) {
      const device = deviceOf(call, call.attr.target_ifindex);
      const entries = tcxEntries(call.kernel);
      if (!entries.find(device, type)) throw new KernelError('ENOENT', `nothing is attached to ${device}`, 'target_ifindex');
      entries.change(device, type, (hook) => hook.detachProg(prog, requestOf(call, prog?.type)));
    },
    query(call) {
      const device = deviceOf(call, call.attr.target_ifindex);
      answerQuery(call, tcxEntries(call.kernel).find(device, type)?.list);
    },
    linkCreate(call, prog) {
      const { attr, kernel, task } = call;
      const device = deviceOf(call, attr.target_ifindex);
      const link: TcxLink = BpfLink.create(kernel, { ops: tcxLinkOps, prog, data: { device }, attachType: type });
      const { flags } = attr;
      const relative = attr.tcx.relative_fd ?? 0;
      const anchor = (): ReturnType<typeof resolveRelative> => resolveRelative(task, flags, relative, prog.type);
      try {
        tcxEntries(kernel).change(device, type, (hook) =>
          hook.attachLink(link, { flags, anchor, expectedRevision: attr.tcx.expected_revision }),
        );
      } catch (error) {
        link.cancel();
        throw error;
      }
      return link;
    },
  };
}
