/** The program types over packets: sched_cls and sched_act. tcx and classic tc both run them. */

import type { HelperFactory, Kernel, ProgTypeOps } from '@libbpf-ts/kernel';
import {
  BPF_F_CTXLEN_MASK,
  BPF_FUNC_perf_event_output,
  BPF_PROG_TYPE_SCHED_ACT,
  BPF_PROG_TYPE_SCHED_CLS,
} from '@libbpf-ts/uapi';
import { schedActOps, schedClsOps } from '@libbpf-ts/verifier/protos';

import { failed, skbAt } from './helpers/define.ts';
import { skbHelpers } from './helpers/index.ts';
import { skbPacketLoad } from './packet-load.ts';
import { netOf } from './subsystem.ts';
import { testRunSkb } from './test-run.ts';

/**
 * bpf_perf_event_output with a part of the packet behind the program's own data: the flags' upper half says how many bytes.
 * The map's own implementation sends it, from a copy that holds both.
 */
const skbEventOutput: HelperFactory = (kernel) => {
  const net = netOf(kernel);
  const { arena } = net;
  return {
    name: 'bpf_perf_event_output',
    args: ['u32', 'u32', 'u64', 'u32', 'u64'],
    returns: 's32',
    run: (context, map, flags, flagsHigh, data, size, sizeHigh) => {
      const factory = kernel.helpers.get(BPF_FUNC_perf_event_output);
      if (!factory) return failed('EOPNOTSUPP');
      const send = kernel.helperOf(factory).run;
      const payload = flagsHigh! >>> 0;
      const skb = skbAt(net, context!);
      if (payload & ~Number(BigInt(BPF_F_CTXLEN_MASK) >> 32n)) return failed('EINVAL');
      if (payload > skb.len) return failed('EFAULT');
      if (payload === 0) return send(context!, map!, flags!, 0, data!, size!, sizeHigh!);
      const both = arena.allocate((size! >>> 0) + payload);
      arena.u8.copyWithin(both, data! >>> 0, (data! >>> 0) + (size! >>> 0));
      arena.u8.copyWithin(both + (size! >>> 0), skb.data, skb.data + payload);
      const result = send(context!, map!, flags!, 0, both, (size! >>> 0) + payload, 0);
      arena.free(both);
      return result;
    },
  };
};

const helperOf = (id: number): HelperFactory | undefined =>
  id === BPF_FUNC_perf_event_output ? skbEventOutput : skbHelpers.get(id);

export const schedClsType: ProgTypeOps = {
  type: BPF_PROG_TYPE_SCHED_CLS,
  name: 'sched_cls',
  verifier: schedClsOps,
  helper: helperOf,
  packetLoad: skbPacketLoad,
  testRun: testRunSkb,
};

export const schedActType: ProgTypeOps = {
  ...schedClsType,
  type: BPF_PROG_TYPE_SCHED_ACT,
  name: 'sched_act',
  verifier: schedActOps,
};

/** Registers the two types where nobody has yet. */
export function registerPacketTypes(kernel: Kernel): void {
  for (const type of [schedClsType, schedActType])
    if (!kernel.progTypes.has(type.type)) kernel.progTypes.register(type.type, type);
}
