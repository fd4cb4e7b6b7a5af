/** The real Linux kernel behind the same syscall border. */

export {
  addDevice,
  addQdisc,
  addVethPair,
  deleteDevice,
  deleteQdisc,
  deviceIndex,
  deviceName,
  setDeviceUp,
} from './devices.ts';
export { isLinuxUnavailable, LinuxUnavailableError } from './errors.ts';
export type { LinuxUnavailableCode } from './errors.ts';
export type { Ffi, NativeMemory, SyscallName } from './ffi.ts';
export { LinuxKernel, linuxKernel } from './kernel.ts';
export {
  decodeAttributes,
  encodeAttributes,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_ECHO,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RouteSocket,
} from './netlink.ts';
export type { NetlinkAnswer, NetlinkAttribute, NetlinkMessage } from './netlink.ts';
export { NetNamespace } from './netns.ts';
