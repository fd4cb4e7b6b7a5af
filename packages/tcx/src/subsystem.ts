/** tcx as a subsystem. */

import type { Subsystem } from '@libbpf-ts/kernel';
import { ensureNet, registerPacketTypes } from '@libbpf-ts/net';
import { BPF_TCX_EGRESS, BPF_TCX_INGRESS } from '@libbpf-ts/uapi';

import { tcxAttachOps } from './attach.ts';
import { tcxEntries } from './entries.ts';
import { tcxLinkOps } from './link.ts';

/** Installs program types, attach types and links; installs the network stack where it is missing. */
export const tcx: Subsystem = (kernel) => {
  const net = ensureNet(kernel);
  const entries = tcxEntries(kernel);
  registerPacketTypes(kernel);
  kernel.linkTypes.register(tcxLinkOps.name, tcxLinkOps);
  for (const type of [BPF_TCX_INGRESS, BPF_TCX_EGRESS]) kernel.attachTypes.register(type, tcxAttachOps(type));
  net.unregisterListeners.push((device) => {
    kernel.because(undefined, `device ${device} removed`, () => {
      for (const type of [BPF_TCX_INGRESS, BPF_TCX_EGRESS]) entries.remove(device, type);
    });
  });
  net.qdiscListeners.push((device, side) =>
    entries.tidy(device, side, side === device.ingress ? BPF_TCX_INGRESS : BPF_TCX_EGRESS),
  );
};
