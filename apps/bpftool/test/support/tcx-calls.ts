/** What the contract of tcx says in calls of one process, on whichever kernel. */

import {
  BPF_LINK_CREATE,
  bpf_link_info,
  BPF_LINK_UPDATE,
  BPF_OBJ_GET_INFO_BY_FD,
  BPF_PROG_ATTACH,
  BPF_PROG_DETACH,
  bpf_prog_info,
  BPF_PROG_LOAD,
  BPF_PROG_QUERY,
  BPF_PROG_TYPE_SCHED_CLS,
  BPF_TCX_INGRESS,
  cString,
  errnoName,
  type Syscalls,
} from '@libbpf-ts/uapi';

/** r0 = -1 (TCX_NEXT), or 1 where a program of that type may not say so; exit */
const code = (prog_type: number): Uint8Array =>
  new Uint8Array(Int32Array.of(0xb7, prog_type === BPF_PROG_TYPE_SCHED_CLS ? -1 : 1, 0x95, 0).buffer);

export interface LinkShown {
  readonly type: number;
  readonly id: number;
  readonly prog: number;
  readonly ifindex: number;
  readonly attach_type: number;
}

/** Calls about one hook of a device; programs and links have names, so that both kernels tell of a hook in the same words. */
export class TcxCalls {
  readonly sys: Syscalls;
  readonly ifindex: number;
  readonly attach_type: number;
  /** Of the last query. */
  revision = 0;
  readonly #progs = new Map<number, string>();
  readonly #links = new Map<number, string>();

  constructor(sys: Syscalls, ifindex: number, attach_type: number = BPF_TCX_INGRESS) {
    this.sys = sys;
    this.ifindex = ifindex;
    this.attach_type = attach_type;
  }

  load(name: string, prog_type: number = BPF_PROG_TYPE_SCHED_CLS): number {
    const fd = this.sys.bpf(BPF_PROG_LOAD, { prog_type, insns: code(prog_type), insn_cnt: 2, license: cString('GPL') });
    if (fd < 0) throw new Error(`program ${name}: ${errnoName(fd)}`);
    this.#progs.set(this.progId(fd), name);
    return fd;
  }

  progId(fd: number): number {
    const info = new Uint8Array(bpf_prog_info.size);
    this.sys.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: fd, info, info_len: info.length });
    return bpf_prog_info.read(new DataView(info.buffer)).id;
  }

  /** BPF_LINK_CREATE at the end of the hook, or where `more` says: the fd, or the errno's name. */
  link(name: string, prog_fd: number, more: { flags?: number; relative_fd?: number; expected_revision?: bigint } = {}): number {
    const { flags = 0, ...tcx } = more;
    const { ifindex: target_ifindex, attach_type } = this;
    const fd = this.sys.bpf(BPF_LINK_CREATE, { prog_fd, target_ifindex, attach_type, flags, tcx });
    if (fd >= 0) this.#links.set(this.info(fd).id, name);
    return fd;
  }

  update(link_fd: number, new_prog_fd: number, more: { flags?: number; old_prog_fd?: number } = {}): string {
    return said(this.sys.bpf(BPF_LINK_UPDATE, { link_fd, new_prog_fd, ...more }));
  }

  attach(attach_bpf_fd: number, more: { attach_flags?: number; replace_bpf_fd?: number; relative_fd?: number } = {}): string {
    const { ifindex: target_ifindex, attach_type } = this;
    return said(this.sys.bpf(BPF_PROG_ATTACH, { target_ifindex, attach_type, attach_bpf_fd, ...more }));
  }

  detach(attach_bpf_fd: number, more: { attach_flags?: number; relative_fd?: number } = {}): string {
    const { ifindex: target_ifindex, attach_type } = this;
    return said(this.sys.bpf(BPF_PROG_DETACH, { target_ifindex, attach_type, attach_bpf_fd, ...more }));
  }

  info(link_fd: number): LinkShown {
    const info = new Uint8Array(bpf_link_info.size);
    const result = this.sys.bpf(BPF_OBJ_GET_INFO_BY_FD, { bpf_fd: link_fd, info, info_len: info.length });
    if (result < 0) throw new Error(`link info: ${errnoName(result)}`);
    const { type, id, prog_id, tcx } = bpf_link_info.read(new DataView(info.buffer));
    return { type, id, prog: prog_id, ifindex: tcx.ifindex ?? 0, attach_type: tcx.attach_type ?? 0 };
  }

  /** `[program id, link id or 0]` of each place. */
  places(): [number, number][] {
    const [prog_ids, link_ids] = [new Uint32Array(128), new Uint32Array(128)];
    const attr = { target_ifindex: this.ifindex, attach_type: this.attach_type, prog_ids, link_ids, count: 128, revision: 0n };
    const result = this.sys.bpf(BPF_PROG_QUERY, attr);
    if (result < 0) throw new Error(`query: ${errnoName(result)}`);
    this.revision = Number(attr.revision);
    return Array.from(prog_ids.subarray(0, attr.count), (id, at) => [id, link_ids[at]!]);
  }
  /** Its revision, then "program" or "program/link" in order. */
  hook(): string {
    const names = this.places().map(([prog, link]) => {
      const name = this.#progs.get(prog) ?? '?';
      return link === 0 ? name : `${name}/${this.#links.get(link) ?? '?'}`;
    });
    return [`r${this.revision}`, ...names].join(' ');
  }
}

export const said = (result: number): string => (result >= 0 ? 'OK' : (errnoName(result) ?? String(result)));
