/** The real Linux kernel behind the same syscall border. */

export { addDevice, addVethPair, deleteDevice, deviceIndex, deviceName, setDeviceUp } from './devices.ts';
export { BpfFs } from './bpffs.ts';
export { isLinuxUnavailable, LinuxUnavailableError } from './errors.ts';
export type { LinuxUnavailableCode } from './errors.ts';
export type { Ffi, NativeMemory, SyscallName } from './ffi.ts';
export { LinuxKernel, linuxKernel } from './kernel.ts';
export { RouteSocket } from './netlink.ts';
export { NetNamespace } from './netns.ts';
