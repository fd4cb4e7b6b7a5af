/** The stack as a subsystem of a kernel: where its state is, and which namespace a task is in. */

import {
  stateKey,
  type Kernel,
  type StateKey,
  type StateOps,
  type Subsystem,
  type Task,
  type TaskStateOps,
} from '@libbpf-ts/kernel';

import type { NetNamespace } from './device.ts';
import { Net } from './net.ts';

const netKey: StateKey<Net> = stateKey<Net>('net');
const netnsKey: StateKey<{ netns: NetNamespace }> = stateKey<{ netns: NetNamespace }>('net.namespace');

const netState: StateOps<Net> = {
  create: (kernel) => {
    const state = new Net(kernel.arena);
    state.addNamespace();
    return state;
  },
  clone: (from, fork) => {
    const copy = from.twin(fork.kernel.arena);
    for (const netns of from.namespaces) {
      fork.bind(netns, copy.namespace(netns.id));
      for (const device of netns.devices) fork.bind(device, copy.deviceByUid(device.uid)!);
    }
    for (const socket of from.sockets) fork.bind(socket, copy.socketsByBlock.get(socket.block)!);
    return copy;
  },
};

const taskNetns: TaskStateOps<{ netns: NetNamespace }> = {
  create: (task) => ({ netns: netOf(task.kernel).init }),
  clone: ({ netns }, fork) => ({ netns: netOf(fork.kernel).namespace(netns.id) }),
};

/** Installs the stack, with a namespace that has lo. Other subsystems of the network call it too: a second time changes nothing. */
export const net: Subsystem = (kernel) => {
  const state = kernel.state(netKey, netState);
  state.progName = (id) => kernel.object('prog', id)?.name ?? `${id}`;
  kernel.network = {
    ifNameToIndex: (task, name) => netnsOf(task).byName(name)?.ifindex,
    leaks: (text) => state.sockets.map((socket) => socket.leak(text)),
  };
  state.atRunEnd = (act) => kernel.defer(act);
};

/** The stack of a kernel. Throws where it is not installed. */
export function netOf(kernel: Kernel): Net {
  return kernel.stateOf(netKey);
}

/** The stack of a kernel, installed if it is not there. */
export function ensureNet(kernel: Kernel): Net {
  if (!kernel.hasState(netKey)) kernel.install(net);
  return netOf(kernel);
}

/** The network namespace that a task is in. */
export function netnsOf(task: Task): NetNamespace {
  return task.state(netnsKey, taskNetns).netns;
}

/** setns(2), or unshare(2) with a namespace made for it. */
export function setNetns(task: Task, netns: NetNamespace): void {
  task.state(netnsKey, taskNetns).netns = netns;
}
