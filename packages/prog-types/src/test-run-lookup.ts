/** BPF_PROG_TEST_RUN of sk_lookup and flow_dissector programs. Mirrors bpf_prog_test_run_sk_lookup and bpf_prog_test_run_flow_dissector. */

import type { BpfCall, BpfProg } from '@libbpf-ts/kernel';
import { finish, finishContext, netOf, readContext, runRepeated } from '@libbpf-ts/net';
import { KernelError } from '@libbpf-ts/uapi';

const AF_INET = 2;
const AF_INET6 = 10;
const U16_MAX = 0xffff;
/** struct bpf_sk_lookup. */
const LOOKUP = {
  sk: 0,
  family: 8,
  protocol: 12,
  remote_ip4: 16,
  remote_ip6: 20,
  local_ip4: 40,
  local_ip6: 44,
  local_port: 60,
  size: 72,
};
/** struct bpf_flow_keys. */
const KEYS = { nhoff: 0, thoff: 2, n_proto: 10, flags: 48, size: 56 };
/** Where a flow dissector's context has the pointer to its keys. */
const FLOW_KEYS = 144;
const ETH_HLEN = 14;
const PAGE_SIZE = 4096;

const refuse = (detail: string, argument: string): never => {
  throw new KernelError('EINVAL', detail, argument);
};

function refuseOptions({ flags, cpu, batch_size }: BpfCall<10>['attr'], what: string): void {
  if (flags !== 0) refuse(`flags are not for ${what} programs`, 'flags');
  if (cpu !== 0) refuse(`cpu is not for ${what} programs`, 'cpu');
  if (batch_size !== 0) refuse(`batch_size is not for ${what} programs`, 'batch_size');
}

/** The context is the lookup that the caller describes; what comes back of it is the cookie of the socket chosen, which is none here. */
export function testRunSkLookup(call: BpfCall<10>, prog: BpfProg): void {
  const { attr, kernel } = call;
  refuseOptions(attr, 'sk_lookup');
  if (attr.data_in !== 0n || attr.data_size_in !== 0 || attr.data_out !== 0n || attr.data_size_out !== 0)
    refuse('sk_lookup programs have no data', 'data_in');
  const ctx = readContext(call, LOOKUP.size) ?? refuse('a lookup is needed', 'ctx_in');
  checkLookup(new DataView(ctx.buffer), ctx);
  const { arena } = kernel;
  const address = arena.allocate(LOOKUP.size, 8);
  try {
    arena.u8.set(ctx, address);
    const { retval, duration } = runRepeated(call, prog, address);
    finish(call, new Uint8Array(0), retval, duration);
    finishContext(call, ctx);
  } finally {
    arena.free(address);
  }
}

function checkLookup(view: DataView, ctx: Uint8Array): void {
  if (view.getBigUint64(LOOKUP.sk, true) !== 0n) refuse('sk is for the program to choose', 'ctx_in');
  if (ctx.subarray(LOOKUP.local_port + 4).some((byte) => byte !== 0)) refuse('what follows local_port must be 0', 'ctx_in');
  if (view.getUint32(LOOKUP.local_port, true) > U16_MAX)
    throw new KernelError('ERANGE', `port ${view.getUint32(LOOKUP.local_port, true)}`, 'ctx_in');
  const family = view.getUint32(LOOKUP.family, true) & U16_MAX;
  if (family !== AF_INET && family !== AF_INET6) throw new KernelError('EAFNOSUPPORT', `family ${family}`, 'ctx_in');
  const hidden = family === AF_INET ? [LOOKUP.remote_ip6, LOOKUP.local_ip6] : [];
  for (const at of hidden) ctx.fill(0, at, at + 16);
  if (family === AF_INET6) for (const at of [LOOKUP.remote_ip4, LOOKUP.local_ip4]) ctx.fill(0, at, at + 4);
}

/** The data that comes back are the flow keys. */
export function testRunFlowDissector(call: BpfCall<10>, prog: BpfProg): void {
  const { attr, kernel } = call;
  refuseOptions(attr, 'flow_dissector');
  const size = attr.data_size_in;
  if (size < ETH_HLEN || size > PAGE_SIZE) refuse(`a frame has ${ETH_HLEN} to ${PAGE_SIZE} bytes, not ${size}`, 'data_size_in');
  const frame = call.read(attr.data_in, size, 'data_in');
  const ctx = readContext(call, KEYS.size);
  if (ctx?.some((byte, at) => byte !== 0 && (at < KEYS.flags || at >= KEYS.flags + 4)))
    refuse('only flags may be set', 'ctx_in');
  const { skbs } = netOf(kernel);
  const { arena } = kernel;
  const skb = skbs.fromBytes(frame);
  const keys = arena.allocate(KEYS.size, 8);
  try {
    arena.u32[(skb.address + FLOW_KEYS) >> 2] = keys;
    openKeys(arena.u8, keys, frame, ctx);
    const { retval, duration } = runRepeated(call, prog, skb.address);
    clampOffsets(arena.view, keys, size);
    finish(call, arena.u8.slice(keys, keys + KEYS.size), retval, duration);
    finishContext(call, ctx);
  } finally {
    arena.free(keys);
    skbs.free(skb);
  }
}

function openKeys(u8: Uint8Array, keys: number, frame: Uint8Array, ctx: Uint8Array | undefined): void {
  u8.fill(0, keys, keys + KEYS.size);
  u8[keys + KEYS.nhoff] = ETH_HLEN;
  u8[keys + KEYS.thoff] = ETH_HLEN;
  u8.set(frame.subarray(12, 14), keys + KEYS.n_proto);
  if (ctx) u8.set(ctx.subarray(KEYS.flags, KEYS.flags + 4), keys + KEYS.flags);
}

/** What the program says of offsets is kept within the frame (`bpf_flow_dissect`). */
function clampOffsets(view: DataView, keys: number, size: number): void {
  const within = (at: number, least: number): number => Math.min(Math.max(view.getUint16(keys + at, true), least), size);
  view.setUint16(keys + KEYS.nhoff, within(KEYS.nhoff, ETH_HLEN), true);
  view.setUint16(keys + KEYS.thoff, within(KEYS.thoff, view.getUint16(keys + KEYS.nhoff, true)), true);
}
