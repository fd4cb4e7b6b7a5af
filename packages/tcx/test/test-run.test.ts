import { ethernet, udp } from '@libbpf-ts/net';
import { __sk_buff, BPF_PROG_TEST_RUN, BPF_PROG_TYPE_SCHED_ACT, BPF_PROG_TYPE_XDP, errnoName, xdp_md } from '@libbpf-ts/uapi';
import { describe, expect, test } from 'vitest';

import { boot, leaksAfter, load, returns } from './kit.ts';

const SKB_LEN = 'r0 = *(u32 *)(r1 + 0); exit';
const XDP_LEN = 'r2 = *(u32 *)(r1 + 0); r0 = *(u32 *)(r1 + 4); r0 -= r2; exit';

interface Case {
  readonly size?: number;
  readonly etherType?: number;
  readonly out?: number;
  readonly attr?: Record<string, number>;
  readonly ctx?: readonly [field: string, value: number];
  readonly ctxSize?: number;
}

/** `errno`, or `retval data_size_out`. */
function answer(
  type: 'sched_cls' | 'xdp',
  text: string,
  { size = 64, etherType = 0x0800, out = 70_000, attr: more = {}, ctx, ctxSize }: Case,
): string {
  const world = boot();
  const { task } = world;
  const fd = load(task, text, type === 'xdp' ? BPF_PROG_TYPE_XDP : undefined);
  const data_in = ethernet(etherType, new Uint8Array(Math.max(0, size - 14))).subarray(0, size);
  const ctx_in = new Uint8Array(ctxSize ?? (type === 'xdp' ? xdp_md.size : __sk_buff.size));
  if (ctx) (type === 'xdp' ? xdp_md : __sk_buff).write(new DataView(ctx_in.buffer), { [ctx[0]]: ctx[1] } as never);
  const attr: Record<string, unknown> = {
    prog_fd: fd,
    ...(size > 0 ? { data_in } : {}),
    data_size_in: size,
    data_out: new Uint8Array(out),
    data_size_out: out,
    repeat: 1,
    ...(ctx || ctxSize ? { ctx_in, ctx_size_in: ctx_in.length } : {}),
    ...more,
  };
  const result = task.bpf(BPF_PROG_TEST_RUN, attr);
  const text2 =
    result < 0
      ? `${errnoName(result)}${result === -28 ? ` ${String(attr['data_size_out'])}` : ''}`
      : `${String(attr['retval'] ?? 0)} ${String(attr['data_size_out'])}`;
  expect(world.net.skbs.inUse).toBe(0);
  expect(leaksAfter(world)).toEqual([]);
  return text2;
}

describe('sched_cls', () => {
  test.each<[rule: string, given: Case, result: string]>([
    ['runs over a frame', {}, '64 64'],
    ['no data', { size: 0 }, 'EINVAL'],
    ['less than a link header', { size: 13 }, 'EINVAL'],
    ['less than an IPv4 header', { size: 33 }, 'EINVAL'],
    ['just an IPv4 header', { size: 34 }, '34 34'],
    ['less than an IPv6 header', { size: 53, etherType: 0x86dd }, 'EINVAL'],
    ['just an IPv6 header', { size: 54, etherType: 0x86dd }, '54 54'],
    ['only a link header', { size: 14, etherType: 0x0806 }, '14 14'],
    ['the largest frame', { size: 3712 }, '3712 3712'],
    ['a larger frame', { size: 3713 }, 'EINVAL'],
    ['data_out too small', { out: 20 }, 'ENOSPC 64'],
    ['repeat', { attr: { repeat: 1000 } }, '64 64'],
    ['flags', { attr: { flags: 1 } }, 'EINVAL'],
    ['cpu', { attr: { cpu: 1 } }, 'EINVAL'],
    ['batch_size', { attr: { batch_size: 1 } }, 'EINVAL'],
    ['ctx_in mark', { ctx: ['mark', 1] }, '64 64'],
    ['ctx_in ifindex', { ctx: ['ifindex', 1] }, '64 64'],
    ['ctx_in unknown ifindex', { ctx: ['ifindex', 999] }, 'ENODEV'],
    ['ctx_in wire_len', { ctx: ['wire_len', 100] }, '64 64'],
    ['ctx_in wire_len below the frame', { ctx: ['wire_len', 1] }, 'EINVAL'],
    ['ctx_in gso_size', { ctx: ['gso_size', 1] }, '64 64'],
    ['ctx_in tc_index', { ctx: ['tc_index', 1] }, 'EINVAL'],
    ['ctx_in hash', { ctx: ['hash', 1] }, 'EINVAL'],
    ['ctx_in tc_classid', { ctx: ['tc_classid', 1] }, 'EINVAL'],
    ['ctx_in queue_mapping', { ctx: ['queue_mapping', 1] }, 'EINVAL'],
    ['ctx_in pkt_type', { ctx: ['pkt_type', 1] }, 'EINVAL'],
    ['ctx_in protocol', { ctx: ['protocol', 1] }, 'EINVAL'],
    ['ctx_in len', { ctx: ['len', 1] }, 'EINVAL'],
    ['ctx_in data', { ctx: ['data', 1] }, 'EINVAL'],
    ['ctx_in vlan_present', { ctx: ['vlan_present', 1] }, 'EINVAL'],
    ['ctx_in tstamp_type', { ctx: ['tstamp_type', 1] }, 'EINVAL'],
    ['a short ctx_in', { ctxSize: 8 }, '64 64'],
    ['a long ctx_in of zeros', { ctxSize: 208 }, '64 64'],
  ])('%s', (_, given, result) => expect(answer('sched_cls', SKB_LEN, given)).toBe(result));

  test.each([
    ['ifindex', 40, 1],
    ['ingress_ifindex', 36, 0],
    ['protocol', 16, 8],
    ['pkt_type', 4, 3],
    ['hash', 68, 0],
    ['wire_len', 160, 0],
    ['queue_mapping', 12, 0],
  ])('skb->%s without a context', (_, offset, value) => {
    expect(answer('sched_cls', `r0 = *(u32 *)(r1 + ${offset}); exit`, {})).toBe(`${value} 64`);
  });

  test('a context comes back with what a program may change', () => {
    const world = boot();
    const fd = load(
      world.task,
      '*(u32 *)(r1 + 8) = 77; *(u32 *)(r1 + 48) = 5; *(u32 *)(r1 + 44) = 9; *(u32 *)(r1 + 72) = 3; r0 = 0; exit',
    );
    const [data_in, ctx_out] = [udp(), new Uint8Array(192)];
    const attr = {
      prog_fd: fd,
      data_in,
      data_size_in: data_in.length,
      ctx_in: new Uint8Array(192),
      ctx_size_in: 192,
      ctx_out,
      ctx_size_out: 192,
      repeat: 1,
    };
    expect(world.task.bpf(BPF_PROG_TEST_RUN, attr)).toBe(0);
    const ctx = __sk_buff.read(new DataView(ctx_out.buffer));
    expect(ctx).toMatchObject({
      mark: 77,
      tc_index: 0,
      tc_classid: 0,
      ifindex: 1,
      wire_len: data_in.length,
      len: 0,
      protocol: 0,
    });
    expect(ctx.cb[0]).toBe(5);
    expect(leaksAfter(world)).toEqual([]);
  });

  test('the return value is all 32 bits', () =>
    expect(answer('sched_cls', 'w0 = 0x80000005; exit'.replace('0x80000005', '-2147483643'), {})).toBe('2147483653 64'));

  test('sched_act runs the same way', () => {
    const world = boot();
    const data_in = udp();
    const attr = {
      prog_fd: load(world.task, returns(1), BPF_PROG_TYPE_SCHED_ACT),
      data_in,
      data_size_in: data_in.length,
      retval: 0,
    };
    expect([world.task.bpf(BPF_PROG_TEST_RUN, attr), attr.retval]).toEqual([0, 1]);
    expect(leaksAfter(world)).toEqual([]);
  });
});

