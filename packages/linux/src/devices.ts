/** Devices and qdiscs of a namespace, by rtnetlink. */

import { decodeAttributes, NLM_F_CREATE, NLM_F_EXCL, type NetlinkAnswer, type NetlinkAttribute } from '@libbpf-ts/uapi';
import type { RouteSocket } from './netlink.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFF_UP = 1;

function ifinfo(index = 0, flags = 0, change = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, change, true);
  return bytes;
}

/** Makes a veth pair in the socket's namespace and brings both ends up (an end can't be up before it has its peer). */
export function addVethPair(socket: RouteSocket, name: string, peer: string): NetlinkAnswer {
  const peerInfo = new Uint8Array([...ifinfo(), ...attributeBytes(IFLA_IFNAME, peer)]);
  const linkInfo: NetlinkAttribute[] = [
    { type: IFLA_INFO_KIND, value: 'veth' },
    { type: IFLA_INFO_DATA, value: [{ type: VETH_INFO_PEER, value: peerInfo }] },
  ];
  const made = socket.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfo(), [
    { type: IFLA_IFNAME, value: name },
    { type: IFLA_LINKINFO, value: linkInfo },
  ]);
  if (made.result < 0) return made;
  setDeviceUp(socket, deviceIndex(socket, peer), true);
  return setDeviceUp(socket, deviceIndex(socket, name), true);
}

/** Makes a device of a kind that needs no options (`ifb`, `bridge` …). */
export function addDevice(socket: RouteSocket, name: string, kind: string): NetlinkAnswer {
  return socket.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfo(0, IFF_UP, IFF_UP), [
    { type: IFLA_IFNAME, value: name },
    { type: IFLA_LINKINFO, value: [{ type: IFLA_INFO_KIND, value: kind }] },
  ]);
}

export function deleteDevice(socket: RouteSocket, index: number): NetlinkAnswer {
  return socket.request(RTM_DELLINK, 0, ifinfo(index));
}

/** The ifindex of a device in the socket's namespace, or `-errno`. */
export function deviceIndex(socket: RouteSocket, name: string): number {
  const { result, messages } = socket.request(RTM_GETLINK, 0, ifinfo(), [{ type: IFLA_IFNAME, value: name }]);
  const body = messages[0]?.body;
  if (result < 0 || body === undefined) return result;
  return new DataView(body.buffer, body.byteOffset).getInt32(4, true);
}

/** The name of a device by its ifindex, or `undefined` where there is none. */
export function deviceName(socket: RouteSocket, index: number): string | undefined {
  const body = socket.request(RTM_GETLINK, 0, ifinfo(index)).messages[0]?.body;
  const name = body && decodeAttributes(body.subarray(16)).get(IFLA_IFNAME);
  return name && new TextDecoder().decode(name.subarray(0, -1));
}

export function setDeviceUp(socket: RouteSocket, index: number, up: boolean): NetlinkAnswer {
  return socket.request(RTM_NEWLINK, 0, ifinfo(index, up ? IFF_UP : 0, IFF_UP));
}

function attributeBytes(type: number, text: string): Uint8Array {
  const value = new TextEncoder().encode(`${text}\0`);
  const bytes = new Uint8Array((4 + value.length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}
