/** The live kernel's verification time of a program, asked again as often as wanted. */

import { loadEach } from 'libbpf-ts';
import type { ObjectSpec } from 'libbpf-ts';
import { linuxKernel } from '@libbpf-ts/linux';
import { BPF_PROG_LOAD } from '@libbpf-ts/uapi';
import type { BpfAttr, Syscalls } from '@libbpf-ts/uapi';

import type { Row } from './subjects.ts';

const BPF_LOG_STATS = 4;
const EAGAIN = 11;

export interface LiveTime {
  /** Milliseconds, by the kernel's own clock ("verification time"). */
  readonly ms: number;
  readonly processed: number;
}

/** Loads the program into the live kernel; `use` is given a question that loads the same instructions once more. */
export function withLive<T>(spec: ObjectSpec, { program, section }: Row, use: (again: () => LiveTime) => T): T {
  const kernel = linuxKernel();
  let outcome: { readonly value: T } | undefined;
  const watching: Syscalls = new Proxy(kernel, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown;
      if (typeof member !== 'function') return member;
      if (name !== 'bpf') return member.bind(target) as unknown;
      return (cmd: number, attr: BpfAttr<5>): number => {
        if (cmd === BPF_PROG_LOAD) outcome ??= { value: use(() => load(kernel, attr)) };
        return (member as (cmd: number, attr: unknown) => number).call(target, cmd, attr);
      };
    },
  });
  const programs = spec.programs.filter((each) => each.name === program && each.section === section);
  const [result] = loadEach(watching, { ...spec, programs }, { pinDirectory: false });
  if (!outcome) throw new Error(`${program} does not load: ${result?.log_tail ?? 'no such program'}`);
  return outcome.value;
}

function load(kernel: Syscalls, attr: BpfAttr<5>): LiveTime {
  const log_buf = new Uint8Array(1024);
  const asked = { ...attr, log_level: BPF_LOG_STATS, log_size: log_buf.length, log_buf };
  let fd = kernel.bpf(BPF_PROG_LOAD, asked);
  // A signal in the middle (a profiler's) makes the kernel give up: it wants to be asked again.
  for (let tries = 0; fd === -EAGAIN && tries < 20; tries++) fd = kernel.bpf(BPF_PROG_LOAD, asked);
  const log = new TextDecoder().decode(log_buf.subarray(0, Math.max(0, log_buf.indexOf(0))));
  if (fd < 0) throw new Error(`the kernel refuses: errno ${-fd} ${log}`);
  kernel.close(fd);
  const time = /verification time (\d+) usec/.exec(log);
  const processed = /processed (\d+) insns/.exec(log);
  return { ms: Number(time![1]) / 1000, processed: Number(processed![1]) };
}
