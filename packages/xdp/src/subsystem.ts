/** XDP as a subsystem. */

import type { ProgTypeOps, Subsystem } from '@libbpf-ts/kernel';
import { forgetDevice, setDeviceDirectory } from '@libbpf-ts/maps';
import { ensureNet, netnsOf } from '@libbpf-ts/net';
import { BPF_PROG_TYPE_XDP, BPF_XDP } from '@libbpf-ts/uapi';

import { xdpDevices } from './devices.ts';
import { xdpHelpers } from './helpers.ts';
import { xdpAttachOps, xdpLinkOps } from './link.ts';
import { testRunXdp } from './test-run.ts';
import { xdpVerifierOps } from './verifier-ops.ts';

export const xdpType: ProgTypeOps = {
  type: BPF_PROG_TYPE_XDP,
  name: 'xdp',
  verifier: xdpVerifierOps,
  helper: (id) => xdpHelpers.get(id),
  testRun: testRunXdp,
};

/** Installs the program type and its links; installs the network stack where it is missing. */
export const xdp: Subsystem = (kernel) => {
  const net = ensureNet(kernel);
  const devices = xdpDevices(kernel);
  kernel.progTypes.register(xdpType.type, xdpType);
  kernel.linkTypes.register(xdpLinkOps.name, xdpLinkOps);
  kernel.attachTypes.register(BPF_XDP, xdpAttachOps);
  setDeviceDirectory(kernel, { exists: (task, ifindex) => netnsOf(task).byIndex(ifindex) !== undefined });
  net.unregisterListeners.push((device) => {
    kernel.because(undefined, `device ${device} removed`, () => devices.remove(device));
    for (const map of kernel.maps) forgetDevice(map, device.ifindex);
  });
};
