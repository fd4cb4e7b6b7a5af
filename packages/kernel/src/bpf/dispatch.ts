/** bpf(2): which function answers which command. Mirrors __sys_bpf of kernel/bpf/syscall.c. */

import { BPF_ATTR_SIZE, isKernelError, KernelError, type BpfCmdNumber, type UserMemory } from '@libbpf-ts/uapi';

import { BpfCall } from '../call.ts';
import type { Task } from '../task.ts';
import { commands } from './commands.ts';

const PAGE_SIZE = 4096;

/** Answers one call: a value ≥ 0 or `-errno`. What is thrown besides refusals is a bug of ours and goes through. */
export function dispatch(task: Task, cmd: number, attr: Uint8Array, size: number, memory: UserMemory): number {
  const { kernel } = task;
  const before = kernel.current;
  task.lastError = undefined;
  try {
    checkTail(attr, size);
    const command = commands[cmd];
    if (!command) throw new KernelError('EINVAL', `there is no bpf command ${cmd}`, 'cmd');
    kernel.current = { task, reason: command.name };
    const call = new BpfCall(task, cmd as BpfCmdNumber, attr, size, memory);
    return command.run(call as never) ?? 0;
  } catch (error) {
    if (!isKernelError(error)) throw error;
    task.lastError = error;
    return -error.errno;
  } finally {
    kernel.current = before;
  }
}

/** `bpf_check_uarg_tail_zero`: what is longer than the union must be zero behind it. */
function checkTail(attr: Uint8Array, size: number): void {
  if (size > PAGE_SIZE) throw new KernelError('E2BIG', `an attr of ${size} bytes is larger than a page`, 'size');
  if (size > attr.length) throw new KernelError('EFAULT', `the attr has ${attr.length} bytes, not ${size}`, 'attr');
  for (let at = BPF_ATTR_SIZE; at < size; at++) {
    if (attr[at] !== 0)
      throw new KernelError('E2BIG', `byte ${at} of the attr is not zero, and no field of this kernel`, 'attr');
  }
}
