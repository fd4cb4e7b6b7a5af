/** What the maps of devices, CPUs and sockets ask of those who have them. Set by the subsystems that do; nothing is there by itself. */

import { stateKey, type Kernel, type StateKey, type Task } from '@libbpf-ts/kernel';

export interface DeviceDirectory {
  /** Is there a device with this ifindex in the task's network namespace? */
  exists(task: Task, ifindex: number): boolean;
}

const devicesKey: StateKey<{ directory?: DeviceDirectory }> = stateKey<{ directory?: DeviceDirectory }>('maps.devices');

function stateOf(kernel: Kernel): { directory?: DeviceDirectory } {
  return kernel.state(devicesKey, { create: () => ({}), clone: () => ({}) });
}

/** Called by the network when it installs itself, in every fork again. */
export function setDeviceDirectory(kernel: Kernel, directory: DeviceDirectory): void {
  stateOf(kernel).directory = directory;
}

export function deviceExists(task: Task, ifindex: number): boolean {
  return stateOf(task.kernel).directory?.exists(task, ifindex) ?? false;
}