describe('xdp', () => {
  test.each<[rule: string, given: Case, result: string]>([
    ['runs over a frame', {}, '64 64'],
    ['no data', { size: 0 }, 'EINVAL'],
    ['less than a link header', { size: 13 }, 'EINVAL'],
    ['only a link header', { size: 14 }, '14 14'],
    ['the largest linear frame', { size: 3520 }, '3520 3520'],
    ['more are fragments', { size: 4096 }, '3520 4096'],
    ['much more', { size: 9000 }, '3520 9000'],
    ['data_end of all', { ctx: ['data_end', 64] }, '64 64'],
    ['data_end within', { ctx: ['data_end', 60] }, '60 64'],
    ['data_meta', { ctx: ['data_meta', 4] }, 'EINVAL'],
    ['egress_ifindex', { ctx: ['egress_ifindex', 1] }, 'EINVAL'],
    ['flags', { attr: { flags: 1 } }, 'EINVAL'],
  ])('%s', (_, given, result) => expect(answer('xdp', XDP_LEN, given)).toBe(result));

  test('an unknown device', () => {
    const world = boot();
    const ctx_in = new Uint8Array(24);
    xdp_md.write(new DataView(ctx_in.buffer), { data_end: 64, ingress_ifindex: 9999 });
    const data_in = new Uint8Array(64);
    const result = world.task.bpf(BPF_PROG_TEST_RUN, {
      prog_fd: load(world.task, XDP_LEN, BPF_PROG_TYPE_XDP),
      data_in,
      data_size_in: 64,
      ctx_in,
      ctx_size_in: 24,
    });
    expect(errnoName(result)).toBe('ENODEV');
    expect(leaksAfter(world)).toEqual([]);
  });

  test.each<[rule: string, text: string, result: string]>([
    ['metadata grows to the front', 'r2 = -4; call bpf_xdp_adjust_meta#54; exit', '0 68'],
    ['the head moves', 'r2 = -14; call bpf_xdp_adjust_head#44; exit', '0 78'],
    ['the head moves into the frame', 'r2 = 14; call bpf_xdp_adjust_head#44; exit', '0 50'],
    ['the head keeps a link header', 'r2 = 51; call bpf_xdp_adjust_head#44; exit', '4294967274 64'],
    ['the tail is cut', 'r2 = -14; call bpf_xdp_adjust_tail#65; exit', '0 50'],
    ['the tail keeps a link header', 'r2 = -51; call bpf_xdp_adjust_tail#65; exit', '4294967274 64'],
    ['the tail grows', 'r2 = 100; call bpf_xdp_adjust_tail#65; exit', '0 164'],
    ['the length', 'call bpf_xdp_get_buff_len#188; exit', '64 64'],
  ])('%s', (_, text, result) => expect(answer('xdp', text, {})).toBe(result));
});
