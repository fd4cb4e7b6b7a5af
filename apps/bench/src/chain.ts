/** What programs on one tcx hook cost, against the same programs called one by one from JavaScript. */

import { performance } from 'node:perf_hooks';

import { assemble, encode } from '@libbpf-ts/isa';
import { netOf } from '@libbpf-ts/net';
import type { Skb } from '@libbpf-ts/net';
import { BPF_PROG_ATTACH, BPF_PROG_LOAD, BPF_TCX_INGRESS, cString } from '@libbpf-ts/uapi';
import { createKernel } from '@libbpf-ts/vmlinux';

import { benchPacket } from './programs.ts';
import { median } from './rounds.ts';

/** One, some, and as many as a hook takes. */
const LENGTHS = [1, 8, 63] as const;
const BPF_PROG_TYPE_SCHED_CLS = 3;
const FRAME_BYTES = 64;

export interface ChainRow {
  readonly programs: number;
  /** Nanoseconds for all of them: the hook's walk, each called by `LoadedProgram.run`, and a frame received by the device. */
  readonly hook: number;
  readonly one_by_one: number;
  readonly receive: number;
}

export interface Chain {
  readonly rows: readonly ChainRow[];
  /** Nanoseconds that each program after the first adds, from 1 to 63. */
  readonly extra_hook: number;
  readonly extra_one_by_one: number;
  /** The first to the second: medians of the ratios round by round. */
  readonly ratio: number;
}

/** Looks at a byte of the packet and lets it pass to the next program; `n` makes each one different. */
const programText = (n: number): string => `r2 = *(u32 *)(r1 +76)
  r3 = *(u32 *)(r1 +80)
  r4 = r2
  r4 += 14
  if r4 > r3 goto pc+2
  r5 = *(u8 *)(r2 +12)
  if r5 == ${(n % 200) + 20} goto pc+2
  r0 = -1
  exit
  r0 = 0
  exit`;

interface Subject {
  readonly programs: number;
  readonly hook: (count: number) => void;
  readonly oneByOne: (count: number) => void;
  readonly receive: (count: number) => void;
}

function subject(programs: number): Subject {
  const kernel = createKernel();
  const task = kernel.task('bench');
  const net = netOf(kernel);
  const device = net.init.addDevice({ name: 'bench0' });
  const loaded = Array.from({ length: programs }, (_, n) => {
    const insns = assemble(programText(n));
    const attr = { prog_type: BPF_PROG_TYPE_SCHED_CLS, insns: encode(insns), insn_cnt: insns.length, license: cString('GPL') };
    const fd = task.bpf(BPF_PROG_LOAD, attr);
    const attached = task.bpf(BPF_PROG_ATTACH, {
      target_ifindex: device.ifindex,
      attach_bpf_fd: fd,
      attach_type: BPF_TCX_INGRESS,
    });
    if (fd < 0 || attached < 0) throw new Error(`program ${n}: errno ${-Math.min(fd, attached)}`);
    return task.prog(fd, 'prog_fd').loaded;
  });
  const frame = benchPacket().subarray(0, FRAME_BYTES);
  const skb: Skb = net.skbs.fromBytes(frame);
  const { tcx } = device.ingress;
  if (!tcx) throw new Error('nothing is attached');
  return {
    programs,
    hook(count) {
      for (let round = 0; round < count; round++) tcx.run(skb, device);
    },
    oneByOne(count) {
      for (let round = 0; round < count; round++) for (const program of loaded) program.run(skb.address);
    },
    receive(count) {
      for (let round = 0; round < count; round++) device.receive(frame);
    },
  };
}

/** Interleaved rounds of `slice` ms a side. */
export function measureChain(rounds: number, slice: number): Chain {
  const subjects = LENGTHS.map(subject);
  const sides = ['hook', 'oneByOne', 'receive'] as const;
  const time = (action: (count: number) => void, count: number): number => {
    const start = performance.now();
    action(count);
    return ((performance.now() - start) * 1e6) / count;
  };
  const counts = subjects.map((entry) => sides.map((side) => warm((count) => time(entry[side], count), slice)));
  const ns = subjects.map(() => sides.map((): number[] => []));
  for (let round = 0; round < rounds; round++) {
    subjects.forEach((entry, row) => {
      sides.forEach((side, column) => ns[row]![column]!.push(time(entry[side], counts[row]![column]!)));
    });
  }
  const rows = subjects.map(({ programs }, row): ChainRow => {
    const [hook, one_by_one, receive] = ns[row]!.map(median) as [number, number, number];
    return { programs, hook, one_by_one, receive };
  });
  const extra = (column: number): number[] =>
    ns[0]![column]!.map((first, round) => (ns.at(-1)![column]![round]! - first) / (LENGTHS.at(-1)! - 1));
  const [hook, calls] = [extra(0), extra(1)];
  return {
    rows,
    extra_hook: median(hook),
    extra_one_by_one: median(calls),
    ratio: median(hook.map((value, round) => value / calls[round]!)),
  };
}

/** Runs until the optimising compiler has had its time; returns the runs that fill a slice. */
function warm(measure: (count: number) => number, slice: number): number {
  const until = performance.now() + 250;
  let count = 1;
  while (performance.now() < until) count = Math.max(1, Math.min(Math.round((slice * 1e6) / measure(count)), count * 8));
  return count;
}

export function chainTable({ rows, extra_hook, extra_one_by_one, ratio }: Chain): string {
  const cell = (text: string | number): string => (typeof text === 'number' ? text.toFixed(1) : text).padStart(12);
  const lines = rows.map(({ programs, hook, one_by_one, receive }) =>
    [String(programs).padEnd(14), cell(hook), cell(one_by_one), cell(receive)].join(' '),
  );
  const head = ['tcx programs'.padEnd(14), ...['hook ns', 'by calls ns', 'receive ns'].map(cell)].join(' ');
  const each = `each more: ${extra_hook.toFixed(1)} ns on the hook, ${extra_one_by_one.toFixed(1)} ns by calls, ratio ${ratio.toFixed(2)}`;
  return `\n${head}\n${lines.join('\n')}\n${each}\n\nMedians, a frame of ${FRAME_BYTES} bytes; each program reads a byte of it and says TCX_NEXT.\n`;
}
