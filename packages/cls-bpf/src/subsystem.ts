/** Classic tc as a subsystem. */

import type { Subsystem } from '@libbpf-ts/kernel';
import { ensureNet, registerPacketTypes } from '@libbpf-ts/net';

import { clsBpfAttachOps, clsBpfLinkOps } from './link.ts';
import { tcMessages } from './messages.ts';
import { BPF_TC_FILTER } from './numbers.ts';
import { destroyQdisc } from './qdisc.ts';
import { tcState } from './state.ts';

/** Installs program types and the filter link; installs the network stack where it is missing. */
export const clsBpf: Subsystem = (kernel) => {
  const net = ensureNet(kernel);
  const state = tcState(kernel);
  registerPacketTypes(kernel);
  kernel.linkTypes.register(clsBpfLinkOps.name, clsBpfLinkOps);
  kernel.attachTypes.register(BPF_TC_FILTER, clsBpfAttachOps);
  for (const [type, handler] of tcMessages) kernel.netlink.register(type, handler);
  net.unregisterListeners.push((device) => {
    const qdisc = state.qdiscs.get(device);
    if (qdisc) kernel.because(undefined, `device ${device} removed`, () => destroyQdisc(state, qdisc));
  });
};
