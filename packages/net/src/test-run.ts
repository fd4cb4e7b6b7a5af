/** BPF_PROG_TEST_RUN of programs over packets. Mirrors bpf_prog_test_run_skb. */

import type { BpfCall, BpfProg } from '@libbpf-ts/kernel';
import { __sk_buff, KernelError } from '@libbpf-ts/uapi';

import { placeAt, type Net } from './net.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from './packet.ts';
import type { Skb } from './skb.ts';
import { netnsOf, netOf } from './subsystem.ts';

/** Largest frame: a page less the room that the kernel keeps around it. */
const TEST_MAX = 3712;
const GSO_LEGACY_MAX_SIZE = 65_536;
const GSO_MAX_SEGS = 65_535;

const at = (field: Parameters<typeof __sk_buff.offsetOf>[0]): number => __sk_buff.offsetOf(field);

/** Fields that ctx_in may set, as [start, end); every other byte must be zero. */
const SETTABLE: readonly (readonly [number, number])[] = [
  [at('mark'), at('mark') + 4],
  [at('priority'), at('priority') + 4],
  [at('ingress_ifindex'), at('ingress_ifindex') + 4],
  [at('ifindex'), at('ifindex') + 4],
  [at('cb'), at('cb') + 20],
  [at('tstamp'), at('tstamp') + 8],
  [at('wire_len'), at('wire_len') + 4],
  [at('gso_segs'), at('gso_segs') + 4],
  [at('gso_size'), at('gso_size') + 4],
  [at('hwtstamp'), at('hwtstamp') + 8],
];
/** Fields that come back; gso_size stays what it was. */
const RETURNED: readonly (readonly [number, number])[] = SETTABLE.filter(([start]) => start !== at('gso_size'));

/** Runs a sched_cls or sched_act program over a frame of the caller's. */
export function testRunSkb(call: BpfCall<10>, prog: BpfProg): void {
  testRunPacket(call, prog, true);
}

/** The same for programs that see packets from the network header on: the MAC header comes back as zeros. */
export function testRunNetworkSkb(call: BpfCall<10>, prog: BpfProg): void {
  testRunPacket(call, prog, false);
}

function testRunPacket(call: BpfCall<10>, prog: BpfProg, fromMacHeader: boolean): void {
  const { attr, kernel } = call;
  const state = netOf(kernel);
  refuseOptions(attr);
  const frame = readFrameIn(call);
  const ctx = readContext(call, __sk_buff.size);
  const device = pickDevice(call, ctx);
  const skb = state.skbs.fromBytes(frame);
  try {
    placeAt(skb, device);
    skb.readEthernet(device.mac);
    checkNetworkHeader(skb);
    state.testSocket.giveTo(skb);
    if (!fromMacHeader) skb.pull(ETH_HLEN);
    if (ctx) applyContext(state, skb, ctx);
    const { retval, duration } = runRepeated(call, prog, skb.address);
    if (!fromMacHeader) putZeroMacHeader(state, skb);
    if (ctx) readBack(state, skb, ctx);
    finish(call, skb.bytes().slice(), retval, duration);
    finishContext(call, ctx);
  } finally {
    state.skbs.free(skb);
  }
}

function putZeroMacHeader(net: Net, skb: Skb): void {
  skb.push(ETH_HLEN);
  net.arena.u8.fill(0, skb.data, skb.data + ETH_HLEN);
}

function refuseOptions(attr: BpfCall<10>['attr']): void {
  if (attr.flags !== 0)
    throw new KernelError('EINVAL', `flags 0x${attr.flags.toString(16)} are not for packet programs`, 'flags');
  if (attr.cpu !== 0) throw new KernelError('EINVAL', 'cpu is not for packet programs', 'cpu');
  if (attr.batch_size !== 0) throw new KernelError('EINVAL', 'batch_size is not for packet programs', 'batch_size');
}

function readFrameIn(call: BpfCall<10>): Uint8Array {
  const size = call.attr.data_size_in;
  if (size < ETH_HLEN || size > TEST_MAX) {
    throw new KernelError('EINVAL', `a frame has ${ETH_HLEN} to ${TEST_MAX} bytes, not ${size}`, 'data_size_in');
  }
  return call.read(call.attr.data_in, size, 'data_in');
}

/** The caller's context, zero-extended; undefined where it gives and wants none. */
export function readContext(call: BpfCall<10>, size: number): Uint8Array | undefined {
  const { ctx_in, ctx_out, ctx_size_in } = call.attr;
  if (ctx_in === 0n && ctx_out === 0n) return undefined;
  const ctx = new Uint8Array(size);
  if (ctx_in === 0n) return ctx;
  if (ctx_size_in > 4096) throw new KernelError('E2BIG', 'the context is larger than a page', 'ctx_size_in');
  const given = call.read(ctx_in, ctx_size_in, 'ctx_in');
  if (given.subarray(size).some((byte) => byte !== 0))
    throw new KernelError('E2BIG', 'the context has unknown fields that are not zero', 'ctx_in');
  ctx.set(given.subarray(0, size));
  return ctx;
}

