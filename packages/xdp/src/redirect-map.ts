/** bpf_redirect_map: sends a frame where a map entry says. Mirrors __bpf_xdp_redirect_map, dev_map_enqueue and cpu_map_enqueue. */

import type { BpfMap, BpfProg, HelperFactory } from '@libbpf-ts/kernel';
import { redirectTarget, redirectTargets, type RedirectTarget } from '@libbpf-ts/maps';
import {
  emptyRedirect,
  ETH_HLEN,
  netOf,
  placeAt,
  VLAN_HLEN,
  type Net,
  type NetDevice,
  type Outcome,
  type Skb,
} from '@libbpf-ts/net';
import {
  BPF_F_BROADCAST,
  BPF_F_EXCLUDE_INGRESS,
  BPF_MAP_TYPE_CPUMAP,
  BPF_MAP_TYPE_DEVMAP,
  BPF_MAP_TYPE_DEVMAP_HASH,
  XDP_ABORTED,
  XDP_PASS,
  XDP_REDIRECT,
} from '@libbpf-ts/uapi';

import { xdpDevices } from './devices.ts';

/** The low bits of the flags: what the program returns where the map has no entry. */
const ACTION_MASK = 3;

const isDevmap = (map: BpfMap): boolean => map.type === BPF_MAP_TYPE_DEVMAP || map.type === BPF_MAP_TYPE_DEVMAP_HASH;

export const redirectMap: HelperFactory = (kernel) => {
  const net = netOf(kernel);
  return {
    name: 'bpf_redirect_map',
    args: ['u32', 'u64', 'u64'],
    returns: 's32',
    run: (address, key, _keyHigh, flags, flagsHigh) => {
      const map = kernel.mapAt(address!);
      const known = ACTION_MASK | (isDevmap(map) ? BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS : 0);
      if (flags! & ~known || flagsHigh) return XDP_ABORTED;
      const all = (flags! & BPF_F_BROADCAST) !== 0;
      const target = redirectTarget(map, key! >>> 0);
      if (!target && !all) return flags! & ACTION_MASK;
      const exclude = (flags! & BPF_F_EXCLUDE_INGRESS) !== 0;
      net.redirect = { ...emptyRedirect(), map: (_, device, skb) => send(map, all ? undefined : target, exclude, device, skb) };
      return XDP_REDIRECT;
    },
  };
};

/** Without a target to all of the map. Takes the packet over. */
function send(map: BpfMap, target: RedirectTarget | undefined, exclude: boolean, device: NetDevice, skb: Skb): Outcome {
  const { net } = device;
  if (target)
    return isDevmap(map)
      ? toDevice(map, target, device, skb)
      : map.type === BPF_MAP_TYPE_CPUMAP
        ? toCpu(map, target, device, skb)
        : dropped(net, device, skb);
  const targets = redirectTargets(map).filter(({ value }) => !(exclude && value === device.ifindex));
  for (const each of targets) toDevice(map, each, device, net.skbs.clone(skb));
  net.skbs.free(skb);
  return 'redirected';
}

function toDevice(map: BpfMap, { value, prog }: RedirectTarget, from: NetDevice, skb: Skb): Outcome {
  const { net } = from;
  const device = from.netns.byIndex(value);
  if (!device?.up || skb.len > device.mtu + ETH_HLEN + VLAN_HLEN) return dropped(net, from, skb);
  if (prog && runEntry(map, prog, from, device.ifindex, skb) !== XDP_PASS) return dropped(net, from, skb);
  placeAt(skb, device);
  return net.xmit(device, skb) === 'dropped' ? 'dropped' : 'redirected';
}

/** The frame goes on to the stack of the device that it came in by, on another CPU. */
function toCpu(map: BpfMap, { prog }: RedirectTarget, device: NetDevice, skb: Skb): Outcome {
  const { net } = device;
  if (prog && runEntry(map, prog, device, 0, skb) !== XDP_PASS) return dropped(net, device, skb);
  skb.readEthernet(device.mac);
  if (!skb.untagVlan()) return dropped(net, device, skb);
  return net.ingress(device, skb) === 'dropped' ? 'dropped' : 'redirected';
}

/** Runs the program of a map entry. */
function runEntry({ kernel }: BpfMap, prog: BpfProg, from: NetDevice, egress: number, skb: Skb): number {
  const { frames } = xdpDevices(kernel);
  const frame = frames.take();
  try {
    frame.open(skb);
    frame.set('ingress_ifindex', from.ifindex);
    frame.set('egress_ifindex', egress);
    const act = prog.run(frame.address);
    frame.close(skb);
    return act;
  } finally {
    frames.give(frame);
  }
}

function dropped(net: Net, device: NetDevice, skb: Skb): Outcome {
  device.stats.rx_dropped++;
  net.skbs.free(skb);
  return 'dropped';
}
