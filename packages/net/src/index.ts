/** Everything public of `@libbpf-ts/net`, spelt out. */

export { checksum, fold16, fold32, partialSum } from './checksum.ts';
export {
  ETH_HLEN,
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_802_2,
  ETH_P_802_3,
  ETH_P_ALL,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  ethernet,
  icmpEcho,
  ip,
  ipBytes,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipText,
  macBytes,
  macText,
  pseudoHeaderSum,
  readFrame,
  readNetwork,
  tcp,
  udp,
  VLAN_HLEN,
} from './packet.ts';
export type { FrameInfo, FrameOptions, IpOptions, TcpOptions, UdpOptions } from './packet.ts';
export {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  PACKET_BROADCAST,
  PACKET_HOST,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
  Skb,
  SKB,
  SKB_HASH_KNOWN,
  SKB_HEADROOM,
  SKB_SIZE,
  SKB_TAILROOM,
  swap16,
} from './skb.ts';
export type { SkbField, SkbMemory } from './skb.ts';
export { SkbPool } from './skb-pool.ts';
export { NetDevice, NetNamespace, parsePrefix } from './device.ts';
export type {
  DeviceKind,
  DeviceOptions,
  DeviceStats,
  InterfaceAddress,
  Neighbour,
  FibRule,
  Route,
  RouteType,
  TcRunner,
  TcSide,
  XdpRunner,
} from './device.ts';
export { fibLookup, inPrefix, isLocal, neighbourOf, RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN } from './fib.ts';
export type { FibQuery, FibResult } from './fib.ts';
export { Socket } from './socket.ts';
export type { Datagram, SocketOptions, TcpState } from './socket.ts';
export { openSocket, SocketFile, socketOf } from './socket-file.ts';
export { lookupTcp, lookupUdp } from './socket-lookup.ts';
export type { SocketTuple } from './socket-lookup.ts';
export type { SocketReferences } from './socket-references.ts';
export type { TestSocket } from './test-socket.ts';
export { EGRESS, hookNumber, INGRESS, Net, placeAt, scrub, verdictName, XDP_HOOK, XMIT_RECURSION_LIMIT } from './net.ts';
export type { Outcome, PacketResult, PacketTrace, PathStep, ReceiveOptions } from './net.ts';
export { doRedirect, emptyRedirect, forward, forwardable, xdpRedirect } from './redirect.ts';
export type { RedirectInfo } from './redirect.ts';
export { ensureNet, net, netnsOf, netOf, setNetns } from './subsystem.ts';
export { skbHelpers, xdpNetHelpers } from './helpers/index.ts';
export { skbPacketLoad } from './packet-load.ts';
export { registerPacketTypes, schedActType, schedClsType } from './prog-types.ts';
export { finish, finishContext, readContext, runRepeated, testRunNetworkSkb, testRunSkb } from './test-run.ts';
