/** Several XDP programs on one device, in an order, each with its owner: what Linux lacks. */

import type { Kernel } from '@libbpf-ts/kernel';
import { defineHook, type CustomHook, type HookPoint } from '@libbpf-ts/mprog';
import type { NetDevice } from '@libbpf-ts/net';
import { BPF_PROG_TYPE_XDP, xdp_md } from '@libbpf-ts/uapi';
import { XdpPool } from '@libbpf-ts/xdp';

/** Attach type and link type of the hook. No kernel knows it: it lies outside of the ABI's range. */
export const BPF_MULTI_XDP = 0x1_0200;

/** XDP_PASS lets the next program look; any other verdict ends the chain. The programs are ordinary XDP programs. */
export const multiXdp: CustomHook<typeof xdp_md, 'ABORTED' | 'DROP' | 'PASS' | 'TX' | 'REDIRECT'> = defineHook({
  name: 'multi_xdp',
  number: BPF_MULTI_XDP,
  programType: BPF_PROG_TYPE_XDP,
  context: xdp_md,
  codes: { ABORTED: 0, DROP: 1, PASS: 2, TX: 3, REDIRECT: 4 },
  next: 'PASS',
  bounds: true,
});

/** Puts the hook where the device has room for one XDP program. Programs attach to `target`. */
export function onDevice(kernel: Kernel, device: NetDevice): HookPoint<typeof xdp_md> {
  const point = multiXdp.open(kernel, device.name);
  const frames = new XdpPool(kernel.arena);
  device.xdp = {
    run(skb) {
      const frame = frames.take();
      try {
        frame.open(skb);
        frame.set('ingress_ifindex', device.ifindex);
        const act = point.runAt(frame.address);
        frame.close(skb);
        return act;
      } finally {
        frames.give(frame);
      }
    },
  };
  return point;
}
