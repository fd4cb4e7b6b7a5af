/** Links: what keeps a program attached. */

import {
  bpf_link_info,
  BPF_LINK_DETACH,
  BPF_LINK_TYPE_CGROUP,
  BPF_LINK_TYPE_NETKIT,
  BPF_LINK_TYPE_TCX,
  BPF_LINK_TYPE_XDP,
  BPF_LINK_UPDATE,
  BPF_OBJ_GET_INFO_BY_FD,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { call } from './call.ts';
import { Handle } from './handle.ts';
import type { Hook } from './hook.ts';

/** Of `struct bpf_link_info`: what all links have, and where those of devices and cgroups are attached. */
export interface LinkInfo {
  /** BPF_LINK_TYPE_*. */
  readonly type: number;
  readonly id: number;
  readonly prog_id: number;
  /** 0 once the device is gone. */
  readonly ifindex?: number | undefined;
  readonly cgroup_id?: bigint | undefined;
  readonly attach_type?: number | undefined;
}

/** An attachment. Closing it detaches the program, unless the link is pinned or released. */
export class Link extends Handle {
  readonly isLink = true;
  readonly hook: Hook | undefined;

  constructor(sys: Syscalls, fd: number, hook?: Hook) {
    super(sys, fd);
    this.hook = hook;
  }

  /** What the kernel knows of the link. */
  info(): LinkInfo {
    const info = new Uint8Array(bpf_link_info.size);
    call(this.sys, BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: this.fd, info_len: info.length, info }, 'of a link');
    const { type, id, prog_id, tcx, xdp, netkit, cgroup } = bpf_link_info.read(new DataView(info.buffer));
    const place = {
      [BPF_LINK_TYPE_TCX]: tcx,
      [BPF_LINK_TYPE_XDP]: xdp,
      [BPF_LINK_TYPE_NETKIT]: netkit,
      [BPF_LINK_TYPE_CGROUP]: cgroup,
    }[type];
    return { type, id, prog_id, ...place };
  }

  get id(): number {
    return this.info().id;
  }

  /** Puts another program in place of the attached one, in one step. With `expected`, only if that one is attached. */
  update(program: Handle, options: { readonly expected?: Handle } = {}): this {
    const attr = {
      link_fd: this.fd,
      new_prog_fd: program.fd,
      flags: options.expected ? 4 : 0,
      ...(options.expected ? { old_prog_fd: options.expected.fd } : {}),
    };
    call(this.sys, BPF_LINK_UPDATE, attr, 'cannot update the link');
    return this;
  }

  /** Detaches at once, whoever else holds the link; it stays, defunct. */
  detach(): void {
    call(this.sys, BPF_LINK_DETACH, { link_fd: this.fd }, 'cannot detach the link');
  }
}
