/** A `Syscalls` that notes what it is asked and answers with fresh file descriptors, or with the refusals that a test plans. */

import {
  BPF_OBJ_GET_INFO_BY_FD,
  type BpfAttr,
  type BpfCmdNumber,
  type NetlinkAnswer,
  type Syscalls,
  type UserMemory,
} from '@libbpf-ts/uapi';

export interface Asked {
  readonly cmd: number;
  readonly attr: Record<string, unknown>;
  readonly fd: number;
}

export class FakeKernel implements Syscalls {
  readonly asked: Asked[] = [];
  readonly open = new Set<number>();
  readonly plan: (cmd: number, attr: Record<string, unknown>) => number | undefined;
  #next = 3;

  constructor(plan: (cmd: number, attr: Record<string, unknown>) => number | undefined = () => undefined) {
    this.plan = plan;
  }

  bpf<C extends BpfCmdNumber>(cmd: C, attr: BpfAttr<C>): number {
    const fields = attr as Record<string, unknown>;
    const planned = this.plan(cmd, fields);
    const makes = [0, 5, 7, 17, 18, 28].includes(cmd);
    const result = planned ?? (makes ? this.#next++ : cmd === BPF_OBJ_GET_INFO_BY_FD ? 0 : cmd === 23 ? -2 : 0);
    if (makes && result >= 0) this.open.add(result);
    this.asked.push({ cmd, attr: { ...fields }, fd: result });
    return result;
  }

  bpfRaw(_cmd: number, _attr: Uint8Array, _size: number, _memory: UserMemory): number {
    return -38;
  }

  close(fd: number): number {
    return this.open.delete(fd) ? 0 : -9;
  }

  ifNameToIndex(name: string): number {
    return name === 'eth0' ? 2 : -19;
  }

  rtnetlink(): NetlinkAnswer {
    return { result: -95, extack: undefined, messages: [] };
  }

  mmap(): number {
    return -524;
  }

  fdInfo(): string {
    return '';
  }

  of(cmd: number): Asked[] {
    return this.asked.filter((item) => item.cmd === cmd);
  }
}
