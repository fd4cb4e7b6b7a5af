/** BPF_PROG_TEST_RUN of XDP programs. Mirrors bpf_prog_test_run_xdp. */

import type { BpfCall, BpfProg } from '@libbpf-ts/kernel';
import {
  ETH_HLEN,
  finish,
  finishContext,
  netnsOf,
  netOf,
  placeAt,
  readContext,
  runRepeated,
  xdpRedirect,
  type NetDevice,
  type Skb,
} from '@libbpf-ts/net';
import {
  BPF_F_TEST_XDP_LIVE_FRAMES,
  BPF_XDP_CPUMAP,
  BPF_XDP_DEVMAP,
  KernelError,
  xdp_md,
  XDP_PASS,
  XDP_REDIRECT,
  XDP_TX,
} from '@libbpf-ts/uapi';

import { xdpDevices } from './devices.ts';
import type { XdpFrame } from './frame.ts';

/** The linear part: a page less head and tail room; what is longer are fragments. */
const LINEAR_MAX = 3520;
const MAX_BATCH = 256;
const META_MAX = 252;

const refuse = (detail: string, argument: string): never => {
  throw new KernelError('EINVAL', detail, argument);
};

export function testRunXdp(call: BpfCall<10>, prog: BpfProg): void {
  const { attr, kernel } = call;
  const type = prog.expectedAttachType;
  if (type === BPF_XDP_DEVMAP || type === BPF_XDP_CPUMAP) refuse('programs for map entries cannot be run', 'prog_fd');
  if (attr.flags & ~BPF_F_TEST_XDP_LIVE_FRAMES) refuse('unknown flags', 'flags');
  const live = (attr.flags & BPF_F_TEST_XDP_LIVE_FRAMES) !== 0;
  checkBatch(call, live);
  const ctx = readContext(call, xdp_md.size);
  const meta = ctx ? checkContext(call, ctx) : 0;
  const device = deviceOf(call, ctx);
  const size = attr.data_size_in;
  if (size < ETH_HLEN) refuse(`a frame has at least ${ETH_HLEN} bytes`, 'data_size_in');
  const bytes = call.read(attr.data_in, size, 'data_in');
  const linear = Math.min(ctx ? new DataView(ctx.buffer).getUint32(4, true) : size, size, LINEAR_MAX);
  if (live) return runLive(call, prog, device, bytes.subarray(meta));
  const state = netOf(kernel);
  const skb = state.skbs.fromBytes(bytes.subarray(0, linear));
  const frame = xdpDevices(kernel).frames.take();
  const before = state.xdpDevice;
  state.xdpDevice = device;
  try {
    openFrame(frame, skb, meta, bytes.length - linear, device.ifindex);
    const { retval, duration } = runRepeated(call, prog, frame.address);
    const start = frame.get('data_meta');
    const out = kernel.arena.u8.slice(start, frame.get('data_end'));
    if (ctx) writeContext(ctx, frame);
    finish(call, joined(out, bytes.subarray(linear)), retval, duration);
    finishContext(call, ctx);
  } finally {
    state.xdpDevice = before;
    xdpDevices(kernel).frames.give(frame);
    state.skbs.free(skb);
  }
}

function checkBatch({ attr }: BpfCall<10>, live: boolean): void {
  if (!live && attr.batch_size !== 0) refuse('batch_size is for live frames only', 'batch_size');
  if (live && attr.batch_size > MAX_BATCH)
    throw new KernelError('E2BIG', `a batch has at most ${MAX_BATCH} frames`, 'batch_size');
}

/** Bytes of metadata that the caller's context asks for: its `data` is their number. */
function checkContext({ attr }: BpfCall<10>, ctx: Uint8Array): number {
  const [data = 0, dataEnd = 0, dataMeta = 0] = new Uint32Array(ctx.buffer, 0, 3);
  if (attr.ctx_in === 0n) {
    new DataView(ctx.buffer).setUint32(4, attr.data_size_in, true);
    return 0;
  }
  if (dataMeta !== 0) refuse('data_meta must be 0', 'ctx_in');
  if (dataEnd > attr.data_size_in || data > dataEnd) refuse('data and data_end do not fit the frame', 'ctx_in');
  if (data & 3 || data > META_MAX) refuse(`metadata of ${data} bytes`, 'ctx_in');
  if (attr.flags !== 0 && (attr.data_out !== 0n || attr.ctx_out !== 0n)) refuse('live frames give nothing back', 'data_out');
  return data;
}

function deviceOf(call: BpfCall<10>, ctx: Uint8Array | undefined): NetDevice {
  const netns = netnsOf(call.task);
  const lo = netns.byIndex(1)!;
  if (!ctx) return lo;
  const [ifindex = 0, queue = 0, egress = 0] = new Uint32Array(ctx.buffer, 12, 3);
  if (egress !== 0) refuse('egress_ifindex must be 0', 'ctx_in');
  if (ifindex === 0 && queue !== 0) refuse('rx_queue_index without a device', 'ctx_in');
  if (ifindex === 0) return lo;
  const device = netns.byIndex(ifindex);
  if (!device) throw new KernelError('ENODEV', `no device has the ifindex ${ifindex}`, 'ctx_in');
  if (queue !== 0) refuse(`${device} has one queue`, 'ctx_in');
  return device;
}

function openFrame(frame: XdpFrame, skb: Skb, meta: number, frags: number, ifindex: number): void {
  frame.open(skb);
  frame.set('data_meta', skb.data);
  frame.set('data', skb.data + meta);
  frame.set('frags', frags);
  frame.set('ingress_ifindex', ifindex);
}

function writeContext(ctx: Uint8Array, frame: XdpFrame): void {
  const view = new DataView(ctx.buffer);
  view.setUint32(0, frame.get('data') - frame.get('data_meta'), true);
  view.setUint32(4, frame.get('data_end') - frame.get('data_meta'), true);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** Sends real frames: what the program says is done with each. */
function runLive(call: BpfCall<10>, prog: BpfProg, device: NetDevice, bytes: Uint8Array): void {
  const state = netOf(call.kernel);
  const { frames } = xdpDevices(call.kernel);
  const start = performance.now();
  const repeat = call.attr.repeat || 1;
  for (let run = 0; run < repeat; run++) {
    const skb = state.skbs.fromBytes(bytes);
    const frame = frames.take();
    const before = state.xdpDevice;
    state.xdpDevice = device;
    placeAt(skb, device);
    openFrame(frame, skb, 0, 0, device.ifindex);
    let act: number;
    try {
      act = prog.run(frame.address);
      frame.close(skb);
    } finally {
      state.xdpDevice = before;
      frames.give(frame);
    }
    skb.readEthernet(device.mac);
    if (act === XDP_PASS) state.ingress(device, skb);
    else if (act === XDP_TX) state.xmit(device, skb);
    else if (act === XDP_REDIRECT) xdpRedirect(state, device, skb);
    else state.skbs.free(skb);
  }
  state.drain();
  finish(call, bytes, 0, Math.round(((performance.now() - start) * 1e6) / repeat));
}
