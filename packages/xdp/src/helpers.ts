/** Helpers over `struct xdp_md`. Mirrors net/core/filter.c. */

import type { HelperFactory } from '@libbpf-ts/kernel';
import { ETH_HLEN, netOf, xdpNetHelpers } from '@libbpf-ts/net';
import * as id from '@libbpf-ts/uapi';
import type { HelperType, VmHelper } from '@libbpf-ts/vm';

import { XDP_FRAME_SIZE, XdpFrame } from './frame.ts';
import { redirectMap } from './redirect-map.ts';

const failed = (code: id.ErrnoName): number => -id.ERRNO[code];
/** Most bytes of metadata in front of a frame; their number is a multiple of 4. */
const META_MAX = 252;
const OFFSET_MAX = 0xffff;

function helper(name: string, args: readonly HelperType[], run: (frame: XdpFrame, ...rest: number[]) => number): HelperFactory {
  return (kernel): VmHelper => {
    const { arena } = netOf(kernel);
    return {
      name: `bpf_${name}`,
      args,
      returns: 's32',
      run: (context, ...rest) => run(new XdpFrame(arena, context!), ...rest),
    };
  };
}

const adjustHead: HelperFactory = helper('xdp_adjust_head', ['u32', 'u32'], (frame, offset) => {
  const meta = frame.get('data_meta');
  const length = frame.get('data') - meta;
  const data = frame.get('data') + (offset! | 0);
  if (data < frame.get('hard_start') + XDP_FRAME_SIZE + length || data > frame.get('data_end') - ETH_HLEN)
    return failed('EINVAL');
  frame.arena.u8.copyWithin(data - length, meta, meta + length);
  frame.set('data_meta', data - length);
  frame.set('data', data);
  return 0;
});

const adjustMeta: HelperFactory = helper('xdp_adjust_meta', ['u32', 'u32'], (frame, offset) => {
  const meta = frame.get('data_meta') + (offset! | 0);
  const data = frame.get('data');
  if (meta < frame.get('hard_start') + XDP_FRAME_SIZE || meta > data) return failed('EINVAL');
  if ((data - meta) & 3 || data - meta > META_MAX) return failed('EACCES');
  frame.set('data_meta', meta);
  return 0;
});

const adjustTail: HelperFactory = helper('xdp_adjust_tail', ['u32', 'u32'], (frame, offset) => {
  const before = frame.get('data_end');
  const end = before + (offset! | 0);
  if (end > frame.get('hard_end') || end < frame.get('data') + ETH_HLEN) return failed('EINVAL');
  if (end > before) frame.arena.u8.fill(0, before, end);
  frame.set('data_end', end);
  return 0;
});

const length = (frame: XdpFrame): number => frame.get('data_end') - frame.get('data') + frame.get('frags');

const getBuffLen: HelperFactory = helper('xdp_get_buff_len', ['u32'], length);

/** Address of bytes of the frame, or an errno. */
function bytesAt(frame: XdpFrame, offset: number, count: number): number {
  if (offset > OFFSET_MAX || count > OFFSET_MAX) return failed('EFAULT');
  if (offset + count > frame.get('data_end') - frame.get('data')) return failed('EINVAL');
  return frame.get('data') + offset;
}

const loadBytes: HelperFactory = helper('xdp_load_bytes', ['u32', 'u32', 'u32', 'u32'], (frame, offset, to, count) => {
  const at = bytesAt(frame, offset! >>> 0, count! >>> 0);
  if (at < 0) return at;
  frame.arena.u8.copyWithin(to! >>> 0, at, at + count!);
  return 0;
});

const storeBytes: HelperFactory = helper('xdp_store_bytes', ['u32', 'u32', 'u32', 'u32'], (frame, offset, from, count) => {
  const at = bytesAt(frame, offset! >>> 0, count! >>> 0);
  if (at < 0) return at;
  frame.arena.u8.copyWithin(at, from! >>> 0, (from! >>> 0) + count!);
  return 0;
});

/** bpf_perf_event_output with a part of the frame behind the program's own data. */
const eventOutput: HelperFactory = (kernel) => ({
  name: 'bpf_perf_event_output',
  args: ['u32', 'u32', 'u64', 'u32', 'u64'],
  returns: 's32',
  run: (context, map, flags, flagsHigh, data, size, sizeHigh) => {
    const factory = kernel.helpers.get(id.BPF_FUNC_perf_event_output);
    if (!factory) return failed('EOPNOTSUPP');
    const send = kernel.helperOf(factory).run;
    const { arena } = kernel;
    const frame = new XdpFrame(arena, context!);
    const payload = flagsHigh! >>> 0;
    if (payload > 0xf_ffff) return failed('EINVAL');
    if (payload > frame.get('data_end') - frame.get('data')) return failed('EFAULT');
    if (payload === 0) return send(context!, map!, flags!, 0, data!, size!, sizeHigh!);
    const own = size! >>> 0;
    const both = arena.allocate(own + payload);
    arena.u8.copyWithin(both, data! >>> 0, (data! >>> 0) + own);
    arena.u8.copyWithin(both + own, frame.get('data'), frame.get('data') + payload);
    const result = send(context!, map!, flags!, 0, both, own + payload, 0);
    arena.free(both);
    return result;
  },
});

/** By BPF_FUNC_* number. */
export const xdpHelpers: ReadonlyMap<number, HelperFactory> = new Map<number, HelperFactory>([
  ...xdpNetHelpers,
  [id.BPF_FUNC_xdp_adjust_head, adjustHead],
  [id.BPF_FUNC_xdp_adjust_meta, adjustMeta],
  [id.BPF_FUNC_xdp_adjust_tail, adjustTail],
  [id.BPF_FUNC_xdp_get_buff_len, getBuffLen],
  [id.BPF_FUNC_xdp_load_bytes, loadBytes],
  [id.BPF_FUNC_xdp_store_bytes, storeBytes],
  [id.BPF_FUNC_perf_event_output, eventOutput],
  [id.BPF_FUNC_redirect_map, redirectMap],
]);
