/** Links of tcx: they own their place on the hook until they are detached, closed for good, or their device goes. */

import type { LinkOps } from '@libbpf-ts/kernel';
import { BPF_LINK_TYPE_TCX, BPF_TCX_INGRESS, KernelError } from '@libbpf-ts/uapi';

import { tcxEntries, type TcxLink, type TcxLinkData } from './entries.ts';

/** Takes the link off its hook; nothing where it is off already. */
function leave(link: TcxLink): void {
  const { device } = link.data;
  if (!device) return;
  link.data.device = undefined;
  tcxEntries(link.kernel).change(device, link.attachType, (hook) => hook.detachLink(link));
}

export const tcxLinkOps: LinkOps<TcxLinkData> = {
  type: BPF_LINK_TYPE_TCX,
  name: 'tcx',
  release: leave,
  detach: leave,
  updateProg(link, prog, oldProg) {
    const { device } = link.data;
    if (!device) throw new KernelError('ENOLINK', `link ${link.id} is not attached any more`, 'link_fd');
    const current = link.prog!;
    if (oldProg && oldProg !== current)
      throw new KernelError('EPERM', `the link runs program ${current.id}, not ${oldProg.id}`, 'old_prog_fd');
    if (prog === current) return;
    // The kernel replaces relative to the link's own program, by its id: that is where a program of another type is refused.
    const anchor = (): { prog: typeof current; link: null } => {
      if (prog.type !== current.type) throw new KernelError('EINVAL', `program ${prog.id} is of another type`, 'new_prog_fd');
      return { prog: current, link: null };
    };
    tcxEntries(link.kernel).change(device, link.attachType, (hook) => hook.updateLink(link, prog, anchor));
  },
  fillInfo: (link) => ({ tcx: { ifindex: link.data.device?.ifindex ?? 0, attach_type: link.attachType } }),
  fdInfo: (link) => {
    const name = link.attachType === BPF_TCX_INGRESS ? 'ingress' : 'egress';
    return `ifindex:\t${link.data.device?.ifindex ?? 0}\nattach_type:\t${link.attachType} (${name})\n`;
  },
  clone: ({ device }, fork) => ({ device: device && fork.twin(device) }),
};
