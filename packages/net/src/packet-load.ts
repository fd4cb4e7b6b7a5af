/** What ld_abs and ld_ind of packet programs read (`bpf_skb_load_helper_*`). */

import type { HelperFactory } from '@libbpf-ts/kernel';

import { netOf } from './subsystem.ts';

/** Offsets below this are relative to the network header (SKF_NET_OFF), below the next to the link header (SKF_LL_OFF). */
const SKF_NET_OFF = -0x10_0000;
const SKF_LL_OFF = -0x20_0000;

/** (context, offset, size) -> the value in host order; the high half is 1 where the packet ends before it. */
export const skbPacketLoad: HelperFactory = (kernel) => {
  const { arena } = netOf(kernel);
  const { returnHigh } = kernel.runtime;
  return {
    name: 'ld_abs',
    args: ['u32', 'u32', 'u32'],
    returns: 'u64',
    run: (context, offset, size) => {
      const words = arena.u32;
      const data = words[(context! + 76) >> 2]!;
      const end = words[(context! + 80) >> 2]!;
      const off = offset! | 0;
      let at = data + off;
      if (off < 0) {
        if (off >= SKF_NET_OFF) at = words[(context! + 204) >> 2]! + off - SKF_NET_OFF;
        else if (off >= SKF_LL_OFF) at = words[(context! + 200) >> 2]! + off - SKF_LL_OFF;
        else at = end;
      }
      returnHigh.value = at < data || at + size! > end ? 1 : 0;
      if (returnHigh.value !== 0) return 0;
      const { view } = arena;
      return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getInt32(at);
    },
  };
};
