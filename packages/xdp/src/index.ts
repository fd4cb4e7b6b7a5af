/** Everything public of `@libbpf-ts/xdp`, spelt out. */

export { xdp, xdpType } from './subsystem.ts';
export { setXdp } from './link.ts';
export { xdpDevices } from './devices.ts';
export type { XdpDevices, XdpLink, XdpLinkData, XdpRequest } from './devices.ts';
export { XDP, XdpFrame, XdpPool } from './frame.ts';
export type { XdpField } from './frame.ts';
export { xdpVerifierOps } from './verifier-ops.ts';