function pickDevice(call: BpfCall<10>, ctx: Uint8Array | undefined): NonNullable<ReturnType<Net['deviceByUid']>> {
  const netns = netnsOf(call.task);
  const ifindex = ctx ? new DataView(ctx.buffer).getUint32(at('ifindex'), true) : 0;
  const device = netns.byIndex(ifindex > 1 ? ifindex : 1);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${ifindex}`, 'ctx_in');
  return device;
}

function checkNetworkHeader(skb: Skb): void {
  const least = skb.protocol === ETH_P_IP ? 20 : skb.protocol === ETH_P_IPV6 ? 40 : 0;
  if (skb.len - ETH_HLEN < least) throw new KernelError('EINVAL', `the frame is too short for its IP header`, 'data_in');
}

function applyContext(net: Net, skb: Skb, ctx: Uint8Array): void {
  let from = 0;
  for (const [start, end] of [...SETTABLE, [ctx.length, ctx.length] as const].sort((a, b) => a[0] - b[0])) {
    const junk = ctx.subarray(from, start).findIndex((byte) => byte !== 0);
    if (junk >= 0) throw new KernelError('EINVAL', `byte ${from + junk} of the context cannot be set`, 'ctx_in');
    from = end;
  }
  const view = new DataView(ctx.buffer);
  const wire = view.getUint32(at('wire_len'), true);
  if (wire !== 0 && (wire < skb.len || wire > GSO_LEGACY_MAX_SIZE))
    throw new KernelError('EINVAL', `wire_len ${wire} does not fit the frame`, 'ctx_in');
  if (view.getUint32(at('gso_segs'), true) > GSO_MAX_SEGS) throw new KernelError('EINVAL', 'too many gso_segs', 'ctx_in');
  const { u8 } = net.arena;
  for (const [start, end] of SETTABLE) if (start !== at('ifindex')) u8.set(ctx.subarray(start, end), skb.address + start);
  if (wire === 0) skb.set('wire_len', skb.len);
  skb.set('gso_size', skb.get('gso_size') & 0xffff);
}

function readBack(net: Net, skb: Skb, ctx: Uint8Array): void {
  for (const [start, end] of RETURNED) ctx.set(net.arena.u8.subarray(skb.address + start, skb.address + end), start);
}

/** Runs `attr.repeat` times (at least once) inside the engine. The duration is in ns a run. */
export function runRepeated(
  call: BpfCall<10>,
  prog: BpfProg,
  context: number,
): { readonly retval: number; readonly duration: number } {
  const { kernel } = call;
  const repeat = call.attr.repeat || 1;
  const start = performance.now();
  let retval = 0;
  if (kernel.stats.enabled) for (let run = 0; run < repeat; run++) retval = prog.run(context);
  else {
    kernel.enterRun();
    try {
      retval = repeat === 1 ? prog.loaded.run(context) : prog.loaded.repeat(context, repeat);
    } finally {
      kernel.leaveRun();
    }
  }
  return { retval: retval >>> 0, duration: Math.min(0xffff_ffff, Math.round(((performance.now() - start) * 1e6) / repeat)) };
}

/** Copies data and results out (`bpf_test_finish`). Throws ENOSPC after everything was written. */
export function finish(call: BpfCall<10>, data: Uint8Array, retval: number, duration: number): void {
  const { data_out, data_size_out } = call.attr;
  const short = data_size_out !== 0 && data.length > data_size_out;
  if (data_out !== 0n) call.write(data_out, short ? data.subarray(0, data_size_out) : data, 'data_out');
  call.put('data_size_out', data.length);
  call.put('retval', retval);
  call.put('duration', duration);
  if (data_out !== 0n && short)
    throw new KernelError('ENOSPC', `the frame has ${data.length} bytes, data_out ${data_size_out}`, 'data_size_out');
}

/** Copies the context out (`bpf_ctx_finish`). */
export function finishContext(call: BpfCall<10>, ctx: Uint8Array | undefined): void {
  const { ctx_out, ctx_size_out } = call.attr;
  if (!ctx || ctx_out === 0n) return;
  const short = ctx_size_out !== 0 && ctx.length > ctx_size_out;
  call.write(ctx_out, short ? ctx.subarray(0, ctx_size_out) : ctx, 'ctx_out');
  call.put('ctx_size_out', ctx.length);
  if (short) throw new KernelError('ENOSPC', `the context has ${ctx.length} bytes, ctx_out ${ctx_size_out}`, 'ctx_size_out');
}
